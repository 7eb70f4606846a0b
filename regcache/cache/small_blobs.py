"""Small blobs in memory: the contents that were used lately, and the rights to be shown them."""

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.cache.forgetting import Forgotten, Kind
from regcache.cache.policy import RightKey, ServedRepository
from regcache.digests import Digest

#: Small blobs kept in memory (bytes of content, and what each costs besides).
MEMORY = 16 * 1024 * 1024
#: What a blob costs in memory beside its content (bytes).
OVERHEAD = 512
#: How long a right that was found in the index, or proved, is remembered in memory (seconds).
RIGHT_FOR = 60.0
#: Rights remembered (entries).
MOST_RIGHTS = 20_000


class SmallBlobs:
    """Verified contents of small blobs. Ask only for repositories that may be shown."""

    def __init__(self, clock: IReactorTime) -> None:
        self._contents: BoundedTable[Digest, bytes] = BoundedTable(MEMORY)
        self._rights: BoundedTable[RightKey, bool] = BoundedTable(MOST_RIGHTS, clock)

    @property
    def weight(self) -> int:
        """How many bytes the contents take."""
        return self._contents.weight

    def find(self, repository: ServedRepository, digest: Digest) -> bytes | None:
        """The content, if both it and the right of the repository to it are remembered."""
        content = self._contents.get(digest)
        if content is None:
            return None
        return content if self._rights.get(repository.right(digest)) else None

    def get(self, digest: Digest) -> bytes | None:
        """The content, if it is remembered. Only for repositories that have the right to it."""
        return self._contents.get(digest)

    def remember(self, repository: ServedRepository, digest: Digest, content: bytes) -> None:
        """Remember verified content, and the right of the repository to it."""
        self._contents.put(digest, content, len(content) + OVERHEAD)
        self._rights.put(repository.right(digest), True, seconds=RIGHT_FOR)

    def forget(self, message: Forgotten) -> None:
        """Drop removed or lost content. With a removal all rights are dropped, which is rare."""
        if message.kind is Kind.CONTENT and isinstance(message.key, Digest):
            self._contents.drop(message.key)
        if message.generation or message.kind is not Kind.CONTENT:
            self._rights.clear()
