"""What is known of images, for those who look at the cache."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from regcache.digests import Digest
from regcache.facts import Descriptor
from regcache.identity import Repository, RepositoryContent
from regcache.images import (
    AskedContent,
    ImageFacts,
    ImagePage,
    ImagePart,
    ImageQuery,
    PlatformContents,
    RepositoryPage,
    RepositoryQuery,
    RepositorySummary,
    TagPast,
    Undescribed,
)


class ICatalogueIndex(Interface):
    """Readings of the index for operators. Pulls do not wait for them.

    They fail with an OSError if the index cannot be read, or too many wait for it.
    """

    def repositories(query: RepositoryQuery) -> "Deferred[RepositoryPage]":
        """A page of repositories of which something is cached."""

    def repository(repository: Repository) -> "Deferred[RepositorySummary | None]":
        """One of them; None where nothing of it is cached."""

    def images(repository: Repository, query: ImageQuery) -> "Deferred[ImagePage | None]":
        """A page of the images of a repository; None where nothing of it is cached."""

    def image(repository: Repository, reference: str | Digest) -> "Deferred[ImageFacts | None]":
        """An image by a tag or digest; None where it is not cached."""

    def platform(content: RepositoryContent) -> "Deferred[PlatformContents | None]":
        """What the manifest of a platform lists; None where it is not cached."""

    def history(repository: Repository, tag: str) -> "Deferred[list[TagPast]]":
        """What a tag has named, the latest first."""

    def parts(asked: Sequence[AskedContent | None]) -> "Deferred[list[ImagePart | None]]":
        """The images that contents belong to, in the same order; None where it is not known."""

    def undescribed(repository: Repository, limit: int) -> "Deferred[list[Undescribed]]":
        """Stored manifests of which more can be known than is."""

    def describe_index(digest: Digest, descriptors: Sequence[Descriptor]) -> "Deferred[None]":
        """Record what an index says of its manifests."""

    def complete_list(digest: Digest, descriptors: Sequence[Descriptor]) -> "Deferred[None]":
        """Record all that a stored manifest lists, where only a part of it is known."""

    def describe_image(digest: Digest, platform: str) -> "Deferred[None]":
        """Record the platform of an image; "" where its configuration says none."""
