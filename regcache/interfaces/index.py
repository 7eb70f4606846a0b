"""Facts on disk."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from regcache.digests import Digest
from regcache.facts import ContentFacts, Descriptor, Link, Manifest, Subject, TagFact, Verdict
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.removals import RemovalEffect, RemovalTarget


class IIndex(Interface):
    """Facts on disk. Every call is one hop to the index's own thread, and one transaction.

    ``began`` is how many removals there were when what is recorded began. Where the content was
    removed since, nothing is recorded; None: that is no matter.
    """

    def content(content: RepositoryContent) -> "Deferred[ContentFacts]":
        """All that decides about one digest asked for through one repository."""

    def tag(repository: Repository, tag: str) -> "Deferred[TagFact | None]":
        """Where a cached tag points."""

    def record_manifest(
        repository: Repository,
        manifest: Manifest,
        descriptors: Sequence[Descriptor],
        *,
        subject: Subject | None,
        credentials: str,
        now: float,
        began: int | None = None,
    ) -> "Deferred[None]":
        """Note a verified manifest fetched through a repository: content, link, mentions.

        ``subject`` is what it refers to; ``credentials`` "" makes the content public.
        """

    def record_tag(
        repository: Repository,
        tag: str,
        digest: Digest,
        now: float,
        *,
        began: int | None = None,
    ) -> "Deferred[None]":
        """Note that the upstream said, at ``now``, that the tag points to the digest."""

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
        """Note verified content fetched through a repository, and the link that this makes."""

    def record_stored(digest: Digest, size: int, now: float) -> "Deferred[None]":
        """Note verified content that was found; links stay as they are."""

    def record_size(digest: Digest, size: int) -> "Deferred[None]":
        """Note how large verified content is that is not kept: what manifests say counts less."""

    def record_link(
        content: RepositoryContent, credentials: str, now: float, *, began: int | None = None
    ) -> "Deferred[None]":
        """Note a proof of the right to content that is already here."""

    def forget_content(digest: Digest) -> "Deferred[None]":
        """Note that the bytes are not here any more; links stay."""

    def verdict(repository: Repository) -> "Deferred[Verdict | None]":
        """The last answer to "can this repository be read without credentials?"."""

    def record_verdict(repository: Repository, public: bool, now: float) -> "Deferred[None]":
        """Note such an answer."""

    def closed_since(repository: Repository) -> "Deferred[float | None]":
        """Since when good credentials are refused for a repository; None if they are not."""

    def record_closed(repository: Repository, since: float | None) -> "Deferred[None]":
        """Note that; of a repository of which nothing is known nothing is noted."""

    def mentioning(content: RepositoryContent) -> "Deferred[list[Link]]":
        """The rights to the stored manifests of a repository that mention something.

        At most some dozens, the manifests first that were stored last; ``credentials`` "" for
        what is public.
        """

    def image_size(content: RepositoryContent, enough: int) -> "Deferred[int | None]":
        """The size of the smallest image of a repository that is known to list a blob.

        That is what its manifest says of config and layers together. None: no such image is
        known. Where one has at most ``enough`` bytes its size will do.
        """

    def known_manifests(repository: Repository) -> "Deferred[list[Digest]]":
        """A few stored manifests that a repository has, those first that were shown last."""

    def tags(repository: Repository, after: str, limit: int) -> "Deferred[list[str]]":
        """A sorted page of the cached tags of a repository, behind ``after``."""

    def repositories(upstream: UpstreamIdentity, after: str, limit: int) -> "Deferred[list[str]]":
        """A sorted page of the upstream's repositories with cached content, behind ``after``."""

    def referrers(subject: RepositoryContent) -> "Deferred[list[Descriptor]]":
        """Cached manifests of the repository whose subject is the content."""

    def touch(digest: Digest, now: float) -> None:
        """Note a use; written in batches, so it costs nothing here."""

    def close() -> "Deferred[None]":
        """Write what is pending and close the file."""


class IRemovalIndex(Interface):
    """What is known of who has what, and what nobody has any more."""

    def look(target: RemovalTarget) -> "Deferred[RemovalEffect]":
        """What a removal would come to. Nothing is changed."""

    def remove(target: RemovalTarget, generation: int) -> "Deferred[RemovalEffect]":
        """Remove it, unless it is pinned or not here: one transaction.

        ``generation`` is the number of the removal: what began before it is not recorded any
        more. What leaves the disk is marked until :meth:`have_left`.
        """

    def holds(content: RepositoryContent) -> "Deferred[bool]":
        """Whether a repository has content: by a link, a tag, or what lists it."""

    def knows(repository: Repository) -> "Deferred[bool]":
        """Whether anything is known of a repository."""

    def left_in(
        repository: Repository, after: RemovalTarget | None
    ) -> "Deferred[RemovalTarget | None]":
        """What is to be removed next of a whole repository, behind what was or could not be."""

    def clear(repository: Repository) -> "Deferred[None]":
        """Forget a repository of which nothing is here."""

    def repositories(upstream: UpstreamIdentity, after: str, limit: int) -> "Deferred[list[str]]":
        """A sorted page of the names of all repositories of an upstream, behind ``after``."""

    def leaving() -> "Deferred[list[Digest]]":
        """What was removed, and whose files may still be there; a bounded number."""

    def still_leaving(digests: Sequence[Digest]) -> "Deferred[list[Digest]]":
        """Which of them have not come again meanwhile."""

    def have_left(digests: Sequence[Digest]) -> "Deferred[None]":
        """Their files are gone."""

    def last_generation() -> "Deferred[int]":
        """The number of the last removal that anything is known of; 0 for none."""
