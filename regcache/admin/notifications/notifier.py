"""Sends messages for operators to ``notify.url``, one after the other.

=========  ============================  ===================================================
state      event                         action, and next state
=========  ============================  ===================================================
idle       a message                     sending
sending    a further message             it is queued; if :data:`MOST_WAITING` are queued, the
                                         oldest of them is dropped
sending    the message is accepted       send the next one; without one: idle
sending    it is refused, and another    send it again after each pause of :data:`PAUSES`:
           try may help                  waiting
sending    it is refused                 drop it, with a line in the log
waiting    the configuration changes     send it at once, to the present address
any        no address is set, or a stop  drop all messages; the end of a post that was under
                                         way is ignored: idle
=========  ============================  ===================================================

No other part waits for it, so it does not slow down pulls.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

import socket
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache import __version__
from regcache.admin.notifications.conditions import Condition, Conditions, Message, Occurrence
from regcache.light_dataclass import dataclass
from regcache.looks import Looks
from regcache.sparingly import Sparingly
from regcache.times import time_text

#: Seconds between two checks of the conditions.
INTERVAL = 5.0
#: Messages that are queued behind the one that is being sent.
MOST_WAITING = 100
#: Seconds before each further try.
PAUSES = (5.0, 30.0, 120.0, 600.0)
#: Seconds between two lines of the log about messages that are refused.
SAID_EVERY = 60.0


class NotTakenError(Exception):
    """A message was refused, or could not be sent. The text says why, without the address.

    :ivar again: whether another try may help.
    """

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """The address for messages, and the events to report.

    :ivar url: None to send nothing. It may contain a token, so no log and no ``repr`` shows it.
    :ivar events: the names of the events to report.
    """

    url: str | None
    events: Collection[str]

    def __repr__(self) -> str:
        return f"NotifySettings({'***' if self.url else None}, {self.events})"


Post = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Sends a JSON object to a URL. Raises NotTakenError."""


class Notifier(Service):
    """Checks conditions from time to time, and reports what has changed.

    :param settings: gives the present settings.
    :param present: gives the conditions that hold now.
    :param damages: gives how often damage has occurred.
    :param told: called with ``sent``, ``failed`` or ``dropped`` for each message.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Callable[[], NotifySettings],
        present: Callable[[], Iterable[Condition]],
        damages: Callable[[], Iterable[Occurrence]],
        *,
        post: Post,
        clock: IReactorTime,
        told: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._present, self._damages = present, damages
        self._post = post
        self._clock = clock
        self._told = told
        self._conditions = Conditions()
        self._waiting: deque[Message] = deque()
        self._sending: Deferred[None] = succeed(None)
        self._is_sending = False
        self._generation = 0
        self._pause: Deferred[None] | None = None
        self._seen: NotifySettings | None = None
        self._sparingly = Sparingly(clock, SAID_EVERY)
        self._looks = Looks(self.look, INTERVAL, clock=clock, what="looking at what to tell")

    def startService(self) -> None:
        """Begin to check conditions."""
        super().startService()
        self._looks.start()

    def stopService(self) -> None:
        """Drop all messages, also the one that is being sent."""
        super().stopService()
        self._looks.stop()
        self._forget()

    def look(self) -> None:
        """Report what has changed since the last check."""
        settings = self._settings()
        changed, self._seen = settings != self._seen, settings
        if settings.url is None:
            self._conditions = Conditions()  # a new address is told everything
            self._forget()
            return
        if changed and self._pause is not None:
            self._pause.callback(None)
        now = self._clock.seconds()
        found = self._conditions.follow(self._present(), now)
        found += self._conditions.count(self._damages(), now)
        for message in found:
            if message.event in settings.events:
                self._put(message)

    def _put(self, message: Message) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._told("dropped")
        self._waiting.append(message)
        if not self._is_sending:
            self._is_sending = True
            self._sending = Deferred.fromCoroutine(self._send(self._generation))
            self._sending.addErrback(lambda failure: failure.trap(CancelledError))

    async def _send(self, generation: int) -> None:
        """Send messages until none is queued.

        :param generation: dropping all messages begins another one; this one then sends no more.
        """
        try:
            while self._waiting and generation == self._generation:
                await self._deliver_or_log(self._waiting.popleft(), generation)
        finally:
            if generation == self._generation:
                self._is_sending = False

    async def _deliver_or_log(self, message: Message, generation: int) -> None:
        try:
            await self._deliver(message, generation)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the other messages are still to be sent
            if generation == self._generation:
                self._told("failed")
                # Not its text or its traceback: both may contain the address, with its token.
                self._log.error("telling notify.url failed: {kind}", kind=type(error).__name__)

    async def _deliver(self, message: Message, generation: int) -> None:
        content = content_of(message)
        for pause in (*PAUSES, None):
            url = self._settings().url
            if url is None:
                return
            try:
                await self._post(url, content)
            except NotTakenError as error:
                if generation != self._generation:
                    return  # a cancellation may look like a broken connection
                if not error.again or pause is None:
                    self._give_up(message, error)
                    return
                await self._wait(pause)
            else:
                self._told("sent")
                return

    async def _wait(self, seconds: float) -> None:
        pause: Deferred[None] = Deferred()
        self._pause = pause
        timer = self._clock.callLater(seconds, pause.callback, None)
        try:
            await pause
        finally:
            self._pause = None
            if timer.active():
                timer.cancel()

    def _give_up(self, message: Message, error: NotTakenError) -> None:
        self._told("failed")
        more = self._sparingly.turn()
        if more is not None:
            self._log.warn(
                "notify.url was not told of {event} of {subject}: {why}{more}",
                event=message.event,
                subject=message.subject,
                why=str(error),
                more=more,
            )

    def _forget(self) -> None:
        self._waiting.clear()
        self._generation += 1
        self._is_sending = False
        self._sending.cancel()


def content_of(message: Message) -> dict[str, Any]:
    """Encode a message as it is sent, in plain JSON."""
    subject = f" {message.subject}" if message.subject else ""
    return {
        "source": "regcache",
        "version": __version__,
        "host": socket.gethostname(),
        "event": message.event,
        "state": message.state,
        "subject": message.subject,
        "text": f"regcache: {message.event}{subject} {message.state}: {message.text}",
        "time": time_text(message.time),
    }
