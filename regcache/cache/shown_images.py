"""What is shown of cached images. No upstream is asked, and nothing counts as used.

What the index has is read there. What only the contents say is read from the disk, verified, and
parsed beside the reactor: the platforms of manifests that no index lists, configurations, and
the order of layers.
"""

from collections.abc import Sequence

from twisted.logger import Logger

from regcache.cache.image_details import ImageDetails, details_of, platform_of
from regcache.digests import Digest
from regcache.facts import Descriptor
from regcache.identity import Repository, RepositoryContent
from regcache.images import (
    CONFIG_TYPES,
    AskedContent,
    ImageFacts,
    ImagePage,
    ImagePart,
    ImageQuery,
    ListedLayer,
    RepositoryPage,
    RepositoryQuery,
    RepositorySummary,
    TagPast,
    Undescribed,
)
from regcache.interfaces import IBlobStore, ICatalogueIndex
from regcache.light_dataclass import dataclass
from regcache.manifest_body import MOST_BYTES, InvalidManifestError, parse_manifest
from regcache.parsing import Parser

#: Manifests of one repository that are looked into for one request.
MOST_DESCRIBED = 32
#: The largest configuration that is looked into (bytes); real ones have some KiB.
LARGEST_CONFIG = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ShownPlatform:
    """One platform of an image, in detail.

    :ivar listed: its configuration and layers, by digest.
    """

    details: ImageDetails
    listed: dict[Digest, ListedLayer]


class ShownImages:
    """Answers those who look at the cache.

    All methods raise an OSError if the index cannot answer.
    """

    _log = Logger()

    def __init__(self, index: ICatalogueIndex, store: IBlobStore, parser: Parser) -> None:
        self._index = index
        self._store = store
        self._parser = parser

    async def repositories(self, query: RepositoryQuery) -> RepositoryPage:
        """A page of repositories of which something is cached."""
        page: RepositoryPage = await self._index.repositories(query)
        return page

    async def repository(self, repository: Repository) -> RepositorySummary | None:
        """One of them; None where nothing of it is cached."""
        await self._describe_some(repository)
        found: RepositorySummary | None = await self._index.repository(repository)
        return found

    async def images(self, repository: Repository, query: ImageQuery) -> ImagePage | None:
        """A page of its images; None where nothing of it is cached."""
        await self._describe_some(repository)
        page: ImagePage | None = await self._index.images(repository, query)
        return page

    async def image(self, repository: Repository, reference: str | Digest) -> ImageFacts | None:
        """An image by a tag or digest; None where it is not cached."""
        await self._describe_some(repository)
        found: ImageFacts | None = await self._index.image(repository, reference)
        return found

    async def history(self, repository: Repository, tag: str) -> list[TagPast]:
        """What a tag has named, the latest first."""
        found: list[TagPast] = await self._index.history(repository, tag)
        return found

    async def parts(self, asked: Sequence[AskedContent | None]) -> Sequence[ImagePart | None]:
        """The images that contents belong to; None where that is not known."""
        found: Sequence[ImagePart | None] = await self._index.parts(asked)
        return found

    async def platform(self, content: RepositoryContent) -> ShownPlatform | None:
        """One platform of an image in detail; None where its manifest is not cached."""
        found = await self._index.platform(content)
        if found is None or found.size is None:
            return None
        manifest = await self._load(content.digest, MOST_BYTES, found.size)
        if manifest is None:
            return None
        listed = {each.digest: each for each in found.listed}
        configs = [each for each in found.listed if each.media_type in CONFIG_TYPES and each.here]
        config = None
        if configs:
            config = await self._load(configs[0].digest, LARGEST_CONFIG, configs[0].size)
        size = len(manifest) + len(config or b"")
        details = await self._parser.run(size, details_of, manifest, config)
        return ShownPlatform(details, listed)

    async def describe(self, manifests: Sequence[Undescribed]) -> None:
        """Find out the platforms of manifests, or all that they list, and record that."""
        for each in manifests:
            if each.partly:
                await self._complete_list(each)
            elif each.config is None:
                await self._describe_index(each)
            else:
                await self._describe_image(each.digest, each.config)

    async def _describe_some(self, repository: Repository) -> None:
        try:
            await self.describe(await self._index.undescribed(repository, MOST_DESCRIBED))
        except OSError as error:
            # What is known is shown.
            self._log.debug("platforms of {name}: {error}", name=repository, error=error)

    async def _complete_list(self, manifest: Undescribed) -> None:
        descriptors = await self._descriptors(manifest)
        if descriptors:
            await self._index.complete_list(manifest.digest, descriptors)

    async def _describe_index(self, index: Undescribed) -> None:
        descriptors = await self._descriptors(index)
        if descriptors is not None:
            await self._index.describe_index(index.digest, descriptors)

    async def _descriptors(self, manifest: Undescribed) -> Sequence[Descriptor] | None:
        """What a manifest lists: None if it cannot be read, nothing if it is none."""
        content = await self._load(manifest.digest, MOST_BYTES, manifest.size)
        if content is None:
            return None
        try:
            body = await self._parser.run(
                len(content), parse_manifest, content, manifest.media_type
            )
        except InvalidManifestError:
            return ()
        return body.descriptors

    async def _describe_image(self, manifest: Digest, config: Digest) -> None:
        content = await self._load(config, LARGEST_CONFIG, None)
        if content is None:
            return
        platform = await self._parser.run(len(content), platform_of, content)
        await self._index.describe_image(manifest, platform)

    async def _load(self, digest: Digest, limit: int, size: int | None) -> bytes | None:
        content: bytes | None = await self._store.load(digest, limit, size)
        return content
