"""A relay: passes a blob that cannot be stored directly from the upstream to one client.

It hashes the bytes, withholds the last 64 KiB until the digest is right, and aborts if it is not.
So a client is as safe as with a stored blob. It has the interface of a reader. A slow client
pauses the upstream. If the upstream breaks off, the body is continued (``continued_body.py``);
neither the hash nor the client notices that.

=========  ==========================================================================
state      meaning
=========  ==========================================================================
waiting    the body waits until the answer's head is sent (``begin``)
flowing    chunks are hashed and passed on, except for what is withheld
paused     the client takes nothing; time counts against it, see :class:`ClientPace`, unless
           a limit is what it waits for
ended      the digest was right and everything was sent, or the answer was aborted
=========  ==========================================================================
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from regcache.cache.download.context import WITHHELD
from regcache.digests import Digest
from regcache.errors import UpstreamFailure
from regcache.interfaces import IBodyConsumer, IReader, IReaderSink, Wait

#: A client that takes less than this is cut off (bytes a second) ...
SLOWEST = 1024
#: ... over so long, in which the upstream waits for it (seconds).
WINDOW = 60.0


class ClientPace:
    """Finds out that a client takes next to nothing of what is passed on to it.

    A relay keeps a place, a connection and 64 KiB until its client has everything. A client that
    takes less than ``SLOWEST`` over ``WINDOW`` is cut off. Only that time counts in which the
    upstream waits for the client.

    :param too_slow: called once.
    """

    def __init__(self, clock: IReactorTime, too_slow: Callable[[], None]) -> None:
        self._clock = clock
        self._too_slow = too_slow
        self._call: IDelayedCall | None = None
        self._since = self._spent = 0.0
        self._taken = 0

    def took(self, count: int) -> None:
        """Count bytes that the client was sent."""
        self._taken += count
        if self._taken >= SLOWEST * WINDOW:
            self._taken, self._spent = 0, 0.0

    def wait(self) -> None:
        """The upstream waits for the client from now on. Idempotent."""
        if self._call is None:
            self._since = self._clock.seconds()
            self._call = self._clock.callLater(WINDOW - self._spent, self._expired)

    def go_on(self) -> None:
        """The upstream does not wait for the client any more. Idempotent."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
            self._spent = min(WINDOW, self._spent + self._clock.seconds() - self._since)

    def _expired(self) -> None:
        self._call = None
        self._too_slow()


class RelayedBody(Protocol):
    """The body that is passed on, see :class:`~regcache.interfaces.IBlobBody`."""

    def deliver(self, consumer: IBodyConsumer) -> None:
        """Begin to deliver."""

    def pause(self) -> None:
        """Deliver no more for now."""

    def resume(self) -> None:
        """Go on."""

    def abort(self) -> None:
        """End it."""


class RelayEvents(Protocol):
    """Remembers how relays ended."""

    def wrong_bytes(self) -> None:
        """The whole content fails its digest."""

    def verified(self, size: int) -> None:
        """The whole content has its digest, and so many bytes."""

    def broke_off(self, failure: UpstreamFailure) -> None:
        """The upstream could not be made to give all of it."""


@implementer(IReader, IBodyConsumer)
class Relay:
    """Passes ``[start, end)`` of one upstream body on."""

    _log = Logger()
    waits_for = Wait.UPSTREAM

    def __init__(
        self,
        digest: Digest,
        body: RelayedBody,
        size: int | None,
        *,
        upstream: str,
        events: RelayEvents,
        clock: IReactorTime,
    ) -> None:
        """
        :param body: of the whole blob, from its first byte on.
        """
        self.size = size
        self._digest = digest
        self._body = body
        self._upstream = upstream
        self._events = events
        self._pace = ClientPace(clock, self._client_too_slow)
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

        The bytes are not kept, so a second range is aborted.
        """
        if self._begun:
            sink.broken("what is relayed passes once")
            self.leave()
            return
        self._begun = True
        self._start, self._end, self._sink = start, end, sink
        self._body.deliver(self)

    def pass_to(self, sink: IReaderSink) -> None:
        """Send the rest of the range to another sink."""
        if self._sink is not None:
            self._sink = sink

    def client_is_fast(self, fast: bool) -> None:
        """Nothing to fit: the upstream's chunks are passed on as they come."""

    def pauseProducing(self) -> None:
        """The client takes nothing for now, so the upstream shall send nothing."""
        if not self._over:
            self._pace.wait()
            self._body.pause()

    def pause_for_limit(self) -> None:
        """The client is sent nothing for now, because of a limit."""
        if not self._over:
            self._pace.go_on()
            self._body.pause()

    def resumeProducing(self) -> None:
        """The client takes more."""
        if not self._over:
            self._pace.go_on()
            self._body.resume()

    def stopProducing(self) -> None:
        """The client has left."""
        self.leave()

    def leave(self) -> None:
        """End the upstream transfer that only this client needed. Idempotent."""
        self._sink = None
        if not self._over:
            self._over = True
            self._pace.go_on()
            self._withheld.clear()
            self._body.abort()

    def body_chunk(self, data: bytes) -> None:
        """Hash a chunk, and pass on the bytes that need not be withheld any more."""
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
            self._pace.took(len(piece))
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
            self._events.wrong_bytes()
            self._break("the content fails its digest")
            return
        self._events.verified(self._position + self._withheld_length)
        while self._withheld and not self._over:
            self._send()
        self._finish()

    def body_failed(self, failure: UpstreamFailure) -> None:
        """The upstream failed for good: abort the answer. The client may resume it."""
        if not self._over:
            self._events.broke_off(failure)
            self._break(failure.reason)

    def _client_too_slow(self) -> None:
        self._break(f"the client took less than {SLOWEST} bytes a second over {WINDOW:.0f} s")

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
