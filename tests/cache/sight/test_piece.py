"""Reading a short body."""

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.sight.piece import read_piece
from regcache.errors import UpstreamUnreachable
from tests.cache.cases import APP
from tests.support.bodies import Fault
from tests.support.registries import FakeRegistry


class PieceTests(SynchronousTestCase):
    """Reading a short body."""

    def setUp(self) -> None:
        """An upstream with one blob."""
        self.clock = Clock()
        self.registry = FakeRegistry(self.clock, chunk=1000)
        self.digest = self.registry.add(b"a" * 10_000)

    def read(self, fault: Fault, start: int = 0, end: int = 2000) -> Any:
        """Ask for a piece of 2000 bytes."""
        self.registry.faults = [fault]
        asking = self.registry.get_blob(APP, self.digest, start, end)
        self.clock.advance(1)
        piece = read_piece(self.successResultOf(asking), 2000)
        for _ in range(30):
            self.clock.advance(0.01)
        return piece

    def test_exact(self) -> None:
        """A body that ends with the piece is read to its end, so its connection is kept."""
        piece = self.successResultOf(self.read(Fault()))
        self.assertEqual((piece, self.registry.bodies[0].aborted), (b"a" * 2000, False))

    def test_longer(self) -> None:
        """Of a body that goes on no more is read, even if a chunk ends with the piece."""
        for chunk in (1000, 1500):
            self.registry.chunk = chunk
            piece = self.successResultOf(self.read(Fault(ignore_range=True)))
            self.assertEqual((len(piece), self.registry.bodies[-1].aborted), (2000, True))
            self.assertLessEqual(self.registry.sent, 5000)

    def test_surplus(self) -> None:
        """Bytes behind the announced end are not part of it, and end the transfer."""
        piece = self.successResultOf(self.read(Fault(surplus=b"b" * 100)))
        self.assertEqual((piece, self.registry.bodies[0].aborted), (b"a" * 2000, True))

    def test_shorter(self) -> None:
        """A body that ends early gives what came."""
        self.assertEqual(len(self.successResultOf(self.read(Fault(), 9000, 11_000))), 1000)

    def test_broken(self) -> None:
        """A body that breaks off is a failure."""
        self.failureResultOf(self.read(Fault(cut=500)), UpstreamUnreachable)

    def test_cancelled(self) -> None:
        """Who gives up closes the connection."""
        piece = self.read(Fault(stall=500))
        piece.cancel()
        self.failureResultOf(piece, CancelledError)
        self.assertTrue(self.registry.bodies[0].aborted)
