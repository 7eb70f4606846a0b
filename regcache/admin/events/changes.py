"""Which repositories have changed lately: their lists are to be read again."""

from collections import deque
from typing import NamedTuple

from twisted.internet.defer import Deferred

from regcache.cache.forgetting import Forgotten
from regcache.identity import Repository, RepositoryContent

#: Changes that are remembered.
MOST_KEPT = 500


class Changed(NamedTuple):
    """One change; without a repository it may concern any."""

    upstream: str = ""
    repository: str = ""


class Changes:
    """Remembers them, numbered. A subscriber of :mod:`regcache.cache.forgetting`."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._kept: deque[Changed] = deque(maxlen=most)
        self._count = 0
        self._is_told = False

    @property
    def count(self) -> int:
        """How many there were since the start. After this was read, further changes are told."""
        self._is_told = True
        return self._count

    def forget(self, message: Forgotten) -> "Deferred[None] | None":
        """Something is removed, or has made room."""
        self.note(_changed(message.key))
        return None

    def note(self, changed: Changed) -> None:
        """Something has changed; the same again, before a listener was told, is one change."""
        if self._is_told or not self._kept or self._kept[-1] != changed:
            self._kept.append(changed)
            self._count += 1
            self._is_told = False

    def note_any(self) -> None:
        """Something has changed, and it is not known where."""
        self.note(Changed())

    def since(self, count: int) -> list[Changed] | None:
        """What has changed since there were so many; None where that is not known any more."""
        more = self._count - count
        if not 0 <= more <= len(self._kept):
            return None
        return list(self._kept)[len(self._kept) - more :]


def _changed(key: object) -> Changed:
    if isinstance(key, tuple) and key:
        key = key[0]
    if isinstance(key, RepositoryContent):
        key = key.repository
    if isinstance(key, Repository):
        return Changed(key.upstream.name, key.name)
    return Changed()
