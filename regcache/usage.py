"""What accounts use: how much was served to whom, of which upstream, on which day."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple, Protocol

from regcache.light_dataclass import dataclass

#: How long it is kept (days).
KEPT_DAYS = 400
#: The account of all who have none, and of those who are too many to be told apart.
NOBODY, OTHERS = "anonymous", "*"


class AddressClass:
    """What is kept of the address of a client without an account: there are few of these."""

    LOCAL, PRIVATE, PUBLIC = "local", "private", "public"


ADDRESS_CLASSES = (AddressClass.LOCAL, AddressClass.PRIVATE, AddressClass.PUBLIC)


class UsageKey(NamedTuple):
    """What is added up by itself.

    :ivar day: of local time, on which the answers ended.
    :ivar account: :data:`NOBODY` for clients without one.
    :ivar address_class: of clients without an account; "" for accounts.
    :ivar upstream: the configured name; "" for what concerns none, such as logins.
    """

    day: date
    account: str
    address_class: str
    upstream: str


@dataclass(slots=True, kw_only=True)
class Usage:
    """Sums.

    :ivar requests: all of them, with any result.
    :ivar pulls: images that were asked for.
    :ivar served: bytes of bodies, as in the access log.
    :ivar fetched: bytes of bodies that had to come from an upstream for that.
    :ivar refused: requests that were not permitted, or were too many.
    """

    requests: int = 0
    pulls: int = 0
    served: int = 0
    fetched: int = 0
    refused: int = 0

    def add(self, more: "Usage") -> None:
        """Add others."""
        self.requests += more.requests
        self.pulls += more.pulls
        self.served += more.served
        self.fetched += more.fetched
        self.refused += more.refused


UsageBatch = Mapping[UsageKey, Usage]
"""What came since the batch before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuestion:
    """What is asked for.

    :ivar first: the first day.
    :ivar last: the last day.
    :ivar account: only this one.
    :ivar upstream: only this one; "" for what concerns none.
    :ivar by_month: whether whole months are added up, each under its first day.
    """

    first: date
    last: date
    account: str | None = None
    upstream: str | None = None
    by_month: bool = False


class ServedTo(NamedTuple):
    """How much was served to an account (bytes).

    :ivar month: in the month to which the day belongs, that day included.
    """

    day: int
    month: int


UsageRow = tuple[UsageKey, Usage]
"""Sums of a day, or under its first day of a month."""


class TooManyRowsError(Exception):
    """More is asked for than can be told at once."""


class IUsageFile(Protocol):
    """Keeps it on the disk. Blocks: not for the reactor's thread. One thread at a time.

    All methods raise OSError if the disk fails.
    """

    def add(self, batch: UsageBatch, today: date) -> None:
        """Add a batch, all of it or nothing, and drop what is too old."""

    def rows(self, question: UsageQuestion, most: int) -> Sequence[UsageRow]:
        """The sums that are asked for, by day, account and upstream.

        :raises TooManyRowsError: if there are more than ``most``.
        """

    def served(self, today: date) -> Mapping[str, "ServedTo"]:
        """How much was served to each account on a day, and in its month."""

    def close(self) -> None:
        """Close it. Idempotent."""


#: Fields of a row of GET usage, in the order of CSV.
USAGE_FIELDS = (
    "day",
    "account",
    "upstream",
    "requests",
    "pulls",
    "served_bytes",
    "fetched_bytes",
    "refused",
    "address_class",
)


def usage_csv(items: Iterable[Mapping[str, object]]) -> str:
    """Rows of GET usage as CSV (RFC 4180), with a head; what is null is empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, USAGE_FIELDS, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(items)
    return stream.getvalue()


@lru_cache(maxsize=4096)
def address_class(peer: str) -> str:
    """The class of an address, as it stands in the access log."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return AddressClass.LOCAL  # a unix socket
    if address.is_loopback:
        return AddressClass.LOCAL
    return AddressClass.PRIVATE if address.is_private else AddressClass.PUBLIC
