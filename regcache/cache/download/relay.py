"""A relay: a blob that cannot be stored, straight from the upstream to one client.

It hashes what passes, withholds the last 64 KiB until the digest is right, and aborts on a
mismatch, so that a client is as safe as with a stored blob. It implements the face of a
reader. A client that reads slowly pauses the upstream.

=========  ==========================================================================
state      meaning
=========  ==========================================================================
waiting    the body waits until the answer's head is out (``begin``)
flowing    chunks are hashed and passed on but for what is withheld
ended      the digest was right and everything was sent, or the answer was aborted
=========  ==========================================================================
"""

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from regcache.cache.download.answers import is_page_instead
from regcache.cache.download.context import WITHHELD, BlobSource
from regcache.cache.download.downloads import DownloadTable
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer, UpstreamFailure
from regcache.identity import UpstreamIdentity
from regcache.interfaces import IBlobBody, IBodyConsumer, ICacheEvents, IReader, IReaderSink


@implementer(IReader, IBodyConsumer)
class Relay:
    """Passes ``[start, end)`` of one upstream body on."""

    _log = Logger()

    def __init__(
        self,
        digest: Digest,
        body: IBlobBody,
        size: int | None,
        *,
        upstream: str,
        wrong: Callable[[], None],
    ) -> None:
        """
        :param body: of the whole blob, from its first byte on.
        :param wrong: called if it has not the digest.
        """
        self.size = size
        self._digest = digest
        self._body = body
        self._upstream = upstream
        self._wrong = wrong
        self._hasher = digest.hasher()
        self._withheld: deque[bytes] = deque()
        self._withheld_length = 0
        self._position = 0
        self._start = 0
        self._end: int | None = None
        self._sink: IReaderSink | None = None
        self._begun = False
        self._over = False

    def ready(self) -> "Deferred[None]":
        """At once: the upstream has answered."""
        return succeed(None)

    def begin(self, start: int, end: int | None, sink: IReaderSink) -> None:
        """Send ``[start, end)``; the bytes before are only hashed.

        What passes cannot be had again, so a second range is broken off.
        """
        if self._begun:
            sink.broken("what is relayed passes once")
            self.leave()
            return
        self._begun = True
        self._start, self._end, self._sink = start, end, sink
        self._body.deliver(self)

    def client_is_fast(self, fast: bool) -> None:
        """Nothing to fit: the upstream's chunks are passed on as they come."""

    def pauseProducing(self) -> None:
        """The client takes nothing for now, so the upstream shall send nothing."""
        self._body.pause()

    def resumeProducing(self) -> None:
        """The client takes more."""
        if not self._over:
            self._body.resume()

    def stopProducing(self) -> None:
        """The client is gone."""
        self.leave()

    def leave(self) -> None:
        """End the upstream transfer that only this client needed. Idempotent."""
        self._sink = None
        if not self._over:
            self._over = True
            self._withheld.clear()
            self._body.abort()

    def body_chunk(self, data: bytes) -> None:
        """Hash a chunk, and send on what need not be withheld any more."""
        if self._over:
            return
        self._hasher.update(data)
        self._withheld.append(data)
        self._withheld_length += len(data)
        if self.size is not None and self._position + self._withheld_length > self.size:
            self._break("more bytes than announced")
            return
        while self._withheld and self._may_send(len(self._withheld[0])):
            self._send()

    def _may_send(self, length: int) -> bool:
        if self.size is None:
            return self._withheld_length - length >= WITHHELD
        return self._position + length <= self.size - WITHHELD

    def _send(self) -> None:
        data = self._withheld.popleft()
        begin = max(0, self._start - self._position)
        end = len(data) if self._end is None else max(0, self._end - self._position)
        self._withheld_length -= len(data)
        self._position += len(data)
        piece = data[begin:end]
        if piece and self._sink is not None:
            self._sink.write(piece)
        if self._end is not None and self._position >= self._end and self._end != self.size:
            self._finish()

    def body_ended(self) -> None:
        """Release what was withheld if the digest is right."""
        if self._over:
            return
        if self.size not in (None, self._position + self._withheld_length):
            self._break("the body ended early")
            return
        if self._hasher.hexdigest() != self._digest.hex:
            self._wrong()
            self._break("the content fails its digest")
            return
        while self._withheld and not self._over:
            self._send()
        self._finish()

    def body_failed(self, failure: UpstreamFailure) -> None:
        """The upstream broke off: so does the answer, and the client may resume."""
        if not self._over:
            self._break(failure.reason)

    def _finish(self) -> None:
        sink, self._sink = self._sink, None
        self.leave()
        if sink is not None:
            sink.range_ended()

    def _break(self, reason: str) -> None:
        self._log.warn(
            "relaying {digest} from {upstream} failed: {reason}",
            digest=self._digest,
            upstream=self._upstream,
            reason=reason,
        )
        sink, self._sink = self._sink, None
        self.leave()
        if sink is not None:
            sink.broken(reason)


class Relays:
    """Blobs that are not stored: asked for anew for each client, unless an answer is at hand."""

    _log = Logger()

    def __init__(self, downloads: DownloadTable, counts: ICacheEvents) -> None:
        self._downloads = downloads
        self._counts = counts

    async def open(
        self,
        digest: Digest,
        source: BlobSource,
        *,
        expected_size: int | None,
        reason: str,
        body: IBlobBody | None = None,
    ) -> Relay:
        """Begin an answer.

        :param expected_size: what a manifest says (bytes), or None.
        :param reason: why it is not stored, for the log.
        :param body: an answer that is here already, and that nobody has touched.
        :raises UpstreamFailure: if the upstream does not give it, or another one.
        """
        upstream = source.repository.upstream
        if body is None or body.start != 0 or not body.make_relay():
            if body is not None:
                body.abort()
            body = await self._ask(digest, source)
        if expected_size is not None and body.size not in (None, expected_size):
            body.abort()
            raise UpstreamBadAnswer(upstream.name, "a size other than the manifest's")
        self._log.info(
            "{digest} from {upstream} is passed through and not kept: {reason}",
            digest=digest,
            upstream=upstream.name,
            reason=reason,
        )
        size = expected_size if body.size is None else body.size
        url_index, page = body.url_index, is_page_instead(body, expected_size)
        wrong = lambda: self._wrong(digest, upstream, url_index, page)  # noqa: E731
        return Relay(digest, body, size, upstream=upstream.name, wrong=wrong)

    async def _ask(self, digest: Digest, source: BlobSource) -> IBlobBody:
        skip = self._downloads.skipped(digest, source.registry)
        name = source.repository.name
        body = await source.registry.get_blob(name, digest, skip=skip, relayed=True)
        if body.start != 0:
            body.abort()
            raise UpstreamBadAnswer(source.registry.name, "it sent a part instead of the whole")
        return body

    def _wrong(
        self, digest: Digest, upstream: UpstreamIdentity, url_index: int, page: bool
    ) -> None:
        self._counts.digest_mismatch(upstream.name)
        self._downloads.wrong_bytes(digest, upstream, url_index, page=page)
