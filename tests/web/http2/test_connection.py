"""Requests and answers over HTTP/2."""

from typing import Any

from h2.errors import ErrorCodes
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.errors import BlobUnknownError
from regcache.web.http1.channel import CLOSE_TIMEOUT
from regcache.web.http2 import connection
from regcache.web.http2.head import read_head
from regcache.web.http2.stream import Http2Stream
from regcache.web.request import Request
from regcache.web.respond import send_body, send_text
from regcache.web.site import ConnectionLimits
from tests.support.http2_client import Http2Client, fields, make_http2_site
from tests.support.web_client import RecordList


class Http2Case(SynchronousTestCase):
    """A site that answers every request with its method and target."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.requests: list[Request] = []
        self.recorder = RecordList()
        self.site = make_http2_site(
            self.dispatch,
            self.clock,
            recorders=[self.recorder],
            limits=ConnectionLimits(header_timeout=30, idle=75, body=64),
            hsts="max-age=1",
        )
        self.clients: list[Http2Client] = []
        self.client = self.connect()

    def connect(self, **options: Any) -> Http2Client:
        """One more connection."""
        client = Http2Client(self.site, **options)
        self.clients.append(client)
        return client

    def dispatch(self, request: Request) -> Any:
        """Answer at once."""
        self.requests.append(request)
        send_text(request, f"{request.method.decode()} {request.uri.decode()}")

    def tearDown(self) -> None:
        """Check that connections that are gone have left no timer and no bytes."""
        for client in self.clients:
            client.leave()
            self.assertEqual(client.channel.buffers.size, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.site.channels, set())
        self.assertEqual(self.site.active_requests, set())
        self.assertEqual(self.site.buffers.size, 0)


class AnswerTests(Http2Case):
    """What a client gets."""

    def test_interfaces(self) -> None:
        """Connection and stream are what Twisted takes them for."""
        verifyObject(IPushProducer, self.client.channel)
        head = read_head([(n.encode(), v.encode()) for n, v in fields()])
        verifyObject(IConsumer, Http2Stream(self.client.channel, 1, head))

    def test_answer(self) -> None:
        """A request is answered in its stream, with the headers of every answer."""
        answer = self.client.request("GET", "/v2/x?n=1")
        self.assertEqual((answer.status, answer.body), (200, b"GET /v2/x?n=1"))
        self.assertTrue(answer.ended)
        self.assertIsNone(answer.reset)
        self.assertEqual(answer.headers["content-length"], "13")
        self.assertEqual(answer.headers["server"], "regcache")
        self.assertEqual(answer.headers["strict-transport-security"], "max-age=1")
        self.assertEqual(answer.headers["docker-distribution-api-version"], "registry/2.0")
        self.assertEqual({name for name in answer.headers if name != name.lower()}, set())

    def test_request(self) -> None:
        """A handler sees the authority as Host, and one without a port as the hostname."""
        secure: list[bool] = []
        self.site.dispatch = lambda request: (
            secure.append(request.isSecure()),
            self.dispatch(request),
        )[1]
        self.client.request("GET", "/v2/", ("accept", "a"), ("accept", "b"), host="Ghcr.Example:5")
        (request,) = self.requests
        self.assertEqual(request.hostname, "ghcr.example")
        self.assertEqual(request.requestHeaders.getRawHeaders("Host"), ["Ghcr.Example:5"])
        self.assertEqual(request.requestHeaders.getRawHeaders("Accept"), ["a", "b"])
        self.assertEqual(request.clientproto, b"HTTP/2")
        self.assertEqual(secure, [True])

    def test_record(self) -> None:
        """Each request is one record."""
        self.client.request("GET", "/a")
        self.client.request("HEAD", "/bc")
        records = self.recorder.records
        self.assertEqual([each.method for each in records], ["GET", "HEAD"])
        self.assertEqual([each.body_bytes for each in records], [6, 0])
        self.assertEqual([each.status for each in records], [200, 200])
        self.assertEqual(records[0].peer, "192.0.2.7")
        self.assertEqual([each.ended_early for each in records], ["", ""])
        self.assertIsNotNone(records[0].first_byte)

    def test_head(self) -> None:
        """HEAD gets the length and no body, and ends cleanly."""
        answer = self.client.request("HEAD", "/v2/")
        self.assertEqual((answer.status, answer.body, answer.ended), (200, b"", True))
        self.assertEqual(answer.headers["content-length"], "9")
        self.assertIsNone(answer.reset)

    def test_not_modified(self) -> None:
        """304 has no body."""
        self.site.dispatch = lambda request: send_body(request, b"abc", "a/b", etag='"1"')
        answer = self.client.request("GET", "/", ("if-none-match", '"1"'))
        self.assertEqual((answer.status, answer.body, answer.ended), (304, b"", True))

    def test_error(self) -> None:
        """What a handler raises is answered as over HTTP/1.1."""

        def dispatch(request: Request) -> None:
            raise BlobUnknownError("no such blob")

        self.site.dispatch = dispatch
        answer = self.client.request()
        self.assertEqual((answer.status, answer.ended), (404, True))
        self.assertIn(b"BLOB_UNKNOWN", answer.body)
        self.assertEqual(self.recorder.last.status, 404)

    def test_one_packet(self) -> None:
        """The answers to what came together go out together."""
        for number in range(3):
            self.client.begin("GET", f"/{number}")
        data = self.client.h2.data_to_send()
        writes: list[bytes] = []
        write = self.client.transport.write
        self.client.transport.write = lambda data: (writes.append(data), write(data))[1]  # type: ignore
        self.client.send(data)
        self.assertEqual(len(writes), 1)
        self.client.transport.write = write  # type: ignore[method-assign]
        self.client.carry()
        self.assertEqual([a.body for a in self.client.answers.values() if a.body],
                         [b"GET /0", b"GET /1", b"GET /2"])  # fmt: skip

    def test_answers_in_any_order(self) -> None:
        """A slow request holds up no other."""
        waiting: Deferred[None] = Deferred()
        self.site.dispatch = lambda request: (
            waiting.addCallback(lambda _: self.dispatch(request))
            if request.uri == b"/slow"
            else self.dispatch(request)
        )
        slow = self.client.begin("GET", "/slow")
        self.assertEqual(self.client.request("GET", "/fast").body, b"GET /fast")
        self.assertFalse(self.client.answers[slow].ended)
        waiting.callback(None)
        self.client.carry()
        self.assertEqual(self.client.answers[slow].body, b"GET /slow")

    def test_abort_after_the_head(self) -> None:
        """An answer that breaks is reset, never ended, and recorded; the connection goes on."""

        def dispatch(request: Request) -> None:
            request.responseHeaders.setRawHeaders("Content-Length", ["10"])
            request.write(b"half")
            raise BlobUnknownError("gone")

        self.site.dispatch = dispatch
        answer = self.client.request()
        self.assertFalse(answer.ended)
        self.assertEqual(answer.reset, ErrorCodes.INTERNAL_ERROR)
        self.clock.advance(0)
        self.assertEqual(self.recorder.last.ended_early, "gone")
        self.site.dispatch = self.dispatch
        self.assertEqual(self.client.request().status, 200)

    def test_too_short(self) -> None:
        """An answer that is finished before its declared length is reset."""

        def dispatch(request: Request) -> None:
            request.responseHeaders.setRawHeaders("Content-Length", ["10"])
            request.write(b"half")
            request.finish()

        self.site.dispatch = dispatch
        answer = self.client.request()
        self.assertFalse(answer.ended)
        self.assertEqual(answer.reset, ErrorCodes.INTERNAL_ERROR)

    def test_length_unknown(self) -> None:
        """An answer without a length is sent as it is: chunked coding is of HTTP/1.1."""

        def dispatch(request: Request) -> None:
            request.write(b"one")
            request.write(b"two")
            request.finish()

        self.site.dispatch = dispatch
        answer = self.client.request()
        self.assertEqual((answer.body, answer.ended), (b"onetwo", True))
        self.assertNotIn("transfer-encoding", answer.headers)


class LeavingTests(Http2Case):
    """Clients that leave, and the end of the daemon."""

    def setUp(self) -> None:
        super().setUp()
        self.cancelled: list[Request] = []
        self.waiting: list[tuple[Request, Deferred[None]]] = []

        def dispatch(request: Request) -> Any:
            waiting: Deferred[None] = Deferred(lambda _: self.cancelled.append(request))
            self.waiting.append((request, waiting))
            return waiting

        self.site.dispatch = dispatch

    def test_reset(self) -> None:
        """A client that resets a stream cancels the work for it, and for no other."""
        first, second = self.client.begin(), self.client.begin()
        self.client.carry()
        self.client.h2.reset_stream(first, ErrorCodes.CANCEL)
        self.client.carry()
        self.assertEqual(self.cancelled, [self.waiting[0][0]])
        self.assertEqual(self.recorder.last.ended_early, "the client closed the connection")
        self.assertEqual(self.recorder.last.status, 499)
        send_text(self.waiting[1][0], "late")
        self.client.carry()
        self.assertEqual(self.client.answers[second].body, b"late\n"[:4])

    def test_reset_at_once(self) -> None:
        """A request that is reset within the same bytes is never begun."""
        stream = self.client.begin()
        self.client.h2.reset_stream(stream, ErrorCodes.CANCEL)
        self.client.carry()
        self.assertEqual((self.waiting, self.recorder.records), ([], []))
        self.client.begin()
        self.client.carry()
        self.assertEqual(len(self.waiting), 1)

    def test_connection_lost(self) -> None:
        """All requests of a connection are cancelled and recorded when it is lost."""
        for _ in range(3):
            self.client.begin()
        self.client.carry()
        self.client.leave()
        self.assertEqual(len(self.cancelled), 3)
        self.assertEqual(len(self.recorder.records), 3)

    def test_goaway_from_the_client(self) -> None:
        """A client that says goodbye gets the answers that it waits for."""
        stream = self.client.begin()
        self.client.carry()
        self.client.send(bytes.fromhex("000008070000000000") + bytes(8))
        self.assertFalse(self.client.transport.disconnecting)
        send_text(self.waiting[0][0], "still")
        self.client.carry()
        self.assertTrue(self.client.answers[stream].ended)
        self.assertTrue(self.client.transport.disconnecting)

    def test_drain(self) -> None:
        """A stop refuses further requests, and closes behind the last answer."""
        stream = self.client.begin()
        self.client.carry()
        idle = self.connect()
        self.site.drain()
        done = self.site.when_idle()
        idle.carry()
        self.assertEqual(idle.goaway, ErrorCodes.NO_ERROR)
        self.assertTrue(idle.transport.disconnecting)
        idle.leave()
        self.assertFalse(self.client.transport.disconnecting)
        self.assertNoResult(done)
        self.client.send(self.late_request(stream + 2))
        self.assertEqual(len(self.waiting), 1)
        send_text(self.waiting[0][0], "last")
        written = self.client.transport.value()
        self.assertIn(b"last", written)
        self.assertIn(bytes.fromhex("0000040300") + (stream + 2).to_bytes(4, "big")
                      + b"\0\0\0\x07", written)  # fmt: skip
        self.assertTrue(self.client.transport.disconnecting)
        self.client.leave()
        self.successResultOf(done)

    def late_request(self, stream: int) -> bytes:
        """A request that was sent before the client saw GOAWAY."""
        other = self.connect()
        while other.h2.get_next_available_stream_id() < stream:
            other.h2.send_headers(other.h2.get_next_available_stream_id(), fields())
            other.h2.data_to_send()
        other.h2.encoder.header_table_size = 0
        other.h2.send_headers(stream, fields(), end_stream=True)
        data = bytes(other.h2.data_to_send())
        other.leave()
        return data

    def test_abort_all(self) -> None:
        """What has not finished in time is cut with its connection."""
        self.client.begin()
        self.client.carry()
        self.site.abort_all()
        self.assertTrue(self.client.transport.aborted)


class TimeoutTests(Http2Case):
    """Nobody stays for ever."""

    def assert_closed_after(self, client: Http2Client, seconds: float) -> None:
        """The connection is closed then and not before, and cut if that does not succeed."""
        self.clock.advance(seconds - 1)
        self.assertFalse(client.transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(client.transport.disconnecting)
        self.clock.advance(15)
        self.assertTrue(client.transport.aborted)

    def test_slow_client_of_a_closed_connection(self) -> None:
        """Who still takes the end of an answer is not cut; who takes nothing more is."""
        transport: Any = self.client.transport
        waiting = [500_000]
        self.patch(connection, "unsent_bytes", lambda _: waiting[0])
        self.client.request()
        self.client.channel.close_if_idle()
        for waiting[0] in (400_000, 300_000, 200_000):
            self.clock.advance(CLOSE_TIMEOUT + 1)
            self.assertFalse(transport.aborted)
        self.clock.advance(CLOSE_TIMEOUT + 1)
        self.assertTrue(transport.aborted)

    def test_nothing(self) -> None:
        """A client that asks for nothing is let go, though it sends PING."""
        self.clock.advance(10)
        self.client.h2.ping(b"12345678")
        self.client.carry()
        self.assert_closed_after(self.client, 20)

    def test_pieces_of_ping(self) -> None:
        """A PING that comes in two parts does not extend the time, either."""
        self.client.request()
        for _ in range(7):
            self.client.h2.ping(b"12345678")
            data = self.client.h2.data_to_send()
            self.client.send(data[:5])
            self.client.send(data[5:])
            self.clock.advance(10)
        self.assert_closed_after(self.client, 5)

    def test_idle(self) -> None:
        """A client is let go some time after its last request."""
        self.client.request()
        self.assert_closed_after(self.client, 75)

    def test_part_of_a_head(self) -> None:
        """A request that has begun has the header time-out to be there."""
        self.client.request()
        self.client.begin()
        data = self.client.h2.data_to_send()
        self.client.send(data[:-1])
        self.assert_closed_after(self.client, 30)

    def test_busy(self) -> None:
        """No clock of the connection runs while a request is being answered."""
        waiting: Deferred[None] = Deferred()
        self.site.dispatch = lambda request: waiting
        self.client.begin()
        self.client.carry()
        self.clock.advance(10000)
        self.assertFalse(self.client.transport.disconnecting)

    def test_body(self) -> None:
        """A body that does not come costs its stream, not the connection."""
        stream = self.client.begin_fields(fields("POST", "/", ("content-length", "5")), end=False)
        self.client.carry()
        self.client.request()
        self.clock.advance(30)
        self.client.carry()
        self.assertIsNotNone(self.client.answers[stream].reset)
        self.assertFalse(self.client.transport.disconnecting)


class BodyTests(Http2Case):
    """Bodies of requests."""

    def post(self, *more: tuple[str, str], body: bytes = b"", end: bool = True) -> Any:
        """Send a request with a body."""
        stream = self.client.begin_fields(fields("POST", "/v2/x", *more), end=False)
        self.client.carry()
        if not self.client.answers[stream].ended:
            self.client.h2.send_data(stream, body, end_stream=end)
            self.client.carry()
        return self.client.answers[stream]

    def test_small(self) -> None:
        """A small body is read, and the handler may have it."""
        answer = self.post(("content-length", "5"), body=b"12345")
        self.assertEqual(answer.body, b"POST /v2/x")
        self.assertFalse(self.requests[0].body_refused)

    def test_content(self) -> None:
        """A handler reads the body from where it is over HTTP/1.1."""
        seen: list[bytes] = []

        def dispatch(request: Request) -> None:
            seen.append(request.content.read())
            send_text(request, "")

        self.site.dispatch = dispatch
        self.post(("content-length", "5"), body=b"12345")
        self.assertEqual(seen, [b"12345"])

    def test_refused(self) -> None:
        """A body that is too large, or of unknown length, is refused before it is read."""
        for more in ([("content-length", "65")], []):
            answer = self.post(*more)
            self.assertEqual((answer.status, answer.ended), (405, True))
            self.assertEqual(answer.reset, ErrorCodes.NO_ERROR)
        self.assertEqual([each.status for each in self.recorder.records], [405, 405])

    def test_awaited_push(self) -> None:
        """A client that waits for 100 before it pushes is spared the body."""
        answer = self.post(("content-length", "5"), ("expect", "100-continue"))
        self.assertEqual((answer.status, answer.informational), (405, []))

    def test_continue(self) -> None:
        """A client that waits for 100 elsewhere gets it."""
        stream = self.client.begin_fields(
            fields("POST", "/x", ("content-length", "2"), ("expect", "100-continue")), end=False
        )
        self.client.carry()
        self.assertEqual(self.client.answers[stream].informational, ["100"])
        self.client.h2.send_data(stream, b"ab", end_stream=True)
        self.client.carry()
        self.assertEqual(self.client.answers[stream].body, b"POST /x")

    def test_many_bodies(self) -> None:
        """Bodies that are announced and not sent are refused beyond a limit."""
        self.site.limits = ConnectionLimits(body=65536)
        streams = [
            self.client.begin_fields(fields("POST", "/x", ("content-length", "65536")), end=False)
            for _ in range(5)
        ]
        self.client.carry()
        statuses = [self.client.answers[each].headers.get(":status") for each in streams]
        self.assertEqual(statuses, [None, None, None, None, "413"])

    def test_window_is_given_back(self) -> None:
        """Bodies that nobody reads do not use up the window of the connection."""
        for _ in range(5):
            stream = self.client.begin_fields(fields("POST", "/x"), end=False)
            for _ in range(3):
                self.client.h2.send_data(stream, bytes(16384))
            self.client.carry()
            self.assertEqual(self.client.answers[stream].status, 413)
