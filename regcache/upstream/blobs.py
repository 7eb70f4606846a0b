"""Blobs of one URL of an upstream: the answer to a GET, and its body as it arrives."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer, UpstreamFailure, UpstreamTimedOut
from regcache.facts import ContentHead
from regcache.interfaces import IBlobBody, IBodyConsumer, IUpstreamMeter
from regcache.upstream.exchange import Answer, UpstreamRequest
from regcache.upstream.failures import failure_from
from regcache.upstream.fields import content_range, only_value
from regcache.upstream.manifests import content_head
from regcache.upstream.remote import Remote

BodyMaker = Callable[[Answer, Remote, int, int | None, int | None], "BlobBody"]
# What storage behind a redirect says to HEAD where the signature is for GET.
_NO_HEAD = frozenset({400, 401, 403, 405, 501})
_COMMON = (("Accept", "*/*"), ("Accept-Encoding", "identity"), ("User-Agent", "regcache"))


async def head_blob(
    remote: Remote, repository: str, digest: Digest, anonymous: bool, body_of: BodyMaker
) -> ContentHead:
    """HEAD of a blob, or GET of its first byte where the storage behind takes no HEAD.

    :raises UpstreamFailure: as :meth:`Remote.ask`.
    """
    url = remote.url(repository, f"blobs/{digest}")
    request = UpstreamRequest(b"HEAD", url, _COMMON, repository, anonymous)
    try:
        return content_head(await remote.ask(request))
    except UpstreamBadAnswer as failure:
        if failure.status not in _NO_HEAD:
            raise
    body = await open_blob(remote, repository, digest, 0, 1, body_of, anonymous)
    body.abort()
    return ContentHead(None, body.size, "", body.credentials)


async def open_blob(
    remote: Remote,
    repository: str,
    digest: Digest,
    start: int,
    end: int | None,
    body_of: "BodyMaker",
    anonymous: bool = False,
) -> "BlobBody":
    """GET of a blob, with a Range unless it is asked for whole.

    :param body_of: makes the body from (answer, remote, start, end, size).
    :raises UpstreamFailure: if there is none, or the answer is not for what was asked.
    """
    ranged = start > 0 or end is not None
    url = remote.url(repository, f"blobs/{digest}")
    headers = (*_COMMON, *_range_field(start, end))
    answer = await remote.transfer(UpstreamRequest(b"GET", url, headers, repository, anonymous))
    if answer.status == 200:
        return body_of(answer, remote, 0, answer.length, answer.length)
    if not ranged:
        raise remote.bad_answer(answer, "it sent a part where the whole was asked for")
    part = content_range(only_value(answer.headers, "content-range"))
    if part is None or part[0] != start or not _fits(part[1], end, answer.length, start):
        raise remote.bad_answer(answer, "it sent another range than was asked for")
    return body_of(answer, remote, *part)


def _range_field(start: int, end: int | None) -> tuple[tuple[str, str], ...]:
    if start == 0 and end is None:
        return ()
    last = "" if end is None else str(end - 1)
    return (("Range", f"bytes={start}-{last}"),)


def _fits(part_end: int, end: int | None, length: int | None, start: int) -> bool:
    """Whether a part ends where it may, and is as long as the length that is announced."""
    return (end is None or part_end <= end) and length in (None, part_end - start)


class _StallTimer:
    """Calls back after some seconds without progress; rests while told to."""

    def __init__(self, clock: IReactorTime, seconds: float, stalled: Callable[[], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._stalled = stalled
        self._last = clock.seconds()
        self._call: IDelayedCall | None = None
        self.start()

    def progress(self) -> None:
        """Note progress; cheap enough for every chunk."""
        self._last = self._clock.seconds()

    def start(self) -> None:
        """Count from now on. Idempotent."""
        self.progress()
        if self._call is None:
            self._call = self._clock.callLater(self._seconds, self._look)

    def stop(self) -> None:
        """Count no more. Idempotent."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _look(self) -> None:
        self._call = None
        remaining = self._last + self._seconds - self._clock.seconds()
        if remaining > 0:
            self._call = self._clock.callLater(remaining, self._look)
        else:
            self._stalled()


@implementer(IBlobBody)
class BlobBody(Protocol):
    """A body that waits, flows, is paused, and ends in exactly one way.

    An undelivered body holds a connection, so it may wait for ``stall_timeout`` only.
    """

    def __init__(
        self,
        answer: Answer,
        remote: Remote,
        start: int,
        end: int | None,
        size: int | None,
        clock: IReactorTime,
        meter: IUpstreamMeter,
        stall_timeout: float,
    ) -> None:
        self.start = start
        self.end = end
        self.size = size
        self.etag = only_value(answer.headers, "etag")
        self.credentials = answer.credentials
        self.url_index = remote.index
        self._upstream = remote.upstream
        self._answer = answer
        self._meter = meter
        self._position = start
        self._consumer: IBodyConsumer | None = None
        self._failure: UpstreamFailure | None = None
        self._over = False
        self._paused = False
        self._stall = _StallTimer(clock, stall_timeout, self._stalled)

    def deliver(self, consumer: IBodyConsumer) -> None:
        """Begin to deliver."""
        if self._failure is not None:
            consumer.body_failed(self._failure)
        if self._over:
            return
        self._consumer = consumer
        if self._paused:
            self._stall.stop()
        self._stall.progress()
        self._answer.deliver(self)
        if self._paused and not self._over:
            # Twisted resumes the transport at the end of deliverBody, whatever was said before.
            self._pause_transport()

    def pause(self) -> None:
        """Stop reading from the upstream."""
        if self._over or self._paused:
            return
        self._paused = True
        if self._consumer is not None:
            self._stall.stop()
        self._pause_transport()

    def resume(self) -> None:
        """Read on."""
        if self._over or not self._paused:
            return
        self._paused = False
        self._stall.start()
        if self.transport is not None:
            self.transport.resumeProducing()  # type: ignore[attr-defined]

    def abort(self) -> None:
        """Close the connection, and say nothing more."""
        if self._over:
            return
        self._close()
        self._answer.abort()

    def dataReceived(self, data: bytes) -> None:
        """Hand a chunk on, unless it is more than was announced."""
        if self._over or self._consumer is None:
            return
        self._stall.progress()
        self._meter.upstream_sent(self._upstream, len(data))
        self._position += len(data)
        if self.end is not None and self._position > self.end:
            self._fail("its body is longer than announced")
        else:
            self._consumer.body_chunk(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Tell how the body ended."""
        if self._over:
            return
        raised = (reason.value if reason is not None else None) or ResponseDone()
        if isinstance(raised, ResponseDone | PotentialDataLoss):
            if self.end is not None and self._position != self.end:
                self._fail("its body is shorter than announced")
                return
            consumer = self._close()
            self._answer.finish()
            if consumer is not None:
                consumer.body_ended()
        else:
            self._end_with(failure_from(self._upstream, raised))

    def _pause_transport(self) -> None:
        if self.transport is not None:
            self.transport.pauseProducing()  # type: ignore[attr-defined]

    def _stalled(self) -> None:
        self._end_with(UpstreamTimedOut(self._upstream, "its body stalled"))

    def _fail(self, reason: str) -> None:
        self._end_with(UpstreamBadAnswer(self._upstream, reason))

    def _end_with(self, failure: UpstreamFailure) -> None:
        self._failure = failure
        consumer = self._close()
        self._answer.abort()
        if consumer is not None:
            consumer.body_failed(failure)

    def _close(self) -> IBodyConsumer | None:
        self._over = True
        self._stall.stop()
        consumer, self._consumer = self._consumer, None
        return consumer
