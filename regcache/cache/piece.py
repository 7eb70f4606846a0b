"""Read a short upstream body whole."""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from regcache.errors import UpstreamFailure
from regcache.interfaces import IBlobBody, IBodyConsumer


@implementer(IBodyConsumer)
class _Collector:
    def __init__(self, body: IBlobBody, limit: int) -> None:
        self._body = body
        self._limit = limit
        self._data = bytearray()
        self.done: Deferred[bytes] = Deferred(lambda _: body.abort())

    def body_chunk(self, data: bytes) -> None:
        """Collect; enough is enough."""
        self._data += data
        if len(self._data) >= self._limit and not self.done.called:
            if len(self._data) > self._limit:
                self._body.abort()
            self.done.callback(bytes(self._data[: self._limit]))

    def body_ended(self) -> None:
        """What came is all there is."""
        if not self.done.called:
            self.done.callback(bytes(self._data))

    def body_failed(self, failure: UpstreamFailure) -> None:
        """It broke off."""
        if not self.done.called:
            self.done.errback(failure)


def read_piece(body: IBlobBody, limit: int) -> "Deferred[bytes]":
    """Up to ``limit`` bytes of a body that nobody takes yet.

    Fails with UpstreamFailure. Cancelling aborts the transfer.
    """
    collector = _Collector(body, limit)
    body.deliver(collector)
    return collector.done
