"""Clients that mean harm, over HTTP/2."""

import struct

from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hpack import Encoder, HPACKDecodingError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from regcache.web.http2 import limits
from regcache.web.http2.connection import Http2Connection
from regcache.web.http2.h2_state import BoundedDecoder
from regcache.web.request import Request
from regcache.web.respond import send_body, send_text
from tests.support.http2_client import PREFACE, Http2Client, Http2Transport, fields, frame
from tests.web.http2.test_connection import Http2Case

(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE,
 CONTINUATION) = range(10)  # fmt: skip


def block(*more: tuple[str, str]) -> bytes:
    """An encoded request that leaves no trace in the tables."""
    return bytes(Encoder().encode([*fields(), *more], huffman=False))


class FloodTests(Http2Case):
    """What costs a client nothing and the server something has a limit."""

    def assert_refused(self, code: int, client: Http2Client | None = None) -> None:
        """The connection was ended for this reason, and that is one record."""
        client = client or self.client
        client.takes = False
        for event in client.h2.receive_data(client.transport.drain()):
            client._note(event)
        self.assertEqual(client.goaway, code)
        self.assertTrue(client.transport.disconnecting)
        malformed = [each for each in self.recorder.records if not each.method]
        self.assertEqual(len(malformed), 1)
        written = len(client.transport.value())
        client.send(frame(PING, payload=bytes(8)))
        self.assertEqual(len(client.transport.value()), written)

    def flood(self, one: bytes, most: int, client: Http2Client | None = None) -> int:
        """Send so many frames at most; how many were taken."""
        client = client or self.client
        for count in range(most):
            if client.transport.disconnecting:
                return count
            client.send(one)
        return most

    def test_ping(self) -> None:
        """PING is answered, but not for ever."""
        taken = self.flood(frame(PING, payload=bytes(8)), 1000)
        self.assertTrue(400 < taken < 600, taken)
        self.assert_refused(ErrorCodes.ENHANCE_YOUR_CALM)

    def test_ping_in_one_packet(self) -> None:
        """Thousands of frames in one packet are not looked at one and all."""
        self.client.send(frame(PING, payload=bytes(8)) * 4000)
        self.assertLess(len(self.client.transport.value()), 600 * 17)
        self.assert_refused(ErrorCodes.ENHANCE_YOUR_CALM)

    def test_slow_pings(self) -> None:
        """A client that asks now and then whether we live may do so for a day."""
        for _ in range(600):
            self.client.request()
            self.client.send(frame(PING, payload=bytes(8)))
            self.clock.advance(15)
        self.assertFalse(self.client.transport.disconnecting)

    def test_cheap_frames(self) -> None:
        """Other frames that do nothing for a request are counted too."""
        for each in (
            frame(SETTINGS, 1),
            frame(PRIORITY, 0, 1, bytes(5)),
            frame(0x77, 0, 0, b"unknown"),
            frame(0x77, 0, 5),
            frame(RST_STREAM, 0, 1, bytes(4)),
            frame(PING, 1, 0, bytes(8)),
            frame(GOAWAY, 0, 0, bytes(8)),
        ):
            self.recorder.records.clear()
            client = self.connect()
            waiting: Deferred[None] = Deferred()
            self.site.dispatch = lambda request, waiting=waiting: waiting
            client.begin()
            client.carry()
            self.recorder.records.clear()
            taken = self.flood(each, 2000, client)
            self.assertLess(taken, 1000, each)

    def test_settings(self) -> None:
        """The library keeps each setting that it is sent, so there may be few."""
        one = frame(SETTINGS, 0, 0, struct.pack(">HL", 0x99, 1))
        self.assertLess(self.flood(one, 100), 40)
        self.assert_refused(ErrorCodes.ENHANCE_YOUR_CALM)

    def test_large_settings(self) -> None:
        """There are few in one frame, too."""
        many = b"".join(struct.pack(">HL", number, 1) for number in range(100, 140))
        self.client.send(frame(SETTINGS, 0, 0, many))
        self.assert_refused(ErrorCodes.ENHANCE_YOUR_CALM)

    def test_empty_data(self) -> None:
        """DATA frames without data are counted."""
        stream = self.client.begin_fields(fields("POST", "/", ("content-length", "9")), end=False)
        self.client.carry()
        self.assertLess(self.flood(frame(DATA, 0, stream), 2000), 1000)
        self.assert_refused(ErrorCodes.ENHANCE_YOUR_CALM)

    def test_frames_of_a_refused_stream(self) -> None:
        """What follows a refused request is thrown away, but not for ever."""
        refused = [*fields("POST", "/v2/a/b/blobs/uploads/")]
        head = bytes(Encoder().encode(refused, huffman=False))
        for sent in (frame(DATA, 0, 1, bytes(1000)), frame(DATA, 8, 1, b"\xff" + bytes(255)),
                     frame(HEADERS, 0x5, 1, block())):  # fmt: skip
            client = self.connect()
            client.send(frame(HEADERS, 0x4, 1, head))
            taken = self.flood(sent, 1000, client)
            self.assertTrue(400 < taken < 600, taken)
            self.assertEqual(self.recorder.last.ended_early, "too many HTTP/2 frames")

    def test_window_updates(self) -> None:
        """Updates that follow no data are counted."""
        taken = self.flood(frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"), 3000)
        self.assertTrue(900 < taken < 1500, taken)
        self.assert_refused(ErrorCodes.ENHANCE_YOUR_CALM)

    def test_window_updates_that_follow_data(self) -> None:
        """A client that downloads much may send as many updates as it takes data."""
        body = bytes(8 * 1024 * 1024)
        self.site.dispatch = lambda request: send_body(request, body, "a/b")
        stream = self.client.begin()
        self.client.carry()
        answer = self.client.answers[stream]
        self.assertEqual((len(answer.body), answer.ended), (len(body), True))

    def test_window_updates_that_come_late(self) -> None:
        """A client that pauses, and opens the windows of several streams then, may do so."""
        window = 4 * 1024 * 1024
        body = bytes(2 * window)
        self.site.dispatch = lambda request: send_body(request, body, "a/b")
        client = self.connect(takes=False, window=window)
        client.h2.increment_flow_control_window(64 * window)
        streams = [client.begin() for _ in range(5)]
        client.carry()
        self.assertEqual({len(client.answers[each].body) for each in streams}, {window})
        client.channel.pauseProducing()
        for stream in streams:
            for number in (stream, 0) * (window // 16384):
                client.send(frame(WINDOW_UPDATE, 0, number, struct.pack(">L", 16384)))
        self.assertFalse(client.transport.disconnecting)

    def test_rapid_reset(self) -> None:
        """Requests that are reset at once are few, and end the connection with reason."""
        begun: list[Request] = []

        def dispatch(request: Request) -> Deferred[None]:
            begun.append(request)
            return Deferred()

        self.site.dispatch = dispatch
        for _ in range(1000):
            stream = self.client.begin()
            self.client.send(self.client.h2.data_to_send())
            self.client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            self.client.send(self.client.h2.data_to_send())
            if self.client.transport.disconnecting:
                break
        self.assertTrue(150 < len(begun) < 250, len(begun))
        self.assert_refused(ErrorCodes.ENHANCE_YOUR_CALM)
        self.assertEqual(self.site.active_requests, set())

    def test_rapid_reset_in_one_packet(self) -> None:
        """The same within one packet begins no request at all."""
        self.site.dispatch = self.fail
        packet = b""
        for number in range(1, 2001, 2):
            packet += frame(HEADERS, 0x5, number, block()) + frame(RST_STREAM, 0, number, bytes(4))
        self.client.send(packet)
        self.assert_refused(ErrorCodes.ENHANCE_YOUR_CALM)

    def test_resets_that_we_make(self) -> None:
        """A client cannot have us reset its streams for it, either."""
        self.site.dispatch = lambda request: Deferred()
        for number in range(1, 2001, 2):
            self.client.send(frame(HEADERS, 0x5, number, block()))
            # An update that exceeds the largest window.
            self.client.send(frame(WINDOW_UPDATE, 0, number, b"\x7f\xff\xff\xff"))
            if self.client.transport.disconnecting:
                break
        self.assertTrue(300 < number < 600, number)
        self.assertEqual(self.site.active_requests, set())

    def test_malformed_heads(self) -> None:
        """Nor send bad requests for ever."""
        for number in range(1, 2001, 2):
            self.client.send(frame(HEADERS, 0x5, number, block(("X", "y"))))
            if self.client.transport.disconnecting:
                break
        self.assertTrue(300 < number < 600, number)

    def test_too_many_streams(self) -> None:
        """Streams above the limit are refused one by one, and the others are answered."""
        begun: list[Request] = []
        self.site.dispatch = lambda request: (begun.append(request), Deferred())[1]
        self.client.overlook_limits()
        answers = [self.client.answers[self.client.begin()] for _ in range(150)]
        self.client.carry()
        self.assertEqual(len(begun), limits.MOST_STREAMS)
        for request in begun:
            send_text(request, "answered")
        self.client.carry()
        taken, refused = answers[: limits.MOST_STREAMS], answers[limits.MOST_STREAMS :]
        self.assertEqual({(each.body, each.ended) for each in taken}, {(b"answered", True)})
        self.assertEqual({each.reset for each in refused}, {ErrorCodes.REFUSED_STREAM})
        self.site.dispatch = self.dispatch
        self.assertEqual(self.client.request().status, 200)

    def test_refused_streams(self) -> None:
        """A client that goes on opening streams which are refused is stopped."""
        self.site.dispatch = lambda request: Deferred()
        for number in range(1, 2001, 2):
            self.client.send(frame(HEADERS, 0x5, number, block()))
            if self.client.transport.disconnecting:
                break
        self.assertTrue(550 < number < 650, number)

    def test_refused_streams_at_once(self) -> None:
        """So is one that opens thousands at once, without the work that they would make."""
        self.site.dispatch = lambda request: Deferred()
        heads = [frame(HEADERS, 0x5, number, block()) for number in range(1, 10001, 2)]
        self.client.send(b"".join(heads))
        self.assertTrue(self.client.transport.disconnecting)
        self.assertLessEqual(len(self.requests), limits.MOST_STREAMS)

    def test_answers_to_a_deaf_client(self) -> None:
        """A client that reads nothing is not read either, once enough is written for it."""
        self.site.dispatch = lambda request: None  # somebody answers later
        self.client.begin()
        self.client.carry()
        self.client.transport.capacity = 1000
        for _ in range(10000):
            if not self.client.transport.reading:
                break
            self.client.send(frame(PING, payload=bytes(8)))
            self.clock.advance(0.05)
        self.assertFalse(self.client.transport.reading)
        self.assertFalse(self.client.transport.disconnecting)
        self.assertLess(len(self.client.transport.value()), limits.MOST_CONTROL + 2000)
        self.client.transport.drain()
        self.assertTrue(self.client.transport.reading)


class BlockTests(Http2Case):
    """Header blocks."""

    def assert_refused(self) -> None:
        """The connection was ended."""
        self.assertTrue(self.client.transport.disconnecting)
        self.assertEqual(self.requests, [])

    def test_continuation(self) -> None:
        """A head may come in several frames."""
        head = block()
        self.client.send(frame(HEADERS, 0x1, 1, head[:5]))
        for byte in frame(CONTINUATION, 0, 1, head[5:9]) + frame(CONTINUATION, 0x4, 1, head[9:]):
            self.client.send(bytes([byte]))
        self.assertEqual(len(self.requests), 1)

    def test_continuation_flood(self) -> None:
        """Frames that continue a head for ever end the connection, empty or not."""
        for payload in (b"", b"a" * 10):
            self.client = self.connect()
            self.client.send(frame(HEADERS, 0x1, 1, b""))
            for _ in range(limits.MOST_CONTINUATIONS):
                self.client.send(frame(CONTINUATION, 0, 1, payload))
                self.assertFalse(self.client.transport.disconnecting)
            self.client.send(frame(CONTINUATION, 0, 1, payload))
            self.assert_refused()

    def test_large_block(self) -> None:
        """A head of many bytes ends the connection before it is decoded."""
        self.client.send(frame(HEADERS, 0x1, 1, bytes(16384)))
        self.client.send(frame(CONTINUATION, 0, 1, bytes(16384)))
        self.client.send(frame(CONTINUATION, 0, 1, bytes(16384)))
        self.assert_refused()

    def test_large_list(self) -> None:
        """A small block that becomes a large head ends the connection (an HPACK bomb)."""
        encoder = Encoder()
        bomb = bytes(encoder.encode([*fields(), ("x", "a" * 3900)], huffman=False))
        more = bytes(encoder.encode([("x", "a" * 3900)])) * 200
        self.client.send(frame(HEADERS, 0x5, 1, bomb + more))
        self.assert_refused()

    def test_http1_limit(self) -> None:
        """A head that HTTP/1.1 would refuse for its size is refused here."""
        more = block(*[(f"x-{number}", "a" * 1000) for number in range(34)])
        self.client.send(frame(HEADERS, 0x1, 1, more[:16384]))
        self.client.send(frame(CONTINUATION, 0, 1, more[16384:32768]))
        self.client.send(frame(CONTINUATION, 0x4, 1, more[32768:]))
        self.assert_refused()

    def test_another_frame_within(self) -> None:
        """Nothing may come between the frames of a head."""
        for kind in (PING, DATA, PRIORITY, GOAWAY, 0x77, SETTINGS):
            self.client = self.connect()
            self.client.send(frame(HEADERS, 0x1, 1, b"") + frame(kind, 0, 0, bytes(8)))
            self.assert_refused()

    def test_broken_block(self) -> None:
        """What does not decode ends the connection."""
        for payload in (b"\xff" * 100, b"\x3f\xff\xff\xff\xff\x7f", b"\x00\x7f", b"\x80",
                        b"\xff" * 16000 + b"\x00", b"\x20\x3f\xe1\xff\x03"):  # fmt: skip
            self.client = self.connect()
            self.client.send(frame(HEADERS, 0x5, 1, payload))
            self.assert_refused()

    def test_changes_of_the_table_size(self) -> None:
        """Two may begin a block (RFC 7541, 4.2), and no more: thousands fit into one."""
        self.client.send(frame(HEADERS, 0x5, 1, b"\x20\x3f\xe1\x1f" + block()))
        self.assertEqual(len(self.requests), 1)
        self.requests.clear()
        for payload in (b"\x20" * 3, b"\x3f\xe1\x1f\x20\x20", b"\x20" * 16000):
            self.client = self.connect()
            self.client.send(frame(HEADERS, 0x5, 1, payload + block()))
            self.assert_refused()

    def test_long_numbers(self) -> None:
        """A number of thousands of octets is not read, in any field."""
        number = b"\xff" * 3000 + b"\0"
        for start in (b"\xff", b"\x7f", b"\x0f", b"\x3f", b"\0\x7f", b"\0\1a\xff"):
            with self.assertRaisesRegex(HPACKDecodingError, "too long"):
                BoundedDecoder().decode(start + number, raw=True)
        letters = ("x", "X" * 1000)
        self.client.send(frame(HEADERS, 0x5, 1, bytes(Encoder().encode([*fields(), letters]))))
        self.assertEqual(len(self.requests), 1)

    def test_table_of_our_encoder(self) -> None:
        """A client cannot make us remember all that we ever sent it."""
        self.client.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: 1 << 30})
        self.client.carry()
        for number in range(100):
            self.site.dispatch = lambda request, number=number: send_text(
                request, "", headers={"X-Number": str(number) * 1000}
            )
            self.assertEqual(self.client.request().status, 200)
        self.assertLessEqual(self.client.channel._h2.encoder.header_table_size, 4096)


class FrameTests(Http2Case):
    """Frames that no client should send."""

    def assert_closed(self, data: bytes, begin: bool = True) -> None:
        """These bytes end a connection with GOAWAY and without a request."""
        client = self.connect()
        client.send(data)
        self.assertTrue(client.transport.disconnecting, data[:50])
        self.assertEqual(self.requests, [])

    def test_no_preface(self) -> None:
        """What is no HTTP/2 is not spoken to."""
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", PREFACE[:-1] + b"x", bytes(24)):
            transport = Http2Transport()
            connection = Http2Connection(self.site, self.site.buffers)
            connection.makeConnection(transport)
            connection.dataReceived(data)
            self.assertTrue(transport.disconnecting, data)
            connection.connectionLost(Failure(ConnectionLost()))

    def test_long_frame(self) -> None:
        """A frame that is too long ends the connection before it is there."""
        client = self.connect()
        client.send(frame(DATA, 0, 1, bytes(16385))[:9])
        self.assertTrue(client.transport.disconnecting)

    def test_wrong_frames(self) -> None:
        """Frames that break the protocol end the connection."""
        for each in (
            frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2" + block()),
            frame(CONTINUATION, 4, 1, block()),
            frame(HEADERS, 5, 2, block()),
            frame(HEADERS, 5, 0, block()),
            frame(DATA, 1, 0, b"x" * 100),
            frame(DATA, 1, 7, b"x" * 100),
            frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
            frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
            frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"),
            frame(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"),
            frame(SETTINGS, 0, 0, b"\0\5\0\0\0\0"),
            frame(SETTINGS, 0, 0, b"\0\2\0\0\0\2"),
            frame(SETTINGS, 0, 0, b"\0\4\0"),
            frame(SETTINGS, 0, 1, b""),
            frame(PING, 0, 0, b"short"),
            frame(HEADERS, 0xD, 1, b"\xff"),
        ):
            self.assert_closed(each)

    def test_malformed_request(self) -> None:
        """A head that could be read in two ways is answered 400, and reaches no handler."""
        for more in ([("connection", "close")], [("X", "y")], [("x", "a\r\nb: c")],
                     [("host", "other")], [("content-length", "1"), ("content-length", "2")],
                     [("transfer-encoding", "chunked")]):  # fmt: skip
            self.recorder.records.clear()
            client = self.connect()
            stream = client.begin_fields([*fields(), *more])
            client.carry()
            answer = client.answers[stream]
            if answer.headers:
                self.assertEqual((answer.status, answer.ended), (400, True))
                self.assertFalse(client.transport.disconnecting)
            else:
                self.assertTrue(client.transport.disconnecting)
            (record,) = self.recorder.records
            self.assertEqual((record.status, record.outcome), (400, "error"))
        self.assertEqual(self.requests, [])

    def test_malformed_head_request(self) -> None:
        """A malformed HEAD is answered without a body, which it could not have."""
        malformed = [*fields("HEAD"), ("transfer-encoding", "chunked")]
        answer = self.client.answers[self.client.begin_fields(malformed)]
        self.client.carry()
        self.assertEqual((answer.status, answer.ended, answer.body), (400, True, b""))
        self.assertEqual(self.client.request().status, 200)

    def test_bad_host(self) -> None:
        """A Host that HTTP/1.1 refuses is refused here."""
        for host in ("a b", "a/b", "user@a", "a:b", "-", "a" * 300):
            answer = self.client.request(host=host)
            self.assertEqual(answer.status, 400, host)

    def test_data_behind_the_end(self) -> None:
        """Data in a stream that is closed harms the stream or the connection, not the server."""
        stream = self.client.begin()
        self.client.carry()
        self.client.send(frame(DATA, 0, stream, bytes(100)))
        self.assertTrue(self.client.transport.disconnecting or not self.client.goaway)

    def test_more_than_declared(self) -> None:
        """A body that is not as long as it says ends the connection."""
        for body in (b"123456", b"1234"):
            client = self.connect()
            stream = client.begin_fields(fields("POST", "/", ("content-length", "5")), end=False)
            client.carry()
            client.send(frame(DATA, 1, stream, body))
            self.assertTrue(client.transport.disconnecting)
        self.assertEqual(self.requests, [])
