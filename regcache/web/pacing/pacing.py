"""Limits the rate at which answers are sent, and shares it fairly.

A transfer asks its allowance before it sends, sends what it may, and is called when it may send
more. :mod:`regcache.web.pacing.fair_share` computes the shares; the timer is here. The first bytes
of an answer do not wait, since some bytes are saved up while little is sent.

=========  ===========================  ==================================================
state      event                        what holds afterwards
=========  ===========================  ==================================================
at rest    an allowance has to wait     running: the timer is set to when a member may send, but
                                        not before the next tick
running    the same, and it is sooner   running: the timer is set to that
running    the timer                    members that may send are called, in turns of the
                                        reactor; running, or at rest if none waits
running    the last one that waits      at rest
           is over
=========  ===========================  ==================================================
"""

# mypy: disable-error-code="no-untyped-call"
# (callLater's type says less than it takes)

from collections.abc import Callable, Hashable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from regcache.access.principals import UNLIMITED, TransferLimits
from regcache.web.pacing.fair_share import FairShare
from regcache.web.pacing.parties import MOST_PARTIES, Member, Parties

#: A member that has to wait waits at least so long (seconds), so that many are called together.
TICK = 0.02


class Pacing:
    """Limits what all answers together may send, and the share of each principal.

    :param take_turn: runs a step in this turn of the reactor, or in one of the next.
    :param most_parties: how many principals are known at a time.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        take_turn: Callable[[Callable[[], object]], object],
        most_parties: int = MOST_PARTIES,
    ) -> None:
        self._clock = clock
        self._take_turn = take_turn
        self._share = FairShare(None, clock.seconds())
        self._parties = Parties(most_parties)
        self._timer: IDelayedCall | None = None

    def limit(self, rate: int | None) -> None:
        """Change the rate.

        :param rate: of all answers together (bytes a second); None without a limit.
        """
        if rate != self._share.rate:
            self._share.change_rate(rate, self._clock.seconds())
            self._set_timer()

    def applies(self, limits: TransferLimits) -> bool:
        """Whether an answer to a principal with such limits is limited at all."""
        if limits is not UNLIMITED and limits != UNLIMITED:
            return True
        return self._share.rate is not None

    def open(
        self, payer: Hashable, limits: TransferLimits, *, is_download: bool
    ) -> "Allowance | None":
        """The allowance of a new transfer; None if it is not limited.

        :param payer: the key of the principal.
        :param is_download: whether it is the body of a blob.
        """
        if not self.applies(limits):
            return None
        now = self._clock.seconds()
        party = self._parties.find(payer, limits, now)
        self._share.admit(party, now)
        member = self._share.join(party, is_download)
        self._parties.changed(party)
        return Allowance(self, member)

    def passes(self, payer: Hashable, limits: TransferLimits, count: int) -> bool:
        """Whether a small answer may be sent at once. If so it is counted."""
        if not self.applies(limits):
            return True
        now = self._clock.seconds()
        return self._share.charge(self._parties.find(payer, limits, now), count, now)

    def follow(self, payer: Hashable, limits: TransferLimits) -> None:
        """Give a principal other limits, for its transfers under way as well."""
        now = self._clock.seconds()
        party = self._parties.find(payer, limits, now)
        self._share.renew(party, now)
        self._set_timer()

    def ask(self, member: Member) -> bool:
        """Whether a member may send now. If not, it is called when it may."""
        now = self._clock.seconds()
        if self._share.ask(member, now):
            return True
        timer = self._timer
        if timer is None or timer.getTime() - now > TICK:
            self._set_timer()
        return False

    def leave(self, member: Member) -> None:
        """A member is over. Idempotent."""
        self._share.leave(member, self._clock.seconds())
        self._parties.changed(member.party)
        self._set_timer()

    def _set_timer(self) -> None:
        now, timer = self._clock.seconds(), self._timer
        due = self._share.due(now)
        if due is None:
            self._timer = None
            if timer is not None:
                timer.cancel()
            return
        wait = max(due, TICK)
        if timer is None:
            self._timer = self._clock.callLater(wait, self._tick)
        elif now + wait < timer.getTime():  # it is never put off: something ends all the time
            timer.reset(wait)

    def _tick(self) -> None:
        self._timer = None
        for member in self._share.distribute(self._clock.seconds()):
            try:
                self._take_turn(member.call)
            except Exception:  # noqa: BLE001 - the others are waiting
                self._log.failure("a paced answer could not go on")
        self._set_timer()


class Allowance:
    """The bytes that one transfer may send."""

    __slots__ = ("_member", "_pacing")

    def __init__(self, pacing: Pacing, member: Member) -> None:
        self._pacing = pacing
        self._member = member

    @property
    def left(self) -> int:
        """How many bytes may be sent now."""
        return self._member.left

    def ask(self, then: Callable[[], object]) -> bool:
        """Whether any bytes may be sent now.

        :param then: if not, called when some may be sent; perhaps after the transfer has ended.
        """
        if self._member.left > 0:
            return True
        self._member.call = then
        return self._pacing.ask(self._member)

    def spend(self, count: int) -> None:
        """Count bytes that are sent; negative for bytes that were not sent after all."""
        self._member.left -= count

    def end(self) -> None:
        """The transfer has ended, or was cut. Idempotent."""
        self._pacing.leave(self._member)
