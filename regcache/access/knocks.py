"""Addresses that pull as a seat, since its link was opened there."""

from collections.abc import Callable, Iterable, Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.access.attempts import source
from regcache.access.entries import Entries
from regcache.light_dataclass import dataclass
from regcache.sparingly import Sparingly

#: Addresses of one seat at once; with one more the one that ends first is forgotten.
MOST_OF_SEAT = 50
#: So many different seats at one address within :attr:`Knock.until` are told of.
MANY_SEATS = 4
#: Seats that are remembered of one address.
_MOST_REMEMBERED = 16
_SAID_EVERY = 600.0
_KNOCK, _SEATS = "knock", "seats of an address"

#: How many entries of each kind there may be. Nobody can make one without the secret of a link.
LIMITS = {_KNOCK: 10_000, _SEATS: 10_000}


@dataclass(frozen=True, slots=True)
class Knock:
    """One address that is a seat.

    :ivar place: the address; of IPv6, its /64.
    :ivar mark: of the link's secret: the knock ends with it.
    :ivar until: its end (Unix seconds).
    """

    place: str
    account: str
    mark: str
    until: float


class Knocks:
    """The addresses, in a table of entries.

    :param changed: is told that they should be saved.
    """

    _log = Logger()

    def __init__(
        self,
        entries: Entries,
        clock: IReactorTime,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self._entries = entries
        self._clock = clock
        self.changed = changed
        self._sparingly = Sparingly(clock, _SAID_EVERY)
        self._any = False

    def find(self, address: str) -> Knock | None:
        """What is known of an address; None if no seat knocked there, or it is over."""
        if not self._any:
            return None
        found: Knock | None = self._entries.get(_KNOCK, source(address))
        return found

    def add(self, account: str, mark: str, address: str, seconds: float) -> Knock:
        """Let an address be a seat for so long. The seat that knocks last has it."""
        knock = Knock(source(address), account, mark, self._clock.seconds() + seconds)
        self._make_room(knock)
        self._put(knock)
        self._note_seat(knock, seconds)
        self.changed()
        return knock

    def of_seat(self, account: str) -> list[Knock]:
        """The addresses of a seat, the one that ends first at first."""
        own = [each for each in self.all() if each.account == account]
        return sorted(own, key=lambda each: each.until)

    def all(self) -> Sequence[Knock]:
        """All addresses now."""
        now = self._clock.seconds()
        return [each for each in self._entries.values(_KNOCK) if each.until > now]

    def restore(self, knocks: Iterable[Knock]) -> None:
        """Take what was saved."""
        for each in knocks:
            if each.place and each.until > self._clock.seconds():
                self._put(each)

    def forget(self, account: str) -> None:
        """Forget the addresses of a seat."""
        self._entries.remove_where(_KNOCK, lambda knock: bool(knock.account == account))
        self.changed()

    def _put(self, knock: Knock) -> None:
        self._any = True
        seconds = knock.until - self._clock.seconds()
        self._entries.remove(_KNOCK, knock.place)
        self._entries.put_if_absent(_KNOCK, knock.place, knock, seconds=seconds)

    def _make_room(self, knock: Knock) -> None:
        others = [each for each in self.of_seat(knock.account) if each.place != knock.place]
        for each in others[: max(0, len(others) + 1 - MOST_OF_SEAT)]:
            self._entries.remove(_KNOCK, each.place)

    def _note_seat(self, knock: Knock, seconds: float) -> None:
        """Warn where an address is many seats: who pulls there is the one that knocked last."""
        known: tuple[str, ...] = self._entries.remove(_SEATS, knock.place) or ()
        seats = tuple(dict.fromkeys((*known, knock.account)))[-_MOST_REMEMBERED:]
        self._entries.put_if_absent(_SEATS, knock.place, seats, seconds=seconds)
        if len(seats) < MANY_SEATS or len(seats) == len(known):
            return
        more = self._sparingly.turn()
        if more is not None:
            self._log.warn(
                "the links of {count} seats were opened at {place}: pulls from there count for the"
                " last one, {account}; give them certificates or hosts of their own{more}",
                count=len(seats),
                place=knock.place,
                account=knock.account,
                more=more,
            )
