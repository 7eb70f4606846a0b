"""One at a time, by key."""

from collections.abc import Hashable

from twisted.internet.defer import Deferred, DeferredLock


class KeyedLocks:
    """A lock per key, which exists only while somebody has it. For the reactor thread."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, DeferredLock] = {}

    def __contains__(self, key: Hashable) -> bool:
        """Whether somebody has the lock of this key."""
        return key in self._locks

    def acquire(self, key: Hashable) -> "Deferred[DeferredLock]":
        """Fires when the lock is the caller's. May be cancelled while it waits."""
        return self._locks.setdefault(key, DeferredLock()).acquire()

    def release(self, key: Hashable) -> None:
        """Give it to the next in turn. Called once for each :meth:`acquire` that fired."""
        lock = self._locks[key]
        if not lock.waiting:
            del self._locks[key]
        lock.release()
