"""What the index says of removals before they are done."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from regcache.digests import Digest
from regcache.plans import (
    PlanEntry,
    PlanItem,
    PlannedRemovals,
    PlanSkipped,
    PlanSums,
    Savings,
    StoredSums,
)
from regcache.removals import RemovalEffect, RemovalTarget
from regcache.retention import Position, Selection


class IPlanIndex(Interface):
    """Sums and names for plans, in steps of the index's thread of some milliseconds each.

    Every call fails with OSError where the index cannot be read.
    """

    def sums(
        selection: Selection,
    ) -> "Deferred[tuple[PlanSums, Sequence[PlanEntry], Sequence[PlanItem]]]":
        """How much is selected, the images among it that were unused for longest, and of these the
        first, described."""

    def described(entries: Sequence[PlanEntry]) -> "Deferred[Sequence[PlanItem]]":
        """More of these images; a bounded number."""

    def end_of(wanted: int, selection: Selection) -> "Deferred[Position | None]":
        """How far the order of eviction has to go so that of what is selected so many bytes go;
        None: nothing has to."""

    def look(targets: Sequence[RemovalTarget]) -> "Deferred[Sequence[RemovalEffect]]":
        """What removals one after the other would come to; a bounded number of them."""

    def together(
        removals: Sequence[tuple[RemovalTarget, RemovalEffect]],
    ) -> "Deferred[PlannedRemovals]":
        """What removals come to together, each of which was looked at before."""

    def pinned_tags() -> "Deferred[tuple[Sequence[PlanSkipped], int]]":
        """Some of the tags that are pinned, and how many more there are."""

    def stayed(entries: Sequence[PlanEntry]) -> "Deferred[Sequence[tuple[Digest, str]]]":
        """Those of some images that are stored still, and why: ``pinned`` or ``used``."""

    def name_of(digest: Digest) -> "Deferred[str]":
        """The name of a repository that has content; "" where none has."""

    def stored(now: float) -> "Deferred[StoredSums]":
        """What is stored, added up at a time (Unix seconds)."""

    def image(digest: Digest) -> "Deferred[PlanItem | None]":
        """An image by its digest; None if it is not known."""

    def savings(since: float) -> "Deferred[Sequence[Savings]]":
        """What came back that had been evicted, since a time (Unix seconds)."""
