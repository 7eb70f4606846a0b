"""The interface of the index for eviction: where content is stored, and what may be evicted."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from regcache.digests import Digest
from regcache.retention import (
    Candidate,
    CandidatePage,
    Position,
    Selection,
    SelectionPage,
    SweepNote,
)


class IPlaces(Interface):
    """The places of content.

    Every call is one job of the index's thread, of some milliseconds.
    """

    def write_uses() -> "Deferred[None]":
        """Write all uses that were noted so far, so that the order follows them."""

    def candidates(after: Position, before: float) -> "Deferred[CandidatePage]":
        """Give a page of candidates after a position, in the order of eviction.

        ``before``: only those stored earlier (Unix seconds).
        """

    def selected(selection: Selection, after: int) -> "Deferred[SelectionPage]":
        """Give a page of selected contents after a content id. Fails with OSError."""

    def evict(
        candidates: Sequence[Candidate], selection: Selection | None = None
    ) -> "Deferred[Sequence[Candidate]]":
        """Note that contents are not stored any more. Gives the contents for which this was noted.

        The others were pinned or used meanwhile, or are not selected any more. The caller removes
        the files, and calls :meth:`left`. Fails with OSError.
        """

    def forget_unstored(now: float) -> "Deferred[int]":
        """Forget contents that were not stored, used or proved for 90 days.

        Gives how many there were. Fails with OSError.
        """

    def note_sweep(note: SweepNote) -> "Deferred[None]":
        """Record a sweep."""

    def last_sweep() -> "Deferred[SweepNote | None]":
        """The last sweep that was recorded."""

    def left(digests: Sequence[Digest]) -> "Deferred[None]":
        """Note that the files of evicted contents are removed. Fails with OSError."""

    def pinned_bytes() -> "Deferred[int]":
        """How many stored bytes pins cover. Fails with OSError."""
