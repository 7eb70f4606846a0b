"""A fake of IRegistry: an upstream in memory that misbehaves on demand.

Everything happens through the clock: answers come ``delay`` seconds after the question, and
bodies arrive chunk by chunk, one for each turn of the clock.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from zope.interface import implementer

from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamFailure,
    UpstreamNotFound,
    UpstreamUnreachable,
)
from regcache.facts import ContentHead, ManifestAnswer
from regcache.interfaces import IBlobBody, IBodyConsumer, IRegistry


@dataclass
class Fault:
    """How one blob answer goes wrong.

    :ivar refuse: fails at once with this.
    :ivar cut: the body breaks off after so many bytes.
    :ivar stall: the body stops after so many bytes, and says nothing.
    :ivar flip: the byte at this offset of the blob is wrong.
    :ivar claim_size: what the answer says the size is.
    :ivar hide_size: the answer does not say the size.
    :ivar ignore_range: the answer begins at 0.
    :ivar surplus: bytes sent behind the end.
    """

    refuse: UpstreamFailure | None = None
    cut: int | None = None
    stall: int | None = None
    flip: int | None = None
    claim_size: int | None = None
    hide_size: bool = False
    ignore_range: bool = False
    surplus: bytes = b""


@implementer(IBlobBody)
class FakeBody:
    """A body in memory."""

    def __init__(
        self,
        registry: "FakeRegistry",
        content: bytes,
        start: int,
        end: int,
        fault: Fault,
    ) -> None:
        self.start, self.end = start, end
        self.size = None if fault.hide_size else (fault.claim_size or len(content))
        self.etag = ""
        self.credentials = registry.credentials
        self.url_index = 0
        self.paused = False
        self.aborted = False
        self.delivered = False
        self._registry = registry
        self._content = content
        self._fault = fault
        self._position = start
        self._consumer: IBodyConsumer | None = None
        self._call: IDelayedCall | None = None

    @property
    def open(self) -> bool:
        """Whether the connection is still held."""
        return not self.aborted and self._position < self.end

    def deliver(self, consumer: IBodyConsumer) -> None:
        """Begin."""
        assert not self.delivered
        self.delivered = True
        self._consumer = consumer
        self._later()

    def pause(self) -> None:
        """Stop for now."""
        self.paused = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def resume(self) -> None:
        """Go on."""
        if self.paused:
            self.paused = False
            self._later()

    def abort(self) -> None:
        """Close."""
        self.pause()
        self.aborted = True

    def _later(self) -> None:
        if self._call is None and not self.paused and not self.aborted:
            self._call = self._registry.clock.callLater(self._registry.pace, self._send)

    def _send(self) -> None:
        self._call = None
        fault = self._fault
        sent = self._position - self.start
        stop = min(self.end, self._position + self._registry.chunk)
        limit = fault.cut if fault.cut is not None else fault.stall
        if limit is not None:
            stop = min(stop, self.start + limit)
        data = bytearray(self._content[self._position : stop])
        if fault.flip is not None and self._position <= fault.flip < stop:
            data[fault.flip - self._position] ^= 0xFF
        self._position = stop
        self._registry.sent += len(data)
        if data:
            self._consumer_now().body_chunk(bytes(data))
        self._go_on(limit is not None and sent + len(data) >= limit)

    def _go_on(self, at_limit: bool) -> None:
        if self.aborted:
            return
        if at_limit and self._fault.cut is not None:
            self.aborted = True
            failure = UpstreamUnreachable(self._registry.name, "the connection broke")
            self._consumer_now().body_failed(failure)
        elif at_limit:
            return
        elif self._position < self.end:
            self._later()
        else:
            self._end()

    def _end(self) -> None:
        if self._fault.surplus:
            self._consumer_now().body_chunk(self._fault.surplus)
        if not self.aborted:
            self._consumer_now().body_ended()

    def _consumer_now(self) -> IBodyConsumer:
        assert self._consumer is not None
        return self._consumer


@implementer(IRegistry)
@dataclass
class FakeRegistry:
    """An upstream in memory.

    :ivar blobs: content by digest, for every repository unless ``holds`` says otherwise.
    :ivar manifests: (repository, reference) to (content, media type).
    :ivar holds: whether a repository has a digest.
    :ivar faults: for the next blob answers, one each; none means a right answer.
    :ivar failure: what every question fails with, as long as it is set.
    :ivar requests: every question: (what, repository, reference, ...).
    """

    clock: Clock
    name: str = "up.test"
    credentials: str = ""
    url_count: int = 1
    chunk: int = 1000
    delay: float = 0.001
    pace: float = 0.001
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)
    tag_lists: dict[str, list[str]] = field(default_factory=dict)
    referrers: dict[Digest, bytes] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    holds: Callable[[str, Digest], bool] = lambda repository, digest: True
    faults: list[Fault] = field(default_factory=list)
    failure: UpstreamFailure | None = None
    silent: bool = False
    sent: int = 0
    requests: list[tuple[Any, ...]] = field(default_factory=list)
    bodies: list[FakeBody] = field(default_factory=list)

    def add(self, content: bytes) -> Digest:
        """Put a blob in."""
        digest = Digest.of(content)
        self.blobs[digest] = content
        return digest

    def add_manifest(self, repository: str, tag: str, content: bytes, media_type: str) -> Digest:
        """Put a manifest in, under its tag and its digest."""
        digest = Digest.of(content)
        self.manifests[repository, tag] = (content, media_type)
        self.manifests[repository, str(digest)] = (content, media_type)
        return digest

    def count(self, what: str) -> int:
        """How many questions of a kind were asked."""
        return sum(request[0] == what for request in self.requests)

    def head_manifest(
        self, repository: str, reference: str, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a manifest."""
        self.requests.append(("head_manifest", repository, reference, anonymous))
        return self._later(lambda: self._head_manifest(repository, reference, anonymous))

    def get_manifest(self, repository: str, reference: str) -> "Deferred[ManifestAnswer]":
        """GET of a manifest."""
        self.requests.append(("get_manifest", repository, reference))
        return self._later(lambda: self._get_manifest(repository, reference))

    def head_blob(
        self, repository: str, digest: Digest, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a blob."""
        self.requests.append(("head_blob", repository, digest, anonymous))
        return self._later(lambda: self._head_blob(repository, digest, anonymous))

    def get_blob(
        self,
        repository: str,
        digest: Digest,
        start: int = 0,
        end: int | None = None,
        skip: frozenset[int] = frozenset(),
    ) -> "Deferred[IBlobBody]":
        """GET of a blob."""
        self.requests.append(("get_blob", repository, digest, start, end))
        fault = self.faults.pop(0) if self.faults else Fault()
        return self._later(lambda: self._get_blob(repository, digest, start, end, fault))

    def list_tags(self, repository: str) -> "Deferred[list[str]]":
        """The tags."""
        self.requests.append(("list_tags", repository))
        return self._later(lambda: self._known(self.tag_lists, repository))

    def get_referrers(self, repository: str, digest: Digest) -> "Deferred[ManifestAnswer]":
        """The referrers."""
        self.requests.append(("get_referrers", repository, digest))
        return self._later(
            lambda: ManifestAnswer(self._known(self.referrers, digest), "", None, self.credentials)
        )

    def _later(self, answer: Callable[[], Any]) -> "Deferred[Any]":
        result: Deferred[Any] = Deferred()
        failure = self.failure

        def settle() -> None:
            if result.called:
                return
            try:
                if failure is not None:
                    raise failure
                value = answer()
            except UpstreamFailure as error:
                result.errback(error)
            else:
                result.callback(value)

        if not self.silent:
            self.clock.callLater(self.delay, settle)
        return result

    def _known(self, table: dict[Any, Any], key: Any) -> Any:
        if key not in table:
            raise UpstreamNotFound(self.name, "not found", status=404)
        return table[key]

    def _hide_private(self, repository: str, anonymous: bool) -> None:
        if repository in self.private and (anonymous or not self.credentials):
            raise UpstreamNotFound(self.name, "not found", status=404)

    def _head_manifest(self, repository: str, reference: str, anonymous: bool) -> ContentHead:
        self._hide_private(repository, anonymous)
        content, media_type = self._known(self.manifests, (repository, reference))
        credentials = "" if anonymous else self.credentials
        return ContentHead(Digest.of(content), len(content), media_type, credentials)

    def _get_manifest(self, repository: str, reference: str) -> ManifestAnswer:
        self._hide_private(repository, False)
        content, media_type = self._known(self.manifests, (repository, reference))
        return ManifestAnswer(content, media_type, None, self.credentials)

    def _blob(self, repository: str, digest: Digest) -> bytes:
        if not self.holds(repository, digest):
            raise UpstreamNotFound(self.name, "not found", status=404)
        content: bytes = self._known(self.blobs, digest)
        return content

    def _head_blob(self, repository: str, digest: Digest, anonymous: bool) -> ContentHead:
        self._hide_private(repository, anonymous)
        size = len(self._blob(repository, digest))
        return ContentHead(digest, size, "", "" if anonymous else self.credentials)

    def _get_blob(
        self, repository: str, digest: Digest, start: int, end: int | None, fault: Fault
    ) -> FakeBody:
        self._hide_private(repository, False)
        content = self._blob(repository, digest)
        if fault.refuse is not None:
            raise fault.refuse
        if start and start >= len(content):
            raise UpstreamBadAnswer(self.name, "416", status=416)
        stop = len(content) if end is None else min(end, len(content))
        if fault.ignore_range:
            start, stop = 0, len(content)
        body = FakeBody(self, content, start, stop, fault)
        self.bodies.append(body)
        return body
