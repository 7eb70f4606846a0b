"""What a site adds to answers, and how it stops."""

from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import http

from regcache.web.http1 import channel
from regcache.web.http1.channel import LAST_REQUEST, Channel
from regcache.web.request import Request
from regcache.web.respond import send_text
from regcache.web.site import ConnectionLimits
from tests.support.web_client import MemoryClient, MemoryTransport, make_site


class HeaderTests(SynchronousTestCase):
    """Headers of every answer."""

    def test_standard(self) -> None:
        """Every answer has Server, Date and nosniff; those on /v2/ the API version."""
        clock = Clock()
        site = make_site(lambda request: send_text(request, "ok"), clock)
        clock.advance(86400)
        answer = MemoryClient(site).request("GET", "/x").answer()
        self.assertEqual(answer.headers["server"], "regcache")
        self.assertEqual(answer.headers["date"], "Fri, 02 Jan 1970 00:00:00 GMT")
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertNotIn("docker-distribution-api-version", answer.headers)
        for target in ("/v2", "/v2/", "/v2/x"):
            answer = MemoryClient(site).request("GET", target).answer()
            self.assertEqual(answer.headers["docker-distribution-api-version"], "registry/2.0")

    def test_hsts(self) -> None:
        """Strict-Transport-Security goes out over TLS only."""
        site = make_site(lambda request: send_text(request, "ok"), hsts="max-age=5")
        plain = MemoryClient(site).request("GET", "/").answer()
        secure = MemoryClient(site, secure=True).request("GET", "/").answer()
        self.assertNotIn("strict-transport-security", plain.headers)
        self.assertEqual(secure.headers["strict-transport-security"], "max-age=5")

    def test_http1_only(self) -> None:
        """A connection is HTTP/1.1 even where h2 could be imported, and ALPN is not ours."""
        self.patch(http, "H2_ENABLED", True)
        site = make_site(lambda request: None)
        self.assertIsInstance(site.buildProtocol(None), Channel)
        self.assertFalse(IProtocolNegotiationFactory.providedBy(site))

    def test_tls_bytes_over_tls(self) -> None:
        """A first byte 0x16 within TLS is a malformed request, not a TLS handshake."""
        client = MemoryClient(make_site(lambda request: None), secure=True)
        client.send(b"\x16\r\n\r\n")
        self.assertNotIn(b"TLS", client.answer().body)


class StoppingTests(SynchronousTestCase):
    """Draining."""

    def setUp(self) -> None:
        self.requests: list[Request] = []
        self.clock = Clock()
        self.site = make_site(self.requests.append, self.clock, limits=ConnectionLimits())

    def test_no_timer_of_its_own(self) -> None:
        """A site that nobody has connected to leaves the reactor alone."""
        self.site.doStart()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.site.doStop()

    def test_drain(self) -> None:
        """Draining closes idle connections at once, and busy ones behind their answer; a new one
        waits a moment for its first request."""
        new = MemoryClient(self.site)
        idle = MemoryClient(self.site).request("GET", "/")
        send_text(self.requests[0], "ok")
        busy = MemoryClient(self.site).request("GET", "/")
        started = MemoryClient(self.site).request("GET", "/")
        self.requests[2].write(b"half")
        reading = MemoryClient(self.site)
        reading.send(b"GET / HT")
        self.site.drain()
        closed = [client.transport.disconnecting for client in (new, idle, busy, started, reading)]
        self.assertEqual(closed, [False, True, False, False, False])
        send_text(self.requests[1], "ok")
        self.assertEqual(busy.answer().headers["connection"], "close")
        self.requests[2].finish()
        self.assertTrue(busy.transport.disconnecting)
        self.assertTrue(started.transport.disconnecting)
        reading.send(b"TP/1.1\r\nHost: a\r\n\r\n")
        send_text(self.requests[3], "ok")
        self.assertTrue(reading.transport.disconnecting)
        new.request("GET", "/")
        send_text(self.requests[4], "ok")
        self.assertEqual(new.answer().headers["connection"], "close")

    def test_drain_does_not_wait_for_a_head(self) -> None:
        """A client that never ends its request does not hold up the stop."""
        reading, silent = MemoryClient(self.site), MemoryClient(self.site)
        reading.send(b"GET / HT")
        self.site.drain()
        self.clock.advance(LAST_REQUEST + 0.1)
        self.assertTrue(reading.transport.disconnecting)
        self.assertTrue(silent.transport.disconnecting)

    def test_drain_does_not_wait_for_tls_peers(self) -> None:
        """Idle TLS connections end without the peer's confirmation, and so do closing ones."""
        self.patch(channel, "stream_below", lambda transport: transport.transport)
        idle = MemoryClient(self.site, secure=True).request("GET", "/")
        closing = MemoryClient(self.site, secure=True).request("GET", "/", "Connection: close")
        busy = MemoryClient(self.site, secure=True).request("GET", "/")
        for client in (idle, closing, busy):
            client.transport.transport = MemoryTransport()
        send_text(self.requests[0], "ok")
        send_text(self.requests[1], "ok")
        self.assertFalse(closing.transport.transport.disconnecting)
        self.site.drain()
        ended = [client.transport.transport.disconnecting for client in (idle, closing, busy)]
        self.assertEqual(ended, [True, True, False])

    def test_when_idle(self) -> None:
        """Waiting for idleness ends with the last request, however that ends."""
        self.successResultOf(self.site.when_idle())
        first = MemoryClient(self.site).request("GET", "/")
        MemoryClient(self.site).request("GET", "/")
        waiting = self.site.when_idle()
        send_text(self.requests[1], "ok")
        self.assertNoResult(waiting)
        self.assertEqual(self.site.active_requests, {self.requests[0]})
        first.leave()
        self.successResultOf(waiting)

    def test_give_up_waiting(self) -> None:
        """Waiting may be cancelled; the requests go on."""
        MemoryClient(self.site).request("GET", "/")
        waiting = self.site.when_idle()
        waiting.addErrback(lambda failure: None)
        waiting.cancel()
        send_text(self.requests[0], "ok")
        self.assertEqual(self.site.active_requests, set())

    def test_abort_all(self) -> None:
        """All connections are cut."""
        clients = [MemoryClient(self.site), MemoryClient(self.site).request("GET", "/")]
        self.site.abort_all()
        self.assertEqual([client.transport.aborted for client in clients], [True, True])
