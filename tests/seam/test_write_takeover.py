"""Taking over what a transport writes, over a real socket pair."""

import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regcache.seam.write_takeover import WriteTakeover, is_plain_stream


class TakeoverTests(SynchronousTestCase):
    """A connected transport that the test drives."""

    def setUp(self) -> None:
        ours, self.peer = socket.socketpair()
        for each in (ours, self.peer):
            each.setblocking(False)
            self.addCleanup(each.close)
        self.reactor = MemoryReactorClock()
        self.transport: Any = tcp.Connection(ours, Protocol(), self.reactor)
        self.transport.connected = 1
        self.takeover = WriteTakeover(self.transport)
        self.calls: list[str] = []

    def note(self) -> str:
        """In place of ``doWrite``."""
        self.calls.append("write")
        return "outcome"

    def test_called(self) -> None:
        """The function is called in place of the transport's own, until that is given back."""
        self.assertFalse(self.takeover.lasts)
        self.takeover.begin(self.note)
        self.assertTrue(self.takeover.lasts)
        self.assertEqual(self.transport.doWrite(), "outcome")
        for _ in range(2):
            self.takeover.end()
            self.assertFalse(self.takeover.lasts)
        self.transport.doWrite()
        self.assertEqual(self.calls, ["write"])

    def test_held(self) -> None:
        """What the transport holds is known, and its own writing sends it."""
        self.assertFalse(self.takeover.holds_bytes)
        self.transport.write(b"some")
        self.assertTrue(self.takeover.holds_bytes)
        self.takeover.begin(self.note)
        self.assertTrue(self.takeover.holds_bytes)
        self.assertFalse(self.takeover.may_write)
        self.assertIsNone(self.takeover.write_own())
        self.assertFalse(self.takeover.holds_bytes)
        self.assertTrue(self.takeover.may_write)
        self.assertEqual((self.peer.recv(10), self.calls), (b"some", []))

    def test_part_sent(self) -> None:
        """Bytes are held until the last of them is on its way."""
        self.transport.write(bytes(2**22))
        self.transport.doWrite()
        self.assertTrue(self.takeover.holds_bytes)
        left = 2**22
        while left:
            try:
                left -= len(self.peer.recv(2**22))
            except BlockingIOError:
                self.assertTrue(self.takeover.holds_bytes)
                self.takeover.write_own()
        self.assertFalse(self.takeover.holds_bytes)

    def test_aborted(self) -> None:
        """A transport that is aborted takes its writing back, and nobody takes it from there."""
        self.takeover.begin(self.note)
        self.transport.abortConnection()
        self.assertFalse(self.takeover.lasts)
        self.assertFalse(self.takeover.may_write)
        taken_back = self.transport.doWrite
        self.takeover.end()
        self.assertEqual(self.transport.doWrite, taken_back)
        self.transport.connectionLost(Failure(ConnectionLost()))

    def test_plain(self) -> None:
        """Neither TLS nor what is no stream of the system can be taken over."""
        self.assertTrue(is_plain_stream(self.transport))
        self.transport.TLS = True
        self.assertFalse(is_plain_stream(self.transport))
        self.assertFalse(is_plain_stream(StringTransport()))
