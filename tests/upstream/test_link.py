"""Links that come and go: what is done with the connections that they leave behind."""

import socket

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import ISystemHandle
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from regcache.errors import UpstreamTimedOut
from regcache.upstream.build import Timeouts
from regcache.upstream.dialling import USER_TIMEOUT, bound_silence
from regcache.upstream.registry import Registry
from tests.upstream.cases import ADDRESS, DIGEST, MANIFEST, UpstreamTestCase, manifest_server
from tests.upstream.network import response
from tests.upstream.recorders import Consumer

IDLE = 4


class IdleTests(UpstreamTestCase):
    """An upstream with some idle connections to it."""

    def setUp(self) -> None:
        """Ask for several manifests at once."""
        super().setUp()
        self.serve(manifest_server)
        self.upstream: Registry = self.registry(timeouts=Timeouts(connect=10, first_byte=20))
        asking = [self.upstream.get_manifest("x", f"tag{number}") for number in range(IDLE)]
        for each in asking:
            self.outcome(each)
        self.assertEqual(len(self.network.lines), IDLE)

    def die(self) -> None:
        """Nothing comes over these connections any more."""
        for line in self.network.lines:
            line.handler = lambda _: None

    def closed(self) -> list[bool]:
        """Which of the connections were closed."""
        self.network.settle()
        return [line.closed_by_client for line in self.network.lines[:IDLE]]

    def assert_well(self) -> None:
        """The next request is answered at once."""
        self.outcome(self.upstream.get_manifest("x", "latest"))

    def test_time_out(self) -> None:
        """One request without an answer is the last one that meets a dead connection."""
        self.die()
        asking = self.upstream.get_manifest("x", "latest")
        self.network.pass_time(20.5)
        self.failure(asking, UpstreamTimedOut)
        self.assertEqual(self.closed(), [True] * IDLE)
        self.assert_well()

    def test_lost_after_a_long_silence(self) -> None:
        """So it is where the kernel gives the connection up; the request is repeated."""
        self.die()
        asking = self.upstream.get_manifest("x", "latest")
        self.network.pass_time(15)
        self.network.requests[-1].line.close()
        self.outcome(asking)
        self.assertEqual(self.closed()[1:], [True] * (IDLE - 1))

    def test_lost_at_once(self) -> None:
        """A connection that an upstream has closed says nothing of the others."""
        self.network.lines[0].handler = lambda seen: seen.line.close()
        self.assert_well()
        self.assertEqual(self.closed(), [False] * IDLE)

    def test_given_up_after_a_long_silence(self) -> None:
        """Who gives up after seconds of silence knows as much."""
        self.die()
        for seconds, closed in ((4, False), (5, True)):
            asking = self.upstream.get_manifest("x", f"after-{seconds}")
            self.network.pass_time(seconds)
            asking.cancel()
            self.failure(asking, CancelledError)
            self.assertIs(self.closed()[-1], closed)

    def test_missed_deadline(self) -> None:
        """A revalidation that misses the deadline does not wait for that."""
        self.die()
        asking = self.upstream.head_manifest("x", "latest")
        self.network.pass_time(2)
        self.upstream.note_overdue("x", "latest")
        self.assertEqual(self.closed()[1:], [True] * (IDLE - 1))
        self.assertNoResult(asking)
        self.assert_well()
        asking.cancel()
        self.failure(asking, CancelledError)

    def test_stalled_body(self) -> None:
        """A body that stalls closes them, too."""
        self.network.lines[0].handler = lambda _: response(200, b"", Content_Length="9")
        consumer = Consumer()
        self.outcome(self.upstream.get_blob("x", DIGEST)).deliver(consumer)
        self.network.pass_time(30.5)
        self.assertIsInstance(consumer.failures[0], UpstreamTimedOut)
        self.assertEqual(self.closed(), [True] * IDLE)

    def test_no_connection(self) -> None:
        """So does an attempt to connect that gets no answer."""
        busy = [line for line in self.network.lines[:-1]]
        for line in busy:
            line.handler = lambda _: None
        asking = [self.upstream.get_manifest("x", f"busy{n}") for n in range(len(busy))]
        self.network.settle()
        self.network.lines[-1].handler = lambda _: None
        asking.append(self.upstream.get_manifest("x", "last"))
        self.network.settle()
        self.serve(None)
        connecting = self.upstream.get_manifest("x", "latest")
        self.network.settle()
        self.network.requests[-1].line.send(response(200, MANIFEST))
        self.outcome(asking.pop())
        self.network.pass_time(10.5)
        self.failure(connecting, UpstreamTimedOut)
        self.assertEqual(self.closed(), [False] * len(busy) + [True])
        for each in asking:
            each.cancel()
            self.failure(each, CancelledError)

    def test_other_hosts(self) -> None:
        """Connections to other hosts stay open."""
        self.name("cdn.test", "203.0.113.77")
        self.serve(lambda _: response(200, b"abc"), "203.0.113.77")
        self.network.lines[0].handler = lambda _: response(307, Location="http://cdn.test/")
        self.outcome(self.upstream.get_blob("x", DIGEST)).deliver(Consumer())
        self.network.settle()
        [other] = [line for line in self.network.lines if line.host != ADDRESS]
        self.die()
        asking = self.upstream.get_manifest("x", "latest")
        self.network.pass_time(20.5)
        self.failure(asking, UpstreamTimedOut)
        self.assertTrue(all(self.closed()))
        self.assertFalse(other.closed_by_client)


@implementer(ISystemHandle)
class _WithHandle(StringTransport):
    """A transport over a real socket that is never used."""

    def __init__(self, handle: socket.socket) -> None:
        super().__init__()
        self._handle = handle

    def getHandle(self) -> socket.socket:
        return self._handle


class UserTimeoutTests(SynchronousTestCase):
    """What the kernel is told of connections."""

    def connected(self, transport: object) -> Protocol:
        """A protocol with a transport."""
        protocol = Protocol()
        protocol.transport = transport
        return protocol

    def test_set(self) -> None:
        """It gives up after 15 s without an acknowledgement."""
        handle = socket.socket()
        self.addCleanup(handle.close)
        bound_silence(self.connected(_WithHandle(handle)))
        option = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        self.assertEqual(option, USER_TIMEOUT * 1000)

    def test_lost_already(self) -> None:
        """A socket that is closed by now is none, and neither is a transport in memory."""
        handle = socket.socket()
        handle.close()
        bound_silence(self.connected(_WithHandle(handle)))
        bound_silence(self.connected(StringTransport()))
