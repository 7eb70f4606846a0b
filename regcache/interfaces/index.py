"""Facts on disk."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from regcache.digests import Digest
from regcache.facts import ContentFacts, Descriptor, Manifest, TagFact, Verdict


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

    def closed_since(upstream: str, repository: str) -> "Deferred[float | None]":
        """Since when good credentials are refused for a repository; None if they are not."""

    def record_closed(upstream: str, repository: str, since: float | None) -> "Deferred[None]":
        """Note that; of a repository of which nothing is known nothing is noted."""

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
