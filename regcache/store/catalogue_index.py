"""The part of the index that answers those who look at the cache."""

from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from regcache.digests import Digest
from regcache.facts import Descriptor
from regcache.identity import Repository
from regcache.images import (
    ImageFacts,
    ImagePage,
    ImageQuery,
    PlatformContents,
    RepositoryPage,
    RepositoryQuery,
    RepositorySummary,
    TagPast,
    Undescribed,
)
from regcache.interfaces import ICatalogueIndex
from regcache.store import (
    catalogue_images,
    catalogue_members,
    catalogue_pages,
    catalogue_pins,
    catalogue_summaries,
)
from regcache.store.catalogue_pins import View
from regcache.store.index_reader import IndexReader
from regcache.store.index_thread import IndexThread

STEP = 0.02
"""Seconds for which summaries are made in one step."""

PATIENCE = 0.06
"""Seconds for which who asks for a list waits for summaries that are due."""

EVERY = 30.0
"""Seconds after which summaries that are due are made unasked."""

Describe = Callable[[Sequence[Undescribed]], Awaitable[None]]
"""Finds out the platforms of manifests."""


@implementer(ICatalogueIndex)
class CatalogueIndex:
    """See :class:`~regcache.interfaces.ICatalogueIndex`.

    :ivar describe: looks into manifests, and says here what it finds.
    """

    _log = Logger()

    def __init__(
        self,
        reader: IndexReader,
        thread: IndexThread,
        clock: IReactorTime,
        patterns: Callable[[], Sequence[str]],
    ) -> None:
        """:param patterns: gives those of what is pinned."""
        self._patterns = patterns
        self._noted: Sequence[str] | None = None
        self._reader = reader
        self._thread = thread
        self._clock = clock
        self._making = False
        self._stopping = False
        self.describe: Describe | None = None
        self._loop = LoopingCall(self._make_all)
        self._loop.clock = clock

    def start(self) -> None:
        """Make summaries now and then."""
        self._loop.start(EVERY, now=False)

    def stop(self) -> "Deferred[None]":
        """Make no more of them, and close the file. Idempotent."""
        self._stopping = True
        if self._loop.running:
            self._loop.stop()
        return self._reader.close()

    def repositories(self, query: RepositoryQuery) -> "Deferred[RepositoryPage]":
        """A page of repositories."""
        return Deferred.fromCoroutine(self._repositories(query))

    async def _repositories(self, query: RepositoryQuery) -> RepositoryPage:
        end = self._clock.seconds() + PATIENCE
        while await self._make_some() and self._clock.seconds() < end:
            pass
        page: RepositoryPage = await self._reader.read(
            catalogue_pages.page, query, self._clock.seconds()
        )
        return page

    def repository(self, repository: Repository) -> "Deferred[RepositorySummary | None]":
        """One repository, as it is now."""
        return self._reader.read(catalogue_pages.summary_now, repository, self._view())

    def images(self, repository: Repository, query: ImageQuery) -> "Deferred[ImagePage | None]":
        """A page of images."""
        return self._reader.read(catalogue_images.images, repository, query, self._view())

    def image(
        self, repository: Repository, reference: str | Digest
    ) -> "Deferred[ImageFacts | None]":
        """An image."""
        return self._reader.read(catalogue_images.find_image, repository, reference, self._view())

    def platform(
        self, repository: Repository, digest: Digest
    ) -> "Deferred[PlatformContents | None]":
        """What the manifest of a platform lists."""
        return self._reader.read(catalogue_images.platform_contents, repository, digest)

    def history(self, repository: Repository, tag: str) -> "Deferred[list[TagPast]]":
        """What a tag has named."""
        return self._reader.read(catalogue_images.history, repository, tag)

    def undescribed(self, repository: Repository, limit: int) -> "Deferred[list[Undescribed]]":
        """Stored manifests of which more can be known."""
        return self._reader.read(catalogue_images.undescribed, repository, limit)

    def describe_index(self, digest: Digest, descriptors: Sequence[Descriptor]) -> "Deferred[None]":
        """Record what an index says."""
        return self._thread.write(catalogue_members.describe_index, digest, descriptors)

    def describe_image(self, digest: Digest, platform: str) -> "Deferred[None]":
        """Record the platform of an image."""
        return self._thread.write(catalogue_members.describe_image, digest, platform)

    async def _make_some(self) -> bool:
        """Make some of the summaries that are due. Returns whether there may be more."""
        if self._making or self._stopping:
            return False
        self._making = True
        try:
            await self._note_patterns()
            made = await self._reader.read(
                catalogue_summaries.make_some, *(self._noted, self._clock.seconds(), STEP)
            )
            if made:
                await self._thread.write(catalogue_summaries.write, made)
                await self._describe([one for each in made for one in each.undescribed])
            return bool(made)
        except OSError:
            return False  # what was made before is shown
        finally:
            self._making = False

    def _view(self) -> View:
        return View(self._patterns(), self._clock.seconds())

    async def _note_patterns(self) -> None:
        patterns = self._patterns()
        if patterns != self._noted:
            await self._thread.write(catalogue_pins.note_patterns, patterns)
            self._noted = patterns

    async def _describe(self, undescribed: Sequence[Undescribed]) -> None:
        if undescribed and self.describe is not None:
            await self.describe(undescribed)

    async def _make_until_done(self) -> None:
        while await self._make_some():
            pass

    def _make_all(self) -> "Deferred[None]":
        done = Deferred.fromCoroutine(self._make_until_done())
        return done.addErrback(
            lambda failure: self._log.failure("summaries of repositories", failure)
        )
