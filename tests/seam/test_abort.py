"""Responses of Twisted whose connection is closed."""

from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import HTTP11ClientProtocol

from regcache.seam.abort import abort_response
from regcache.upstream.exchange import UpstreamRequest
from regcache.upstream.urls import parse_url
from regcache.upstream.wire import WireRequest

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"


class _Transport(StringTransport):
    """A transport that can be aborted.

    :ivar aborted: whether it was.
    """

    aborted = False

    def abortConnection(self) -> None:
        """As losing it, at once."""
        self.aborted = True
        self.loseConnection()


class ResponseTests(SynchronousTestCase):
    """A response of Twisted's own client."""

    def setUp(self) -> None:
        self.transport = _Transport()
        self.protocol: Any = HTTP11ClientProtocol(lambda _: None)
        self.protocol.makeConnection(self.transport)
        request = WireRequest(UpstreamRequest(b"GET", parse_url("http://up.test/")))
        self.asked = self.protocol.request(request)

    def test_unread(self) -> None:
        """A body that nobody has asked for is cut off."""
        self.protocol.dataReceived(HEAD)
        abort_response(self.successResultOf(self.asked))
        self.assertTrue(self.transport.aborted)

    def test_under_way(self) -> None:
        """A body that is being delivered is cut off."""
        self.protocol.dataReceived(HEAD + b"a")
        response = self.successResultOf(self.asked)
        response.deliverBody(Protocol())
        abort_response(response)
        self.assertTrue(self.transport.aborted)

    def test_whole(self) -> None:
        """The connection of a body that has come whole belongs to the next request."""
        self.protocol.dataReceived(HEAD)
        response = self.successResultOf(self.asked)
        response.deliverBody(Protocol())
        self.protocol.dataReceived(b"abc")
        abort_response(response)
        self.assertFalse(self.transport.aborted)


class WayTests(SynchronousTestCase):
    """Transports that can do less."""

    def test_ways(self) -> None:
        """The best way that there is is taken, and only that one."""

        class Recorder:
            def __init__(self, *names: str, **inner: object) -> None:
                self.calls: list[str] = []
                for name in names:
                    setattr(self, name, lambda name=name: self.calls.append(name))
                vars(self).update(inner)

        transport = Recorder("abortConnection", "stopProducing")
        proxy = Recorder("stopProducing", _producer=transport)
        abort_response(Recorder(_transport=proxy))
        self.assertEqual((transport.calls, proxy.calls), (["abortConnection"], []))
        for names, expected in (
            (("abortConnection", "stopProducing"), ["abortConnection"]),
            (("stopProducing",), ["stopProducing"]),
            ((), []),
        ):
            proxy = Recorder(*names)
            abort_response(Recorder(_transport=proxy))
            self.assertEqual(proxy.calls, expected)
        abort_response(Recorder())
