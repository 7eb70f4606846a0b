"""What a listening socket has besides its address."""

import socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.web.accepting import MOST_AT_ONCE, prepare_port
from regcache.web.unsent import BOUND


class Port:
    """A TCP port that accepts as many as it may, and then wants to accept more."""

    def __init__(self) -> None:
        self.numberAccepts = 100
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.accepted: list[int] = []

    def doRead(self) -> None:
        """Accept."""
        self.accepted.append(self.numberAccepts)
        self.numberAccepts += 20


class PortTests(SynchronousTestCase):
    """Both bounds."""

    def setUp(self) -> None:
        self.port = Port()
        self.addCleanup(self.port.socket.close)
        prepare_port(self.port)

    def test_accepts(self) -> None:
        """However many come, one turn of the reactor accepts a few."""
        self.port.doRead()
        self.port.doRead()
        self.assertEqual(self.port.accepted, [MOST_AT_ONCE, MOST_AT_ONCE])

    def test_few_come(self) -> None:
        """Where Twisted expects fewer it stays at that."""
        self.port.numberAccepts = 1
        self.port.doRead()
        self.assertEqual(self.port.accepted, [1])

    def test_unsent(self) -> None:
        """Its connections inherit the bound of what may wait unsent."""
        option = (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        self.assertEqual(self.port.socket.getsockopt(*option), BOUND)

    def test_others(self) -> None:
        """A port of another kind is left as it is."""
        other: Any = object()
        prepare_port(other)
