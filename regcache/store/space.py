"""The space ledger: the one count that decides how much of the disk may be used.

It adds up, in bytes of whole blocks, the files under blobs/, the partial files that are not open,
and the claims of the open ones. It begins with the totals of the index and of partial/. Later the
files themselves are counted in the background (:mod:`regcache.store.recount`), and the ledger takes
over that count. The index, and files that are not ours, are not included.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from regcache.facts import AtMostATenth, Percentage, in_units
from regcache.interfaces import ISpace, ISpaceClaim, NoRoomError
from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class SpaceLimits:
    """The limits that the operator has set.

    :ivar max_size: the limit of all stored bytes; in bytes, or a percentage of the file system.
    :ivar max_blob: the limit of a single blob; in bytes, or a percentage of max_size.
    :ivar min_free: how many bytes of the file system stay free.
    """

    max_size: int | Percentage
    max_blob: int | Percentage
    min_free: int


@dataclass(frozen=True, slots=True)
class FileSystemSpace:
    """The result of statvfs(3): bytes in all, and bytes free for an unprivileged user.

    :ivar problem: why nothing can be written there; "" if something can.
    :ivar full: nothing can be written because it is full.
    """

    total: int
    free: int
    problem: str = ""
    full: bool = False


@implementer(ISpaceClaim)
class SpaceClaim:
    """Space that one download may use, until it is released."""

    def __init__(self, ledger: "SpaceLedger", size: int) -> None:
        self._ledger = ledger
        self.size = size
        self.written = 0
        self.released = False

    def grow(self, size: int) -> bool:
        """Change it to a claim of ``size`` bytes in all. Returns whether that was granted."""
        if self.released:
            return False
        return size <= self.size or self._ledger.grow(self, size)

    def room(self) -> "Deferred[None]":
        """Fires when there is room for all that is claimed. Fails with NoRoomError."""
        return self._ledger.room()

    def holds(self, count: int) -> None:
        """Note that ``count`` bytes of it are on the disk from before."""
        if not self.released:
            self._ledger.holds(self, self._at_most(count))

    def wrote(self, count: int) -> None:
        """Note that ``count`` further bytes of it were written, or allocated on disk.

        Optional: without it, the whole claim is subtracted from what is free. Then other claims may
        be refused too early, but never too late.
        """
        if not self.released:
            self._ledger.wrote(self, self._at_most(count))

    def _at_most(self, count: int) -> int:
        return max(0, min(count, self.size - self.written))

    def release(self) -> None:
        """End the claim: its bytes are stored and counted, or not needed. Idempotent."""
        if not self.released:
            self.released = True
            self._ledger.released(self)


def _nothing() -> int:
    return 0


def _no_room() -> "Deferred[None]":
    return fail(NoRoomError("nothing is ever evicted"))


def _ignore(reason: str, too_large: bool) -> None:
    """Do nothing: the default of a callback."""


@implementer(ISpace)
class SpaceLedger:
    """Grants claims of space. For the reactor thread.

    A claim only reserves disk, no memory, so a false size from an upstream does little harm.

    :param evictable: how many of the stored bytes could be evicted now.
    :param make_room: evicts until no limit is exceeded. Fails with NoRoomError.
    :param refused: told why something is not stored, if eviction cannot help; and whether it is
        only too large, so that there is space for what is smaller.
    :ivar contents: how many bytes the files under blobs/ take.
    :ivar parked: how many bytes the partial files take that are not open.
    :ivar reserved: how many bytes are claimed.
    :ivar closed: why nothing may be stored; "" if something may.
    :ivar consumed: how many bytes were ever noted as written; for differences only.
    :ivar removed: how many bytes of files were ever noted as removed; for differences only.
    """

    def __init__(
        self,
        limits: SpaceLimits,
        evictable: Callable[[], int] = _nothing,
        make_room: "Callable[[], Deferred[None]]" = _no_room,
        refused: Callable[[str, bool], None] = _ignore,
    ) -> None:
        self.limits = limits
        self.contents = self.parked = 0
        self.reserved = 0
        self.consumed = self.removed = 0
        self.closed = ""
        self._evictable = evictable
        self._make_room = make_room
        self._refused = refused
        self._written = 0  # the part of ``reserved`` that is on the disk
        self._space: FileSystemSpace | None = None
        self._largest = self._spare = 0  # ``max_size`` and ``min_free`` as of then
        self._consumed_before = self._removed_before = 0

    def measured(self, space: FileSystemSpace, consumed: int, removed: int = 0) -> None:
        """Take over a measurement of the file system.

        :param consumed: what :attr:`consumed` was before the measurement. What was written since is
            deducted, so that even with an old measurement no space is granted twice.
        :param removed: what :attr:`removed` was before it. What was removed since may be free by
            now, so claims wait for the next measurement instead of being refused.
        """
        self._space = space
        self._removed_before = removed
        self._largest, self._spare = self.max_size(), self.min_free()
        # What is only full is made room in.
        self.closed = "" if space.full and self._evictable() > 0 else space.problem
        self._consumed_before = consumed

    def follow(self, limits: SpaceLimits) -> None:
        """Keep to these limits from now on. What exceeds them makes way for the next claim."""
        self.limits = limits
        self._largest, self._spare = self.max_size(), self.min_free()

    @property
    def free(self) -> int | None:
        """What the file system had free when it was measured last; None before that."""
        return None if self._space is None else self._space.free

    @property
    def beyond_file_system(self) -> str:
        """That ``max_size`` is never reached, since the file system is smaller; "" if it is not."""
        limit, total = self.max_size(), self._space.total if self._space else 0
        if not 0 < total < limit:
            return ""
        return (
            f"storage.max_size {in_units(limit)}: the file system has {in_units(total)} in all, so"
            f" that storage.min_free, {in_units(self.min_free())}, decides"
        )

    @property
    def used(self) -> int:
        """How many bytes are stored, without those that belong to a claim."""
        return self.contents + self.parked

    def change_contents(self, difference: int, *, unclaimed: bool = False) -> None:
        """Note that files under blobs/ take so many more bytes; negative: fewer.

        :param unclaimed: they were written just now, and belonged to no claim, which would have
            noted that already (:meth:`SpaceClaim.wrote`).
        """
        self.contents = max(0, self.contents + difference)
        self.removed += max(0, -difference)
        if unclaimed:
            self.consumed += max(0, difference)

    def change_parked(self, difference: int) -> None:
        """The same for partial files that are not open. What they take was claimed before."""
        self.parked = max(0, self.parked + difference)

    def max_size(self) -> int:
        """The limit of all stored bytes; 0 before the first measurement."""
        total = self._space.total if self._space else 0
        limit = self.limits.max_size
        return limit.of(total) if isinstance(limit, Percentage) else limit

    def max_blob(self) -> int:
        """The limit of a single blob, in bytes."""
        limit = self.limits.max_blob
        return limit.of(self.max_size()) if isinstance(limit, Percentage) else limit

    def claim(self, size: int) -> SpaceClaim | None:
        """A claim of ``size`` bytes, or None if it is refused."""
        claim = SpaceClaim(self, 0)
        return claim if size >= 0 and self.grow(claim, size) else None

    def grow(self, claim: SpaceClaim, size: int) -> bool:
        """For :class:`SpaceClaim`: whether its size was raised to ``size``."""
        more = size - claim.size
        too_large = self._is_too_large(size)
        if self.closed or too_large or not self._may_fit(more):
            self._refused(self.why_not(size), too_large)
            return False
        claim.size = size
        self.reserved += more
        return True

    def _may_fit(self, more: int) -> bool:
        """Whether ``more`` bytes fit once enough is evicted, as far as is known."""
        if self._space is None:
            return False  # nothing is known, so nothing is promised
        evictable = self._evictable()
        removed = self.removed - self._removed_before
        return (
            self._beyond_max_size(more) <= evictable
            and self._beyond_min_free(more, self._space.free) <= evictable + removed
        )

    def _is_too_large(self, size: int) -> bool:
        """Whether ``max_blob`` alone refuses so much."""
        return not self.closed and self._space is not None and size > self.max_blob()

    def room(self) -> "Deferred[None]":
        """Fires when nothing has to be evicted any more. Fails with NoRoomError."""
        return self._make_room() if self.excess(0) > 0 else succeed(None)

    def why_not(self, size: int) -> str:
        """Why there is no space for ``size`` bytes, with the key and the numbers."""
        if self.closed or self._space is None:
            return f"storage.directory: {self.closed or 'its file system does not answer'}"
        if self._is_too_large(size):
            return f"storage.max_blob {in_units(self.max_blob())}: it has {in_units(size)}"
        evictable = in_units(self._evictable())
        limit, taken = self.max_size(), self.used + self.reserved
        if taken + size > limit:
            return (
                f"storage.max_size {in_units(limit)}: {in_units(taken)} are taken or claimed, of"
                f" which {evictable} can be evicted"
            )
        free = self._space.free - (self.consumed - self._consumed_before)
        wanted = self.reserved - self._written + size
        return (
            f"storage.min_free {in_units(self.min_free())}: {in_units(free)} are free,"
            f" {in_units(wanted)} are wanted, and {evictable} can be evicted"
        )

    def shortfall(self) -> int:
        """How many bytes must be evicted for what is stored and claimed to fit; 0: none."""
        return max(0, self.excess(0))

    def min_free(self) -> int:
        """How many bytes of the file system have to stay free."""
        limit, total = self.limits.min_free, self._space.total if self._space else 0
        return min(limit, total // 10) if isinstance(limit, AtMostATenth) else limit

    def excess(self, more: int) -> int:
        """By how many bytes ``more`` of them would exceed a limit; negative: by none."""
        if self._space is None:
            return more + 1 + self._evictable()  # nothing is known, so nothing is promised
        return max(self._beyond_max_size(more), self._beyond_min_free(more, self._space.free))

    def _beyond_max_size(self, more: int) -> int:
        return self.contents + self.parked + self.reserved + more - self._largest

    def _beyond_min_free(self, more: int, free: int) -> int:
        """:param free: what was free when it was measured."""
        promised = self.reserved - self._written + more
        return self._spare + promised - (free - (self.consumed - self._consumed_before))

    def holds(self, claim: SpaceClaim, count: int) -> None:
        """For :class:`SpaceClaim`: part of it is on the disk."""
        claim.written += count
        self._written += count

    def wrote(self, claim: SpaceClaim, count: int) -> None:
        """For :class:`SpaceClaim`: part of it has come to the disk just now."""
        self.holds(claim, count)
        self.consumed += count

    def released(self, claim: SpaceClaim) -> None:
        """For :class:`SpaceClaim`: it is over."""
        self.reserved -= claim.size
        self._written -= claim.written
