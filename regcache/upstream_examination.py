"""Asks an upstream all that a pull needs of it, for a bounded time and few bytes: a root part.

No manifest is fetched, so that nothing counts against a quota: a tag is asked for by HEAD, and of
a layer that is here the beginning is fetched again, to measure how fast it comes.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, gatherResults
from zope.interface import implementer

from regcache.cache.shown_images import ShownImages
from regcache.doctor.examined import ExaminedUpstream, LayerSampled, ManifestAsked
from regcache.errors import UpstreamFailure
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.images import ImageQuery, ListedLayer, RepositoryQuery
from regcache.interfaces import IBodyConsumer
from regcache.probing import ProbedUrl
from regcache.sample_images import SAMPLES
from regcache.timings import FIRST_BYTE, begin_timings
from regcache.upstream.registry import Registry

#: For one upstream; all are asked at once (seconds).
MOST_SECONDS = 15.0
#: Of a layer.
SAMPLE_BYTES, SAMPLE_SECONDS = 4 * 1024 * 1024, 4.0


class UpstreamExamination:
    """Examines upstreams.

    :param images: what is cached, of which a tag and a layer are asked for again.
    """

    def __init__(self, reactor: Any, images: ShownImages) -> None:
        self._reactor = reactor
        self._images = images

    async def examine(
        self, registries: Sequence[tuple[UpstreamIdentity, Registry]]
    ) -> list[ExaminedUpstream]:
        """Examine all of them at once. What fails is told, and not raised."""
        working = [self._in_time(identity, registry) for identity, registry in registries]
        return list(await gatherResults(working, consumeErrors=True))

    def _in_time(
        self, identity: UpstreamIdentity, registry: Registry
    ) -> "Deferred[ExaminedUpstream]":
        found = _Found(ExaminedUpstream(identity.name))
        working: Deferred[None] = Deferred.fromCoroutine(self._examine(identity, registry, found))
        working.addTimeout(MOST_SECONDS, self._reactor)

        def ended(result: Any) -> ExaminedUpstream:
            if result is None:
                return found.examined
            result.trap(TimeoutError, CancelledError)
            return replace(found.examined, timed_out=True)

        return working.addBoth(ended)

    async def _examine(
        self, identity: UpstreamIdentity, registry: Registry, found: "_Found"
    ) -> None:
        await registry.test(found.probed)
        if all(url.problem for url in found.examined.urls):
            return
        known = await self._known(identity)
        if known is not None:
            asked = await self._manifest(identity.name, registry, known.repository, known.tag)
            sample = None
            if known.layer is not None and not asked.problem:
                sample = await self._sample(registry, known.repository, known.layer)
            found.examined = replace(found.examined, manifest=asked, sample=sample)
        elif identity.name in SAMPLES:
            asked = await self._manifest(identity.name, registry, *SAMPLES[identity.name])
            found.examined = replace(found.examined, manifest=asked)

    async def _known(self, identity: UpstreamIdentity) -> "_KnownImage | None":
        """The image of an upstream that was used last, if its index tells one."""
        try:
            return await self._last_used(identity)
        except OSError:
            return None  # the index cannot answer; /readyz says so

    async def _last_used(self, identity: UpstreamIdentity) -> "_KnownImage | None":
        query = RepositoryQuery(upstreams=[identity], sort="last_used", descending=True, limit=1)
        page = await self._images.repositories(query)
        if not page.items:
            return None
        repository = Repository(identity, page.items[0].name)
        images = await self._images.images(repository, ImageQuery(sort="last_used", limit=1))
        if images is None or not images.items or not images.items[0].tags:
            return None
        image = images.items[0]
        layers: list[ListedLayer] = []
        for each in image.platforms:
            if each.manifest_here and not layers:
                shown = await self._images.platform(RepositoryContent(repository, each.digest))
                layers = [] if shown is None else list(shown.listed.values())
        largest = max(layers, key=lambda layer: layer.size, default=None)
        return _KnownImage(repository.name, image.tags[0].tag, largest)

    async def _manifest(
        self, upstream: str, registry: Registry, repository: str, tag: str
    ) -> ManifestAsked:
        image, began = f"{upstream}/{repository}:{tag}", self._reactor.seconds()
        try:
            await registry.head_manifest(repository, tag)
        except UpstreamFailure as failure:
            return ManifestAsked(image, self._reactor.seconds() - began, failure.reason)
        return ManifestAsked(image, self._reactor.seconds() - began)

    async def _sample(
        self, registry: Registry, repository: str, layer: ListedLayer
    ) -> LayerSampled:
        timings = begin_timings(self._reactor.seconds)
        sampling = _Sample(self._reactor)
        problem = ""
        try:
            end = min(layer.size, SAMPLE_BYTES)
            body = await registry.get_blob(repository, layer.digest, 0, end)
            await sampling.take(body)
        except UpstreamFailure as failure:
            problem = failure.reason
        hosts = [phase.host for phase in timings.phases if phase.name == FIRST_BYTE]
        host = hosts[-1] if hosts else ""
        return LayerSampled(host, sampling.size, sampling.seconds, problem)


class _KnownImage:
    """A tag that is cached, and the largest of what it lists."""

    __slots__ = ("layer", "repository", "tag")

    def __init__(self, repository: str, tag: str, layer: ListedLayer | None) -> None:
        self.repository, self.tag, self.layer = repository, tag, layer


class _Found:
    """What was found so far, in case there is no time for more."""

    def __init__(self, examined: ExaminedUpstream) -> None:
        self.examined = examined

    def probed(self, urls: Sequence[ProbedUrl]) -> None:
        """A step of the test has begun or ended."""
        self.examined = replace(self.examined, urls=tuple(urls))


@implementer(IBodyConsumer)
class _Sample:
    """Takes the beginning of a body, and throws it away.

    :ivar size: bytes that came.
    :ivar seconds: from the first to the last.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.size = 0
        self.seconds = 0.0
        self._began = 0.0
        self._body: Any = None
        self._done: Deferred[None] = Deferred(lambda _: self._body.abort())

    async def take(self, body: Any) -> None:
        """Take it, for a bounded time. :raises UpstreamFailure: if it breaks off."""
        self._body = body
        self._began = self._reactor.seconds()
        ending = self._reactor.callLater(SAMPLE_SECONDS, self._enough)
        body.deliver(self)
        try:
            await self._done
        finally:
            if ending.active():
                ending.cancel()

    def body_chunk(self, data: bytes) -> None:
        """Some bytes arrived."""
        self.size += len(data)
        self.seconds = self._reactor.seconds() - self._began
        if self.size >= SAMPLE_BYTES:
            self._enough()

    def body_ended(self) -> None:
        """All of it came."""
        if not self._done.called:
            self._done.callback(None)

    def body_failed(self, failure: UpstreamFailure) -> None:
        """It broke off."""
        if not self._done.called:
            self._done.errback(failure)

    def _enough(self) -> None:
        if not self._done.called:
            self._body.abort()
            self._done.callback(None)
