"""Tells the service manager how the daemon is: a part of the composition root.

=========  =======================  =========================================================
state      event                    what it is told
=========  =======================  =========================================================
opening    some seconds have gone   that it takes longer: an old index may take minutes
opening    all is open              READY; running
running    some seconds have gone   WATCHDOG and STATUS
running    a reload is asked for    RELOADING with the time; again for each one
running    reloads are done         READY, be the configuration in force the new or the old one
any        the daemon stops         STOPPING; stopping
stopping   some seconds have gone   that it takes longer, and WATCHDOG
=========  =======================  =========================================================

All of it comes from the reactor's own timer: a reactor that is stuck tells nothing, so the
service manager ends the process and starts another one.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

import time
from collections.abc import Callable
from enum import Enum

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from regcache.service_manager import Notifications

INTERVAL = 5.0
"""Seconds between two reports; fewer where the watchdog wants it."""
EXTENSION = 30.0
"""Seconds that a step of the start or of the stop may last without a report."""


class _State(Enum):
    OPENING = "opening"
    RUNNING = "running"
    STOPPING = "stopping"


class ManagerReports(Service):
    """The reports of one process.

    :param watchdog: seconds, within which a report has to come; None without one.
    :param status: a line that says how the daemon is; cheap.
    """

    _log = Logger()

    def __init__(
        self,
        notifications: Notifications,
        clock: IReactorTime,
        *,
        watchdog: float | None,
        status: Callable[[], str],
    ) -> None:
        self._notifications = notifications
        self._status = status
        self._state = _State.OPENING
        self._reloading = False
        self._interval = min(INTERVAL, watchdog / 3) if watchdog else INTERVAL
        self._loop = LoopingCall(self._report)
        self._loop.clock = clock

    def startService(self) -> None:
        """Begin to report."""
        super().startService()
        if self._notifications.wanted:
            self._loop.start(self._interval).addErrback(self._failed)

    def stopService(self) -> None:
        """Report no more: the process ends."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()
        self._notifications.close()

    def ready(self) -> None:
        """Requests are answered."""
        self._state = _State.RUNNING
        self._tell_ready()
        if self._reloading:
            self.reload_asked()

    def reload_asked(self) -> None:
        """The configuration is read again, from now on."""
        self._reloading = True
        if self._state is _State.RUNNING:
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self._notifications.send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def reload_done(self) -> None:
        """No reload is under way any more."""
        self._reloading = False
        if self._state is _State.RUNNING:
            self._tell_ready()

    def stopping(self) -> None:
        """The daemon stops."""
        self._state = _State.STOPPING
        self._notifications.send("STOPPING=1", _extension(), "STATUS=stopping: answers may finish")

    def _tell_ready(self) -> None:
        self._notifications.send("READY=1", f"STATUS={self._status()}")

    def _report(self) -> None:
        if self._state is _State.RUNNING:
            self._notifications.send("WATCHDOG=1", f"STATUS={self._status()}")
        else:
            self._notifications.send("WATCHDOG=1", _extension())

    def _failed(self, failure: object) -> None:
        self._log.error("the service manager is told nothing more: {why}", why=failure)


def _extension() -> str:
    return f"EXTEND_TIMEOUT_USEC={round(EXTENSION * 1e6)}"


def status_line(
    outcomes: dict[str, int], *, used: int, limit: float, downloads: int, answers: int
) -> str:
    """How the daemon is, for those who look at the service.

    :param outcomes: how many answers with content there were since the start, by outcome.
    :param used: bytes of the cache on the disk.
    :param limit: bytes that it may have.
    """
    total = sum(outcomes.values())
    hits = sum(outcomes.get(each, 0) for each in ("hit", "revalidated", "stale"))
    ratio = f"{100 * hits // total} % hits of {total} answers" if total else "no answers yet"
    gib = float(1 << 30)
    disk = f"{used / gib:.1f} of {limit / gib:.1f} GiB on disk"
    return f"{ratio}; {disk}; {downloads} downloads, {answers} answers under way"
