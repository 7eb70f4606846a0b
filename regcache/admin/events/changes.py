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
    """Remembers them, numbered. A subscriber of :mod:`regcache.cache.forgetting`.

    :ivar count: how many there were since the start.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._kept: deque[Changed] = deque(maxlen=most)
        self.count = 0

    def forget(self, message: Forgotten) -> "Deferred[None] | None":
        """Something is removed, or has made room."""
        self.note(_changed(message.key))
        return None

    def note(self, changed: Changed) -> None:
        """Something has changed; the same again is one change."""
        if not self._kept or self._kept[-1] != changed:
            self._kept.append(changed)
            self.count += 1

    def since(self, count: int) -> list[Changed] | None:
        """What has changed since there were so many; None where that is not known any more."""
        more = self.count - count
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
