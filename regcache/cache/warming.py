"""Warming: fetches an image into the cache, as a client that pulls it would.

It makes the same calls as a client. So nothing is fetched that is here already, a download that is
under way is joined, and nothing is fetched that may not be shown. The bytes of blobs are not read.
If a pull is cancelled, its downloads go on or are parked, as when a client leaves.
"""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import KW_ONLY
from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults
from zope.interface import implementer

from regcache.cache.configured import ConfiguredCache
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.opened import OpenBlob
from regcache.digests import Digest, is_digest
from regcache.errors import ManifestUnknownError, RegistryError, UpstreamFailure
from regcache.facts import Descriptor, Manifest
from regcache.identity import Repository, RepositoryContent
from regcache.interfaces import IContentFile, IIndex, IReaderSink
from regcache.light_dataclass import dataclass
from regcache.manifest_body import InvalidManifestError, ManifestBody, parse_manifest
from regcache.media_types import INDEX_TYPES
from regcache.parsing import Parser

#: Blobs that one pull fetches at a time, as clients do.
MOST_AT_ONCE = 3
#: Manifests of one pull, and blobs that they list. Real images have dozens, and hundreds.
MOST_MANIFESTS, MOST_BLOBS = 500, 20_000
#: How deep indexes may be nested.
MOST_NESTED = 3
#: The platform of attestations.
_NO_PLATFORM = "unknown/unknown"
#: Layers that registries do not have: their manifest names another place for them.
_FOREIGN = ("application/vnd.docker.image.rootfs.foreign.", "nondistributable")


class WarmingError(Exception):
    """An image cannot be fetched, or cannot be stored; the text is one line."""


@dataclass(frozen=True, slots=True)
class ArrivingBlob:
    """A blob that is being fetched: its size by the manifest, and how much is here (bytes)."""

    digest: Digest
    size: int
    here: int


@dataclass(frozen=True, slots=True)
class WarmedImage:
    """One manifest of the image, with its layers.

    :ivar platform: ``os/architecture[/variant]``, or "" where no index states it.
    :ivar size: of its config and layers (bytes).
    :ivar done: whether all of it is here.
    """

    platform: str
    digest: Digest
    _: KW_ONLY
    blobs: int
    size: int
    done: bool


@dataclass(frozen=True, slots=True)
class WarmedSoFar:
    """The progress of a pull.

    :ivar digest: what the reference names.
    :ivar images: the images that are pulled; empty until their manifests are here.
    :ivar done: bytes of layers and configs that are here.
    :ivar total: bytes of all layers and configs, each counted once.
    :ivar arriving: the blobs that are being fetched now.
    """

    digest: Digest
    _: KW_ONLY
    images: Sequence[WarmedImage]
    done: int
    total: int
    arriving: Sequence[ArrivingBlob]


class Warming:
    """Fetches images.

    :param cache: of the configuration that is in force.
    """

    def __init__(
        self, cache: ConfiguredCache, downloads: DownloadTable, index: IIndex, parser: Parser
    ) -> None:
        self.cache = cache
        self.downloads = downloads
        self.index = index
        self._parser = parser

    async def pull(
        self,
        repository: Repository,
        reference: str,
        platforms: Sequence[str] | None,
        tell: Callable[[WarmedSoFar], None],
    ) -> None:
        """Fetch an image; it is stored when this ends.

        :param platforms: the platforms to choose from an index, each
            ``os/architecture[/variant]``; None: all that it lists, attestations too.
        :param tell: called whenever bytes have arrived; must be cheap.
        :raises WarmingError: if something cannot be fetched, or cannot be stored.
        """
        try:
            top = await self._manifest(repository, reference)
            images = await _Images(self, repository, platforms).of(top)
            blobs = _Blobs(self, repository, images, lambda told: tell(told(top.digest)))
            await blobs.fetch()
        except UpstreamFailure as failure:
            raise WarmingError(failure.answer(ManifestUnknownError).message) from None
        except RegistryError as error:
            raise WarmingError(error.message) from None

    async def _manifest(self, repository: Repository, reference: str) -> Manifest:
        if is_digest(reference):
            return await self.by_digest(repository, Digest.parse(reference))
        return (await self.cache.tag(repository, reference)).manifest

    async def by_digest(self, repository: Repository, digest: Digest) -> Manifest:
        """Give a manifest; fetch it if it is not here."""
        return (await self.cache.manifest(RepositoryContent(repository, digest))).manifest

    async def parse(self, manifest: Manifest) -> ManifestBody:
        """Parse a manifest. :raises WarmingError: if it is not a manifest."""
        content = manifest.content
        try:
            return await self._parser.run(
                len(content), parse_manifest, content, manifest.media_type
            )
        except InvalidManifestError as error:
            raise WarmingError(f"{manifest.digest} is no manifest: {error}") from None


@dataclass(frozen=True, slots=True)
class _Image:
    platform: str
    digest: Digest
    blobs: tuple[Descriptor, ...]


class _Images:
    """Chooses images from an index by platform, and fetches their manifests."""

    def __init__(
        self, warming: Warming, repository: Repository, platforms: Sequence[str] | None
    ) -> None:
        self._warming = warming
        self._repository = repository
        self._wanted = None if platforms is None else {_plain(each) for each in platforms}
        self._found: set[str] = set()
        self._listed: set[str] = set()
        self._images: dict[Digest, _Image] = {}
        self._manifests = 0

    async def of(self, top: Manifest) -> list[_Image]:
        """Give the images that are to be pulled.

        :raises WarmingError: if the index lacks one of the platforms.
        """
        await self._collect(top, "", MOST_NESTED)
        missing = set() if self._wanted is None else self._wanted - self._found
        if self._listed and missing:
            has = ", ".join(sorted(self._listed))
            raise WarmingError(f"it has no {', '.join(sorted(missing))}; it has {has}")
        return list(self._images.values())

    async def _collect(self, manifest: Manifest, platform: str, depth: int) -> None:
        self._manifests += 1
        body = await self._warming.parse(manifest)
        if not body.is_index:
            blobs = tuple(each for each in body.descriptors if not _is_foreign(each))
            self._images[manifest.digest] = _Image(platform, manifest.digest, blobs)
            if sum(len(each.blobs) for each in self._images.values()) > MOST_BLOBS:
                raise WarmingError("its manifests list too many blobs")
            return
        if not depth or self._manifests + len(body.descriptors) > MOST_MANIFESTS:
            raise WarmingError("it lists too many manifests, or indexes in too many indexes")
        for each in self._chosen(body):
            if each.digest not in self._images:
                child = await self._warming.by_digest(self._repository, each.digest)
                await self._collect(child, each.platform or platform, depth - 1)

    def _chosen(self, body: ManifestBody) -> list[Descriptor]:
        """The members to pull. An index without a platform is always among them."""
        members = [(_plain(each.platform), each) for each in body.descriptors]
        self._listed.update(name for name, _ in members if name not in ("", _NO_PLATFORM))
        if self._wanted is None:
            return list(body.descriptors)
        chosen = [each for name, each in members if not name and each.media_type in INDEX_TYPES]
        for wanted in self._wanted:
            found = [each for name, each in members if name == wanted] or [
                each for name, each in members if name.startswith(f"{wanted}/")
            ]
            self._found |= {wanted} if found else set()
            chosen += found
        return chosen


class _Blobs:
    """Fetches the blobs of images, a few at a time, each once.

    :param tell: called when bytes have arrived, with a function that gives the progress.
    """

    def __init__(
        self,
        warming: Warming,
        repository: Repository,
        images: Sequence[_Image],
        tell: Callable[[Callable[[Digest], WarmedSoFar]], None],
    ) -> None:
        self._warming = warming
        self._repository = repository
        self._images = images
        self._tell = tell
        self._all = {blob.digest: blob for image in images for blob in image.blobs}
        self._total = sum(each.size for each in self._all.values())
        self._done: set[Digest] = set()
        self._done_bytes = 0
        self._told_images = [self._image(each) for each in images]
        self._arriving: dict[Digest, _Drain] = {}

    async def fetch(self) -> None:
        """Fetch them. :raises WarmingError: if one cannot be fetched or stored."""
        self._tell(self.told)
        await _in_turn((self._blob(each) for each in self._all.values()), MOST_AT_ONCE)

    def told(self, top: Digest) -> WarmedSoFar:
        """The progress."""
        arriving = [
            ArrivingBlob(digest, self._all[digest].size, drain.count)
            for digest, drain in self._arriving.items()
        ]
        return WarmedSoFar(
            top,
            images=self._told_images,
            done=self._done_bytes + sum(min(each.here, each.size) for each in arriving),
            total=self._total,
            arriving=arriving,
        )

    def _image(self, image: _Image) -> WarmedImage:
        return WarmedImage(
            image.platform,
            image.digest,
            blobs=len(image.blobs),
            size=sum(each.size for each in image.blobs),
            done=all(each.digest in self._done for each in image.blobs),
        )

    async def _blob(self, blob: Descriptor) -> None:
        kept = await self._fetch(blob.digest)
        # A download for another client may have prevented that. It has ended by now.
        if not kept and not await self._fetch(blob.digest):
            raise WarmingError(f"{blob.digest} cannot be kept; the log says why")
        self._done.add(blob.digest)
        self._done_bytes += blob.size
        self._told_images = [self._image(each) for each in self._images]
        self._tell(self.told)

    async def _fetch(self, digest: Digest) -> bool:
        """Fetch a blob, and wait until it is stored; False if it is not."""
        content = RepositoryContent(self._repository, digest)
        downloads, upstream = self._warming.downloads, self._repository.upstream
        reason = downloads.not_storing(digest)
        if reason and not await self._is_stored(content):
            raise WarmingError(f"{digest} cannot be kept: {reason}")
        opened = await self._warming.cache.open_blob(content)
        try:
            if opened.status.outcome != "relay":
                await self._drain(digest, opened)
        except WarmingError:
            if opened.status.outcome != "hit":
                raise
            return False  # the stored file was damaged and is removed: fetch it again
        finally:
            opened.reader.leave()
        if not await self._is_stored(content):
            while (running := await downloads.find(digest, upstream)) is not None:
                await running.closing.released.wait()
        return await self._is_stored(content)

    async def _drain(self, digest: Digest, opened: OpenBlob) -> None:
        drain = self._arriving[digest] = _Drain(lambda: self._tell(self.told))
        try:
            opened.reader.begin(0, None, drain)
            await drain.ended
        finally:
            del self._arriving[digest]

    async def _is_stored(self, content: RepositoryContent) -> bool:
        return (await self._warming.index.content(content)).size is not None


@implementer(IReaderSink)
class _Drain:
    """Counts the bytes that are here as sent, and does not read them.

    :ivar ended: fires when all bytes are here and verified; fails with WarmingError.
    """

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told
        self.ended: Deferred[None] = Deferred()
        self.count = 0

    def write(self, data: bytes) -> None:
        """Count bytes that were read."""
        self._add(len(data))

    def send_file(
        self, file: IContentFile, start: int, end: int, sent: Callable[[int], None]
    ) -> bool:
        """Count a stretch of the file."""
        self._add(end - start)
        sent(end - start)
        return True

    def range_ended(self) -> None:
        """All bytes are here, and verified."""
        self._end(None)

    def broken(self, reason: str) -> None:
        """The download has failed."""
        self._end(WarmingError(reason))

    def _add(self, count: int) -> None:
        self.count += count
        self._told()

    def _end(self, outcome: WarmingError | None) -> None:
        if self.ended.called:
            return  # the pull was cancelled
        if outcome is None:
            self.ended.callback(None)
        else:
            self.ended.errback(outcome)


async def _in_turn(works: Iterable[Coroutine[Any, Any, None]], most: int) -> None:
    """Run all works, at most ``most`` at a time. A failure or a cancellation ends all."""
    waiting = list(works)
    waiting.reverse()

    async def work() -> None:
        while waiting:
            await waiting.pop()

    workers = [Deferred.fromCoroutine(work()) for _ in range(most)]
    try:
        await gatherResults(workers, consumeErrors=True)
    except FirstError as error:
        error.subFailure.raiseException()
    finally:
        for each in workers:
            each.cancel()
        for left in waiting:
            left.close()


def _is_foreign(blob: Descriptor) -> bool:
    return any(mark in blob.media_type for mark in _FOREIGN)


def _plain(platform: str) -> str:
    """The normal form of a platform: arm64/v8 is the same as arm64."""
    lower = platform.lower()
    return lower.removesuffix("/v8") if "/arm64/" in lower else lower
