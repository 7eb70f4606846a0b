"""Values that describe what a sweep, a purge or a deletion would remove."""

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
    """The kind of a plan."""

    DELETE = "delete"
    SWEEP = "sweep"
    PURGE = "purge"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """The request for a plan.

    :ivar targets: single things to delete.
    :ivar repositories: to delete with all their contents.
    :ivar upstream: whose contents are all deleted; or the only one whose contents are swept.
    :ivar unused_for: content is swept if it was not used for so many seconds.
    :ivar to_bytes: sweep until so many bytes are left, the least used content first.
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
    """An image that is removed or loses a part, or content that belongs to no image.

    :ivar name: ``<upstream>/<repository>``; "" if it is in no repository.
    :ivar size: of the stored contents that it lists (bytes of whole blocks, as the disk counts).
    :ivar frees: the part of ``size`` that only this image needs.
    :ivar last_use: Unix seconds; None if that is not known.
    :ivar shared_with: names of some repositories that share the rest.
    :ivar whole: whether it is removed itself; else only ``frees`` bytes of its contents are.
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
    """A short form of a :class:`PlanItem`, since there may be very many.

    :ivar number: the content id of an image of a sweep; 0 in a deletion.
    :ivar last_use: Unix seconds; 0 if that is not known.
    :ivar target: of a deletion; None in a sweep.
    :ivar named: the digest that the target names.
    :ivar tags: those that the deletion of the target removes.
    :ivar frees: in a deletion the bytes that it frees after the earlier ones; in a sweep the bytes
        that an image loses which is not removed itself.
    """

    number: int = 0
    last_use: float = 0.0
    target: RemovalTarget | None = None
    named: Digest | None = None
    tags: tuple[str, ...] = ()
    frees: int = 0


class PlannedRemoval(NamedTuple):
    """The effect of one of several removals, after the earlier ones.

    :ivar lost: whether any of the removals ends the right of the repository to the named content.
    :ivar freed: bytes of disk that this one frees.
    :ivar done: whether earlier ones have removed everything already.
    """

    lost: bool
    freed: int
    done: bool


@dataclass(frozen=True, slots=True)
class PlannedRemovals:
    """The effect of several removals together.

    :ivar gone: the contents that leave the disk, with their sizes there (bytes of whole blocks).
    :ivar each: the effect of each removal, in their order.
    """

    gone: Mapping[Digest, int]
    each: Sequence[PlannedRemoval]


@dataclass(frozen=True, slots=True)
class PlanSkipped:
    """Something that is not removed.

    :ivar why: ``pinned``, ``open`` or ``downloading``; after a run also ``used``, if it was used
        since the plan was shown.
    """

    name: str
    reference: str
    why: str


@dataclass(frozen=True, slots=True)
class PlanSums:
    """How much a plan removes.

    :ivar contents: manifests and blobs.
    :ivar freed: bytes of disk.
    :ivar images: manifests that no index lists.
    :ivar tags: that name them.
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
    """How many partial files of interrupted downloads there are.

    :ivar bytes: of disk that they take.
    """

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Savings:
    """What a larger disk would have saved.

    :ivar more_bytes: by how much it would be larger.
    :ivar misses: contents that were fetched again, and would still have been there.
    :ivar bytes: their sizes in all.
    """

    more_bytes: int
    misses: int
    bytes: int


@dataclass(frozen=True, slots=True)
class UpstreamSums:
    """Stored bytes of an upstream. Content that several upstreams have given counts for each."""

    name: str
    stored: int = 0
    pinned: int = 0
    repositories: int = 0


@dataclass(frozen=True, slots=True)
class StoredSums:
    """Stored bytes.

    :ivar by_age: pairs of a maximum of days since the last use, and the bytes of that class; None
        for everything older. Each byte is in one class.
    :ivar pinned: bytes that pins cover.
    """

    by_age: tuple[tuple[int | None, int], ...]
    pinned: int
    upstreams: tuple[UpstreamSums, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be removed, and what would not.

    :ivar expires: Unix seconds after which it cannot be run.
    :ivar kept: bytes that stay.
    :ivar partials: partial files that are removed.
    :ivar entries: what is removed, the longest unused first; a bounded number.
    :ivar items: the descriptions of the first entries.
    :ivar skipped: some of what is not removed.
    :ivar skipped_more: how many more are not removed.
    :ivar also_lost: tags that are removed although the request did not name them.
    :ivar selection: what a run evicts; None for a deletion.
    :ivar targets: what a run deletes.
    :ivar meant: those targets that are here, each with the digest that it names.
    :ivar tags: all tags that are removed.
    :ivar checked_at: when it was last checked before a run (Unix seconds).
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
        """Whether this deletion removes more than one that was shown."""
        more = self.sums.freed > shown.sums.freed or self.sums.contents > shown.sums.contents
        return more or not (self.meant <= shown.meant and self.tags <= shown.tags)


class PlanExpiredError(Exception):
    """The plan does not exist, or has expired."""


class PlanChangedError(Exception):
    """A plan would remove more than was shown.

    :ivar plan: the new plan.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__("it would remove more than was shown")
        self.plan = plan


class TooManyTargetsError(Exception):
    """A plan has too many targets."""


class NothingPlannedError(Exception):
    """Nothing that the request names is cached."""


@dataclass(frozen=True, slots=True)
class PlanOutcome:
    """The result of a run.

    :ivar contents: how many manifests and blobs were removed.
    :ivar freed: bytes of disk, counted as in the plan.
    :ivar skipped: some of what was shown and not removed.
    :ivar skipped_more: how many more.
    """

    contents: int
    freed: int
    skipped: tuple[PlanSkipped, ...] = ()
    skipped_more: int = 0
