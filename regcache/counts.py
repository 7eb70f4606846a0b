"""What is counted of requests over time: periods, sums, and who keeps them."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import NamedTuple, Protocol

from regcache.light_dataclass import dataclass

#: Lengths of periods, and how long sums over each are kept (seconds).
MINUTE, QUARTER, QUARTER_DAY = 60, 900, 21_600
KEPT: Mapping[int, int] = {
    MINUTE: 2 * 3600,
    QUARTER: 8 * 86_400,
    QUARTER_DAY: 35 * 86_400,
}
#: The same of the sums for names.
NAMES_KEPT: Mapping[int, int] = {QUARTER: 25 * 3600, QUARTER_DAY: 35 * 86_400}


class Span(NamedTuple):
    """A range of time that is told of.

    :ivar seconds: how much of the past.
    :ivar step: the length of its periods (seconds).
    :ivar names_step: the same for names.
    """

    seconds: int
    step: int
    names_step: int

    def start(self, now: float) -> int:
        """When the first of its periods begins; the last is that of now."""
        return (int(now) // self.step + 1) * self.step - self.seconds


SPANS: Mapping[str, Span] = {
    "1h": Span(3600, MINUTE, QUARTER),
    "24h": Span(86_400, QUARTER, QUARTER),
    "7d": Span(7 * 86_400, QUARTER, QUARTER_DAY),
    "30d": Span(30 * 86_400, QUARTER_DAY, QUARTER_DAY),
}


@dataclass(slots=True, kw_only=True)
class Sums:
    """Sums over one period, of all that concerns one upstream or one name.

    :ivar served: bytes of bodies sent to clients.
    :ivar fetched: bytes of bodies that came from upstreams.
    :ivar hits: requests answered from the cache: hit, revalidated or stale.
    :ivar pulls: images that were asked for.
    """

    served: int = 0
    fetched: int = 0
    requests: int = 0
    hits: int = 0
    failed: int = 0
    pulls: int = 0

    @property
    def hit_ratio(self) -> float | None:
        """Which share of the requests came from the cache; None without any."""
        return min(1.0, self.hits / self.requests) if self.requests else None


class NameKind:
    """What the sums of a name are about."""

    REPOSITORY, PRINCIPAL = "repository", "principal"


@dataclass(frozen=True, slots=True)
class CountBatch:
    """What was counted since the batch before.

    :ivar time: Unix seconds.
    :ivar upstreams: by name; "" for requests that are about none.
    :ivar names: by kind and name: ``<upstream>/<repository>``, or an account.
    :ivar disk: bytes that are stored now; None where that is not known.
    """

    time: float
    upstreams: Mapping[str, Sums]
    names: Mapping[tuple[str, str], Sums] = field(default_factory=dict)
    disk: int | None = None


class CountPeriod(NamedTuple):
    """One period as it is kept.

    :ivar start: Unix seconds.
    :ivar disk: bytes that were stored at its end; None where that is not known.
    """

    start: int
    sums: Sums
    disk: int | None


class ICountFile(Protocol):
    """Keeps sums on the disk. Blocks: not for the reactor's thread. One thread at a time.

    All methods raise OSError if the disk fails.
    """

    def add(self, batch: CountBatch) -> None:
        """Add a batch to the periods of its time, and drop what is too old."""

    def series(self, step: int, start: int, upstream: str | None) -> Sequence[CountPeriod]:
        """The periods of a length from a time on, of one upstream or of all together."""

    def stored(self, step: int, start: int) -> Sequence[tuple[int, int]]:
        """When how many bytes were stored: the start of each period from a time on, in order."""

    def by_upstream(self, step: int, start: int) -> Mapping[str, Sums]:
        """Sums since a time, by upstream."""

    def names(self, step: int, start: int, kind: str) -> Mapping[str, Sums]:
        """Sums since a time, by name."""

    def close(self) -> None:
        """Close it. Idempotent."""
