"""Days and months of local time, and the moments at which they end."""

import calendar
from datetime import date, datetime, time, timedelta


class LocalDays:
    """Says which day of local time a moment belongs to.

    A day begins with its first moment, which is not always 00:00: some countries change their
    clocks at midnight. The present day is remembered, so that it costs nothing to ask again.
    """

    def __init__(self) -> None:
        self._day = date.min
        self._begin = self._end = 0.0

    def day(self, now: float) -> date:
        """The day of a moment (Unix seconds)."""
        if not self._begin <= now < self._end:
            self._day = datetime.fromtimestamp(now).date()
            self._begin, self._end = _begin(self._day), _begin(self._day + timedelta(days=1))
        return self._day

    def next_day(self, now: float) -> float:
        """When the day of a moment is over (Unix seconds)."""
        self.day(now)
        return self._end

    def next_month(self, now: float) -> float:
        """When the month of a moment is over (Unix seconds)."""
        return _begin(last_of_month(self.day(now)) + timedelta(days=1))


def first_of_month(day: date) -> date:
    """The first day of the month of a day."""
    return day.replace(day=1)


def last_of_month(day: date) -> date:
    """The last day of the month of a day."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _begin(day: date) -> float:
    """When a day begins. One at whose midnight clocks are put forward begins later than 00:00."""
    return datetime.combine(day, time()).timestamp()
