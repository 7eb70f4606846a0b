"""A reader's bytes on their way to a client, who may be slow, stuck or gone."""

import socket
import weakref
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.interfaces import IReader, IReaderSink
from regcache.web.request import Request
from regcache.web.respond import send_body
from regcache.web.sender import Part, Sender
from regcache.web.stall import StallTimer, unsent_bytes
from regcache.web.unsent import FAST, STEP
from tests.support.readers import FakeReader
from tests.support.senders import make_terms
from tests.support.web_client import MemoryClient, RecordList, make_site

STALL = 60.0


class SenderCase(SynchronousTestCase):
    """One client who asks, and one sender that answers from a fake reader."""

    parts = (Part(0, 10),)
    epilogue = b""

    def setUp(self) -> None:
        self.connect(self.dispatch)

    def connect(self, dispatch: Callable[[Request], object]) -> None:
        """Begin anew, with one connection to a site of this dispatcher."""
        self.clock = Clock()
        self.terms = make_terms(self.clock, STALL)
        self.reader = FakeReader(b"0123456789")
        self.records = RecordList()
        self.sent: list[Deferred[None]] = []
        site = make_site(dispatch, self.clock, recorders=[self.records])
        self.client = MemoryClient(site)

    def dispatch(self, request: Request) -> "Deferred[None]":
        """Answer as the handler of blobs does."""
        request.responseHeaders.setRawHeaders("Content-Length", ["10"])
        self.sender = self.make_sender(request)
        self.sent.append(self.sender.send())
        return self.sent[-1]

    def make_sender(self, request: Request) -> Sender:
        """The sender under test."""
        return Sender(request, self.reader, self.parts, self.terms, epilogue=self.epilogue)

    def begin(self) -> None:
        """The client asks."""
        self.client.request("GET", "/")

    def leave(self) -> None:
        """The client goes; nothing may be left behind then."""
        self.client.leave()
        self.assert_nothing_left()

    def assert_nothing_left(self) -> None:
        """The reader was given back once, and no timer runs."""
        self.assertEqual(self.reader.left, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FlowTests(SenderCase):
    """A client that takes what it gets, at its own pace."""

    def test_interfaces(self) -> None:
        """The sender is a sink and a push producer, and the fake reader a reader."""
        self.begin()
        verifyObject(IReaderSink, self.sender)
        verifyObject(IPushProducer, self.sender)
        verifyObject(IReader, self.reader)

    def test_head_first(self) -> None:
        """The head goes out at once, however long the content takes."""
        self.begin()
        self.assertTrue(self.client.raw.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(self.client.raw.endswith(b"\r\n\r\n"))
        self.assertEqual(self.reader.began, [(0, 10)])

    def test_whole(self) -> None:
        """At the end of the range the answer ends cleanly, and the next one may follow."""
        self.begin()
        self.reader.send_range()
        self.assertEqual(self.client.answer().body, b"0123456789")
        self.assertFalse(self.client.transport.disconnecting)
        self.assertEqual(self.reader.left, 1)
        self.successResultOf(self.sent[0])
        self.assertEqual(self.records.last.ended_early, "")
        self.reader = FakeReader(b"abcdefghij")
        self.begin()
        self.reader.send_range()
        self.assertEqual(self.client.answers()[1].body, b"abcdefghij")
        self.leave()

    def test_back_pressure(self) -> None:
        """A full transport pauses the reader, an empty one resumes it, as often as they like."""
        self.begin()
        self.client.channel.pauseProducing()
        self.client.channel.pauseProducing()
        self.assertTrue(self.reader.paused)
        self.clock.advance(3)
        self.client.channel.resumeProducing()
        self.client.channel.resumeProducing()
        self.assertFalse(self.reader.paused)
        self.leave()

    def test_turns(self) -> None:
        """Where many begin or come back at once, each has to wait for its turn."""
        self.terms = make_terms(self.clock, STALL, turns=1)
        self.terms.turns.take(lambda: None)
        self.begin()
        self.assertEqual(self.reader.began, [])
        self.clock.advance(0)
        self.assertEqual(self.reader.began, [(0, 10)])
        self.clock.advance(0)
        self.client.channel.pauseProducing()
        self.terms.turns.take(lambda: None)
        self.client.channel.resumeProducing()
        self.assertTrue(self.reader.paused)
        self.client.channel.pauseProducing()
        self.clock.advance(0)
        self.assertTrue(self.reader.paused)
        self.client.channel.resumeProducing()
        self.clock.advance(0)
        self.assertFalse(self.reader.paused)
        self.terms.turns.take(lambda: None)
        self.client.channel.resumeProducing()
        self.client.leave()
        self.clock.advance(0)
        self.assert_nothing_left()

    def test_fast_client(self) -> None:
        """The reader is told when the client proves to be fast, and when it is so no more."""
        self.begin()
        self.reader.send(bytes(STEP))
        self.assertTrue(self.reader.fast)
        self.reader.send(b"1")
        self.clock.advance(FAST + 1)
        self.reader.send(bytes(STEP))
        self.assertFalse(self.reader.fast)
        self.leave()

    def test_paused_while_it_sends(self) -> None:
        """What comes of a read that was under way is still sent while the client is paused."""
        self.begin()
        self.client.channel.pauseProducing()
        self.reader.send(b"0123")
        self.assertTrue(self.client.raw.endswith(b"\r\n\r\n0123"))
        self.leave()

    def test_full_before_it_begins(self) -> None:
        """An answer begins when the one before, which filled the transport, is taken."""
        answers = iter([lambda request: send_body(request, b"x" * 50, "a/b"), self.dispatch])
        self.connect(lambda request: next(answers)(request))
        write = self.client.transport.write

        def write_and_fill(data: bytes) -> None:
            # A transport over TLS says this once, and not again for the next producer.
            self.client.transport.write = write  # type: ignore[method-assign]
            write(data)
            self.client.channel.pauseProducing()

        self.client.transport.write = write_and_fill  # type: ignore[method-assign]
        head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        self.client.send(head + head)
        self.assertEqual(self.reader.began, [])
        self.client.channel.resumeProducing()
        self.assertEqual(self.reader.began, [(0, 10)])
        self.assertFalse(self.reader.paused)
        self.leave()

    def test_full_when_it_begins(self) -> None:
        """Nothing is read for a client that has filled the transport already."""
        self.connect(self.fill_and_dispatch)
        self.client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(self.reader.began, [(0, 10)])
        self.assertTrue(self.reader.paused)
        self.client.channel.resumeProducing()
        self.assertFalse(self.reader.paused)
        self.leave()

    def fill_and_dispatch(self, request: Request) -> "Deferred[None]":
        """Answer once the transport is full."""
        self.client.channel.pauseProducing()
        return self.dispatch(request)


class PartsTests(SenderCase):
    """Bodies of several parts."""

    parts = (Part(0, 2, b"<a>"), Part(8, 10, b"<b>"))
    epilogue = b"<z>"

    def test_parts(self) -> None:
        """Each part follows its prologue, and the epilogue follows the last."""
        self.reader.at_begin = self.reader.send_range
        self.begin()
        self.assertTrue(self.client.raw.endswith(b"\r\n\r\n<a>01<b>89<z>"))
        self.assertEqual(self.reader.began, [(0, 2), (8, 10)])
        self.leave()

    def test_left_between_parts(self) -> None:
        """A client that leaves in the second part ends it."""
        self.begin()
        self.reader.send_range()
        self.leave()
        self.reader.end()
        self.assertFalse(self.client.raw.endswith(b"<z>"))


class StallTests(SenderCase):
    """A client that takes nothing."""

    def test_cut(self) -> None:
        """The connection is cut after so long, never ended cleanly, and the log says why."""
        self.begin()
        self.reader.send(b"0123")
        self.client.channel.pauseProducing()
        self.clock.pump([1.0] * int(STALL - 1))
        self.assertFalse(self.client.transport.aborted)
        self.clock.pump([1.0])
        self.assertTrue(self.client.transport.aborted)
        self.successResultOf(self.sent[0])
        self.leave()
        self.assertEqual(self.records.last.ended_early, "the client took nothing for too long")

    def test_resumed_in_time(self) -> None:
        """A client that takes all now and then is not cut, however long the answer takes."""
        self.begin()
        for _ in range(10):
            self.client.channel.pauseProducing()
            self.clock.pump([1.0] * int(STALL - 1))
            self.client.channel.resumeProducing()
        self.assertFalse(self.client.transport.aborted)
        self.leave()

    def test_not_while_nobody_sends(self) -> None:
        """An upstream that is slow is no stall of the client."""
        self.begin()
        self.clock.pump([10.0] * 100)
        self.assertFalse(self.client.transport.aborted)
        self.leave()


class EndTests(SenderCase):
    """Ends that come from outside, in every state and order."""

    def _states(self) -> list[Callable[[], None]]:
        def sending() -> None:
            self.reader.send(b"01")

        def paused() -> None:
            self.client.channel.pauseProducing()

        def resumed() -> None:
            paused()
            self.client.channel.resumeProducing()

        return [lambda: None, sending, paused, resumed]

    def _in_each_state(self, check: Callable[[], None]) -> None:
        for reach in self._states():
            self.setUp()
            self.begin()
            reach()
            check()

    def test_stopped_and_lost(self) -> None:
        """TCP stops the producer before the connection is lost; that ends it once."""

        def check() -> None:
            self.client.channel.stopProducing()
            self.leave()

        self._in_each_state(check)

    def test_lost_and_stopped(self) -> None:
        """The other order ends it once, too."""

        def check() -> None:
            self.leave()
            self.sender.stopProducing()
            self.assert_nothing_left()

        self._in_each_state(check)

    def test_broken(self) -> None:
        """Content that breaks off cuts the connection, and the reason is recorded."""

        def check() -> None:
            self.reader.fail("the content fails its digest")
            self.assertTrue(self.client.transport.aborted)
            self.leave()
            self.assertEqual(self.records.last.ended_early, "the content fails its digest")

        self._in_each_state(check)

    def test_cancelled(self) -> None:
        """Cancelling gives the reader back."""

        def check() -> None:
            self.sent[-1].cancel()
            self.assertEqual(self.reader.left, 1)
            self.leave()

        self._in_each_state(check)

    def test_late_events(self) -> None:
        """What comes after the end does nothing at all."""

        def check() -> None:
            self.leave()
            calls, written = list(self.reader.calls), self.client.raw
            self.sender.pauseProducing()
            self.sender.resumeProducing()
            self.sender.range_ended()
            self.sender.broken("late")
            self.sender.write(b"late")
            self.assertEqual((self.reader.calls, self.client.raw), (calls, written))
            self.assert_nothing_left()

        self._in_each_state(check)

    def test_gone_before_it_begins(self) -> None:
        """A client that left while the content was looked for costs nothing."""
        held: list[Request] = []
        self.connect(held.append)
        self.begin()
        self.client.leave()
        self.successResultOf(self.make_sender(held[0]).send())
        self.assertEqual(self.reader.began, [])
        self.assert_nothing_left()

    def test_dead_transport(self) -> None:
        """A transport that stops a producer as soon as it is registered ends it."""
        held: list[Request] = []
        self.connect(held.append)
        self.begin()

        def stop_at_once(producer: IPushProducer, streaming: bool) -> None:
            producer.stopProducing()

        self.patch(held[0].channel, "registerProducer", stop_at_once)
        self.successResultOf(self.make_sender(held[0]).send())
        self.assertEqual(self.reader.began, [])
        self.leave()


class StallTimerTests(SynchronousTestCase):
    """Telling a slow client from one that is stuck."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.unsent: int | None = 1000
        self.stalls: list[float] = []
        self.timer = StallTimer(self.clock, 60.0, lambda: self.unsent, self._stalled)
        self.timer.start()

    def _stalled(self) -> None:
        self.stalls.append(self.clock.seconds())

    def test_nothing_moves(self) -> None:
        """After so long without a change the client counts as stuck, once."""
        self.clock.pump([5.0] * 100)
        self.assertEqual(self.stalls, [60.0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unknown(self) -> None:
        """Where nobody knows what waits, the time alone decides."""
        self.timer.stop()
        self.unsent = None
        self.timer.start()
        self.clock.pump([5.0] * 100)
        self.assertEqual(self.stalls, [60.0])

    def test_slow(self) -> None:
        """As long as the kernel gets rid of bytes nothing is cut; then the time runs anew."""
        for _ in range(20):
            self.unsent = (self.unsent or 0) - 10
            self.clock.pump([5.0] * 6)
        self.assertEqual(self.stalls, [])
        self.clock.pump([5.0] * 20)
        self.assertEqual(len(self.stalls), 1)
        self.assertLessEqual(self.stalls[0], 600.0 + 75.0)

    def test_stopped(self) -> None:
        """Stopping is final, may come twice, and the timer can be started again."""
        self.timer.stop()
        self.timer.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.timer.start()
        self.timer.start()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_ended(self) -> None:
        """A timer that has ended looks at nothing any more, and keeps nobody."""
        self.unsent = None
        client = _Client()
        kept = weakref.ref(client)
        timer = StallTimer(self.clock, 60.0, client.unsent, client.stalled)
        timer.start()
        timer.end()
        del client
        self.assertIsNone(kept())
        timer.moved()
        self.timer.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class _Client:
    """What a timer asks, and tells."""

    def unsent(self) -> int:
        """How many bytes it has yet to take."""
        return 1

    def stalled(self) -> None:
        """It took nothing."""


class UnsentTests(SynchronousTestCase):
    """What the kernel holds for a peer."""

    def test_counts(self) -> None:
        """Bytes that the peer has not taken are counted, through any wrapper."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        wrapper = ProtocolWrapper(WrappingFactory(None), None)  # type: ignore[no-untyped-call,arg-type]
        wrapper.transport = ours
        self.assertEqual(unsent_bytes(ours), 0)
        ours.send(b"x" * 1000)
        self.assertGreater(unsent_bytes(ours) or 0, 0)
        self.assertEqual(unsent_bytes(wrapper), unsent_bytes(ours))
        theirs.recv(1000)
        self.assertEqual(unsent_bytes(ours), 0)

    def test_no_socket(self) -> None:
        """A transport that is no socket, or a closed one, is unknown."""
        self.assertIsNone(unsent_bytes(object()))
        self.assertIsNone(unsent_bytes(None))
        closed = socket.socket()
        closed.close()
        self.assertIsNone(unsent_bytes(closed))
