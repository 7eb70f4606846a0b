"""Content on disk, and the ledger of its space."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from regcache.digests import Digest
from regcache.identity import UpstreamIdentity
from regcache.intervals import Intervals


class IContentFile(Interface):
    """An open file of content. Bytes of a growing one may be read where they are present."""

    digest: Digest = Attribute("The digest that names the content.")
    size: int | None = Attribute("The whole size in bytes, or None while nobody knows it.")

    def read(offset: int, length: int) -> "Deferred[bytes]":
        """Read up to ``length`` bytes in the pool. Fails with OSError."""

    def read_now(offset: int, length: int) -> bytes | None:
        """Read what the page cache holds without blocking; None where that is not possible."""

    def cached(offset: int, length: int) -> bool:
        """Whether all these bytes are present, and in memory: sendfile will not wait for them."""

    def fileno() -> int:
        """The descriptor, for sendfile. It stays valid until :meth:`close`."""

    def close() -> None:
        """Give the file back. Idempotent; a read still under way ends first."""


class IPartialFile(IContentFile):
    """Content that is being fetched: sparse, with the set of intervals that are present.

    What is small may be in memory, until it is committed.
    """

    present: Intervals = Attribute("What has been written. Changed in the reactor thread only.")
    anonymous: bool = Attribute("Every byte so far was given without credentials.")

    content: bytes | None = Attribute("All of it, where it is in memory; else None.")
    in_memory: bool = Attribute("Nothing of it is on the disk.")
    crowded: bool = Attribute(
        "It is in memory, and so much waits for the disk that its answers wait, too."
    )

    def set_size(size: int) -> None:
        """Fix the whole size, once it is known. :raises ValueError: if it was another before."""

    def write(offset: int, chunks: Sequence[bytes]) -> "Deferred[None]":
        """Write the chunks one after another from ``offset``; hash them, then or later.

        When it fires, ``present`` has grown. Fails with OSError. One call at a time per fill;
        several fills may write at once to places that do not overlap.
        """

    def prepare() -> "Deferred[None]":
        """An answer has come, its size was set if it says it: keep ready for its bytes.

        What is too large for memory goes to the disk now. Fails with OSError.
        """

    def to_disk() -> "Deferred[None]":
        """Hold nothing in memory any more. Fails with OSError. Idempotent."""

    def save(sync: bool = True) -> "Deferred[None]":
        """Write the intervals beside the file, by atomic replace.

        ``sync``: sync the data first, so that they count after a crash of the machine too.
        """

    def allocate(start: int, end: int) -> "Deferred[None]":
        """Reserve disk for a stretch. Fails with OSError where there is none."""

    def verify() -> "Deferred[bool]":
        """Whether all of ``size`` is present and has the digest; reads what was not hashed."""

    def commit() -> "Deferred[None]":
        """Rename into blobs/. Only after :meth:`verify` gave True. The file stays readable here."""

    def clear() -> "Deferred[None]":
        """Forget all bytes, to begin anew; ``present`` is empty at once."""

    def discard() -> "Deferred[None]":
        """Remove the file and its intervals from the disk. It stays readable until closed."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a digest.

    :ivar file: complete, verified content, open; None if it is not here.
    :ivar partial: an earlier attempt left a partial file.
    :ivar checking: it is being hashed, and its last bytes wait for that: whether it is whole.
    """

    file: IContentFile | None
    partial: bool
    checking: "Deferred[bool] | None" = None


class Verified(Enum):
    """What was found out of stored content."""

    SOUND = "it is what it has to be"
    DAMAGED = "it was not, and is removed"
    MISSING = "there is no file"


class IBlobStore(Interface):
    """Content on disk, by digest."""

    def look_up(
        digest: Digest,
        size: int | None,
        described: int | None = None,
        upstream: UpstreamIdentity | None = None,
    ) -> "Deferred[Found]":
        """Open complete, verified content; where it is not here, say whether a part of it is.

        :param size: what the index says (bytes); a file of another size is damaged, is removed,
            and is not here. Content that the index does not know (None) is hashed before ...
        :param described: ... unless it has this size, which a manifest says.
        :param upstream: whose earlier answer may have left a partial file.
        """

    def open_partial(
        digest: Digest, upstream: UpstreamIdentity | None = None, fresh: bool = False
    ) -> "Deferred[IPartialFile]":
        """Open what is left of an earlier attempt at the same upstream, or begin a new file.

        What another upstream gave is not looked at: nobody has verified it, and it may be
        private. Both may be open at a time.

        ``fresh``: nothing is left, as far as is known. It begins in memory, at once, and goes
        to the disk when it is more than 64 KiB, or when it is told to.
        """

    def load(digest: Digest, limit: int, size: int | None) -> "Deferred[bytes | None]":
        """Read small content whole (a manifest) and verify it; None if absent or over ``limit``.

        :param size: as for :meth:`look_up`.
        """

    def keep(digest: Digest, content: bytes) -> "Deferred[None]":
        """Store small content that has been verified."""

    def verify(digest: Digest, size: int | None) -> "Deferred[Verified]":
        """Hash stored content; damaged content is removed, and told of.

        :param size: as for :meth:`look_up`.
        """

    def remove(digest: Digest) -> "Deferred[bool]":
        """Delete complete content; whether there was any."""

    def remove_partials(digest: Digest) -> "Deferred[int]":
        """Delete what earlier attempts left, and is not open; the bytes that this freed."""


class ISpaceClaim(Interface):
    """Space on disk that a download may use."""

    def grow(size: int) -> bool:
        """Make it the claim of ``size`` bytes in all; whether that was granted."""

    def wrote(count: int) -> None:
        """So many further bytes of the claim are on the disk now, and not free any more."""

    def release() -> None:
        """The bytes were stored and count as used now, or are not needed. Idempotent."""


class ISpace(Interface):
    """The ledger of space: within max_size and max_blob, and leaving min_free."""

    closed: str = Attribute("Why nothing at all may be stored; empty where it may.")

    def claim(size: int) -> ISpaceClaim | None:
        """A claim of ``size`` bytes, or None where it is refused: the blob is relayed then."""
