"""What is to be removed from the cache, and what such a removal comes to: plain values."""

from dataclasses import KW_ONLY
from enum import Enum

from regcache.digests import Digest
from regcache.identity import Repository
from regcache.light_dataclass import dataclass


class RemovedKind(Enum):
    """What a removal names."""

    TAG = "tag"
    MANIFEST = "manifest"
    BLOB = "blob"


@dataclass(frozen=True, slots=True)
class RemovalTarget:
    """One thing that a repository is to have no more.

    :ivar tag: of :attr:`RemovedKind.TAG`, else "".
    :ivar digest: of the other kinds, else None.
    :ivar arriving: of a blob: it is being fetched now, or was in part, and so is to be removed
        although its bytes are not here yet.
    """

    kind: RemovedKind
    repository: Repository
    _: KW_ONLY
    tag: str = ""
    digest: Digest | None = None
    arriving: bool = False

    def __str__(self) -> str:
        reference = f":{self.tag}" if self.digest is None else f"@{self.digest}"
        return f"{self.repository}{reference}"


def tag_of(repository: Repository, tag: str) -> RemovalTarget:
    """A tag, and with the last one of it the manifest."""
    return RemovalTarget(RemovedKind.TAG, repository, tag=tag)


def manifest_of(repository: Repository, digest: Digest) -> RemovalTarget:
    """A manifest with all its tags."""
    return RemovalTarget(RemovedKind.MANIFEST, repository, digest=digest)


def blob_of(repository: Repository, digest: Digest) -> RemovalTarget:
    """A blob."""
    return RemovalTarget(RemovedKind.BLOB, repository, digest=digest)


@dataclass(frozen=True, slots=True)
class GoneContent:
    """Content whose bytes nothing needs any more; the size in bytes."""

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class RemovalEffect:
    """What a removal comes to.

    :ivar found: whether the repository has what was named.
    :ivar pinned: it is pinned, or something pinned needs it: then nothing is removed.
    :ivar named: what was named, where something goes: for a tag what it names.
    :ivar tags: of the repository, that go.
    :ivar withdrawn: what the repository has no right to any more.
    :ivar gone: what of it, and of nothing else, leaves the disk.
    """

    found: bool = False
    pinned: bool = False
    named: Digest | None = None
    tags: tuple[str, ...] = ()
    withdrawn: tuple[Digest, ...] = ()
    gone: tuple[GoneContent, ...] = ()
