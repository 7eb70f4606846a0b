"""Sends stretches of files together that are due in the same turn of the reactor.

==========  ============================  ================================================
state       event                         what holds afterwards
==========  ============================  ================================================
any         one sends that is alone, or   it has sent, by itself
            there are no threads
empty       one of several sends          gathering: it is due in the next turn
gathering   one of several sends          it is due as well, once
gathering   one leaves that is due        it is not due any more
gathering   the next turn                 empty: all that were due have sent, and been told
gathering   one of them fails when it is  its connection is cut, and the others send, and are
            asked, or told                told
==========  ============================  ================================================
"""

# mypy: disable-error-code="no-untyped-call"
# (callLater's type says less than it takes)

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.web.send_threads import FileCall, SendThreads

#: About how much all stretches together send in one turn of the reactor (bytes). That takes
#: some milliseconds.
MOST_PER_TURN = 8 * 1024 * 1024
#: The least that is worth a call (bytes).
LEAST_AT_ONCE = 128 * 1024


class Sending(Protocol):
    """A stretch of a file on its way to a socket."""

    def plan(self) -> FileCall | None:
        """What is to be sent now; None if nothing can be. Calls no one back and closes nothing."""

    def settle(self, call: FileCall | None) -> None:
        """The call that was planned has been made."""

    def abort(self) -> None:
        """Cut the connection."""


class Rounds:
    """The stretches that are under way, and the rounds in which they send.

    A round has three steps, for all that are due: calls are planned, made, and settled. As long
    as calls are planned and made, no other code runs that could close what they use.

    :param clock: its next turn is the round.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, threads: SendThreads) -> None:
        self._clock = clock
        self._threads = threads
        self._under_way: set[Sending] = set()
        self._due: dict[Sending, None] = {}

    def enter(self, sending: Sending) -> None:
        """Count a stretch among those that share a turn. Idempotent."""
        self._under_way.add(sending)

    def leave(self, sending: Sending) -> None:
        """Count it no more; it is not due either. Idempotent."""
        self._under_way.discard(sending)
        self._due.pop(sending, None)

    def share(self, most: int) -> int:
        """How many bytes one may send now, of ``most``."""
        share = MOST_PER_TURN // (len(self._under_way) or 1)
        return max(LEAST_AT_ONCE, min(most, share))

    def send(self, sending: Sending) -> None:
        """Have a stretch send: now if it is alone, else in the round."""
        if len(self._under_way) <= 1 or not self._threads.present:
            call = sending.plan()
            if call is not None:
                call.make()
            sending.settle(call)
            return
        if not self._due:
            self._clock.callLater(0, self._run)
        self._due[sending] = None

    def _run(self) -> None:
        due, self._due = self._due, {}
        planned = [(sending, self._plan(sending)) for sending in due]
        self._threads.make([call for _, call in planned if call is not None])
        for sending, call in planned:
            self._settle(sending, call)

    def _plan(self, sending: Sending) -> FileCall | None:
        try:
            return sending.plan()
        except Exception:  # noqa: BLE001 - the others go on
            self._cut(sending)
            return None

    def _settle(self, sending: Sending, call: FileCall | None) -> None:
        try:
            sending.settle(call)
        except Exception:  # noqa: BLE001 - the others go on
            self._cut(sending)

    def _cut(self, sending: Sending) -> None:
        self._log.failure("a stretch of a file could not go on")
        try:
            sending.abort()
        except Exception:  # noqa: BLE001 - the others are still waiting
            self._log.failure("a connection could not be cut")
