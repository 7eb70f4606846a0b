"""How many connections a port of Twisted accepts at once."""

import errno
import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from regcache.seam.accepting import bound_accepts

MOST = 4


class Listening:
    """A listening socket, as far as a port uses it.

    :ivar waiting: connections that may be accepted.
    :ivar fault: the errno that says why none can be, or 0.
    """

    waiting = 0
    fault = 0

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """One of those that wait."""
        if self.fault:
            raise OSError(self.fault, "no room")
        if not self.waiting:
            raise BlockingIOError(errno.EAGAIN, "none waits")
        self.waiting -= 1
        ours, theirs = socket.socketpair()
        theirs.close()
        return ours, ("127.0.0.1", 1)


class PortTests(SynchronousTestCase):
    """A port behind which connections wait."""

    def setUp(self) -> None:
        self.made = 0
        factory = Factory()
        factory.buildProtocol = self.refuse  # type: ignore[assignment]
        self.port: Any = tcp.Port(0, factory, reactor=MemoryReactor())
        self.listening = self.port.socket = Listening()
        self.port.numberAccepts = 100
        self.faults: list[OSError] = []
        bound_accepts(self.port, MOST, self.faults.append)

    def refuse(self, address: object) -> None:
        """Count the connection; the port closes it."""
        self.made += 1

    def turn(self, waiting: int) -> int:
        """So many connections wait; how many does one turn accept?"""
        before = self.made
        self.listening.waiting = waiting
        self.port.doRead()
        return self.made - before

    def test_crowd(self) -> None:
        """However many come, and however often, one turn accepts a few."""
        self.assertEqual([self.turn(100) for _ in range(5)], [MOST] * 5)

    def test_few(self) -> None:
        """Where fewer come all of them are accepted."""
        self.assertEqual([self.turn(count) for count in (3, 2, 0, 1, 100)], [3, 2, 0, 1, MOST])

    def test_no_room(self) -> None:
        """Where there is no room nobody is accepted or closed, and that is said once a turn."""
        for code in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            self.listening.fault = code
            self.assertEqual(self.turn(100), 0)
            self.assertEqual([fault.errno for fault in self.faults], [code])
            self.assertEqual(self.listening.waiting, 100)
            self.faults.clear()
            self.listening.fault = 0
            self.assertEqual(self.turn(1), 1)
        self.assertEqual(self.faults, [])

    def test_others(self) -> None:
        """A port of another kind is left as it is."""
        other: Any = object()
        bound_accepts(other, MOST, self.faults.append)
