"""Remembers what left the cache lately: when, how, and who deleted it. The admin API shows that.

It is lost at a restart.
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
    """How content left."""

    DELETED = "deleted"
    SWEPT = "swept"


@dataclass(frozen=True, slots=True)
class Gone:
    """When content left, and how.

    :ivar time: Unix seconds.
    :ivar by: the account that deleted it; "" if that is not known.
    """

    time: float
    how: GoneHow
    by: str = ""


class GoneLately:
    """Remembers what left. It subscribes to :mod:`regcache.cache.forgetting` for evicted content.

    :param seconds: gives the time.
    """

    def __init__(self, seconds: Callable[[], float], most: int = MOST_GONE) -> None:
        self._seconds = seconds
        self._gone: BoundedTable[Hashable, Gone] = BoundedTable(most)

    def __len__(self) -> int:
        return len(self._gone)

    def note_deleted(self, repository: Repository, effect: RemovalEffect, by: str) -> None:
        """Remember what was deleted in a repository.

        :param by: the account that asked for it; "" for none.
        """
        gone = Gone(self._seconds(), GoneHow.DELETED, by)
        self._gone.put(repository, gone)
        for tag in effect.tags:
            self._gone.put((repository, tag), gone)
        if effect.named is not None:
            self._gone.put(RepositoryContent(repository, effect.named), gone)

    def forget(self, message: Forgotten) -> "Deferred[None] | None":
        """Remember content that was evicted."""
        if message.evicted:
            self._gone.put(message.key, Gone(self._seconds(), GoneHow.SWEPT))
        return None

    def find(self, repository: Repository, reference: str | Digest | None = None) -> Gone | None:
        """The deletion of a reference; without a reference, the last one in the repository."""
        if reference is None:
            return self._gone.get(repository)
        if isinstance(reference, Digest):
            return self._gone.get(RepositoryContent(repository, reference))
        return self._gone.get((repository, reference))

    def swept(self, digest: Digest) -> Gone | None:
        """When content was evicted. Only for those who know that the repository has it."""
        return self._gone.get(digest)
