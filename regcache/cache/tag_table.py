"""Where tags point, as far as the upstreams have said: in memory, and in the index."""

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.facts import TagFact
from regcache.identity import Repository
from regcache.interfaces import IIndex

#: Tags remembered in memory (entries).
MOST_TAGS = 20_000


class TagTable:
    """Remembers what upstreams said of tags. A disk that refuses this fails no request."""

    _log = Logger()

    def __init__(self, index: IIndex, clock: IReactorTime) -> None:
        self._index = index
        self._clock = clock
        self._facts: BoundedTable[tuple[Repository, str], TagFact] = BoundedTable(MOST_TAGS)

    def __len__(self) -> int:
        """How many tags are in memory."""
        return len(self._facts)

    def in_memory(self, repository: Repository, tag: str) -> TagFact | None:
        """The same as :meth:`find`, of what is in memory."""
        return self._facts.get((repository, tag))

    async def find(self, repository: Repository, tag: str) -> TagFact | None:
        """Where a tag pointed when the upstream was last asked."""
        key = (repository, tag)
        fact = self._facts.get(key)
        if fact is not None:
            return fact
        recorded = await self._index.tag(*key)
        # A revalidation may have noted something newer meanwhile.
        fact = self._facts.get(key)
        if fact is None and recorded is not None:
            self._facts.put(key, recorded)
        return fact or recorded

    async def note(self, repository: Repository, tag: str, digest: Digest) -> TagFact:
        """The upstream said just now that a tag points to a digest."""
        fact = TagFact(digest, self._clock.seconds())
        self._facts.put((repository, tag), fact)
        try:
            await self._index.record_tag(repository, tag, digest, fact.validated_at)
        except OSError as error:
            self._log.warn("noting the tag {tag} failed: {error}", tag=tag, error=error)
        return fact

    async def drop(self, repository: Repository, tag: str) -> None:
        """The upstream said that there is no such tag; what is not known costs no write."""
        if await self.find(repository, tag) is None:
            return
        self._facts.drop((repository, tag))
        try:
            await self._index.drop_tag(repository, tag)
        except OSError as error:
            self._log.warn("dropping the tag {tag} failed: {error}", tag=tag, error=error)
