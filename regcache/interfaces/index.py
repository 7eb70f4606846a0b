"""Facts on disk."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from regcache.digests import Digest
from regcache.facts import ContentFacts, Descriptor, Link, Manifest, Subject, TagFact, Verdict
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.removals import RemovalEffect, RemovalTarget


class IndexClosedError(OSError):
    """The index is closed, or not open yet: nothing that it knows can be asked for."""


class IndexInUseError(OSError):
    """Another program has locked the index: it can be changed when that ends."""


class IIndex(Interface):
    """Facts on disk. Every call is one job of the index's own thread, and one transaction.

    ``began`` is how many removals there were when the work began whose result is recorded. If the
    content was removed since then, nothing is recorded. None: record it in any case.
    """

    def content(content: RepositoryContent) -> "Deferred[ContentFacts]":
        """All facts on which a request for a digest in a repository depends."""

    def tag(repository: Repository, tag: str) -> "Deferred[TagFact | None]":
        """What a cached tag names."""

    def record_manifest(
        repository: Repository,
        manifest: Manifest,
        descriptors: Sequence[Descriptor],
        *,
        subject: Subject | None,
        credentials: str,
        now: float,
        began: int | None = None,
        asked_by: str = "",
    ) -> "Deferred[None]":
        """Record a verified manifest fetched through a repository: content, link, mentions.

        ``subject`` is what it refers to; ``credentials`` "" makes the content public; ``asked_by``
        is the account or address for which it was fetched.
        """

    def record_tag(
        repository: Repository,
        tag: str,
        digest: Digest,
        now: float,
        *,
        began: int | None = None,
    ) -> "Deferred[None]":
        """Record that the upstream said, at ``now``, that the tag names the digest."""

    def drop_tag(repository: Repository, tag: str) -> "Deferred[None]":
        """Forget a tag."""

    def record_blob(
        content: RepositoryContent,
        size: int,
        *,
        credentials: str,
        public: bool,
        now: float,
        began: int | None = None,
    ) -> "Deferred[None]":
        """Record verified content fetched through a repository, and the link."""

    def record_stored(digest: Digest, size: int, now: float) -> "Deferred[None]":
        """Record verified content that was found on the disk. Links stay as they are."""

    def record_size(digest: Digest, size: int) -> "Deferred[None]":
        """Record the size of verified content that is not kept. It replaces those in manifests."""

    def record_link(
        content: RepositoryContent, credentials: str, now: float, *, began: int | None = None
    ) -> "Deferred[None]":
        """Record a proof of the right to content that is already here."""

    def forget_content(digest: Digest) -> "Deferred[None]":
        """Record that the bytes are not here any more. Links stay."""

    def verdict(repository: Repository) -> "Deferred[Verdict | None]":
        """The last answer to "can this repository be read without credentials?"."""

    def record_verdict(repository: Repository, public: bool, now: float) -> "Deferred[None]":
        """Record such an answer."""

    def closed_since(repository: Repository) -> "Deferred[float | None]":
        """Since when good credentials are refused for a repository; None if they are not."""

    def record_closed(repository: Repository, since: float | None) -> "Deferred[None]":
        """Record that, if anything is known of the repository."""

    def mentioning(content: RepositoryContent) -> "Deferred[list[Link]]":
        """The rights to those stored manifests of a repository that mention a digest.

        At most some dozens, the latest manifests first; ``credentials`` is "" for public ones.
        """

    def image_size(content: RepositoryContent, enough: int) -> "Deferred[int | None]":
        """The size of the smallest image of a repository that is known to list a blob.

        That is what its manifest says of config and layers together. None: no such image is
        known. Where one has at most ``enough`` bytes its size will do.
        """

    def known_manifests(repository: Repository) -> "Deferred[list[Digest]]":
        """A few stored manifests of a repository, the latest first."""

    def tags(repository: Repository, after: str, limit: int) -> "Deferred[list[str]]":
        """A sorted page of the cached tags of a repository, after ``after``."""

    def repositories(upstream: UpstreamIdentity, after: str, limit: int) -> "Deferred[list[str]]":
        """A sorted page of the upstream's repositories with cached content, after ``after``."""

    def referrers(subject: RepositoryContent) -> "Deferred[list[Descriptor]]":
        """Cached manifests of the repository whose subject is the content."""

    def touch(digest: Digest, now: float) -> None:
        """Record a use. They are written in batches, so this is cheap."""

    def close() -> "Deferred[None]":
        """Write what is pending and close the file."""


class IRemovalIndex(Interface):
    """The facts that removals need: which repository has what."""

    def look(target: RemovalTarget) -> "Deferred[RemovalEffect]":
        """What a removal would do at first. Nothing is changed."""

    def remove(target: RemovalTarget, generation: int) -> "Deferred[RemovalEffect]":
        """Remove it, unless it is pinned or not here: one transaction.

        ``generation`` is the number of the removal: results of earlier work are not recorded any
        more. Contents to be removed from the disk are marked until :meth:`have_left`. Of what goes
        along, as much goes as the index can do at once.
        """

    def look_further() -> "Deferred[RemovalEffect]":
        """What the next step of a removal that was begun would do, if anything is left of one."""

    def remove_further(generation: int) -> "Deferred[RemovalEffect]":
        """Do it: one more transaction. What is left is in the file, also after a restart."""

    def holds(content: RepositoryContent) -> "Deferred[bool]":
        """Whether a repository has content: by a link, a tag, or what lists it."""

    def knows(repository: Repository) -> "Deferred[bool]":
        """Whether anything is known of a repository."""

    def left_in(
        repository: Repository, after: RemovalTarget | None
    ) -> "Deferred[RemovalTarget | None]":
        """What to remove next of a whole repository, after what was or could not be removed."""

    def clear(repository: Repository) -> "Deferred[None]":
        """Forget a repository of which nothing is cached."""

    def repositories(upstream: UpstreamIdentity, after: str, limit: int) -> "Deferred[list[str]]":
        """A sorted page of the names of all repositories of an upstream, behind ``after``."""

    def leaving() -> "Deferred[list[Digest]]":
        """Removed contents whose files may still be there: those of one step, and of evictions."""

    def still_leaving(digests: Sequence[Digest]) -> "Deferred[list[Digest]]":
        """Which of them were not stored again meanwhile."""

    def have_left(digests: Sequence[Digest]) -> "Deferred[None]":
        """Note that their files are gone."""

    def last_generation() -> "Deferred[int]":
        """The number of the last removal in the index; 0 for none."""
