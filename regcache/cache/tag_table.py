"""Which digest each tag names, by the last answer of its upstream: in memory and in the index."""

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.bounded import BoundedTable
from regcache.cache.forgetting import Forgotten, Kind
from regcache.digests import Digest
from regcache.facts import TagFact
from regcache.generations import Generations
from regcache.identity import Repository
from regcache.interfaces import IIndex

#: Tags remembered in memory (entries).
MOST_TAGS = 20_000


class TagTable:
    """Remembers what tags name. If the disk refuses a write this is logged; no request fails."""

    _log = Logger()

    def __init__(self, index: IIndex, clock: IReactorTime, removed: Generations[Hashable]) -> None:
        """:param removed: what operators removed. Look-ups that began before do not keep it."""
        self._removed = removed
        self._index = index
        self._clock = clock
        self._facts: BoundedTable[tuple[Repository, str], TagFact] = BoundedTable(MOST_TAGS)

    def __len__(self) -> int:
        """How many tags are in memory."""
        return len(self._facts)

    def in_memory(self, repository: Repository, tag: str) -> TagFact | None:
        """The same as :meth:`find`, from memory alone."""
        return self._facts.get((repository, tag))

    def forget(self, message: Forgotten) -> None:
        """Drop a removed tag, the tags of a removed repository, and those of removed content."""
        kind, key = message.kind, message.key
        if kind is Kind.TAG:
            self._facts.drop(key)  # type: ignore[arg-type]
        elif kind is Kind.REPOSITORY:
            self._facts.drop_where(lambda tag, _: tag[0] == key)
        elif kind is Kind.CONTENT and message.generation:
            self._facts.drop_where(lambda _, fact: fact.digest == key)

    async def find(self, repository: Repository, tag: str) -> TagFact | None:
        """What a tag named when the upstream was last asked."""
        key = (repository, tag)
        fact = self._facts.get(key)
        if fact is not None:
            return fact
        began = self._removed.current
        recorded = await self._index.tag(*key)
        # A revalidation may have noted something newer meanwhile.
        fact = self._facts.get(key)
        # What an operator removes is gone from memory before it is from the index.
        if fact is None and recorded is not None and began == self._removed.current:
            self._facts.put(key, recorded)
        return fact or recorded

    async def note(self, repository: Repository, tag: str, digest: Digest) -> TagFact:
        """Record that a tag names a digest, which the upstream has just said."""
        fact = TagFact(digest, self._clock.seconds())
        self._facts.put((repository, tag), fact)
        try:
            await self._index.record_tag(repository, tag, digest, fact.validated_at)
        except OSError as error:
            self._log.warn("noting the tag {tag} failed: {error}", tag=tag, error=error)
        return fact

    async def drop(self, repository: Repository, tag: str) -> None:
        """Forget a tag, which the upstream does not have. An unknown tag costs no write."""
        if await self.find(repository, tag) is None:
            return
        self._facts.drop((repository, tag))
        try:
            await self._index.drop_tag(repository, tag)
        except OSError as error:
            self._log.warn("dropping the tag {tag} failed: {error}", tag=tag, error=error)
