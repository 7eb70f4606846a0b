"""Small blobs that were used lately, in memory, and who may be shown them."""

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.cache.forgetting import Forgotten, Kind
from regcache.cache.policy import ServedRepository
from regcache.digests import Digest
from regcache.identity import RepositoryContent

#: Small blobs kept in memory (bytes of content, and what each costs besides).
MEMORY = 16 * 1024 * 1024
#: What a blob costs in memory beside its content (bytes).
OVERHEAD = 512
#: How long a right that was found or proved needs no look into the index (seconds).
RIGHT_FOR = 60.0
#: Rights remembered (entries).
MOST_RIGHTS = 20_000

#: What, and the fingerprint of the credentials.
RightKey = tuple[RepositoryContent, frozenset[str]]


class SmallBlobs:
    """Verified content of small blobs. Never consulted before the repository was admitted."""

    def __init__(self, clock: IReactorTime) -> None:
        self._contents: BoundedTable[Digest, bytes] = BoundedTable(MEMORY)
        self._rights: BoundedTable[RightKey, bool] = BoundedTable(MOST_RIGHTS, clock)

    @property
    def weight(self) -> int:
        """Bytes that the contents cost."""
        return self._contents.weight

    def find(self, repository: ServedRepository, digest: Digest) -> bytes | None:
        """The content, if it is here and the repository had the right to it a moment ago."""
        content = self._contents.get(digest)
        if content is None:
            return None
        return content if self._rights.get(_right(repository, digest)) else None

    def get(self, digest: Digest) -> bytes | None:
        """The content, for somebody whose right is known."""
        return self._contents.get(digest)

    def remember(self, repository: ServedRepository, digest: Digest, content: bytes) -> None:
        """Keep verified content, and that the repository has the right to it now."""
        self._contents.put(digest, content, len(content) + OVERHEAD)
        self._rights.put(_right(repository, digest), True, seconds=RIGHT_FOR)

    def forget(self, message: Forgotten) -> None:
        """Drop what was removed, or whose links were: all rights, which is rare."""
        if message.kind is Kind.CONTENT and isinstance(message.key, Digest):
            self._contents.drop(message.key)
        self._rights.clear()


def _right(repository: ServedRepository, digest: Digest) -> RightKey:
    return (repository.content(digest), repository.registry.all_credentials)
