"""Manifests in memory: their bytes, the rights to be shown them, and the children of indexes.

Everything here is bounded, since clients choose what is asked for. What is not here is looked up.
"""

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.cache.forgetting import Forgotten, Kind
from regcache.cache.policy import ServedRepository
from regcache.digests import Digest
from regcache.facts import Manifest
from regcache.identity import RepositoryContent
from regcache.manifest_body import ManifestBody

#: What a client gets that takes no index: what distribution has always given.
DEFAULT_PLATFORM = "linux/amd64"
#: Indexes of which that child is remembered (entries).
MOST_CHILDREN = 10_000
#: Manifests kept in memory (bytes of content, and what each costs besides).
MEMORY = 16 * 1024 * 1024
#: What a manifest costs in memory beside its content (bytes).
OVERHEAD = 1024
#: How long a right found in the index is remembered in memory (seconds).
RIGHT_FOR = 60.0
#: Rights remembered in memory (entries).
MOST_RIGHTS = 20_000

#: What, and the fingerprint of the credentials.
RightKey = tuple[RepositoryContent, frozenset[str]]


def right_key(repository: ServedRepository, digest: Digest) -> RightKey:
    """Under which a right is remembered, with the credentials of this moment."""
    return (repository.content(digest), repository.registry.all_credentials)


class RememberedManifests:
    """The manifests that were used lately.

    :ivar contents: verified manifests.
    :ivar rights: rights to be shown one that need no look into the index for a moment.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.contents: BoundedTable[Digest, Manifest] = BoundedTable(MEMORY)
        self.rights: BoundedTable[RightKey, bool] = BoundedTable(MOST_RIGHTS, clock)
        self._children: BoundedTable[Digest, tuple[Digest | None]] = BoundedTable(MOST_CHILDREN)

    def find(self, key: RightKey) -> Manifest | None:
        """A manifest, if it and the right to it are here."""
        return self.contents.get(key[0].digest) if self.rights.get(key) else None

    def add(self, manifest: Manifest) -> None:
        """Remember the bytes of a verified manifest."""
        self.contents.put(manifest.digest, manifest, len(manifest.content) + OVERHEAD)

    def add_right(self, key: RightKey) -> None:
        """Remember a right that was found or proved, for a moment."""
        self.rights.put(key, True, seconds=RIGHT_FOR)

    def child(self, index: Digest) -> tuple[Digest | None] | None:
        """The manifest in an index for clients that take no index.

        :returns: None where it is not known, and a tuple of None where the index has none.
        """
        return self._children.get(index)

    def add_child(self, index: Digest, body: ManifestBody) -> Digest | None:
        """Remember which manifest of an index it is, and return it."""
        child = body.child_for(DEFAULT_PLATFORM)
        self._children.put(index, (child,))
        return child

    def forget(self, message: Forgotten) -> None:
        """Drop what was removed, or whose links were: all rights, which is rare."""
        if message.kind is Kind.CONTENT and isinstance(message.key, Digest):
            self.contents.drop(message.key)
            self._children.drop(message.key)
        self.rights.clear()
