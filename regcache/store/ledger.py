"""Who may use how much of the disk.

Pure: what the file system says comes in through :meth:`SpaceLedger.measured`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from zope.interface import implementer

from regcache.facts import Percentage
from regcache.interfaces import ISpace, ISpaceClaim


@dataclass(frozen=True, slots=True)
class SpaceLimits:
    """What the operator allows.

    :ivar max_size: of everything stored; bytes, or a percentage of the file system.
    :ivar max_blob: of a single blob; bytes, or a percentage of max_size.
    :ivar min_free: bytes that the file system keeps free.
    """

    max_size: int | Percentage
    max_blob: int | Percentage
    min_free: int


@dataclass(frozen=True, slots=True)
class FileSystemSpace:
    """What statvfs(3) says: bytes in all, and bytes free for an unprivileged user.

    :ivar problem: why nothing can be written there; "" where it can.
    """

    total: int
    free: int
    problem: str = ""


@implementer(ISpaceClaim)
class SpaceClaim:
    """Space that one download may use, until it is released."""

    def __init__(self, ledger: "SpaceLedger", size: int) -> None:
        self._ledger = ledger
        self.size = size
        self.written = 0
        self.released = False

    def grow(self, size: int) -> bool:
        """Make it the claim of ``size`` bytes in all; whether that was granted."""
        if self.released:
            return False
        return size <= self.size or self._ledger.grow(self, size)

    def wrote(self, count: int) -> None:
        """Note that ``count`` further bytes of it were written, or allocated on disk.

        Optional: without it the claim counts in full against what is free, which refuses
        other claims too early but never too late.
        """
        if not self.released:
            self._ledger.wrote(self, max(0, min(count, self.size - self.written)))

    def release(self) -> None:
        """The bytes were stored and count as used now, or are not needed. Idempotent."""
        if not self.released:
            self.released = True
            self._ledger.released(self)


def _nothing() -> int:
    return 0


@implementer(ISpace)
class SpaceLedger:
    """Grants claims of space. For the reactor thread.

    A claim reserves disk, never memory, so what an upstream declares costs nothing here.

    :param evictable: how many bytes of what is stored could be evicted now.
    :ivar used: bytes stored, but for what belongs to a claim.
    :ivar reserved: bytes of all claims.
    :ivar closed: why nothing at all may be stored; "" where it may.
    :ivar consumed: all bytes ever noted as written; only differences mean something.
    """

    def __init__(self, limits: SpaceLimits, evictable: Callable[[], int] = _nothing) -> None:
        self.limits = limits
        self.used = 0
        self.reserved = 0
        self.consumed = 0
        self.closed = ""
        self._evictable = evictable
        self._written = 0  # the part of ``reserved`` that is on the disk
        self._space: FileSystemSpace | None = None
        self._consumed_before = 0

    def measured(self, space: FileSystemSpace, consumed: int) -> None:
        """Take what the file system says.

        :param consumed: what :attr:`consumed` was before it was asked; what was written since
            is deducted, so an answer may be some seconds old and still promise nothing twice.
        """
        self._space = space
        self.closed = space.problem
        self._consumed_before = consumed

    def change(self, difference: int) -> None:
        """Note that so many bytes were stored outside of any claim; removed if negative."""
        self.used = max(0, self.used + difference)
        self.consumed += max(0, difference)

    def max_size(self) -> int:
        """The limit of everything stored, in bytes; 0 before the first measurement."""
        total = self._space.total if self._space else 0
        limit = self.limits.max_size
        return limit.of(total) if isinstance(limit, Percentage) else limit

    def max_blob(self) -> int:
        """The limit of a single blob, in bytes."""
        limit = self.limits.max_blob
        return limit.of(self.max_size()) if isinstance(limit, Percentage) else limit

    def claim(self, size: int) -> SpaceClaim | None:
        """A claim of ``size`` bytes, or None where it is refused: the blob is relayed then."""
        claim = SpaceClaim(self, 0)
        return claim if size >= 0 and self.grow(claim, size) else None

    def grow(self, claim: SpaceClaim, size: int) -> bool:
        """For :class:`SpaceClaim`: whether its size was raised to ``size``."""
        more = size - claim.size
        if self.closed or size > self.max_blob() or self._excess(more) > self._evictable():
            return False
        claim.size = size
        self.reserved += more
        return True

    def shortfall(self) -> int:
        """How many bytes must be evicted for what is stored and claimed to fit; 0: none."""
        return max(0, self._excess(0))

    def _excess(self, more: int) -> int:
        """By how many bytes ``more`` of them would break a limit; negative: by none."""
        if self._space is None:
            return more + 1 + self._evictable()  # nothing is known, so nothing is promised
        free = self._space.free - (self.consumed - self._consumed_before)
        promised = self.reserved - self._written + more
        over_size = self.used + self.reserved + more - self.max_size()
        return max(over_size, self.limits.min_free + promised - free)

    def wrote(self, claim: SpaceClaim, count: int) -> None:
        """For :class:`SpaceClaim`: part of it is on the disk now."""
        claim.written += count
        self._written += count
        self.consumed += count

    def released(self, claim: SpaceClaim) -> None:
        """For :class:`SpaceClaim`: it is over."""
        self.reserved -= claim.size
        self._written -= claim.written
