"""How much accounts were served today and this month, and whether that is all that they may have.

All of it is in memory: what the file of usage had when the process began, what was counted since,
and what the answers under way have sent so far. So a decision costs no file and no thread. What
an answer sends counts on the day on which it ends.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime

from regcache.gate import Gate
from regcache.light_dataclass import dataclass
from regcache.local_days import LocalDays, first_of_month
from regcache.seats import Seat
from regcache.usage import ServedTo

DAILY, MONTHLY = "daily", "monthly"


class ReachedQuota(NamedTuple):
    """A quota that is used up.

    :ivar name: ``daily`` or ``monthly``.
    :ivar limit: bytes.
    :ivar seconds: until the day or month is over.
    """

    name: str
    limit: int
    seconds: float


@dataclass(slots=True)
class _Total:
    """What was served to one account.

    :ivar day: the last day on which something was.
    :ivar today: on that day (bytes).
    :ivar month: in its month, that day included.
    """

    day: date
    today: int = 0
    month: int = 0

    def move_to(self, day: date) -> None:
        """Forget what was on other days of the month."""
        if day != self.day:
            self.day, self.today = day, 0


class QuotaBook:
    """Keeps the sums of all accounts that were served something this month.

    These are accounts of our own files, and as many others as are told apart each day.

    :ivar opened: what was served before this process is known, or cannot be found out.
    """

    def __init__(self, clock: IReactorTime, days: LocalDays) -> None:
        self._clock = clock
        self._days = days
        self._totals: dict[str, _Total] = {}
        self._month = date.min
        self._open: dict[str, dict[int, Callable[[], int]]] = {}
        self.opened = Gate()

    def __len__(self) -> int:
        return len(self._totals)

    def load(self, served: Mapping[str, ServedTo], day: date) -> None:
        """Add what was served before this process, once.

        :param day: on which it was read.
        """
        today = self._today()
        is_past = first_of_month(today) != first_of_month(day)
        for account, sums in {} if is_past else served.items():
            total = self._total(account, today)
            total.month += sums.month
            if today == day:
                total.today += sums.day
        self.opened.succeed()

    def begin(self, account: str, serial: int, sent: Callable[[], int]) -> None:
        """An answer begins.

        :param serial: of its request.
        :param sent: gives the bytes of its body that were sent.
        """
        self._open.setdefault(account, {})[serial] = sent

    def end(self, account: str, serial: int, count: int, *, counted_for: str = "") -> None:
        """An answer has ended, be it one that was not told of before.

        :param count: bytes of its body that were sent.
        :param counted_for: the name under which they count, if it is another one by now.
        """
        answers = self._open.get(account)
        if answers is not None:
            answers.pop(serial, None)
            if not answers:
                del self._open[account]
        total = self._total(counted_for or account, self._today())
        total.today += count
        total.month += count

    def used(self, account: str) -> ServedTo:
        """How much was served to an account today and this month, answers under way included."""
        today = self._today()
        total = self._totals.get(account)
        under_way = sum(sent() for sent in self._open.get(account, {}).values())
        if total is None:
            return ServedTo(under_way, under_way)
        total.move_to(today)
        return ServedTo(total.today + under_way, total.month + under_way)

    def reached(self, seat: Seat) -> ReachedQuota | None:
        """The quota that a seat has used up; if both are, the one that lasts longer."""
        now, used = self._clock.seconds(), self.used(seat.name)
        if seat.monthly is not None and used.month >= seat.monthly:
            return ReachedQuota(MONTHLY, seat.monthly, self._days.next_month(now) - now)
        if seat.daily is not None and used.day >= seat.daily:
            return ReachedQuota(DAILY, seat.daily, self._days.next_day(now) - now)
        return None

    def _today(self) -> date:
        """The day; nothing of another month is known any more."""
        day = self._days.day(self._clock.seconds())
        if first_of_month(day) != self._month:
            self._month = first_of_month(day)
            self._totals.clear()
        return day

    def _total(self, account: str, day: date) -> _Total:
        total = self._totals.get(account)
        if total is None:
            total = self._totals[account] = _Total(day)
        total.move_to(day)
        return total
