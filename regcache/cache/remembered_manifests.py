"""Manifests in memory: their bytes, the rights to be shown them, and the children of indexes.

All of it is bounded, since clients choose the keys. What is not here is looked up in the index
and on the disk.
"""

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.cache.forgetting import Forgotten, Kind
from regcache.cache.policy import RightKey
from regcache.digests import Digest
from regcache.facts import Manifest
from regcache.manifest_body import ManifestBody

#: The platform whose manifest clients get that accept no index, as docker-registry does it.
DEFAULT_PLATFORM = "linux/amd64"
#: How many indexes' children for that platform are remembered (entries).
MOST_CHILDREN = 10_000
#: Manifests kept in memory (bytes of content, and what each costs besides).
MEMORY = 16 * 1024 * 1024
#: What a manifest costs in memory beside its content (bytes).
OVERHEAD = 1024
#: How long a right found in the index is remembered in memory (seconds).
RIGHT_FOR = 60.0
#: Rights remembered in memory (entries).
MOST_RIGHTS = 20_000


class RememberedManifests:
    """The manifests that were used lately.

    :ivar contents: verified manifests.
    :ivar rights: rights that were found in the index, or proved, a moment ago.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.contents: BoundedTable[Digest, Manifest] = BoundedTable(MEMORY)
        self.rights: BoundedTable[RightKey, bool] = BoundedTable(MOST_RIGHTS, clock)
        self._children: BoundedTable[Digest, tuple[Digest | None]] = BoundedTable(MOST_CHILDREN)

    def find(self, key: RightKey) -> Manifest | None:
        """A manifest, if both it and the right to it are remembered."""
        return self.contents.get(key[0].digest) if self.rights.get(key) else None

    def add(self, manifest: Manifest) -> None:
        """Remember the bytes of a verified manifest."""
        self.contents.put(manifest.digest, manifest, len(manifest.content) + OVERHEAD)

    def add_right(self, key: RightKey) -> None:
        """Remember a right that was found or proved, for a moment."""
        self.rights.put(key, True, seconds=RIGHT_FOR)

    def child(self, index: Digest) -> tuple[Digest | None] | None:
        """The manifest in an index for clients that accept no index.

        :returns: None if it is not remembered; (None,) if the index has no such manifest.
        """
        return self._children.get(index)

    def add_child(self, index: Digest, body: ManifestBody) -> Digest | None:
        """Find that manifest in the body of an index, remember it, and return it."""
        child = body.child_for(DEFAULT_PLATFORM)
        self._children.put(index, (child,))
        return child

    def forget(self, message: Forgotten) -> None:
        """Drop removed or lost content. With a removal all rights are dropped, which is rare."""
        if message.kind is Kind.CONTENT and isinstance(message.key, Digest):
            self.contents.drop(message.key)
            self._children.drop(message.key)
        if message.generation or message.kind is not Kind.CONTENT:
            self.rights.clear()
