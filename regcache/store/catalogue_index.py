"""The part of the index that answers those who look at the cache."""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

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
from regcache.interfaces import ICatalogueIndex, IWorkPool
from regcache.store import (
    catalogue_images,
    catalogue_members,
    catalogue_pages,
    catalogue_parts,
    index_names,
)
from regcache.store.catalogue_pins import View
from regcache.store.index_file import IndexFile
from regcache.store.index_reader import IndexReader
from regcache.store.index_thread import IndexThread
from regcache.store.summary_maker import SummaryMaker


@implementer(ICatalogueIndex)
class CatalogueIndex:
    """See :class:`~regcache.interfaces.ICatalogueIndex`.

    :param patterns: gives those of what is pinned.
    :ivar summaries: has those of repositories made.
    """

    def __init__(
        self,
        reader: IndexReader,
        thread: IndexThread,
        summaries: SummaryMaker,
        *,
        clock: IReactorTime,
        patterns: Callable[[], Sequence[str]],
    ) -> None:
        self._reader = reader
        self._thread = thread
        self.summaries = summaries
        self._clock = clock
        self._patterns = patterns

    def start(self) -> None:
        """Make summaries now and then."""
        self.summaries.start()

    def stop(self) -> "Deferred[None]":
        """Close the file behind what is under way. Idempotent."""
        return self.summaries.stop().addCallback(lambda _: self._reader.close())

    def repositories(self, query: RepositoryQuery) -> "Deferred[RepositoryPage]":
        """A page of repositories."""
        return Deferred.fromCoroutine(self._repositories(query))

    async def _repositories(self, query: RepositoryQuery) -> RepositoryPage:
        await self.summaries.make()
        now = self._clock.seconds()
        page: RepositoryPage = await self._reader.read(catalogue_pages.page, query, now)
        return page

    def repository(self, repository: Repository) -> "Deferred[RepositorySummary | None]":
        """One repository."""
        return Deferred.fromCoroutine(self._repository(repository))

    async def _repository(self, repository: Repository) -> RepositorySummary | None:
        await self.summaries.make()
        found: RepositorySummary | None = await self._reader.read(
            catalogue_pages.find_summary, repository, self._view()
        )
        return found

    def images(self, repository: Repository, query: ImageQuery) -> "Deferred[ImagePage | None]":
        """A page of images."""
        return self._reader.read(catalogue_images.images, repository, query, self._view())

    def image(
        self, repository: Repository, reference: str | Digest
    ) -> "Deferred[ImageFacts | None]":
        """An image."""
        return self._reader.read(catalogue_images.find_image, repository, reference, self._view())

    def platform(self, content: RepositoryContent) -> "Deferred[PlatformContents | None]":
        """What the manifest of a platform lists."""
        return self._reader.read(catalogue_images.platform_contents, content)

    def history(self, repository: Repository, tag: str) -> "Deferred[list[TagPast]]":
        """What a tag has named."""
        return self._reader.read(catalogue_images.history, repository, tag)

    def parts(self, asked: Sequence[AskedContent | None]) -> "Deferred[list[ImagePart | None]]":
        """The images that contents belong to."""
        return self._reader.read(catalogue_parts.find_parts, asked)

    def undescribed(self, repository: Repository, limit: int) -> "Deferred[list[Undescribed]]":
        """Stored manifests of which more can be known."""
        return self._reader.read(catalogue_images.undescribed, repository, limit)

    def describe_index(self, digest: Digest, descriptors: Sequence[Descriptor]) -> "Deferred[None]":
        """Record what an index says."""
        return self._thread.write(catalogue_members.describe_index, digest, descriptors)

    def describe_image(self, digest: Digest, platform: str) -> "Deferred[None]":
        """Record the platform of an image."""
        return self._thread.write(catalogue_members.describe_image, digest, platform)

    def complete_list(self, digest: Digest, descriptors: Sequence[Descriptor]) -> "Deferred[None]":
        """Record all that a manifest lists."""
        return self._thread.write(index_names.complete_list, digest, descriptors)

    def _view(self) -> View:
        return View(self._patterns(), self._clock.seconds())


def build_catalogue(
    file: IndexFile,
    thread: IndexThread,
    clock: IReactorTime,
    *,
    pools: tuple[IWorkPool, IWorkPool],
    patterns: Callable[[], Sequence[str]],
) -> CatalogueIndex:
    """Put it together.

    :param pools: one of a single thread, for those who look; one for the background.
    """
    looking, background = (
        IndexReader(file.path, each, thread, lambda: file.problem) for each in pools
    )
    summaries = SummaryMaker(background, thread, clock, patterns)
    return CatalogueIndex(looking, thread, summaries, clock=clock, patterns=patterns)
