"""The interface of the index for plans: the effects of removals before they are run."""

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
    """Sums and names for plans. A call takes steps of some milliseconds in the index's thread.

    Every call fails with OSError if the index cannot be read.
    """

    def sums(
        selection: Selection,
    ) -> "Deferred[tuple[PlanSums, Sequence[PlanEntry], Sequence[PlanItem]]]":
        """Add up a selection; give its longest unused images, and describe the first of them."""

    def described(entries: Sequence[PlanEntry]) -> "Deferred[Sequence[PlanItem]]":
        """Describe further images; a bounded number."""

    def end_of(wanted: int, selection: Selection) -> "Deferred[Position | None]":
        """Find up to which position a selection has to be evicted to free so many bytes.

        None if nothing has to be.
        """

    def look(targets: Sequence[RemovalTarget]) -> "Deferred[Sequence[RemovalEffect]]":
        """Give the effects of the first steps of removals, one after the other.

        Of so many of them as one job has time for, of one at least.
        """

    def together(
        removals: Sequence[tuple[RemovalTarget, RemovalEffect]],
    ) -> "Deferred[PlannedRemovals]":
        """Give the effect of removals together; each comes with its effect alone."""

    def pinned_tags() -> "Deferred[tuple[Sequence[PlanSkipped], int]]":
        """Name some pinned tags, and count the others."""

    def stayed(entries: Sequence[PlanEntry]) -> "Deferred[Sequence[tuple[Digest, str]]]":
        """Give the images that are still stored, and why: ``pinned`` or ``used``."""

    def name_of(digest: Digest) -> "Deferred[str]":
        """The name of a repository that has the content; "" if none has."""

    def stored(now: float) -> "Deferred[StoredSums]":
        """Add up what is stored, at a time (Unix seconds)."""

    def image(digest: Digest) -> "Deferred[PlanItem | None]":
        """Describe an image; None if the index does not know it."""

    def savings(since: float) -> "Deferred[Sequence[Savings]]":
        """Count evicted contents that were fetched again since a time (Unix seconds)."""
