"""Tells ``notify.url`` what an operator should know, one message after the other.

=========  ============================  ===================================================
state      event                         what follows
=========  ============================  ===================================================
idle       a message                     sending
sending    a message                     it waits; where :data:`MOST_WAITING` do, the oldest
                                         of them is dropped
sending    it is taken                   the next one is sent, or idle
sending    it is not taken, and another  waiting: after each pause of :data:`PAUSES` it is
           try may help                  sent again
sending    it is not taken               it is given up, with a line in the log
waiting    another configuration         it is sent at once, to the address that is set now
any        no address is set, or a stop  all messages are forgotten; idle. However a post
                                         ends that was under way, nothing follows
=========  ============================  ===================================================

Nothing else waits for it, and nobody who pulls notices.
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

#: Seconds between two looks at what holds.
INTERVAL = 5.0
#: Messages that wait behind the one that is being sent.
MOST_WAITING = 100
#: Seconds before each further try.
PAUSES = (5.0, 30.0, 120.0, 600.0)
#: Seconds between two lines of the log that say that messages are not taken.
SAID_EVERY = 60.0


class NotTakenError(Exception):
    """A message was not taken. The text says why, without the address.

    :ivar again: whether another try may help.
    """

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Whom to tell, and of what.

    :ivar url: None: nobody. It may have a token, so it is in no log and in no ``repr``.
    :ivar events: of what.
    """

    url: str | None
    events: Collection[str]

    def __repr__(self) -> str:
        return f"NotifySettings({'***' if self.url else None}, {self.events})"


Post = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Sends a JSON object to a URL. Raises NotTakenError."""


class Notifier(Service):
    """Looks at what holds, and tells what has changed.

    :param settings: gives whom to tell now.
    :param present: gives what holds now.
    :param damages: gives how often things have happened.
    :param told: is told sent, failed or dropped, for each message.
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
        """Begin to look."""
        super().startService()
        self._looks.start()

    def stopService(self) -> None:
        """Forget what waits, and what is being sent."""
        super().stopService()
        self._looks.stop()
        self._forget()

    def look(self) -> None:
        """Tell what has changed since the last look."""
        settings = self._settings()
        changed, self._seen = settings != self._seen, settings
        if settings.url is None:
            self._conditions = Conditions()  # all of it is news to the next one
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
        """Send what waits, and what comes.

        :param generation: another one begins where all is forgotten: this one sends no more then.
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
        except Exception as error:  # noqa: BLE001 - a fault with one message is none of the others'
            if generation == self._generation:
                self._told("failed")
                # Neither its text nor where it arose: both may have the address, with its token.
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
                    return  # a cancel may look like a broken connection
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
    """A message as it is sent: plain JSON."""
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
