"""Sends stretches of files together, if several are due in the same turn of the reactor.

==========  ============================  ================================================
state       event                         what holds afterwards
==========  ============================  ================================================
any         the only one sends, or there  it has sent, by itself
            are no threads
empty       one of several sends          gathering: it is due in the next turn
gathering   another one sends             it is due as well, once
gathering   one leaves that is due        it is not due any more
gathering   the next turn                 empty: the calls of all that were due are made and
                                          settled
gathering   one raises when it is         its connection is cut; the others are not affected
            planned, or settled
==========  ============================  ================================================
"""

# mypy: disable-error-code="no-untyped-call"
# (callLater's type says less than it takes)

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.web.send_threads import FileCall, SendThreads

#: About how much all stretches together send in one turn of the reactor (bytes); that takes some
#: milliseconds.
MOST_PER_TURN = 8 * 1024 * 1024
#: How much each may send at least (bytes), however many share the turn.
LEAST_AT_ONCE = 128 * 1024


class Sending(Protocol):
    """A stretch of a file on its way to a socket."""

    def plan(self) -> FileCall | None:
        """The call to make now; None if there is none. Must not call back or close anything."""

    def settle(self, call: FileCall | None) -> None:
        """Evaluate the planned call, which has been made."""

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
        """Count it no more; it is not due any more either. Idempotent."""
        self._under_way.discard(sending)
        self._due.pop(sending, None)

    def share(self, most: int) -> int:
        """How many bytes one may send now, of ``most``."""
        share = MOST_PER_TURN // (len(self._under_way) or 1)
        return max(LEAST_AT_ONCE, min(most, share))

    def send(self, sending: Sending) -> None:
        """Let a stretch send: now, if it is the only one, else in the next round."""
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
