"""What a file of seats may hold (docs/access.md)."""

import re
from dataclasses import KW_ONLY
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

from regcache.config import names
from regcache.config.keys import key_field, section
from regcache.config.scalars import size, text, text_like, whole_number
from regcache.config.value_types import ByShape, ListOf, Nullable, Scalar
from regcache.htpasswd import is_bcrypt
from regcache.light_dataclass import dataclass
from regcache.seats import HASH_PREFIX, RobotKey

#: Bodies of blobs at once, at most.
MOST_DOWNLOADS = 10_000
#: Characters of a note.
LONGEST_NOTE = 1000
_HASH = re.compile(rf"{HASH_PREFIX}([0-9a-f]{{64}})\Z")
_LABEL = re.compile(r"[a-z0-9]{6,40}\Z")


class _Inherited(Enum):
    """The type of the mark for a limit that is the one of the defaults."""

    INHERITED = "inherited"


INHERITED: Final = _Inherited.INHERITED


def _bcrypt_hash(written: str) -> bytes:
    if not is_bcrypt(written):
        raise ValueError("is no bcrypt hash; make a password with: regcachectl seat change")
    return written.encode("ascii")


def _digest(written: str) -> str:
    found = _HASH.match(written)
    if found is None:
        raise ValueError(f"must be {HASH_PREFIX} and 64 hexadecimal digits in lower case")
    return found[1]


def _label(written: str) -> str:
    if not _LABEL.match(written):
        raise ValueError("must be 6 to 40 letters and digits, in lower case")
    return written


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise ValueError("must be a day such as 2027-01-31") from None


def _moment(written: str) -> datetime:
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        raise ValueError("must be a time such as 2027-01-31T18:30:00Z") from None
    return found.astimezone()


def digest_text() -> Scalar[str]:
    """A hash as the file has it; its value is the 64 digits."""
    return text_like(_digest, "hash", lambda value: HASH_PREFIX + value)


def _day_text() -> Scalar[date]:
    return text_like(_day, "day", lambda day: day.isoformat())


@dataclass(frozen=True, slots=True)
class KeySettings:
    """A robot key."""

    key: str = key_field(digest_text(), "The hash of the whole key.")
    name: str = key_field(text(100), "What it is for.", default="")
    until: date | None = key_field(Nullable(_day_text()), "Its last day.", default=None)

    @property
    def robot_key(self) -> RobotKey:
        """The key that it states."""
        return RobotKey(self.key, self.name, self.until)


_KEY: ByShape = ByShape(section(KeySettings), digest_text(), digest_text(), "key")


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What every seat has that does not say so itself: ``"*"``."""

    daily: Any = key_field(
        Nullable(size(1)), "Bytes that are served to it on one day.", default=INHERITED
    )
    monthly: Any = key_field(Nullable(size(1)), "The same in one month.", default=INHERITED)
    rate: Any = key_field(
        Nullable(size(1)), "Bytes a second, of all its answers together.", default=INHERITED
    )
    downloads: Any = key_field(
        Nullable(whole_number(1, MOST_DOWNLOADS)), "Bodies of blobs at once.", default=INHERITED
    )


@dataclass(frozen=True, slots=True)
class SeatSettings(LimitSettings):
    """One seat."""

    _: KW_ONLY
    password: bytes | None = key_field(
        Nullable(text_like(_bcrypt_hash, "bcrypt hash")),
        "The hash of its password.",
        default=None,
        secret=True,
    )
    keys: tuple[Any, ...] = key_field(ListOf(_KEY), "Robot keys.", default=(), secret=True)
    knock: str | None = key_field(
        Nullable(digest_text()), "The hash of its link's secret.", default=None, secret=True
    )
    certificates: tuple[str, ...] = key_field(
        ListOf(digest_text(), unique=True), "Fingerprints of certificates.", default=()
    )
    host: str | None = key_field(
        Nullable(text_like(_label, "label")), "The label of its host.", default=None, secret=True
    )
    until: date | None = key_field(Nullable(_day_text()), "Its last day.", default=None)
    ended: datetime | None = key_field(
        Nullable(text_like(_moment, "time")), "When it was ended.", default=None
    )
    upstreams: tuple[str, ...] | None = key_field(
        Nullable(ListOf(text_like(names.upstream_name, "name"), minimum=1)),
        "The only upstreams that it may use.",
        default=None,
    )
    note: str | None = key_field(
        Nullable(text(LONGEST_NOTE)), "A note for administrators.", default=None
    )
