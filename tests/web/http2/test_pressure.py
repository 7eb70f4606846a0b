"""Many answers over one HTTP/2 connection, to clients that take them slowly or not at all."""

import struct

from h2 import events
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from regcache.cache.download.reader import MOST_READ, FileSource, Reader
from regcache.web.http2 import limits
from regcache.web.http2.output import TURN
from regcache.web.http2.request_share import SHARE, RequestShare
from regcache.web.request import Request
from regcache.web.respond import send_body, send_text
from regcache.web.sender import Part, Sender
from tests.support.http2_client import Http2Client, frame
from tests.support.senders import make_terms
from tests.support.sources import FakeFile
from tests.web.http2.test_connection import Http2Case

MIB = 1024 * 1024
STALL = 60.0
CONTENT = bytes(range(256)) * 2400
ROUNDS = len(CONTENT) // 65535
"""How often a window of the usual size has to be opened for all of it."""


class PressureCase(Http2Case):
    """A site that answers as the handler of blobs does."""

    def setUp(self) -> None:
        super().setUp()
        self.files: list[FakeFile] = []
        self.readers: list[Reader] = []
        self.content = CONTENT
        self.site.dispatch = self.dispatch_blob

    def dispatch_blob(self, request: Request) -> "Deferred[None]":
        """Send the content, and give the file back afterwards."""
        self.requests.append(request)
        file = FakeFile(self.content)
        self.files.append(file)
        reader = Reader(FileSource(file))
        self.readers.append(reader)
        request.responseHeaders.setRawHeaders("Content-Length", [str(len(self.content))])
        return Sender(request, reader, [Part(0, None)], make_terms(self.clock, STALL)).send()

    def tearDown(self) -> None:
        """No file stays open."""
        super().tearDown()
        self.assertEqual([file.closed for file in self.files], [1] * len(self.files))

    def take(self, client: Http2Client, stream: int, count: int) -> None:
        """The client opens the windows of a stream and of the connection."""
        client.h2.increment_flow_control_window(count, stream)
        client.h2.increment_flow_control_window(count)
        client.carry()


@implementer(IPushProducer)
class Producer:
    """Writes one piece each time that it is resumed, and ends the answer with the last."""

    def __init__(self, request: Request, pieces: list[bytes]) -> None:
        self._request = request
        self._pieces = pieces
        request.write(b"")
        request.registerProducer(self, True)  # type: ignore[no-untyped-call]

    def resumeProducing(self) -> None:
        """Write the next piece."""
        self._request.write(self._pieces.pop(0))
        if not self._pieces:
            self._request.unregisterProducer()  # type: ignore[no-untyped-call]
            self._request.finish()  # type: ignore[no-untyped-call]

    def pauseProducing(self) -> None:
        """It writes when it is resumed only."""

    def stopProducing(self) -> None:
        """The client is gone."""


class FlowTests(PressureCase):
    """Flow control of streams and of the connection."""

    def test_whole(self) -> None:
        """A client that takes everything gets everything."""
        answer = self.client.request()
        self.assertEqual((answer.body, answer.ended), (CONTENT, True))
        self.assertEqual(self.recorder.last.body_bytes, len(CONTENT))
        self.assertEqual(self.recorder.last.ended_early, "")

    def test_side_by_side(self) -> None:
        """So does one that asks for many things at once."""
        streams = [self.client.begin() for _ in range(limits.MOST_STREAMS)]
        self.client.carry()
        for stream in streams:
            answer = self.client.answers[stream]
            self.assertTrue(answer.body == CONTENT and answer.ended)

    def test_slow_streams(self) -> None:
        """Streams that nobody takes hold a piece each, and hold up no other."""
        client = self.connect(takes=False)
        client.h2.increment_flow_control_window(MIB * 300)
        slow = [client.begin() for _ in range(limits.MOST_STREAMS - 1)]
        client.carry()
        self.assertLessEqual(client.channel.buffers.size, len(slow) * MOST_READ)
        client.takes = True
        self.assertEqual(client.request().body, CONTENT)
        self.assertEqual({len(client.answers[each].body) for each in slow}, {65535})
        for _ in range(ROUNDS):
            for each in slow:
                client.h2.increment_flow_control_window(65535, each)
            client.takes = False
            client.carry()
            self.assertLessEqual(client.channel.buffers.size, len(slow) * MOST_READ)
        self.assertTrue(all(client.answers[each].body == CONTENT for each in slow))
        self.assertTrue(all(client.answers[each].ended for each in slow))

    def test_several_connections(self) -> None:
        """Hundreds of slow streams in several connections hold little more than that."""
        clients = [self.connect(takes=False) for _ in range(3)]
        for client in clients:
            client.h2.increment_flow_control_window(MIB * 300)
            for _ in range(limits.MOST_STREAMS):
                client.begin()
            client.carry()
        self.assertEqual(len(self.site.active_requests), 300)
        self.assertLessEqual(self.site.buffers.size, 300 * 65536)

    def test_window_of_the_connection(self) -> None:
        """Streams share what the connection takes, and none of them makes more than a piece."""
        client = self.connect(takes=False, window=10 * MIB)
        streams = [client.begin() for _ in range(5)]
        client.carry()
        self.assertLessEqual(client.channel.buffers.size, MOST_READ)
        for _ in range(100):
            client.h2.increment_flow_control_window(256 * 1024)
            client.carry()
            got = [len(client.answers[each].body) for each in streams]
            self.assertLessEqual(max(got) - min(got), 3 * TURN)
            self.assertLessEqual(client.channel.buffers.size, 5 * MOST_READ)
        self.assertTrue(all(client.answers[each].body == CONTENT for each in streams))

    def test_full_transport(self) -> None:
        """While the transport is full nothing is made, and then streams take turns."""
        client = self.connect(window=10 * MIB)
        client.h2.increment_flow_control_window(100 * MIB)
        client.carry()
        client.transport.capacity = 1000
        for _ in range(3):
            client.begin()
        client.channel.dataReceived(client.h2.data_to_send())
        order: list[int] = []
        for _ in range(60):
            self.assertLessEqual(client.channel.buffers.size, 3 * MOST_READ)
            self.assertLessEqual(len(client.transport.value()), TURN + 65536 + 1000)
            for event in client.h2.receive_data(client.transport.drain()):
                client._note(event)
                if isinstance(event, events.DataReceived) and event.data:
                    order.append(event.stream_id or 0)
        self.assertTrue(all(a.body == CONTENT for a in client.answers.values() if a.body))
        turns = [one for one, next_one in zip(order, [*order[1:], 0], strict=True)
                 if one != next_one]  # fmt: skip
        self.assertGreater(len(turns), 6)

    def test_frame_size(self) -> None:
        """Frames are as large as the client allows, up to 64 KiB."""
        for allowed, expected in ((16384, 16384), (65536, 65536), (1 << 20, 65536)):
            client = self.connect(window=10 * MIB)
            client.h2.increment_flow_control_window(10 * MIB)
            client.h2.update_settings({SettingCodes.MAX_FRAME_SIZE: allowed})
            client.carry()
            client.request()
            sizes = [len(e.data or b"") for e in client.events
                     if isinstance(e, events.DataReceived)]  # fmt: skip
            self.assertEqual(max(sizes), expected)
            self.assertLessEqual(len(sizes), len(CONTENT) // expected + 2)

    def test_single_bytes(self) -> None:
        """A window that is opened by single bytes is not answered with a frame for each."""
        client = self.connect(takes=False)
        stream = client.begin()
        client.carry()
        self.assertEqual(len(client.answers[stream].body), 65535)
        self.take(client, stream, 1)
        self.assertEqual(len(client.answers[stream].body), 65536, "the end of a piece")
        self.take(client, stream, 1)
        self.take(client, stream, 1022)
        self.assertEqual(len(client.answers[stream].body), 65536)
        self.take(client, stream, 1)
        self.assertEqual(len(client.answers[stream].body), 65536 + 1024)

    def test_small_windows(self) -> None:
        """A client with a small window gets its answer all the same."""
        self.content = CONTENT[:5000]
        client = self.connect(window=100)
        answer = client.request()
        self.assertEqual((answer.body, answer.ended), (self.content, True))

    def test_smaller_window(self) -> None:
        """A client that shrinks the windows of streams under way gets the right bytes."""
        client = self.connect(takes=False)
        stream = client.begin()
        client.carry()
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
        client.carry()
        for _ in range(ROUNDS + 1):
            self.take(client, stream, 65535)
        self.assertTrue(client.answers[stream].body == CONTENT)


class StallTests(PressureCase):
    """Clients that take nothing."""

    def test_one_stream(self) -> None:
        """A stream that takes nothing is reset after a while, and the others go on."""
        client = self.connect(takes=False)
        client.h2.increment_flow_control_window(MIB * 300)
        stuck, slow = client.begin(), client.begin()
        client.carry()
        for _ in range(7):
            self.clock.advance(STALL / 6)
            self.take(client, slow, 10000)
        self.clock.advance(0)
        client.carry()
        self.assertEqual(client.answers[stuck].reset, ErrorCodes.INTERNAL_ERROR)
        self.assertFalse(client.answers[stuck].ended)
        self.assertIsNone(client.answers[slow].reset)
        (record,) = self.recorder.records
        self.assertEqual(record.ended_early, "the client took nothing for too long")
        self.assertEqual(len(client.answers[slow].body), 65535 + 70000)

    def test_turns_that_come_late(self) -> None:
        """A stream that waits for its turn is not one that takes nothing."""
        client = self.connect(takes=False, window=10 * MIB)
        streams = [client.begin() for _ in range(5)]
        client.carry()
        for _ in range(5 * len(CONTENT) // 65535 + 1):
            self.clock.advance(STALL / 3)
            client.h2.increment_flow_control_window(65535)
            client.carry()
        self.assertTrue(all(client.answers[each].body == CONTENT for each in streams))

    def test_connection_that_takes_nothing(self) -> None:
        """Where the window of the connection stays closed, all its streams are given up."""
        client = self.connect(takes=False, window=10 * MIB)
        streams = [client.begin() for _ in range(5)]
        client.carry()
        for _ in range(5):
            self.clock.advance(STALL / 4)
        self.clock.advance(0)
        client.carry()
        codes = {client.answers[each].reset for each in streams}
        self.assertEqual(codes, {ErrorCodes.INTERNAL_ERROR})
        self.assertEqual(client.channel.buffers.size, 0)

    def test_finished_answer(self) -> None:
        """A finished answer that nobody takes is given up after the idle time."""
        self.site.dispatch = lambda request: (request.write(CONTENT), request.finish())
        client = self.connect(takes=False)
        stream = client.begin()
        client.carry()
        self.assertEqual(client.channel.buffers.size, len(CONTENT) - 65535)
        for _ in range(5):
            self.clock.advance(75 / 4)
        client.carry()
        self.assertEqual(client.answers[stream].reset, ErrorCodes.INTERNAL_ERROR)
        self.assertEqual(client.channel.buffers.size, 0)
        self.assertFalse(client.transport.disconnecting)

    def test_large_manifest(self) -> None:
        """An answer from memory is held piece by piece, like one from the disk."""
        self.site.dispatch = lambda request: send_body(request, CONTENT, "a/b")
        client = self.connect(takes=False)
        streams = [client.begin() for _ in range(limits.MOST_STREAMS)]
        client.carry()
        self.assertLessEqual(client.channel.buffers.size, 2 * 65536)
        client.h2.increment_flow_control_window(300 * MIB)
        for _ in range(ROUNDS):
            self.assertLessEqual(client.channel.buffers.size, limits.MOST_STREAMS * 65536)
            for stream in streams:
                client.h2.increment_flow_control_window(65535, stream)
            client.carry()
        self.assertTrue(all(client.answers[each].body == CONTENT for each in streams))
        self.assertTrue(all(client.answers[each].ended for each in streams))

    def test_reset_while_held(self) -> None:
        """A client that resets a stream frees what is held for it at once."""
        client = self.connect(takes=False)
        stream = client.begin()
        client.carry()
        client.h2.reset_stream(stream, ErrorCodes.CANCEL)
        client.carry()
        self.assertEqual(client.channel.buffers.size, 0)
        self.assertEqual(self.files[-1].closed, 1)

    def test_broken_content(self) -> None:
        """Content that breaks is a reset, and the connection serves the next request."""
        client = self.connect(takes=False)
        stream = client.begin()
        client.carry()
        self.readers[-1].abort("the file ended too early")
        client.carry()
        self.clock.advance(0)
        self.assertEqual(client.answers[stream].reset, ErrorCodes.INTERNAL_ERROR)
        self.assertFalse(client.answers[stream].ended)
        self.assertEqual(self.recorder.last.ended_early, "the file ended too early")
        client.takes = True
        client.h2.increment_flow_control_window(65535)
        self.assertEqual(client.request().body, CONTENT)


class HeldTests(PressureCase):
    """Answers by handlers that write without being asked to."""

    def setUp(self) -> None:
        super().setUp()
        self.waiting: list[Request] = []
        self.site.dispatch = self.waiting.append

    def answer(self) -> None:
        """Answer all requests at once, without heed of who takes how much."""
        for request in self.waiting:
            request.write(CONTENT)
            if not request.over:
                request.finish()

    def test_bound(self) -> None:
        """Too much for one connection costs it its largest answers, and no other connection."""
        client, other = self.connect(takes=False, window=0), self.connect(takes=False, window=0)
        other.begin()
        other.carry()
        for _ in range(90):
            client.begin()
        client.carry()
        self.answer()
        self.assertLessEqual(client.channel.buffers.size, limits.MOST_BUFFERED_BY_CONNECTION)
        self.assertEqual(other.channel.buffers.size, len(CONTENT))
        client.carry()
        reset = [each for each in client.answers.values() if each.reset is not None]
        self.assertGreater(len(reset), 20)
        self.assertFalse(any(each.ended for each in reset))
        self.clock.advance(0)

    def test_bound_of_the_site(self) -> None:
        """Too much for all costs those who hold most."""
        for _ in range(3):
            client = self.connect(takes=False, window=0)
            for _ in range(50):
                client.begin()
            client.carry()
        modest = self.connect(takes=False, window=0)
        modest.begin()
        modest.carry()
        self.answer()
        self.assertLessEqual(self.site.buffers.size, limits.MOST_BUFFERED_BY_SITE)
        self.assertEqual(modest.channel.buffers.size, len(CONTENT))
        self.clock.advance(0)


class RoomTests(PressureCase):
    """Where there is little room."""

    def test_end_that_just_fits(self) -> None:
        """An answer that fits into the windows arrives whole, though the client opens none."""
        client = self.connect(takes=False)

        def dispatch(request: Request) -> None:
            request.responseHeaders.setRawHeaders("Content-Length", ["65300"])
            Producer(request, [bytes(65000), bytes(300)])

        self.site.dispatch = dispatch
        client.channel.pauseProducing()
        stream = client.begin()
        client.carry()
        answer = client.answers[stream]
        self.assertEqual((len(answer.body), answer.ended), (65300, True))

    def test_streams_that_were_reset(self) -> None:
        """A stream that is over waits for no turn, so nothing of it is kept."""
        client = self.connect(takes=False, window=MIB)
        client.begin()
        client.carry()
        for _ in range(50):
            stream = client.begin()
            client.carry()
            client.h2.reset_stream(stream)
            client.carry()
        self.assertLessEqual(len(client.channel.output._turns), 1)


class TurnTests(Http2Case):
    """Nobody has the reactor for himself."""

    def test_requests_in_turns(self) -> None:
        """A client has so many requests begun in one turn; the others wait, and are not lost."""
        client = self.client
        self.site.dispatch = lambda request: send_text(request, "")
        for _ in range(SHARE):
            client.begin()
        self.received(client)
        self.assertEqual(len(self.recorder.records), SHARE)
        streams = [client.begin() for _ in range(SHARE)]
        self.received(client)
        self.assertEqual(len(self.recorder.records), SHARE)
        self.assertFalse(client.transport.reading)
        self.clock.advance(0)
        self.assertEqual(len(self.recorder.records), 2 * SHARE)
        self.assertTrue(client.transport.reading)
        client.carry()
        self.assertTrue(all(client.answers[each].status == 200 for each in streams))

    def received(self, client: Http2Client) -> None:
        """What the client sent arrives, and the turn of the reactor goes on."""
        client.channel.dataReceived(client.h2.data_to_send())

    def test_broken_in_a_later_turn(self) -> None:
        """A connection is cut where what waited for its turn cannot be read."""
        told: list[str] = []

        def read(data: bytes) -> None:
            turns.begin()
            if data == b"bad":
                raise ZeroDivisionError

        turns = RequestShare(
            self.clock,
            read=read,
            pause=lambda: told.append("pause"),
            resume=lambda: told.append("resume"),
            broken=lambda: told.append("broken"),
        )
        for data in [b"good"] * SHARE + [b"bad", b"good"]:
            turns.receive(data)
        self.assertRaises(ZeroDivisionError, self.clock.advance, 0)
        self.assertEqual(told, ["pause", "broken"])

    def test_lost_in_between(self) -> None:
        """What waits for its turn is forgotten with its connection."""
        for _ in range(SHARE + 1):
            self.client.begin()
            self.received(self.client)
        self.client.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DribbleTests(PressureCase):
    """A client that wants much for little."""

    def test_updates_by_single_bytes(self) -> None:
        """Opening a window by single bytes ends the connection in time."""
        client = self.connect(takes=False)
        stream = client.begin()
        client.carry()
        one = frame(8, 0, stream, struct.pack(">L", 1)) + frame(8, 0, 0, struct.pack(">L", 1))
        for _ in range(2000):
            client.send(one)
            if client.transport.disconnecting:
                break
        self.assertTrue(client.transport.disconnecting)
        self.assertEqual(self.files[-1].closed, 1)
