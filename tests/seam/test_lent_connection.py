"""A connection that is lent to a thread, between two ends of a pair of sockets."""

import contextlib
import socket
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.iweb import IResponse

from regcache.interfaces import PIECES_BEHIND
from regcache.seam import lent_connection
from regcache.seam.abort import abort_response
from regcache.seam.client_connection import ClientConnection
from regcache.seam.lent_connection import LentConnection, lend
from regcache.seam.tls_client import TLSClientFactory
from regcache.upstream.exchange import UpstreamRequest
from regcache.upstream.urls import parse_url
from regcache.upstream.wire import WireRequest
from tests.support.certificates import Authority, Certificate
from tests.support.openssl_server import OpenSSLServer

CONTENT = bytes(each % 251 for each in range(1024)) * 200
HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode()
SECONDS = 5.0


class Reactor(Clock):
    """Knows who is read."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        """Read it."""
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        """Do not."""
        self.readers.discard(reader)

    def addWriter(self, writer: Any) -> None:
        """Everything fits into the socket."""

    def removeWriter(self, writer: Any) -> None:
        """Nothing."""


class Pair(Connection):
    """One end of a pair of sockets, which are not of TCP."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """They have no such option."""


class Careful(ClientConnection):
    """Takes no answer that came too early for one."""

    def is_last(self, version: tuple[Any, int, int], options: Sequence[bytes], rest: bytes) -> bool:
        """Whether something came behind an answer."""
        return bool(rest)


class Body(Protocol):
    """Notes a body."""

    def __init__(self) -> None:
        self.content = b""
        self.end: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """Some of it."""
        self.content += data

    def connectionLost(self, reason: Any = None) -> None:
        """Its end."""
        self.end = reason


class PlainTests(SynchronousTestCase):
    """Without TLS."""

    def setUp(self) -> None:
        """A body that has begun, and is paused."""
        self.reactor = Reactor()
        near, self.far = socket.socketpair()
        self.addCleanup(self.far.close)
        self.far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(CONTENT))
        self.addCleanup(near.close)
        self.is_free = False
        self.connection = Careful(self.free)
        protocol = self.protocol()
        self.transport = Pair(near, protocol, self.reactor)  # type: ignore[arg-type]
        self.transport.connected = True
        protocol.makeConnection(self.transport)
        self.transport.startReading()
        self.shake_hands()
        request: Any = WireRequest(UpstreamRequest(b"GET", parse_url("http://up.test/")))
        asked: Deferred[IResponse] = self.connection.request(request)
        self.flush()
        self.send(HEAD + CONTENT[:1000])
        self.read()
        self.response = self.successResultOf(asked)
        self.body = Body()
        self.response.deliverBody(self.body)
        self.pause()

    def free(self, connection: object) -> None:
        """It takes another request."""
        self.is_free = True

    def protocol(self) -> Any:
        """What the transport belongs to."""
        return self.connection

    def shake_hands(self) -> None:
        """Nothing to do."""

    def flush(self) -> None:
        """Send what is to be sent."""
        self.reactor.advance(0)
        while self.transport.dataBuffer or self.transport._tempDataBuffer:
            self.transport.doWrite()

    def send(self, data: bytes) -> None:
        """The upstream sends something."""
        self.far.sendall(data)

    def read(self) -> None:
        """The reactor reads what has come."""
        self.transport.doRead()

    def pause(self) -> None:
        """Pause the body."""
        self.body.transport.pauseProducing()  # type: ignore[union-attr]

    def resume(self) -> None:
        """Read on."""
        self.body.transport.resumeProducing()  # type: ignore[union-attr]

    def lend(self) -> LentConnection:
        """Lend it."""
        lent = lend(self.connection)
        assert lent is not None
        return lent

    def receive(self, lent: LentConnection, most: int, seconds: float = SECONDS) -> bytes:
        """What a thread receives."""
        taken = bytearray()
        thread = Thread(target=lambda: lent.receive(taken.extend, most, seconds))
        thread.start()
        thread.join()
        return bytes(taken)

    def test_whole(self) -> None:
        """What the thread takes and what the reactor reads are all of the body, which ends."""
        lent = self.lend()
        self.send(CONTENT[1000:50_000])
        taken = self.receive(lent, 49_000)
        lent.give_back()
        self.assertEqual(taken, CONTENT[1000:50_000])
        self.resume()
        self.send(CONTENT[50_000:])
        self.read_all()
        self.assertEqual(self.body.content, CONTENT[:1000] + CONTENT[50_000:])
        assert self.body.end is not None
        self.body.end.trap(ResponseDone)

    def read_all(self, body: Body | None = None) -> None:
        """The reactor reads until nothing is left."""
        for _ in range(40):
            if (body or self.body).end is not None:
                return
            self.transport.doRead()

    def test_again(self) -> None:
        """It may be lent again before the reactor reads."""
        self.send(CONTENT[1000:60_000])
        taken = b""
        for _ in range(3):
            lent = self.lend()
            taken += self.receive(lent, 10_000)
            lent.give_back()
        self.assertEqual(taken, CONTENT[1000:31_000])
        self.resume()
        self.send(CONTENT[60_000:])
        self.read_all()
        self.assertEqual(self.body.content, CONTENT[:1000] + CONTENT[31_000:])

    def test_unread(self) -> None:
        """While it is lent, and before it is resumed, the reactor does not read it."""
        lent = self.lend()
        self.assertEqual(self.reactor.readers, set())
        lent.give_back()
        self.assertEqual(self.reactor.readers, set())
        self.resume()
        self.assertEqual(self.reactor.readers, {self.transport})

    def test_dry(self) -> None:
        """A thread does not wait for long, and takes what there is."""
        self.send(CONTENT[1000:1500])
        lent = self.lend()
        self.assertEqual(self.receive(lent, 10_000), CONTENT[1000:1500])
        lent.give_back()

    def test_cut_short(self) -> None:
        """Where the upstream breaks off, the thread returns, and the reactor finds the same."""
        self.send(CONTENT[1000:2000])
        self.far.close()
        lent = self.lend()
        self.assertEqual(self.receive(lent, 10_000), CONTENT[1000:2000])
        lent.give_back()
        self.resume()
        reason = self.transport.doRead()
        assert reason is not None
        self.transport.connectionLost(Failure(reason))
        self.assertIsNotNone(self.body.end)
        self.assertIsNone(self.body.end.check(ResponseDone))  # type: ignore[union-attr]

    def test_aborted(self) -> None:
        """An abort has the thread return; the descriptor is closed when it has, not before."""
        lent = self.lend()
        number = self.transport.fileno()
        taken: list[bytes] = []
        thread = Thread(target=lambda: taken.append(self.wait_for_all(lent)))
        thread.start()
        abort_response(self.response)
        thread.join(SECONDS)
        self.assertFalse(thread.is_alive())
        self.assertEqual(self.transport.fileno(), number)
        self.reactor.advance(0)
        self.assertTrue(hasattr(self.transport, "socket"))
        lent.give_back()
        self.reactor.advance(0)
        self.assertFalse(hasattr(self.transport, "socket"))

    def wait_for_all(self, lent: LentConnection) -> bytes:
        """As a thread that waits for what does not come."""
        taken = bytearray()
        while not lent._cut:
            lent.receive(taken.extend, len(CONTENT), SECONDS)
        return bytes(taken)

    def test_buffers(self) -> None:
        """Bytes stay as they were put until all is given back, also while other loans receive."""
        self.send(CONTENT[1000:3000])
        lent, pieces = self.lend(), []
        lent.receive(pieces.append, 2000, SECONDS)
        for number in range(PIECES_BEHIND + 1):
            content = bytes([number]) * 2000
            other = type(self)("test_buffers")
            self.addCleanup(other.doCleanups)
            other.setUp()
            other.send(content)
            borrowed = other.lend()
            self.assertEqual(other.receive(borrowed, 2000), content)
            self.assertEqual(b"".join(pieces), CONTENT[1000:3000])
            borrowed.give_back()
        lent.give_back()

    def test_pieces(self) -> None:
        """Of what was put, the last pieces are in buffers of their own, and so is the next."""
        self.patch(lent_connection, "PIECE", 1000)
        self.patch(lent_connection, "_spare", deque())
        self.send(CONTENT[1000:31_000])
        lent = self.lend()
        last: deque[tuple[memoryview, int]] = deque(maxlen=PIECES_BEHIND)

        def put(piece: memoryview) -> None:
            for each, at in last:
                self.assertEqual(each, CONTENT[at : at + len(each)])
            last.append((piece, 1000 + lent.taken))

        lent.receive(put, 30_000, SECONDS)
        for each, at in last:
            self.assertEqual(each, CONTENT[at : at + len(each)])
        self.assertEqual(lent.taken, 30_000)
        lent.give_back()

    def test_next_answer(self) -> None:
        """Behind a body of which a thread took a part, the same connection has the next answer."""
        lent = self.lend()
        self.send(CONTENT[1000:50_000])
        self.receive(lent, 49_000)
        lent.give_back()
        self.resume()
        self.send(CONTENT[50_000:])
        self.read_all()
        self.assertTrue(self.is_free)
        request: Any = WireRequest(UpstreamRequest(b"GET", parse_url("http://up.test/b")))
        asked: Deferred[IResponse] = self.connection.request(request)
        self.flush()
        self.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
        self.read()
        second = Body()
        self.successResultOf(asked).deliverBody(second)
        self.read_all(second)
        self.assertEqual(second.content, b"next")
        assert second.end is not None
        second.end.trap(ResponseDone)

    def test_surplus(self) -> None:
        """What an upstream sends behind the end is not taken for the body, nor for an answer."""
        lent = self.lend()
        self.send(CONTENT[1000:50_000])
        self.receive(lent, 49_000)
        lent.give_back()
        self.resume()
        self.send(CONTENT[50_000:] + b"surplus")
        self.read_all()
        self.assertEqual(self.body.content, CONTENT[:1000] + CONTENT[50_000:])
        self.assertTrue(self.connection.transport.disconnecting)  # type: ignore[union-attr]

    def test_disk_full(self) -> None:
        """What could not be put does not count as taken."""

        def full(piece: memoryview) -> None:
            raise OSError(28, "No space left on device")

        self.send(CONTENT[1000:2000])
        lent = self.lend()
        self.assertRaises(OSError, lent.receive, full, 10_000, SECONDS)
        lent.give_back()
        self.assertEqual(lent.taken, 0)

    def test_not_lent(self) -> None:
        """What is not a body of known length is not lent."""
        self.assertIsNone(lend(ClientConnection(lambda connection: None)))
        self.resume()
        self.send(CONTENT[1000:])
        self.read_all()
        self.assertIsNone(lend(self.connection))


class TLSTests(PlainTests):
    """The same over TLS."""

    version = SSL.TLS1_3_VERSION

    def protocol(self) -> Any:
        """The connection, within TLS."""
        factory = TLSClientFactory(
            CertificateOptions(verify=False),
            True,
            Factory.forProtocol(lambda: self.connection),  # type: ignore[arg-type]
            self.reactor,
        )
        self.stream: Any = factory.buildProtocol(None)
        return self.stream

    def shake_hands(self) -> None:
        """The far end does its part by hand, since all is in one thread."""
        self.server: Any = self.new_server(Authority(Path(self.mktemp())).issue("localhost"))
        for _ in range(4):
            self.flush()
            self.take()
            self.shake_on()
            if not self.stream._handshakeDone:
                self.transport.doRead()

    def shake_on(self) -> None:
        """The far end does what it can."""
        with contextlib.suppress(SSL.WantReadError):
            self.server.do_handshake()
        self.put()

    def new_server(self, issued: Certificate) -> Any:
        """The far end."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_max_proto_version(self.version)
        context.use_certificate_chain_file(str(issued.chain))
        context.use_privatekey_file(str(issued.key))
        server = SSL.Connection(context, None)
        server.set_accept_state()
        return server

    def take(self) -> None:
        """Give the far end what it was sent."""
        self.far.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.server.bio_write(self.far.recv(65536))
        self.far.setblocking(True)

    def put(self) -> None:
        """Send what the far end has for us."""
        try:
            while True:
                self.far.sendall(self.server.bio_read(2**20))
        except SSL.WantReadError:
            pass

    def send(self, data: bytes) -> None:
        """The upstream encrypts and sends."""
        for start in range(0, len(data), 10_000):
            self.server.send(data[start : start + 10_000])
        self.put()

    def read(self) -> None:
        """Tickets and more."""
        self.transport.doRead()

    def test_left_over(self) -> None:
        """What TLS holds when the thread ends is delivered before the socket has more."""
        self.send(CONTENT[1000:31_000])
        lent = self.lend()
        self.assertEqual(self.receive(lent, 5000), CONTENT[1000:6000])
        lent.give_back()
        self.assertEqual(self.body.content, CONTENT[:1000])
        self.resume()
        self.assertEqual(self.body.content, CONTENT[:1000] + CONTENT[6000:31_000])

    def test_closed(self) -> None:
        """A close_notify in the middle ends the thread, and then the body."""
        self.send(CONTENT[1000:2000])
        self.server.shutdown()
        self.put()
        lent = self.lend()
        self.assertEqual(self.receive(lent, 10_000), CONTENT[1000:2000])
        lent.give_back()
        self.resume()
        self.assertTrue(self.transport.disconnecting)

    def test_damaged(self) -> None:
        """A record that was tampered with ends the thread; the reactor reports it."""
        self.send(CONTENT[1000:2000])
        self.server.send(CONTENT[2000:3000])
        record = bytearray(self.server.bio_read(2**20))
        record[50] ^= 1
        self.far.sendall(record)
        lent = self.lend()
        self.assertEqual(self.receive(lent, 10_000), CONTENT[1000:2000])
        lent.give_back()
        self.assertFalse(self.transport.disconnecting)
        self.resume()
        self.assertTrue(self.transport.disconnecting)


class OlderTLSTests(TLSTests):
    """The same over TLS 1.2."""

    version = SSL.TLS1_2_VERSION

    def test_renegotiated(self) -> None:
        """A further handshake that begins in the middle goes on when it is given back."""
        self.send(CONTENT[1000:2000])
        self.server.renegotiate()
        self.shake_on()
        lent = self.lend()
        self.assertEqual(self.receive(lent, 10_000), CONTENT[1000:2000])
        lent.give_back()
        self.resume()
        for _ in range(4):
            self.flush()
            self.take()
            self.shake_on()
            self.transport.doRead()
        self.send(CONTENT[2000:])
        self.read_all()
        self.assertEqual(self.server.total_renegotiations(), 1)
        self.assertEqual(self.body.content, CONTENT[:1000] + CONTENT[2000:])


class LaterMessagesTests(TLSTests):
    """The same with a far end that has more to say than content."""

    def new_server(self, issued: Certificate) -> Any:
        """The far end."""
        return OpenSSLServer(issued.chain, issued.key)

    def lend_across(self, say: Callable[[], object]) -> None:
        """Lend a stretch in which the far end says something between; all content is right."""
        self.send(CONTENT[1000:20_000])
        say()
        self.send(CONTENT[20_000:40_000])
        lent = self.lend()
        self.assertEqual(self.receive(lent, 39_000), CONTENT[1000:40_000])
        lent.give_back()
        self.resume()
        self.send(CONTENT[40_000:])
        self.read_all()
        self.assertEqual(self.body.content, CONTENT[:1000] + CONTENT[40_000:])

    def test_keys_updated(self) -> None:
        """The keys may change in the middle; the next request is encrypted by new ones, too."""
        self.lend_across(self.server.update_keys)
        self.take()
        self.assertIn(b"GET / ", self.server.read())
        request: Any = WireRequest(UpstreamRequest(b"GET", parse_url("http://up.test/b")))
        asked: Deferred[IResponse] = self.connection.request(request)
        self.flush()
        self.take()
        self.assertIn(b"GET /b ", self.server.read())
        asked.addErrback(lambda failure: None)

    def test_ticket(self) -> None:
        """A session ticket in the middle is no content, and no end."""
        self.lend_across(self.server.send_ticket)
