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
        """Collect a chunk. Abort the body if it is longer than the limit."""
        self._data += data[: self._limit + 1 - len(self._data)]
        if len(self._data) > self._limit or self._goes_on():
            self._body.abort()
            self._finish()

    def _goes_on(self) -> bool:
        """Whether all that is wanted is here, and the body may go on."""
        whole = len(self._data) == self._limit
        return whole and self._body.end != self._body.start + self._limit

    def _finish(self) -> None:
        if not self.done.called:
            self.done.callback(bytes(self._data[: self._limit]))

    def body_ended(self) -> None:
        """The body is complete."""
        self._finish()

    def body_failed(self, failure: UpstreamFailure) -> None:
        """The body broke off."""
        if not self.done.called:
            self.done.errback(failure)


def read_piece(body: IBlobBody, limit: int) -> "Deferred[bytes]":
    """Read up to ``limit`` bytes of a body that is not being read yet. A longer one is aborted.

    Fails with UpstreamFailure. Cancelling aborts the transfer.
    """
    collector = _Collector(body, limit)
    body.deliver(collector)
    return collector.done
