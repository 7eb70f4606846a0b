"""What the layers expect of each other; every fake in tests implements one of these.

Methods that return a Deferred never block; the others never do I/O. Times are Unix seconds,
sizes and offsets are bytes. Deferreds of upstream calls fail with an
:class:`~regcache.errors.UpstreamFailure` and nothing else but ``CancelledError``.
"""

# ruff: noqa: N805 - methods of a zope interface have no self
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from regcache.digests import Digest
from regcache.errors import UpstreamFailure
from regcache.facts import (
    ContentFacts,
    ContentHead,
    Descriptor,
    Manifest,
    ManifestAnswer,
    TagFact,
    Verdict,
)
from regcache.intervals import Intervals


class IWorkPool(Interface):
    """Threads for work that may block: disk, hashing, SQLite, bcrypt."""

    def run(function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Call ``function(*args)`` in a thread; fires in the reactor thread."""


class IContentFile(Interface):
    """An open file of content. Bytes of a growing one may be read where they are present."""

    digest: Digest = Attribute("The digest that names the content.")
    size: int | None = Attribute("The whole size in bytes, or None while nobody knows it.")

    def read(offset: int, length: int) -> "Deferred[bytes]":
        """Read up to ``length`` bytes in the pool. Fails with OSError."""

    def read_now(offset: int, length: int) -> bytes | None:
        """Read what the page cache holds without blocking; None where that is not possible."""

    def fileno() -> int:
        """The descriptor, for sendfile. It stays valid until :meth:`close`."""

    def close() -> None:
        """Give the file back. Idempotent; a read still under way ends first."""


class IPartialFile(IContentFile):
    """Content that is being fetched: sparse, with the set of intervals that are present."""

    present: Intervals = Attribute("What has been written. Changed in the reactor thread only.")
    anonymous: bool = Attribute("Every byte so far was given without credentials.")

    def set_size(size: int) -> None:
        """Fix the whole size, once it is known. :raises ValueError: if it was another before."""

    def write(offset: int, chunks: Sequence[bytes]) -> "Deferred[None]":
        """Write the chunks one after another from ``offset``; hash them where contiguous.

        When it fires, ``present`` has grown. Fails with OSError. One call at a time per fill;
        several fills may write at once to places that do not overlap.
        """

    def save() -> "Deferred[None]":
        """Write the intervals beside the file, by atomic replace, after syncing the data."""

    def verify() -> "Deferred[bool]":
        """Whether all of ``size`` is present and has the digest; reads what was not hashed."""

    def commit() -> "Deferred[None]":
        """Rename into blobs/. Only after :meth:`verify` gave True. The file stays readable here."""

    def clear() -> "Deferred[None]":
        """Forget all bytes, to begin anew; ``present`` is empty at once."""

    def discard() -> "Deferred[None]":
        """Remove the file and its intervals from the disk. It stays readable until closed."""


class IBlobStore(Interface):
    """Content on disk, by digest."""

    def find(digest: Digest) -> "Deferred[IContentFile | None]":
        """Open complete, verified content; None if it is not here."""

    def open_partial(digest: Digest) -> "Deferred[IPartialFile]":
        """Open what is left of an earlier attempt, or begin a new file."""

    def load(digest: Digest, limit: int) -> "Deferred[bytes | None]":
        """Read small content whole (a manifest) and verify it; None if absent or over ``limit``."""

    def keep(digest: Digest, content: bytes) -> "Deferred[None]":
        """Store small content that has been verified."""

    def remove(digest: Digest) -> "Deferred[bool]":
        """Delete complete content; whether there was any."""


class IIndex(Interface):
    """Facts on disk. Every call is one hop to the index's own thread, and one transaction."""

    def content(upstream: str, repository: str, digest: Digest) -> "Deferred[ContentFacts]":
        """All that decides about one digest asked for through one repository."""

    def tag(upstream: str, repository: str, tag: str) -> "Deferred[TagFact | None]":
        """Where a cached tag points."""

    def record_manifest(
        upstream: str,
        repository: str,
        manifest: Manifest,
        descriptors: Sequence[Descriptor],
        credentials: str,
        now: float,
    ) -> "Deferred[None]":
        """Note a verified manifest fetched through a repository: content, link, mentions.

        ``credentials`` "" makes the content public.
        """

    def record_tag(
        upstream: str, repository: str, tag: str, digest: Digest, now: float
    ) -> "Deferred[None]":
        """Note that the upstream said, at ``now``, that the tag points to the digest."""

    def drop_tag(upstream: str, repository: str, tag: str) -> "Deferred[None]":
        """Forget a tag."""

    def record_blob(
        upstream: str,
        repository: str,
        digest: Digest,
        size: int,
        credentials: str,
        public: bool,
        now: float,
    ) -> "Deferred[None]":
        """Note verified content fetched through a repository, and the link that this makes."""

    def record_link(
        upstream: str, repository: str, digest: Digest, credentials: str, now: float
    ) -> "Deferred[None]":
        """Note a proof of the right to content that is already here."""

    def forget_content(digest: Digest) -> "Deferred[None]":
        """Note that the bytes are not here any more; links stay."""

    def verdict(upstream: str, repository: str) -> "Deferred[Verdict | None]":
        """The last answer to "can this repository be read without credentials?"."""

    def record_verdict(
        upstream: str, repository: str, public: bool, now: float
    ) -> "Deferred[None]":
        """Note such an answer."""

    def tags(upstream: str, repository: str) -> "Deferred[list[str]]":
        """The cached tags of a repository, sorted."""

    def repositories(
        upstream: str | None, after: tuple[str, str], limit: int
    ) -> "Deferred[list[tuple[str, str]]]":
        """A sorted page of (upstream, repository) with cached content, behind ``after``."""

    def referrers(upstream: str, repository: str, subject: Digest) -> "Deferred[list[Descriptor]]":
        """Cached manifests of the repository whose subject is the digest."""

    def touch(digest: Digest, now: float) -> None:
        """Note a use; written in batches, so it costs nothing here."""

    def close() -> "Deferred[None]":
        """Write what is pending and close the file."""


class IBodyConsumer(Interface):
    """Who gets the bytes of an upstream body, in the reactor thread."""

    def body_chunk(data: bytes) -> None:
        """Some bytes arrived. Call ``pause`` on the body to have no more for now."""

    def body_ended() -> None:
        """The upstream ended the body cleanly and with the length that it had announced."""

    def body_failed(failure: UpstreamFailure) -> None:
        """The body broke off, stalled or was malformed. Nothing follows."""


class IBlobBody(Interface):
    """The answer to a blob GET whose headers have arrived and whose body waits."""

    start: int = Attribute("Offset of the first byte that will come: 0 if Range was ignored.")
    end: int | None = Attribute("Offset behind the last byte that will come, or None: unknown.")
    size: int | None = Attribute("Size of the whole blob as the upstream states it, or None.")
    etag: str = Attribute("The ETag header, or an empty string.")
    credentials: str = Attribute("Fingerprint of the credentials used; '' for anonymous.")
    url_index: int = Attribute("Which of the upstream's URLs answered.")

    def deliver(consumer: IBodyConsumer) -> None:
        """Begin to deliver. Called once, soon: an undelivered body holds a connection."""

    def pause() -> None:
        """Stop reading from the upstream; the stall time-out rests meanwhile. Idempotent."""

    def resume() -> None:
        """Read on. Idempotent."""

    def abort() -> None:
        """Close the connection; the consumer hears nothing more. Idempotent."""


class IRegistry(Interface):
    """One upstream registry."""

    name: str = Attribute("The configured name, e.g. docker.io.")
    credentials: str = Attribute("Fingerprint of the configured credentials; '' for none.")
    url_count: int = Attribute("How many URLs the upstream has.")

    def head_manifest(
        repository: str, reference: str, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a manifest, which public registries do not count.

        ``anonymous``: without the configured credentials.
        """

    def get_manifest(repository: str, reference: str) -> "Deferred[ManifestAnswer]":
        """GET of a manifest, with all media types accepted, at most 4 MiB."""

    def head_blob(
        repository: str, digest: Digest, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a blob."""

    def get_blob(
        repository: str,
        digest: Digest,
        start: int = 0,
        end: int | None = None,
        skip: frozenset[int] = frozenset(),
    ) -> "Deferred[IBlobBody]":
        """GET of a blob, with a Range unless it is asked for from 0 to None.

        Waits for one of the upstream's ``max_downloads`` places. ``skip``: indexes of URLs
        not to be asked. A 416 fails with UpstreamBadAnswer.
        """

    def list_tags(repository: str) -> "Deferred[list[str]]":
        """All tags, following relative Links, bounded in pages, bytes and number."""

    def get_referrers(repository: str, digest: Digest) -> "Deferred[ManifestAnswer]":
        """The referrers index of a digest; UpstreamNotFound where there is no such API."""


class IUpstreamMeter(Interface):
    """Who counts what happens between an upstream and us."""

    def upstream_requested(upstream: str) -> None:
        """One request was sent."""

    def upstream_sent(upstream: str, count: int) -> None:
        """Some body bytes arrived."""

    def upstream_state(upstream: str, up: bool) -> None:
        """The upstream answered, or its breaker opened."""

    def credentials_state(upstream: str, accepted: bool) -> None:
        """The realm accepted or refused our own credentials."""

    def ratelimit_remaining(upstream: str, remaining: int) -> None:
        """The upstream said how many requests are left."""


class IReaderSink(Interface):
    """Who sends a reader's bytes to a client, in the reactor thread."""

    def write(data: bytes) -> None:
        """Send on. Pauses the reader through its producer methods when it has enough."""

    def range_ended() -> None:
        """All bytes of the range were written; another range may begin."""

    def broken(reason: str) -> None:
        """No more will come: abort the connection. Called at most once."""


class IReader(Interface):
    """One client response fed from a file, finished or growing; an IPushProducer too."""

    size: int | None = Attribute("Bytes of the whole content, or None while nobody knows.")

    def ready() -> "Deferred[None]":
        """Fires when the head of the answer may go out; fails with what prevents it."""

    def begin(start: int, end: int | None, sink: IReaderSink) -> None:
        """Send ``[start, end)`` to the sink; an end of None is the end of the content."""

    def leave() -> None:
        """The client is gone, or served. Idempotent."""

    def drained_in(seconds: float) -> None:
        """How long the client took for the last piece: what it may hold depends on it."""

    def pauseProducing() -> None:
        """The client takes nothing for now."""

    def resumeProducing() -> None:
        """The client takes more."""

    def stopProducing() -> None:
        """The client is gone."""


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

    def claim(size: int) -> ISpaceClaim | None:
        """A claim of ``size`` bytes, or None where it is refused: the blob is relayed then."""


class ICacheEvents(Interface):
    """Who counts what befalls the cache."""

    def digest_mismatch(upstream: str) -> None:
        """Content from the upstream failed its digest."""

    def storage_error() -> None:
        """A write was refused by the disk."""
