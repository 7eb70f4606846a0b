"""Seats: accounts with limits, as their file states them (docs/access.md)."""

from collections.abc import Mapping
from dataclasses import field
from datetime import date, datetime, time, timedelta

from regcache.light_dataclass import dataclass

#: Stands before each hash in the file.
HASH_PREFIX = "sha256:"
#: In the file: what a seat has that does not say so itself.
DEFAULTS = "*"


@dataclass(frozen=True, slots=True)
class RobotKey:
    """A key that a seat may show in place of its password.

    :ivar digest: SHA-256 of the whole key, hexadecimal, lower case.
    :ivar name: what it is for.
    :ivar until: its last day; None: it has none.
    """

    digest: str = field(repr=False)
    name: str = ""
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One seat. What it does not say itself it has from the defaults of its file.

    :ivar password: a bcrypt hash; None: it has no password here.
    :ivar knock: SHA-256 of the secret of its link, hexadecimal.
    :ivar certificates: fingerprints: SHA-256 of the DER form, hexadecimal.
    :ivar host: the label that makes a host name one of this seat; a secret of modest strength.
    :ivar until: its last day, in local time; None: it has none.
    :ivar ended: when it was ended; None: it was not.
    :ivar daily: bytes that may be served to it on one day of local time; None: any number.
    :ivar monthly: the same in one month.
    :ivar rate: bytes a second, of all its answers together; None: as fast as may be.
    :ivar downloads: bodies of blobs at once; None: any number.
    :ivar upstreams: names or aliases; no other may it use. None: all that the rules grant.
    """

    name: str
    password: bytes | None = field(default=None, repr=False)
    keys: tuple[RobotKey, ...] = field(default=(), repr=False)
    knock: str | None = field(default=None, repr=False)
    certificates: tuple[str, ...] = ()
    host: str | None = field(default=None, repr=False)
    until: date | None = None
    ended: datetime | None = None
    daily: int | None = None
    monthly: int | None = None
    rate: int | None = None
    downloads: int | None = None
    upstreams: tuple[str, ...] | None = None
    note: str = ""

    @property
    def end(self) -> float | None:
        """When it ends, or has ended (Unix seconds); None: it does not."""
        ends = [each for each in (end_of_day(self.until), _seconds(self.ended)) if each is not None]
        return min(ends, default=None)

    @property
    def end_text(self) -> str:
        """When it ends, or has ended, for people; "" if it does not."""
        moment, day = _seconds(self.ended), end_of_day(self.until)
        if self.ended is not None and (day is None or (moment or 0) < day):
            return self.ended.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
        return "" if self.until is None else f"the end of {self.until.isoformat()}"

    def has_ended(self, now: float) -> bool:
        """Whether it has ended.

        :param now: Unix seconds.
        """
        end = self.end
        return end is not None and end <= now


Seats = Mapping[str, Seat]
"""All seats of a file, by name."""


def end_of_day(day: date | None) -> float | None:
    """When a day of local time is over (Unix seconds); None for none.

    A day after which the calendar ends is never over.
    """
    if day is None or day == date.max:
        return None
    return datetime.combine(day + timedelta(days=1), time()).timestamp()


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
