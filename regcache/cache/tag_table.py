"""Which digest each tag names, by the last answer of its upstream: in memory and in the index."""

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.bounded import BoundedTable
from regcache.cache.forgetting import Forgotten, Kind, is_removed
from regcache.digests import Digest
from regcache.facts import TagFact
from regcache.generations import Generations
from regcache.identity import Repository, RepositoryContent
from regcache.interfaces import IIndex

#: Tags remembered in memory (entries).
MOST_TAGS = 20_000

TagKey = tuple[Repository, str]
"""A repository, and a tag of it."""


class TagTable:
    """Remembers what tags name. If the disk refuses a write this is logged; no request fails."""

    _log = Logger()

    def __init__(self, index: IIndex, clock: IReactorTime, removed: Generations[Hashable]) -> None:
        """:param removed: what operators removed. Look-ups that began before do not keep it."""
        self._removed = removed
        self._index = index
        self._clock = clock
        self._facts: BoundedTable[TagKey, tuple[TagFact, int]] = BoundedTable(MOST_TAGS)

    def __len__(self) -> int:
        """How many tags are in memory."""
        return len(self._facts)

    def in_memory(self, repository: Repository, tag: str) -> TagFact | None:
        """The same as :meth:`find`, from memory alone."""
        key = (repository, tag)
        known = self._facts.get(key)
        if known is None:
            return None
        fact, noted = known
        if self._removed.concerns(fact.digest, noted):
            self._facts.drop(key)
            return None
        return fact

    def forget(self, message: Forgotten) -> None:
        """Drop a removed tag, and the tags of a removed repository.

        Those of removed content are found out when they are asked for.
        """
        kind, key = message.kind, message.key
        if kind is Kind.TAG:
            self._facts.drop(key)  # type: ignore[arg-type]
        elif kind is Kind.REPOSITORY:
            self._facts.drop_where(lambda tag, _: tag[0] == key)

    async def find(self, repository: Repository, tag: str) -> TagFact | None:
        """What a tag named when the upstream was last asked."""
        fact = self.in_memory(repository, tag)
        if fact is not None:
            return fact
        began = self._removed.current
        recorded = await self._index.tag(repository, tag)
        # A revalidation may have noted something newer meanwhile.
        fact = self.in_memory(repository, tag)
        # What an operator removes is gone from memory before it is from the index.
        if fact is None and recorded is not None and began == self._removed.current:
            self._facts.put((repository, tag), (recorded, began))
        return fact or recorded

    @property
    def generation(self) -> int:
        """How many removals there have been; who asks the upstream of a tag looks here before."""
        return self._removed.current

    async def note(self, repository: Repository, tag: str, digest: Digest, began: int) -> None:
        """Record that a tag names a digest, which the upstream has just said.

        :param began: the generation when it was asked. What was removed since is not noted.
        """
        if self._is_removed(repository, tag, digest, began):
            return
        fact = TagFact(digest, self._clock.seconds())
        self._facts.put((repository, tag), (fact, began))
        try:
            await self._index.record_tag(repository, tag, digest, fact.validated_at, began=began)
        except OSError as error:
            self._log.warn("noting the tag {tag} failed: {error}", tag=tag, error=error)

    def _is_removed(self, repository: Repository, tag: str, digest: Digest, since: int) -> bool:
        if since == self._removed.current:
            return False
        keys: tuple[Hashable, ...] = ((repository, tag), repository)
        if any(self._removed.concerns(key, since) for key in keys):
            return True
        return is_removed(self._removed, RepositoryContent(repository, digest), since)

    async def drop(self, repository: Repository, tag: str) -> None:
        """Forget a tag, which the upstream does not have. An unknown tag costs no write."""
        if await self.find(repository, tag) is None:
            return
        self._facts.drop((repository, tag))
        try:
            await self._index.drop_tag(repository, tag)
        except OSError as error:
            self._log.warn("dropping the tag {tag} failed: {error}", tag=tag, error=error)
