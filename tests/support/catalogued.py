"""Images in a real index, for tests of what is shown of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from regcache.digests import Digest
from regcache.facts import Descriptor, Manifest, Subject
from regcache.images import (
    CONFIG_TYPES,
    ImageFacts,
    ImagePage,
    ImageQuery,
    RepositoryPage,
    RepositoryQuery,
    RepositorySummary,
)
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from regcache.store import summary_maker
from tests.support.index_cases import HUB, QUAY, SqliteIndexCase, repository_of

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ATTESTS = (("vnd.docker.reference.type", "attestation-manifest"),)


@dataclass(frozen=True, slots=True)
class MadeImage:
    """A manifest, and what it lists."""

    manifest: Manifest
    descriptors: tuple[Descriptor, ...]

    @property
    def digest(self) -> Digest:
        """Of the manifest."""
        return self.manifest.digest

    @property
    def size(self) -> int:
        """Bytes of manifest and all that it lists."""
        return len(self.manifest.content) + sum(each.size for each in self.descriptors)


def blob_named(name: str) -> Digest:
    """The digest of a blob that is not made."""
    return Digest.of(name.encode())


def image_of(name: str, layers: Iterable[tuple[str, int]]) -> MadeImage:
    """An image with a configuration of 100 bytes.

    :param layers: names and sizes.
    """
    config = Descriptor(blob_named(f"config of {name}"), 100, CONFIG_TYPES[0])
    listed = tuple(Descriptor(blob_named(layer), size, LAYER) for layer, size in layers)
    content = f"manifest {name}".encode()
    return MadeImage(Manifest(Digest.of(content), OCI_MANIFEST, content), (config, *listed))


def index_of(name: str, members: Sequence[tuple[str, MadeImage]]) -> MadeImage:
    """An index. A platform "attestation" makes a member one of those."""
    listed = tuple(
        Descriptor(
            image.digest,
            len(image.manifest.content),
            OCI_MANIFEST,
            platform="unknown/unknown" if platform == "attestation" else platform,
            annotations=ATTESTS if platform == "attestation" else (),
        )
        for platform, image in members
    )
    content = f"index {name}".encode()
    return MadeImage(Manifest(Digest.of(content), OCI_INDEX, content), listed)


class CatalogueCase(SqliteIndexCase):
    """Fills an index with images, and asks what is shown of them."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(summary_maker, "PAUSE", 0.0)
        self.patch(summary_maker, "LONG", float("inf"))  # however busy the machine is
        self.clock.advance(1_000_000.0)

    def put(
        self,
        repository: str,
        image: MadeImage,
        *,
        tag: str = "",
        blobs: Iterable[int] | None = None,
        subject: Subject | None = None,
        private: bool = False,
    ) -> MadeImage:
        """Have an image fetched.

        :param blobs: which of what it lists is fetched, too; None for all.
        """
        now = self.clock.seconds()
        credentials = "user.secret" if private else ""
        self.manifest(
            image.manifest,
            *image.descriptors,
            repository=repository,
            subject=subject,
            credentials=credentials,
            now=now,
        )
        if image.manifest.media_type == OCI_MANIFEST:
            for place, each in enumerate(image.descriptors):
                if blobs is None or place in blobs:
                    self.blob(
                        repository,
                        each.digest,
                        size=each.size,
                        credentials=credentials,
                        public=not private,
                        now=now,
                    )
        if tag:
            self.tag(repository, tag, image.digest)
        return image

    def tag(self, repository: str, tag: str, digest: Digest) -> None:
        """Have a tag name something."""
        now = self.clock.seconds()
        done = self.index.record_tag(repository_of(repository), tag, digest, now)
        self.successResultOf(done)

    def page(self, **query: Any) -> RepositoryPage:
        """A page of repositories."""
        asked = RepositoryQuery(upstreams=[HUB, QUAY], **query)
        found: RepositoryPage = self.successResultOf(self.index.catalogue.repositories(asked))
        return found

    def repositories(self, **query: Any) -> list[str]:
        """The names in a page."""
        return [each.name for each in self.page(**query).items]

    def summary(self, repository: str) -> RepositorySummary:
        """One repository in the list; it says the same if it is asked for alone."""
        (listed,) = [each for each in self.page(limit=200).items if each.name == repository]
        alone = self.successResultOf(self.index.catalogue.repository(repository_of(repository)))
        self.assertEqual(listed, alone)
        return listed

    def image(self, repository: str, reference: str | Digest) -> ImageFacts | None:
        """An image."""
        asked = self.index.catalogue.image(repository_of(repository), reference)
        found: ImageFacts | None = self.successResultOf(asked)
        return found

    def shown(self, repository: str, reference: str | Digest) -> ImageFacts:
        """An image that is there."""
        found = self.image(repository, reference)
        assert found is not None
        return found

    def images(self, repository: str, **query: Any) -> ImagePage | None:
        """A page of images."""
        asked = self.index.catalogue.images(repository_of(repository), ImageQuery(**query))
        found: ImagePage | None = self.successResultOf(asked)
        return found
