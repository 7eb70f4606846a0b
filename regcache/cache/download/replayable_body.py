"""An upstream body that is taken into memory, and that a download may take over at any time.

==========  =====================================================================
state       meaning
==========  =====================================================================
collecting  chunks are kept; ``changed`` is called after each event
held        the upstream is paused; what comes all the same is kept
replaying   the new consumer gets what was kept, as fast as it takes it
passing     nothing is kept any more: what comes is passed on
==========  =====================================================================

Pausing and aborting work as with any body, in every state.
"""

from collections import deque
from collections.abc import Callable

from zope.interface import implementer

from regcache.errors import UpstreamFailure
from regcache.interfaces import IBlobBody, IBodyConsumer


@implementer(IBlobBody, IBodyConsumer)
class ReplayableBody:
    """Keeps the beginning of a body.

    The bound of what it keeps is its owner's affair, who holds it when that is reached.

    :param body: untouched.
    :param changed: called after a chunk came, and when the body has ended in some way; not
        any more once it is held.
    :ivar length: bytes that came.
    :ivar ended: the body ended cleanly.
    :ivar failure: how it broke off.
    """

    def __init__(self, body: IBlobBody, changed: Callable[[], None]) -> None:
        self.start, self.end, self.size = body.start, body.end, body.size
        self.etag, self.credentials, self.url_index = body.etag, body.credentials, body.url_index
        self.length = 0
        self.ended = False
        self.failure: UpstreamFailure | None = None
        self._body = body
        self._changed: Callable[[], None] | None = changed
        self._chunks: deque[bytes] = deque()
        self._consumer: IBodyConsumer | None = None
        self._paused = self._over = self._replaying = False

    def collect(self) -> None:
        """Begin."""
        self._body.deliver(self)

    def content(self) -> bytes:
        """All that came, as long as it is kept."""
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    def hold(self) -> None:
        """Take no more, until :meth:`deliver`."""
        self._changed = None
        self._body.pause()

    def deliver(self, consumer: IBodyConsumer) -> None:
        """Give another consumer all that came, and what is still to come."""
        self._changed = None
        self._consumer = consumer
        self._replay()

    def pause(self) -> None:
        """Deliver nothing for now."""
        self._paused = True
        self._body.pause()

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        self._replay()

    def abort(self) -> None:
        """Close the connection; nobody hears anything more."""
        self._over = True
        self._changed = self._consumer = None
        self._chunks.clear()
        self._body.abort()

    def body_chunk(self, data: bytes) -> None:
        """Keep a chunk, or pass it on."""
        if self._over:
            return
        self.length += len(data)
        if self._consumer is not None and not self._chunks and not self._paused:
            self._consumer.body_chunk(data)
            return
        self._chunks.append(data)
        self._tell()

    def body_ended(self) -> None:
        """All that was announced has come."""
        self.ended = True
        self._tell()

    def body_failed(self, failure: UpstreamFailure) -> None:
        """Nothing follows."""
        self.failure = failure
        self._tell()

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed()
        elif self._consumer is not None:
            self._replay()

    def _replay(self) -> None:
        """Pass on what is kept, then how it ended, or have the upstream send more."""
        if self._replaying:
            return
        self._replaying = True
        while self._consumer is not None and self._chunks and not self._paused:
            self._consumer.body_chunk(self._chunks.popleft())
        self._replaying = False
        if self._consumer is None or self._paused or self._over:
            return
        if self.ended or self.failure is not None:
            self._finish(self._consumer)
        else:
            self._body.resume()

    def _finish(self, consumer: IBodyConsumer) -> None:
        self._over, self._consumer = True, None
        if self.failure is not None:
            consumer.body_failed(self.failure)
        else:
            consumer.body_ended()
