"""What a sweep, a purge or a deletion would remove: plain values, shown before it is done."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from enum import Enum
from typing import NamedTuple

from regcache.digests import Digest
from regcache.identity import Repository, UpstreamIdentity
from regcache.light_dataclass import dataclass
from regcache.removals import RemovalTarget
from regcache.retention import Selection

LASTS = 300.0
"""Seconds for which a plan can be run."""


class PlanAction(Enum):
    """What a plan does."""

    DELETE = "delete"
    SWEEP = "sweep"
    PURGE = "purge"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a plan is asked to do.

    :ivar targets: to be deleted, one by one.
    :ivar repositories: to be deleted whole.
    :ivar upstream: of which all is deleted, or only whose contents are swept.
    :ivar unused_for: seconds without a use after which content is swept.
    :ivar to_bytes: what is to be left; what is used least goes.
    """

    action: PlanAction
    _: KW_ONLY
    targets: tuple[RemovalTarget, ...] = ()
    repositories: tuple[Repository, ...] = ()
    upstream: UpstreamIdentity | None = None
    unused_for: float | None = None
    to_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class PlanItem:
    """An image that goes, or content that belongs to none.

    :ivar name: ``<upstream>/<repository>``; "" if it is in no repository.
    :ivar size: of all that it lists and is stored (bytes of whole blocks, as the disk counts).
    :ivar frees: what of that nothing else lists.
    :ivar last_use: Unix seconds; None where that is not known.
    :ivar shared_with: some names of what shares the rest.
    :ivar whole: it goes itself; else it stays, and only ``frees`` bytes of what it lists go.
    """

    name: str
    digest: Digest | None
    _: KW_ONLY
    tags: tuple[str, ...] = ()
    size: int = 0
    frees: int = 0
    last_use: float | None = None
    reason: str = "asked"
    shared_with: tuple[str, ...] = ()
    whole: bool = True


class PlanEntry(NamedTuple):
    """Something that goes and is not described yet. There may be very many.

    :ivar number: of an image of a sweep in the index; 0 for what a deletion names. If the image
        stays, ``frees`` is what it loses.
    :ivar last_use: Unix seconds; 0 where that is not known.
    :ivar target: of a deletion, with what it names, and the ``tags`` that go and bytes that come
        free with it, behind those before it.
    """

    number: int = 0
    last_use: float = 0.0
    target: RemovalTarget | None = None
    named: Digest | None = None
    tags: tuple[str, ...] = ()
    frees: int = 0


class PlannedRemoval(NamedTuple):
    """What one of several removals comes to, behind those before it.

    :ivar lost: the repository loses its right to what it names, with it or with another one.
    :ivar freed: bytes of disk that come free with it.
    :ivar done: those before it have left nothing to be done.
    """

    lost: bool
    freed: int
    done: bool


@dataclass(frozen=True, slots=True)
class PlannedRemovals:
    """What several removals come to together.

    :ivar gone: what leaves the disk, and what it takes there (bytes of whole blocks).
    """

    gone: Mapping[Digest, int]
    each: Sequence[PlannedRemoval]


@dataclass(frozen=True, slots=True)
class PlanSkipped:
    """Something that stays.

    :ivar why: ``pinned``, ``open`` or ``downloading``; of what a run has left, ``used``, too: since
        it was shown.
    """

    name: str
    reference: str
    why: str


@dataclass(frozen=True, slots=True)
class PlanSums:
    """How much goes.

    :ivar contents: manifests and blobs.
    :ivar freed: bytes of disk that come free with all that goes.
    :ivar images: manifests that no other one lists; ``tags`` name them.
    """

    contents: int = 0
    freed: int = 0
    images: int = 0
    tags: int = 0

    def __add__(self, more: "PlanSums") -> "PlanSums":
        return PlanSums(
            self.contents + more.contents,
            self.freed + more.freed,
            self.images + more.images,
            self.tags + more.tags,
        )


class PartialSums(NamedTuple):
    """How many partial files there are, of downloads that were left off, and what they take.

    :ivar bytes: of disk.
    """

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Savings:
    """What a larger disk would have had.

    :ivar more_bytes: how much larger it would have to be.
    :ivar misses: how much came back that would have been there still, ``bytes`` in all.
    """

    more_bytes: int
    misses: int
    bytes: int


@dataclass(frozen=True, slots=True)
class UpstreamSums:
    """What is stored of an upstream, in bytes; what several gave counts for each of them."""

    name: str
    stored: int = 0
    pinned: int = 0
    repositories: int = 0


@dataclass(frozen=True, slots=True)
class StoredSums:
    """What is stored, in bytes.

    :ivar by_age: by the days since the last use at most, None for all older; no two overlap.
    :ivar pinned: what pins cover.
    """

    by_age: tuple[tuple[int | None, int], ...]
    pinned: int
    upstreams: tuple[UpstreamSums, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be removed, and what would stay.

    :ivar expires: Unix seconds after which it cannot be run.
    :ivar kept: bytes that stay.
    :ivar partials: what goes of downloads that were left off.
    :ivar entries: what goes, the longest unused first; a bounded number.
    :ivar items: the first of them.
    :ivar skipped_more: how many more stay than are named.
    :ivar also_lost: tags that go although they were not named.
    :ivar selection: what is evicted when it is run; None for a deletion.
    :ivar targets: what is removed when it is run.
    :ivar meant: each of them that is here, with what it names.
    :ivar tags: all tags that go.
    :ivar checked_at: when it was looked at last before it is run (Unix seconds).
    """

    id: str
    request: PlanRequest
    expires: float
    _: KW_ONLY
    sums: PlanSums
    kept: int
    partials: PartialSums = PartialSums()
    entries: tuple[PlanEntry, ...] = ()
    items: tuple[PlanItem, ...]
    skipped: tuple[PlanSkipped, ...]
    skipped_more: int = 0
    also_lost: tuple[str, ...] = ()
    selection: Selection | None = None
    targets: tuple[RemovalTarget, ...] = ()
    meant: frozenset[tuple[RemovalTarget, Digest | None]] = frozenset()
    tags: frozenset[tuple[Repository, str]] = frozenset()
    checked_at: float = 0.0

    def exceeds(self, shown: "Plan") -> bool:
        """Whether this deletion removes more than another one that was shown."""
        more = self.sums.freed > shown.sums.freed or self.sums.contents > shown.sums.contents
        return more or not (self.meant <= shown.meant and self.tags <= shown.tags)


class PlanExpiredError(Exception):
    """There is no such plan, or not any more."""


class PlanChangedError(Exception):
    """It would remove more than was shown.

    :ivar plan: what it would remove now.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__("it would remove more than was shown")
        self.plan = plan


class TooManyTargetsError(Exception):
    """A plan cannot have so many."""


class NothingPlannedError(Exception):
    """Nothing of what is to be deleted is here."""


@dataclass(frozen=True, slots=True)
class PlanOutcome:
    """What a run has come to.

    :ivar freed: bytes of disk, counted as the plan counts them.
    :ivar skipped: what stayed though it was shown; ``skipped_more`` are not named.
    """

    contents: int
    freed: int
    skipped: tuple[PlanSkipped, ...] = ()
    skipped_more: int = 0
