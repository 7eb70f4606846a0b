"""What left the cache lately: when, how, and at whose wish. For those who look for it.

A restart forgets it.
"""

from collections.abc import Callable, Hashable
from enum import Enum

from twisted.internet.defer import Deferred

from regcache.bounded import BoundedTable
from regcache.cache.forgetting import Forgotten
from regcache.digests import Digest
from regcache.identity import Repository, RepositoryContent
from regcache.light_dataclass import dataclass
from regcache.removals import RemovalEffect

#: Names and digests that are remembered; the latest ones stay.
MOST_GONE = 10_000


class GoneHow(Enum):
    """How something left."""

    DELETED = "deleted"
    SWEPT = "swept"


@dataclass(frozen=True, slots=True)
class Gone:
    """When something left, and how.

    :ivar time: Unix seconds.
    :ivar by: the account that deleted it; "" where that is not known.
    """

    time: float
    how: GoneHow
    by: str = ""


class GoneLately:
    """Remembers what left. A subscriber of :mod:`regcache.cache.forgetting`, for what is swept.

    :param seconds: gives the time.
    """

    def __init__(self, seconds: Callable[[], float], most: int = MOST_GONE) -> None:
        self._seconds = seconds
        self._gone: BoundedTable[Hashable, Gone] = BoundedTable(most)

    def __len__(self) -> int:
        return len(self._gone)

    def note_deleted(self, repository: Repository, effect: RemovalEffect, by: str) -> None:
        """Something of a repository was deleted.

        :param by: the account that wished it; "" for none.
        """
        gone = Gone(self._seconds(), GoneHow.DELETED, by)
        self._gone.put(repository, gone)
        for tag in effect.tags:
            self._gone.put((repository, tag), gone)
        if effect.named is not None:
            self._gone.put(RepositoryContent(repository, effect.named), gone)

    def forget(self, message: Forgotten) -> "Deferred[None] | None":
        """Content is evicted."""
        if message.evicted:
            self._gone.put(message.key, Gone(self._seconds(), GoneHow.SWEPT))
        return None

    def find(self, repository: Repository, reference: str | Digest | None = None) -> Gone | None:
        """What was deleted of a repository; without a reference, whatever it was last."""
        if reference is None:
            return self._gone.get(repository)
        if isinstance(reference, Digest):
            return self._gone.get(RepositoryContent(repository, reference))
        return self._gone.get((repository, reference))

    def swept(self, digest: Digest) -> Gone | None:
        """When content was evicted. Only for those who know that the repository has it."""
        return self._gone.get(digest)
