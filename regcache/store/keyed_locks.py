"""Locks by key."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredLock

Key = TypeVar("Key", bound=Hashable)


class KeyedLocks(Generic[Key]):
    """A lock for each key, which exists only while it is held. For the reactor thread."""

    def __init__(self) -> None:
        self._locks: dict[Key, DeferredLock] = {}

    def __contains__(self, key: Key) -> bool:
        """Whether the lock of this key is held."""
        return key in self._locks

    def __iter__(self) -> Iterator[Key]:
        """The keys whose locks are held."""
        return iter(self._locks)

    def take(self, key: Key) -> bool:
        """Whether the caller has the lock now, since it was free. Else :meth:`acquire` it."""
        if key in self._locks:
            return False
        self.acquire(key)
        return True

    def acquire(self, key: Key) -> "Deferred[DeferredLock]":
        """Fires when the caller has the lock. May be cancelled while it waits."""
        return self._locks.setdefault(key, DeferredLock()).acquire()

    def release(self, key: Key) -> None:
        """Give the lock to the next caller. Call it once for each :meth:`acquire` that fired.

        And for each :meth:`take` that was granted.
        """
        lock = self._locks[key]
        if not lock.waiting:
            del self._locks[key]
        lock.release()
