"""One at a time, by key."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredLock

Key = TypeVar("Key", bound=Hashable)


class KeyedLocks(Generic[Key]):
    """A lock per key, which exists only while somebody has it. For the reactor thread."""

    def __init__(self) -> None:
        self._locks: dict[Key, DeferredLock] = {}

    def __contains__(self, key: Key) -> bool:
        """Whether somebody has the lock of this key."""
        return key in self._locks

    def __iter__(self) -> Iterator[Key]:
        """The keys whose lock somebody has."""
        return iter(self._locks)

    def acquire(self, key: Key) -> "Deferred[DeferredLock]":
        """Fires when the lock is the caller's. May be cancelled while it waits."""
        return self._locks.setdefault(key, DeferredLock()).acquire()

    def release(self, key: Key) -> None:
        """Give it to the next in turn. Called once for each :meth:`acquire` that fired."""
        lock = self._locks[key]
        if not lock.waiting:
            del self._locks[key]
        lock.release()
