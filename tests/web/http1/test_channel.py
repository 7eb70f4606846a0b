"""What a connection takes, refuses and waits for."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.web.http1.channel import CLOSE_TIMEOUT, LINGER
from regcache.web.http1.reading import LARGEST_HEAD
from regcache.web.request import Request
from regcache.web.respond import send_text
from regcache.web.site import ConnectionLimits
from tests.support.web_client import MemoryClient, RecordList, make_site


class ChannelCase(SynchronousTestCase):
    """A site that answers every request with its method and target."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.requests: list[Request] = []
        self.recorder = RecordList()
        self.site = make_site(
            self.dispatch,
            self.clock,
            recorders=[self.recorder],
            limits=ConnectionLimits(header_timeout=30, idle=75, body=64),
        )
        self.client = MemoryClient(self.site)

    def dispatch(self, request: Request) -> Any:
        """Answer at once."""
        self.requests.append(request)
        send_text(request, f"{request.method.decode()} {request.uri.decode()}")

    def tearDown(self) -> None:
        """Check that a connection that is gone has left no timer."""
        self.client.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.site.channels, set())


class ParsingTests(ChannelCase):
    """Requests as bytes."""

    def test_every_method_is_dispatched(self) -> None:
        """The dispatcher sees all methods, known or not."""
        methods = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
        for method in methods:
            self.client.request(method, "/v2/")
        self.assertEqual([request.method.decode() for request in self.requests], methods)

    def test_byte_by_byte(self) -> None:
        """A request that comes in single bytes is one request."""
        for byte in b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n":
            self.client.send(bytes([byte]))
        self.assertEqual(self.client.answer().body, b"GET /v2/")

    def assert_refused(self, data: bytes) -> None:
        """These bytes are answered 400, close the connection and reach no handler."""
        client = MemoryClient(self.site)
        client.send(data)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(client.answer().status, 400, data)
        self.assertTrue(client.transport.disconnecting, data)
        self.assertEqual(self.requests, [], data)
        client.leave()

    def test_ambiguous_requests(self) -> None:
        """What could be read in two ways is refused (request smuggling)."""
        line = b"POST / HTTP/1.1\r\nHost: a\r\n"
        for rest in (
            b"X: a\nY: b\r\n\r\n",
            b"X: a\rY: b\r\n\r\n",
            b"X: a\x00b\r\n\r\n",
            b"X: a\r\n folded\r\n\r\n",
            b"X : a\r\n\r\n",
            b": a\r\n\r\n",
            b"no colon\r\n\r\n",
            b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            b"Content-Length: 1, 1\r\n\r\nx",
            b"Content-Length: +1\r\n\r\nx",
            b"Content-Length: -1\r\n\r\nx",
            b"Content-Length: 0x1\r\n\r\nx",
            b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nx",
            b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: xchunked\r\n\r\n",
            b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx",
        ):
            self.assert_refused(line + rest)
        self.assert_refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")

    def test_bad_request_lines(self) -> None:
        """A request line that is none is refused."""
        for line in (b"GET / HTTP/2.0", b"GET /", b"GET  / HTTP/1.1", b"G(T / HTTP/1.1",
                     b"GET / HTTP/1.1 x", b" GET / HTTP/1.1", b"hello"):  # fmt: skip
            self.assert_refused(line + b"\r\nHost: a\r\n\r\n")

    def test_too_much_head(self) -> None:
        """Long lines, many headers and large heads are refused."""
        line = b"GET / HTTP/1.1\r\nHost: a\r\n"
        self.assert_refused(b"GET /" + b"a" * LARGEST_HEAD)
        self.assert_refused(line + b"X: " + b"a" * LARGEST_HEAD)
        self.assert_refused(line + b"X: a\r\n" * 101 + b"\r\n")
        self.assert_refused(line + (b"X: " + b"a" * 4000 + b"\r\n") * 9 + b"\r\n")

    def test_large_head(self) -> None:
        """A token of 16 KiB is taken, beside other fields."""
        self.client.request("GET", "/", "Authorization: Bearer " + "a" * 16384, "X: " + "b" * 8000)
        self.assertEqual(self.client.answer().status, 200)

    def test_refusal_is_recorded_once(self) -> None:
        """A malformed request is one record."""
        self.assert_refused(b"nonsense\r\n\r\n")
        (record,) = self.recorder.records
        self.assertEqual((record.status, record.kind, record.outcome), (400, "other", "error"))
        self.assertEqual(record.peer, "192.0.2.7")

    def test_tls_on_a_plain_port(self) -> None:
        """A ClientHello is answered at once with a status line that says so, and closed."""
        self.client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        answer = self.client.answer()
        self.assertTrue(self.client.raw.startswith(b"HTTP/1.1 400 Bad Request\r\n"))
        self.assertIn(b"TLS", answer.body)
        self.assertTrue(self.client.transport.disconnecting)

    def test_pipelined_answers_keep_their_order(self) -> None:
        """A second request waits for a slow first one, and its answer comes second."""
        slow: list[Request] = []

        def dispatch(request: Request) -> None:
            if request.uri == b"/slow":
                slow.append(request)
            else:
                self.dispatch(request)

        self.site.dispatch = dispatch
        self.client.send(
            b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /fast HTTP/1.1\r\nHost: a\r\n\r\n"
        )  # fmt: skip
        self.assertEqual(self.client.raw, b"")
        send_text(slow[0], "slow")
        self.assertEqual([answer.body for answer in self.client.answers()], [b"slow", b"GET /fast"])

    def test_pipelined_answers_wait_for_the_client(self) -> None:
        """A client that takes no answers gets no more of them, and no more is read from it."""

        def fill(request: Request) -> None:
            self.client.channel.pauseProducing()
            self.dispatch(request)

        self.site.dispatch = fill
        self.client.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        self.assertEqual(len(self.requests), 1)
        self.client.send(b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n" * 700)
        self.assertEqual(self.client.transport.producerState, "paused")
        self.client.channel.resumeProducing()
        self.assertEqual(len(self.requests), 2)
        self.site.dispatch = self.dispatch
        self.client.channel.resumeProducing()
        self.assertEqual(len(self.requests), 703)
        self.assertEqual(self.client.transport.producerState, "producing")

    def test_answer_that_is_not_taken(self) -> None:
        """A client that does not take an answer is closed after the idle time-out."""
        self.client.channel.pauseProducing()
        self.client.request("GET", "/a")
        self.clock.advance(76)
        self.assertTrue(self.client.transport.disconnecting)

    def test_keep_alive(self) -> None:
        """HTTP/1.1 stays open, unless one of the Connection tokens is close; 1.0 does not."""
        self.client.request("GET", "/a").request("GET", "/b")
        self.assertFalse(self.client.transport.disconnecting)
        self.client.request("GET", "/c", "Connection: te, Close")
        self.assertTrue(self.client.transport.disconnecting)
        self.assertEqual(self.client.answers()[-1].headers["connection"], "close")
        old = MemoryClient(self.site).request("GET", "/d", version="1.0")
        self.assertTrue(old.transport.disconnecting)
        old.leave()


class BodyTests(ChannelCase):
    """Request bodies, which nobody wants."""

    def test_small_body_is_passed_over(self) -> None:
        """A body within the limit is read, and the next request is found behind it."""
        self.client.request("POST", "/v2/a", body=b"GET /x HTTP/1.1\r\n\r\n").request(
            "GET", "/v2/b"
        )
        self.assertEqual([request.uri for request in self.requests], [b"/v2/a", b"/v2/b"])

    def assert_unread(self, status: int, *head: str) -> MemoryClient:
        """A request with this head is answered without its body, and closed a bit later."""
        client = MemoryClient(self.site)
        client.send("\r\n".join([*head, "Host: a", "", ""]).encode())
        self.assertEqual(client.answer().status, status)
        self.assertEqual(client.answer().headers["connection"], "close")
        client.send(b"x" * 100000)
        self.assertEqual(self.requests, [])
        self.assertFalse(client.transport.disconnecting)
        self.clock.advance(LINGER)
        self.assertTrue(client.transport.disconnecting)
        client.leave()
        return client

    def test_large_push(self) -> None:
        """A push over the limit, or of unknown length, is refused as a push, unread."""
        for method in ("PUT", "POST", "PATCH"):
            client = self.assert_unread(405, f"{method} /v2/a HTTP/1.1", "Content-Length: 65")
            self.assertEqual(client.answer().code, "UNSUPPORTED")
            self.assertEqual(client.answer().headers["allow"], "GET, HEAD")
            self.assert_unread(405, f"{method} /v2/a HTTP/1.1", "Transfer-Encoding: chunked")

    def test_push_that_waits(self) -> None:
        """A push that waits for 100 gets its refusal instead."""
        self.assert_unread(405, "PUT /v2/a HTTP/1.1", "Content-Length: 5", "Expect: 100-continue")

    def test_large_body_elsewhere(self) -> None:
        """Any other large body is too large."""
        self.assert_unread(413, "GET /v2/ HTTP/1.1", "Content-Length: 65")
        self.assert_unread(413, "POST /api HTTP/1.1", "Content-Length: 99999999999999999")

    def test_refused_body_while_an_answer_waits(self) -> None:
        """What comes of a refused body is dropped, not kept."""
        client = MemoryClient(self.site)
        client.send(b"PUT /v2/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500)
        client.send(b"x" * 500)
        self.assertEqual(len(client.answers()), 1)
        client.leave()
        self.assertEqual(client.channel.bytes_behind, 0)


class TimeTests(ChannelCase):
    """Clocks of a connection."""

    def test_silent_connection(self) -> None:
        """A connection that says nothing is closed after the header time-out."""
        self.clock.advance(29.9)
        self.assertFalse(self.client.transport.disconnecting)
        self.clock.advance(0.2)
        self.assertTrue(self.client.transport.disconnecting)

    def test_dripping_head(self) -> None:
        """Single bytes do not extend the time for a head."""
        self.client.send(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(35):
            self.clock.advance(1)
            self.client.send(b"a")
        self.assertEqual(self.client.answer().status, 408)
        self.assertTrue(self.client.transport.disconnecting)
        (record,) = self.recorder.records
        self.assertEqual((record.status, record.kind), (408, "other"))

    def test_dripping_body(self) -> None:
        """Nor for a body."""
        self.client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n")
        for _ in range(35):
            self.clock.advance(1)
            self.client.send(b"a")
        self.assertEqual(self.client.answer().status, 408)
        self.assertTrue(self.client.transport.disconnecting)
        self.assertEqual(self.requests, [])

    def test_idle_connection(self) -> None:
        """Between requests a connection may wait longer, and is then closed."""
        self.client.request("GET", "/a")
        self.clock.advance(74)
        self.client.request("GET", "/b")
        self.clock.advance(74)
        self.assertFalse(self.client.transport.disconnecting)
        self.clock.advance(2)
        self.assertTrue(self.client.transport.disconnecting)

    def test_head_after_idle(self) -> None:
        """The second head on a connection has the header time-out as well."""
        self.client.request("GET", "/a")
        self.clock.advance(10)
        self.client.send(b"GET /b")
        self.clock.advance(30.1)
        self.assertTrue(self.client.transport.disconnecting)

    def test_no_clock_during_an_answer(self) -> None:
        """While a request is being answered the connection waits for ever."""
        self.site.dispatch = lambda request: None
        self.client.request("GET", "/a")
        self.clock.advance(100000)
        self.assertFalse(self.client.transport.disconnecting)

    def test_connection_that_does_not_close(self) -> None:
        """A connection that was to be closed and is not is cut."""
        self.clock.advance(31)
        self.assertFalse(self.client.transport.aborted)
        self.clock.advance(CLOSE_TIMEOUT + 1)
        self.assertTrue(self.client.transport.aborted)

    def close_with_bytes_waiting(self) -> list[int]:
        """An answer that ends its connection; how many bytes of it the client has yet to take."""
        waiting = [500_000]
        self.client.channel.unsent_bytes = lambda: waiting[0]
        self.client.request("GET", "/a", "Connection: close")
        return waiting

    def test_slow_client_of_a_closed_connection(self) -> None:
        """Who still takes the rest of an answer is not cut; who takes nothing more is."""
        waiting = self.close_with_bytes_waiting()
        for waiting[0] in (400_000, 300_000, 200_000):
            self.clock.advance(CLOSE_TIMEOUT + 1)
            self.assertFalse(self.client.transport.aborted)
        self.clock.advance(CLOSE_TIMEOUT + 1)
        self.assertTrue(self.client.transport.aborted)

    def test_closed_connection_that_is_through(self) -> None:
        """Who has taken everything, and does not confirm the end, is cut in time."""
        waiting = self.close_with_bytes_waiting()
        waiting[0] = 0
        self.clock.advance(CLOSE_TIMEOUT + 1)
        self.assertTrue(self.client.transport.aborted)

    def test_one_timer(self) -> None:
        """A busy connection has one timer, however many requests it has seen."""
        for _ in range(50):
            self.client.request("GET", "/a")
            self.clock.advance(1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)


class LeavingTests(ChannelCase):
    """Clients that leave."""

    def test_work_is_cancelled(self) -> None:
        """What works for a client that leaves is cancelled, and that is recorded once."""
        cancelled: list[Any] = []
        self.site.dispatch = lambda request: Deferred(cancelled.append)
        self.client.request("GET", "/a")
        self.client.leave()
        self.assertEqual(len(cancelled), 1)
        (record,) = self.recorder.records
        self.assertEqual((record.status, record.outcome), (499, "error"))
        self.assertEqual(record.ended_early, "the client closed the connection")
        self.assertEqual(self.site.active_requests, set())

    def test_half_a_request(self) -> None:
        """Half a request is no request."""
        self.client.send(b"GET / HTTP/1.1\r\n")
        self.client.leave()
        self.assertEqual(self.recorder.records, [])
