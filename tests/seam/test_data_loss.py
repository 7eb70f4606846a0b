"""Bodies that end too early."""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import HTTP11ClientProtocol
from twisted.web.client import ResponseFailed

from regcache.seam.data_loss import DataLoss
from regcache.upstream.exchange import UpstreamRequest
from regcache.upstream.urls import parse_url
from regcache.upstream.wire import WireRequest


class ChunkedTests(SynchronousTestCase):
    """A chunked body of Twisted's own client."""

    def test_cut(self) -> None:
        """A body without its last chunk fails with this, among others."""
        ended: list[Failure] = []
        body = Protocol()
        body.connectionLost = ended.append  # type: ignore[assignment]
        protocol: Any = HTTP11ClientProtocol(lambda _: None)
        protocol.makeConnection(StringTransport())
        request = WireRequest(UpstreamRequest(b"GET", parse_url("http://up.test/")))
        asked = protocol.request(request)
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        self.successResultOf(asked).deliverBody(body)
        protocol.connectionLost(Failure(ConnectionDone()))
        [failure] = ended
        reasons = failure.trap(ResponseFailed) and failure.value.reasons
        self.assertTrue(any(reason.check(DataLoss) for reason in reasons), reasons)
