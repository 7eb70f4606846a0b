"""Files sent from the page cache, over real socket pairs, by transports that the test drives."""

import io
import os
import socket
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import tcp
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.web.rounds import Rounds
from regcache.web.send_threads import SendThreads
from regcache.web.sendfile import MOST_AT_START, FileStretch
from tests.support.producers import NotingProducer

KIB = 1024
CONTENT = bytes(each % 251 for each in range(1024)) * 4 * KIB


class DiskFile:
    """A file of which a part is in the page cache.

    :ivar in_memory: the end of what is.
    """

    def __init__(self, path: str, content: bytes) -> None:
        with open(path, "wb") as writing:
            writing.write(content)
        self.raw = io.FileIO(path)
        self.in_memory = len(content)
        self.probes: list[tuple[int, int]] = []

    def cached(self, offset: int, length: int) -> bool:
        """As it was told."""
        self.probes.append((offset, length))
        return offset + length <= self.in_memory

    def fileno(self) -> int:
        """The descriptor."""
        return self.raw.fileno()


class Writers:
    """The part of a reactor that transports use. It calls nothing by itself."""

    def __init__(self) -> None:
        self.writing: set[Any] = set()
        self.later: list[Any] = []

    def addWriter(self, writer: Any) -> None:
        """It wants to write."""
        self.writing.add(writer)

    def removeWriter(self, writer: Any) -> None:
        """It does not."""
        self.writing.discard(writer)

    def addReader(self, reader: Any) -> None:
        """Nobody reads here."""

    removeReader = addReader

    def callLater(self, seconds: float, function: Any, *args: Any) -> None:
        """Note it."""
        self.later.append(lambda: function(*args))


class StretchCase(SynchronousTestCase):
    """A connected transport, its peer, and a file of 4 MiB."""

    def setUp(self) -> None:
        self.reactor = Writers()
        ours, self.peer = socket.socketpair()
        for each in (ours, self.peer):
            each.setblocking(False)
            self.addCleanup(each.close)
        self.transport: Any = tcp.Connection(ours, Protocol(), self.reactor)
        self.transport.connected = 1
        self.file = DiskFile(self.mktemp(), CONTENT)
        self.addCleanup(self.file.raw.close)
        self.received = bytearray()
        self.progress: list[int] = []
        self.ended: list[int] = []
        self.clock = Clock()
        self.rounds = Rounds(self.clock, self.make_threads())

    def make_threads(self) -> SendThreads:
        """None: a stretch sends when it is called."""
        return SendThreads(0)

    def round(self) -> None:
        """What is due is sent, by the rounds of several stretches."""
        self.clock.advance(0)

    def stretch(self, start: int, end: int) -> FileStretch:
        """A stretch, started, and the round that follows."""
        made = self.begin(start, end)
        self.round()
        return made

    def begin(self, start: int, end: int) -> FileStretch:
        """A stretch, started."""
        made = FileStretch(
            self.transport,
            self.rounds,
            self.file,  # type: ignore[arg-type]
            start=start,
            end=end,
            progressed=self.progress.append,
            ended=self.ended.append,
        )
        made.start()
        self.addCleanup(made.stop)
        return made

    def turn(self) -> Any:
        """The reactor finds that the socket takes bytes, if somebody waits for that."""
        if self.transport in self.reactor.writing:
            outcome = self.transport.doWrite()
            self.round()
            return outcome
        return None

    def take(self, most: int = 2**20) -> bytes:
        """The peer reads."""
        try:
            data = self.peer.recv(most)
        except BlockingIOError:
            return b""
        self.received += data
        return data

    def check_order(self, data: Any) -> None:
        """Writes and stretches that hypothesis draws, to a peer that takes what it draws."""
        self.setUp()
        expected = bytearray()
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, 2**21))
            end = start + data.draw(st.integers(1, 2**20))
            head = bytes(data.draw(st.integers(0, 200_000)))
            if head:
                self.transport.write(head)
            ends = len(self.ended)
            self.stretch(start, end)
            expected += head + CONTENT[start:end]
            while len(self.ended) == ends:
                self.assertIsNone(self.turn())
                self.take(data.draw(st.sampled_from([1, 4096, 100_000, 2**20])))
        self.finish()
        self.assertEqual(self.received, expected)
        self.doCleanups()

    def finish(self) -> None:
        """Everybody goes on until nothing moves."""
        while True:
            outcome = self.turn()
            self.assertIsNone(outcome)
            if not self.take() and self.transport not in self.reactor.writing:
                return


class FlowTests(StretchCase):
    """What reaches the peer, and when."""

    def test_whole(self) -> None:
        """All of a stretch arrives, and its end is told once."""
        self.stretch(1000, 3 * 2**20)
        self.assertEqual(self.ended, [])
        self.finish()
        self.assertEqual(bytes(self.received), CONTENT[1000 : 3 * 2**20])
        self.assertEqual(self.ended, [3 * 2**20 - 1000])
        self.assertEqual(sum(self.progress), self.ended[0])
        self.assertNotIn("doWrite", vars(self.transport))

    def test_bounded_start(self) -> None:
        """No more than a bounded part is sent before the reactor's next turn."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        self.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**22)
        self.stretch(0, len(CONTENT))
        self.assertEqual(len(self.progress), 1)
        self.assertLessEqual(self.progress[0], MOST_AT_START)
        self.finish()

    def test_closing(self) -> None:
        """A connection that is to close does so when the stretch is over."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
        self.stretch(0, 2**20)
        self.transport.loseConnection()
        outcome = None
        for _ in range(10_000):
            self.take()
            outcome = outcome or self.turn()
            if self.ended and outcome is not None:
                break
        while self.take():
            pass
        self.assertEqual((self.ended, len(self.received)), ([2**20], 2**20))
        self.assertIs(outcome, CONNECTION_DONE)

    def test_after_what_was_written(self) -> None:
        """What the transport holds goes first, and what is written after the end follows."""
        self.transport.write(b"head")
        self.stretch(0, 100_000)
        self.assertEqual(self.progress, [])
        self.finish()
        self.transport.write(b"tail")
        self.finish()
        self.assertEqual(bytes(self.received), b"head" + CONTENT[:100_000] + b"tail")

    def test_stuck_peer(self) -> None:
        """A peer that takes nothing costs nothing: the transport holds no byte of the file."""
        self.stretch(0, len(CONTENT))
        for _ in range(100):
            self.assertIsNone(self.turn())
        self.assertLess(sum(self.progress), len(CONTENT))
        self.assertEqual((self.transport.dataBuffer, self.transport._tempDataLen), (b"", 0))
        self.finish()
        self.assertEqual(bytes(self.received), CONTENT)

    def test_producer_is_told(self) -> None:
        """The transport's producer, paused by what was written before, is resumed by it."""
        producer = NotingProducer()
        self.transport.registerProducer(producer, True)
        self.transport.write(bytes(100_000))
        self.assertEqual(producer.calls, ["pause"])
        self.stretch(0, 10)
        self.finish()
        self.assertEqual(producer.calls, ["pause", "resume"])
        self.assertEqual(bytes(self.received), bytes(100_000) + CONTENT[:10])


class EndTests(StretchCase):
    """Stretches that end before their end."""

    def test_not_in_memory(self) -> None:
        """It ends where the page cache does, having waited for no disk."""
        self.file.in_memory = 300_000
        self.stretch(0, len(CONTENT))
        self.finish()
        self.assertEqual(len(self.ended), 1)
        self.assertLessEqual(self.ended[0], 300_000)
        self.assertEqual(bytes(self.received), CONTENT[: self.ended[0]])

    def test_nothing_in_memory(self) -> None:
        """Where nothing is in memory nothing is sent, and that is told."""
        self.file.in_memory = 0
        self.stretch(5, 10)
        self.assertEqual((self.ended, self.progress), ([0], []))

    def test_unsupported(self) -> None:
        """A file system without it ends the stretch, for the rest to be read, not the answer."""
        self.file.raw = io.FileIO("/proc/self/maps")
        self.addCleanup(self.file.raw.close)
        self.stretch(0, 100)
        self.assertEqual((self.ended, self.reactor.writing), ([0], set()))
        self.transport.write(b"head")
        self.stretch(0, 100)
        self.assertIsNone(self.turn())
        self.assertIsNone(self.turn())
        self.assertEqual((self.ended, self.take()), ([0, 0], b"head"))

    def test_truncated(self) -> None:
        """It ends where the file does, which has become shorter."""
        os.truncate(self.file.raw.name, 1500)
        self.stretch(1000, 5000)
        self.finish()
        self.assertEqual((self.ended, bytes(self.received)), ([500], CONTENT[1000:1500]))

    def test_peer_leaves(self) -> None:
        """A connection that breaks is reported to the reactor, and its end is not told."""
        self.stretch(0, len(CONTENT))
        self.peer.close()
        self.assertIs(self.turn(), CONNECTION_LOST)
        self.assertEqual(self.ended, [])

    def test_peer_left_before(self) -> None:
        """A connection that is broken at the start is found so by the reactor."""
        self.peer.close()
        self.stretch(0, 10)
        self.assertEqual(self.ended, [])
        self.assertIs(self.turn(), CONNECTION_LOST)

    def test_stopped(self) -> None:
        """A stretch that is stopped sends no more, and the transport writes as before."""
        stretch = self.stretch(0, len(CONTENT))
        stretch.stop()
        stretch.stop()
        sent = sum(self.progress)
        while self.take():
            pass
        self.transport.write(b"more")
        self.finish()
        self.assertEqual(bytes(self.received), CONTENT[:sent] + b"more")
        self.assertEqual(self.ended, [])

    def test_aborted(self) -> None:
        """After an abort nothing is sent, and what the transport put there stays."""
        stretch = self.stretch(0, len(CONTENT))
        self.transport.doWrite = aborted = lambda: None
        stretch.stop()
        self.assertIs(self.transport.doWrite, aborted)

    def test_written_meanwhile(self) -> None:
        """Bytes written in the middle of a stretch end the connection, rather than mix."""
        self.stretch(0, len(CONTENT))
        self.transport.write(b"in between")
        while self.take():
            pass
        self.assertIs(self.turn(), CONNECTION_LOST)
        self.assertNotIn(b"in between", self.received)

    def test_connection_closed_while_flushing(self) -> None:
        """Where the transport ends the connection by itself, the stretch sends nothing."""
        self.transport.write(b"head")
        self.stretch(0, 10)
        self.transport.loseConnection()
        self.assertIsNotNone(self.turn())
        self.take()
        self.assertEqual((bytes(self.received), self.ended), (b"head", []))


class AloneTests(StretchCase):
    """A stretch that has the reactor to itself."""

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_any_order(self, data: Any) -> None:
        """Writes and stretches arrive in the order in which they were made, byte by byte."""
        self.check_order(data)

    def test_short(self) -> None:
        """What the socket takes is sent at once, without a turn of the reactor."""
        self.begin(10, 2000)
        self.assertEqual(self.ended, [1990])
        self.assertEqual((self.take(), self.reactor.writing), (CONTENT[10:2000], set()))


class Idle:
    """Another stretch that is under way, and never due."""

    def plan(self) -> None:
        """It is not asked."""
        raise AssertionError

    def settle(self, call: object) -> None:
        """It is not told."""
        raise AssertionError

    def abort(self) -> None:
        """Nobody has a reason."""
        raise AssertionError


class SharedCase(StretchCase):
    """A stretch that is not alone, so that it sends in rounds."""

    def setUp(self) -> None:
        super().setUp()
        self.rounds.enter(Idle())

    def turn(self) -> Any:
        """What a round finds out the reactor is told when it calls again."""
        return super().turn() or super().turn()

    def make_threads(self) -> SendThreads:
        """One that helps."""
        threads = SendThreads(1)
        threads.startService()
        self.addCleanup(threads.stopService)
        return threads


class SharedFlowTests(SharedCase, FlowTests):
    """The same in rounds."""

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_any_order(self, data: Any) -> None:
        """Writes and stretches arrive in the order in which they were made, byte by byte."""
        self.check_order(data)


class SharedEndTests(SharedCase, EndTests):
    """The same in rounds."""


class Stopping(Idle):
    """One that stops another one when it is told."""

    stops: FileStretch

    def plan(self) -> None:
        """There is nothing to be sent."""

    def settle(self, call: object) -> None:
        """Stop the other one."""
        self.stops.stop()


class DueTests(SharedCase):
    """What happens between the call of the reactor and the round."""

    def setUp(self) -> None:
        super().setUp()
        self.due = self.begin(10, 2000)
        self.assertEqual((self.ended, self.take()), ([], b""))

    def assert_silent(self) -> None:
        """The round sends nothing, and nobody is told."""
        self.round()
        self.assertEqual((self.ended, self.progress, self.take()), ([], [], b""))

    def test_round(self) -> None:
        """It is sent in the round, and that is told."""
        self.round()
        self.assertEqual((self.ended, self.progress), ([1990], [1990]))
        self.assertEqual((self.take(), self.reactor.writing), (CONTENT[10:2000], set()))

    def test_stopped(self) -> None:
        """One that is stopped sends nothing."""
        self.due.stop()
        self.assert_silent()

    def test_stopped_by_another(self) -> None:
        """One that is stopped while others are told hears of nothing, though its bytes went."""
        self.due.stop()
        other = Stopping()
        self.rounds.enter(other)
        self.rounds.send(other)
        other.stops = self.begin(10, 2000)
        self.round()
        self.assertEqual((self.ended, self.progress), ([], []))
        self.assertEqual((self.take(), self.reactor.writing), (CONTENT[10:2000], set()))

    def test_fault_of_whoever_is_told(self) -> None:
        """A fault of a listener cuts the connection, since nothing else would end it."""
        self.due.stop()
        raising = FileStretch(
            self.transport,
            self.rounds,
            self.file,  # type: ignore[arg-type]
            start=10,
            end=2000,
            progressed=lambda _: None,
            ended=lambda count: 1 // (count - count),
        )
        raising.start()
        self.round()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.reactor.later), 1)  # it is closed in the next turn

    def test_aborted(self) -> None:
        """A connection that is aborted is sent nothing more."""
        self.due.abort()
        self.assert_silent()
        self.assertEqual(len(self.reactor.later), 1)  # it is closed in the next turn

    def test_lost(self) -> None:
        """A connection that is lost is left alone."""
        self.transport.connected = 0
        self.assert_silent()
        self.assertEqual(self.reactor.writing, set())

    def test_closed_file(self) -> None:
        """A file that is closed meanwhile is not sent from: its number may be another's."""
        self.file.in_memory = 0
        self.file.raw.close()
        self.round()
        self.assertEqual((self.ended, self.take()), ([0], b""))

    def test_written_meanwhile(self) -> None:
        """Bytes that are written before the round end the connection, rather than mix."""
        self.transport.write(b"in between")
        self.round()
        self.assertEqual((self.ended, self.take()), ([], b""))
        self.assertIs(self.turn(), CONNECTION_LOST)
