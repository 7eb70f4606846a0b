"""Days and months of local time."""

import os
import time
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from regcache.local_days import LocalDays

#: Clocks change at 2:00 or 3:00, at midnight, and never; in one a day was left out.
ZONES = ("Europe/Berlin", "America/Havana", "Asia/Beirut", "UTC", "Pacific/Apia")


def set_zone(case: SynchronousTestCase, name: str) -> None:
    """Be in a time zone until the end of a test."""
    former = os.environ.get("TZ")

    def back() -> None:
        if former is None:
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = former
        time.tzset()

    os.environ["TZ"] = name
    time.tzset()
    case.addCleanup(back)


class LocalDaysTests(SynchronousTestCase):
    """When they end."""

    def test_zones(self) -> None:
        """Every hour of a year with clock changes is of its day, which ends with the next."""
        for name in ZONES:
            set_zone(self, name)
            zone, days = ZoneInfo(name), LocalDays()
            year = 2011 if name == "Pacific/Apia" else 2021
            moment = datetime(year, 1, 1, tzinfo=zone).timestamp()
            for hour in range(0, 366 * 24):
                now = moment + hour * 3600.0
                day, end = days.day(now), days.next_day(now)
                self.assertEqual(day, datetime.fromtimestamp(now, zone).date(), name)
                self.assertGreater(end, now)
                self.assertGreater(datetime.fromtimestamp(end, zone).date(), day)
                self.assertEqual(datetime.fromtimestamp(end - 1, zone).date(), day, (name, day))

    def test_months(self) -> None:
        """A month ends with the first moment of the next, in December that of the next year."""
        set_zone(self, "Europe/Berlin")
        days = LocalDays()
        now = datetime(2026, 3, 15).timestamp()
        self.assertEqual(days.next_month(now), datetime(2026, 4, 1).timestamp())
        self.assertEqual(days.next_month(now) - datetime(2026, 3, 1).timestamp(), 31 * 86400 - 3600)
        now = datetime(2026, 12, 31, 23).timestamp()
        self.assertEqual(days.next_month(now), now + 3600)
        self.assertEqual(days.day(now) + timedelta(days=1), date(2027, 1, 1))

    def test_clock_back(self) -> None:
        """A clock that is put back belongs to the day before again."""
        set_zone(self, "UTC")
        days = LocalDays()
        midnight = datetime(2026, 12, 2).timestamp()
        for now, day in ((midnight, 2), (midnight - 1, 1), (midnight, 2)):
            self.assertEqual(days.day(now), date(2026, 12, day))
