"""Content on disk, and the ledger of its space."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Callable, Sequence
from enum import Enum

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from regcache.digests import Digest
from regcache.generations import Generations
from regcache.identity import Repository, UpstreamIdentity
from regcache.intervals import Intervals
from regcache.light_dataclass import dataclass


class IContentFile(Interface):
    """An open file of content. Of a growing one, the bytes that are present can be read."""

    digest: Digest = Attribute("The digest that names the content.")
    size: int | None = Attribute("The whole size in bytes, or None while it is not known.")

    def read(offset: int, length: int) -> "Deferred[bytes]":
        """Read up to ``length`` bytes in the pool. Fails with OSError."""

    def read_now(offset: int, length: int) -> bytes | None:
        """Read from the page cache, without blocking; None if that is not possible."""

    def cached(offset: int, length: int) -> bool:
        """Whether all these bytes are present and in memory, so that sendfile is quick."""

    def fileno() -> int:
        """The descriptor, for sendfile. It stays valid until :meth:`close`."""

    def close() -> None:
        """Close the file, after reads that are under way. Idempotent."""


PIECES_BEHIND = 2
"""How many pieces that were put may be in use, while the next one is made in another buffer."""


@dataclass(frozen=True, slots=True)
class Received:
    """What a thread has received and written.

    :ivar count: how many bytes.
    :ivar fault: what prevented more; None if nothing did.
    """

    count: int
    fault: BaseException | None = None


class IPartialFile(IContentFile):
    """Content that is being fetched: a sparse file, and the intervals that are present.

    Small content may be in memory until it is committed.
    """

    present: Intervals = Attribute("What has been written. Changed in the reactor thread only.")
    anonymous: bool = Attribute("Every byte so far was given without credentials.")
    repository: str = Attribute("For which repository of its upstream it is fetched.")

    content: bytes | None = Attribute("All of it, where it is in memory; else None.")
    in_memory: bool = Attribute("Nothing of it is on the disk.")
    crowded: bool = Attribute(
        "It is in memory, and so much waits for the disk that its answers wait, too."
    )

    def set_size(size: int) -> None:
        """Fix the whole size, once it is known. :raises ValueError: if it was another before."""

    def write(offset: int, chunks: Sequence[bytes]) -> "Deferred[None]":
        """Write the chunks one after another from ``offset`` on. They are hashed then, or later.

        When it fires, ``present`` has grown. Fails with OSError. One call at a time for each fill;
        several fills may write at the same time, to different intervals.
        """

    def receive(
        offset: int, end: int, source: Callable[[Callable[[memoryview], None], int], None]
    ) -> "Deferred[Received]":
        """Have a thread call ``source(put, most)``, and write what that puts from ``offset`` on.

        A piece is used until ``PIECES_BEHIND`` more were put; the last ones until this fires.

        It is hashed then, or later. When it fires, ``present`` has grown by what was written,
        before a fault of the disk, too. Nothing is done if a byte before ``end`` is present.
        """

    def prepare() -> "Deferred[None]":
        """Prepare for the bytes of an answer, whose size was set before, if it is stated.

        Content that is too large for memory moves to the disk now. Fails with OSError.
        """

    def to_disk() -> "Deferred[None]":
        """Move from memory to the disk. Fails with OSError. Idempotent."""

    def save(sync: bool = True) -> "Deferred[None]":
        """Write the intervals beside the file, by atomic replace.

        ``sync``: sync the data first, so that they also count after a crash of the machine.
        """

    def allocate(start: int, end: int) -> "Deferred[None]":
        """Reserve disk space for an interval. Fails with OSError if there is none."""

    def verify() -> "Deferred[bool]":
        """Whether all of ``size`` is present and has the digest. Reads what was not hashed yet."""

    def commit() -> "Deferred[None]":
        """Rename into blobs/. Only after :meth:`verify` gave True. The file stays readable here."""

    def clear() -> "Deferred[None]":
        """Forget all bytes, to begin again. ``present`` is empty at once."""

    def discard() -> "Deferred[None]":
        """Remove the file and its intervals from the disk. It stays readable until closed."""


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a look-up.

    :ivar file: complete, verified content, open; None if it is not here.
    :ivar partial: whether an earlier attempt left a partial file.
    :ivar checking: if the content is being hashed, so that its last bytes have to wait: fires with
        whether it is whole.
    """

    file: IContentFile | None
    partial: bool
    checking: "Deferred[bool] | None" = None


class Verified(Enum):
    """The result of verifying stored content."""

    SOUND = "it is what it has to be"
    DAMAGED = "it was not, and is removed"
    MISSING = "there is no file"


class IHeldContents(Interface):
    """Contents that are held while it is decided whether their files go.

    Meanwhile no file gets their names, and requests for them wait. Who reads an old file goes on.
    """

    def begin(digest: Digest) -> bool:
        """Hold content until :meth:`end`.

        False while it is being stored, removed or evicted, or is held: then nothing is begun.
        """

    def is_named(digest: Digest, since: int) -> bool:
        """Whether a file that was open then still has its name, and is not held now.

        :param since: what ``removals`` of the store were then. Never true where it may have lost
            its name, and seldom false where it has not.
        """

    def remove(digest: Digest) -> "Deferred[bool]":
        """Remove content that is held, and hold it on."""

    def end(digest: Digest, remove: bool) -> "Deferred[bool]":
        """Remove content, or let it stay; then requests for it go on.

        :returns: whether a file was removed.
        """


class IBlobStore(Interface):
    """Content on disk, by digest."""

    def look_up(
        digest: Digest,
        size: int | None,
        described: int | None = None,
        upstream: UpstreamIdentity | None = None,
    ) -> "Deferred[Found]":
        """Open complete, verified content, or find out whether there is a partial file.

        :param size: by the index (bytes). A file of another size is damaged, and is removed. None:
            the index does not know the content, which is then hashed first ...
        :param described: ... unless it has this size, which a manifest states (bytes).
        :param upstream: the one whose partial file is looked for.
        """

    def open_partial(
        digest: Digest, upstream: UpstreamIdentity | None = None, fresh: bool = False
    ) -> "Deferred[IPartialFile]":
        """Open the partial file of an earlier attempt at the same upstream, or begin a new one.

        Files of other upstreams are not used: they are not verified, and may be private. Both may
        be open at a time.

        ``fresh``: no file from before is known. It begins in memory, at once, and moves to the disk
        when it is more than 64 KiB, or when it is told to.
        """

    def load(digest: Digest, limit: int, size: int | None) -> "Deferred[bytes | None]":
        """Read the whole of small content and verify it; None if absent or over ``limit``.

        :param size: as for :meth:`look_up`.
        """

    def keep(digest: Digest, content: bytes) -> "Deferred[None]":
        """Store small content that has been verified."""

    held: IHeldContents = Attribute("Contents that are held, to remove them or not.")
    removals: Generations[Digest] = Attribute("What was removed, or is about to be.")

    def verify(digest: Digest, size: int | None) -> "Deferred[Verified]":
        """Hash stored content. Damaged content is removed and reported.

        :param size: as for :meth:`look_up`.
        """

    def remove(digest: Digest) -> "Deferred[bool]":
        """Delete complete content. Gives whether there was any."""

    def occupied(digests: Sequence[Digest]) -> "Deferred[int]":
        """How much of the disk the files of some contents take (bytes of whole blocks)."""

    def begin_eviction(digest: Digest) -> bool:
        """Hold content until ``held.end``, so that requests for it wait.

        False if the content is open, or is being stored or removed: then nothing is begun.
        """

    def parked_for(digest: Digest) -> "Deferred[set[Repository]]":
        """For which repositories partial files of a digest were fetched that are not open."""

    def remove_partials(digest: Digest) -> "Deferred[int]":
        """Delete partial files that are not open. Gives how many bytes that freed."""


class NoRoomError(Exception):
    """Not enough could be evicted for what was claimed."""


class ISpaceClaim(Interface):
    """Space on disk that a download may use."""

    def room() -> "Deferred[None]":
        """Fires when there is room for it, once others made way. Fails with NoRoomError."""

    def grow(size: int) -> bool:
        """Change it to a claim of ``size`` bytes in all. Returns whether that was granted."""

    def holds(count: int) -> None:
        """Note that so many bytes of the claim are on the disk from before."""

    def wrote(count: int) -> None:
        """Note that so many further bytes of the claim are on the disk now."""

    def release() -> None:
        """End the claim: its bytes are stored and counted, or not needed. Idempotent."""


class ISpace(Interface):
    """The ledger of disk space, within max_size, max_blob and min_free."""

    closed: str = Attribute("Why nothing at all may be stored; empty where it may.")

    def max_blob() -> int:
        """The limit of a single blob, in bytes."""

    def claim(size: int) -> ISpaceClaim | None:
        """A claim of ``size`` bytes, or None if it is refused; then the blob has to be relayed."""

    def why_not(size: int) -> str:
        """Why a claim of ``size`` bytes was refused, with the key and the numbers."""
