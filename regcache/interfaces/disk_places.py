"""Where the bytes of content lie, and which of them may go."""

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
    """What the index knows of bytes that may leave the disk.

    Every call is one hop to the index's own thread, which it holds for some milliseconds.
    """

    def write_uses() -> "Deferred[None]":
        """Have the order follow all uses that were noted until now."""

    def candidates(after: Position, before: float) -> "Deferred[CandidatePage]":
        """What may go, what goes first first.

        ``after``: behind which position. ``before``: only what came earlier (Unix seconds).
        """

    def selected(selection: Selection, after: int) -> "Deferred[SelectionPage]":
        """What is selected, some of it, behind a number. Fails with OSError."""

    def evict(
        candidates: Sequence[Candidate], selection: Selection | None = None
    ) -> "Deferred[Sequence[Candidate]]":
        """Note that contents are not stored any more; gives those that it was noted of.

        What was pinned or used meanwhile, or is not selected any more, stays. Their files have to
        be removed then, and :meth:`left` called. Fails with OSError.
        """

    def forget_unstored(now: float) -> "Deferred[int]":
        """Forget what is known of content that has not been here, used or proved for 90 days.

        Gives of how many contents. Fails with OSError.
        """

    def note_sweep(note: SweepNote) -> "Deferred[None]":
        """Keep what a sweep has come to."""

    def last_sweep() -> "Deferred[SweepNote | None]":
        """What was kept last."""

    def left(digests: Sequence[Digest]) -> "Deferred[None]":
        """The files of evicted contents are removed. Fails with OSError."""

    def pinned_bytes() -> "Deferred[int]":
        """What is stored of what pins cover. Fails with OSError."""
