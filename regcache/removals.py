"""Values that describe removals from the cache, and their effects."""

from dataclasses import KW_ONLY
from enum import Enum

from regcache.digests import Digest
from regcache.identity import Repository
from regcache.light_dataclass import dataclass


class RemovedKind(Enum):
    """The kind of content that a removal names."""

    TAG = "tag"
    MANIFEST = "manifest"
    BLOB = "blob"


@dataclass(frozen=True, slots=True)
class RemovalTarget:
    """A tag, manifest or blob to remove from a repository.

    :ivar tag: for :attr:`RemovedKind.TAG`, else "".
    :ivar digest: for the other kinds, else None.
    :ivar arriving: whether it is a blob that is being fetched, or was fetched in part. It is
        removed although it is not stored yet.
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
    """Remove a tag; with its last tag a manifest is removed, too."""
    return RemovalTarget(RemovedKind.TAG, repository, tag=tag)


def manifest_of(repository: Repository, digest: Digest) -> RemovalTarget:
    """Remove a manifest with all its tags."""
    return RemovalTarget(RemovedKind.MANIFEST, repository, digest=digest)


def blob_of(repository: Repository, digest: Digest) -> RemovalTarget:
    """Remove a blob."""
    return RemovalTarget(RemovedKind.BLOB, repository, digest=digest)


@dataclass(frozen=True, slots=True)
class GoneContent:
    """Content that nothing needs any more; its size is in bytes."""

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalEffect:
    """The effect of a removal.

    :ivar found: whether the repository has the target.
    :ivar pinned: whether the target is pinned, or a pinned image needs it. Then nothing is removed.
    :ivar named: the digest that was named, directly or by a tag; None if nothing is removed.
    :ivar tags: tags of the repository that are removed.
    :ivar withdrawn: digests to which the repository loses its right.
    :ivar gone: contents that leave the disk, since nothing else needs them.
    :ivar going: digests of manifests that leave it in a further step of their own.
    :ivar unfinished: whether further steps are left; those remove no tags.
    """

    found: bool = False
    pinned: bool = False
    named: Digest | None = None
    tags: tuple[str, ...] = ()
    withdrawn: tuple[Digest, ...] = ()
    gone: tuple[GoneContent, ...] = ()
    going: tuple[Digest, ...] = ()
    unfinished: bool = False
