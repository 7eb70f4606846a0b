"""A request of Twisted's server, with what a subclass has to see of it.

Private: ``_disconnected``. ``startedWriting``, ``sentLength`` and ``producer`` have no
documentation.

Why: nothing public says that the client is gone, and writing after it fails in several ways;
and a head that is written together with its body is not written by ``write``. And where the client
leaves first, a request and its producer keep each other until Python's collector comes.

Replaced by: a public state of requests.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from twisted.python.failure import Failure
from twisted.web import http


class ServerRequest(http.Request):
    """A request that tells its subclass how far its answer has come."""

    def connectionLost(self, reason: Failure) -> None:
        """The client has left. Let go of the producer, which has this request."""
        super().connectionLost(reason)
        self.producer = None

    @property
    def is_disconnected(self) -> bool:
        """Whether the connection is gone."""
        return bool(self._disconnected)

    @property
    def is_answering(self) -> bool:
        """Whether the head of the answer is written."""
        return bool(self.startedWriting)

    @property
    def body_bytes_sent(self) -> int:
        """How many bytes of the body were written, to HEAD those that it would have."""
        return int(self.sentLength)

    def answered_elsewhere(self, count: int) -> None:
        """Head and body are written past :meth:`write`: only ``finish`` is left to do.

        :param count: bytes of the body.
        """
        self.startedWriting = 1
        self.sentLength = count

    def sent_elsewhere(self, count: int) -> None:
        """So many further bytes of the body went past :meth:`write`."""
        self.sentLength += count
