"""How much the kernel may hold for a client, over real sockets."""

import socket

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.web.unsent import BOUND, FAST, STEP, UnsentBound, bound_unsent


class Stream:
    """A transport as far as this matters."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection


def bound_of(connection: socket.socket) -> int:
    """What the kernel says."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)


class BoundTests(SynchronousTestCase):
    """Setting the bound."""

    def setUp(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(self.socket.close)

    def test_tcp(self) -> None:
        """A TCP socket has the bound."""
        bound_unsent(self.socket)
        self.assertEqual(bound_of(self.socket), BOUND)

    def test_others(self) -> None:
        """Closed sockets, those of other kinds, and no socket at all are left alone."""
        pair = socket.socketpair()
        for each in pair:
            self.addCleanup(each.close)
        self.socket.close()
        for each in (pair[0], self.socket, None, object()):
            bound_unsent(each)


class PaceTests(SynchronousTestCase):
    """Fast and slow clients."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(self.socket.close)
        bound_unsent(self.socket)
        self.told: list[bool] = []
        self.bound = UnsentBound(Stream(self.socket), self.clock, self.told.append)

    def pass_step(self, seconds: float) -> int:
        """A step in so much time; the bound after it."""
        self.bound.passed(STEP // 2)
        self.clock.advance(seconds)
        self.bound.passed(STEP // 2)
        return bound_of(self.socket)

    def test_fast(self) -> None:
        """A client that takes a step fast has no bound of ours."""
        self.assertEqual(self.pass_step(FAST), 0)

    def test_slow(self) -> None:
        """A client that does not keeps the bound."""
        self.assertEqual(self.pass_step(FAST + 0.1), BOUND)

    def test_less_than_a_step(self) -> None:
        """Less than a step says nothing, however fast."""
        self.bound.passed(STEP - 1)
        self.assertEqual(bound_of(self.socket), BOUND)

    def test_becomes_slow(self) -> None:
        """A fast client that becomes slow gets the bound back."""
        self.pass_step(0.1)
        self.assertEqual(self.pass_step(10), BOUND)
        self.assertEqual(self.pass_step(0.1), 0)
        self.assertEqual(self.told, [True, False, True])

    def test_end(self) -> None:
        """The next answer over the same connection begins with the bound."""
        self.pass_step(0.1)
        self.bound.restore()
        self.assertEqual(bound_of(self.socket), BOUND)

    def test_closed(self) -> None:
        """A connection that is gone is no fault."""
        self.pass_step(0.1)
        self.socket.close()
        self.bound.restore()
