"""Tests for bodies that are collected, and taken over by somebody else."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from regcache.cache.download.replayable_body import ReplayableBody
from regcache.errors import UpstreamFailure
from regcache.interfaces import IBlobBody, IBodyConsumer
from tests.support.bodies import FakeBody, Fault
from tests.support.registries import FakeRegistry

CONTENT = b"0123456789"


@implementer(IBodyConsumer)
class Taker:
    """Notes what it gets; pauses or aborts the body after a chunk, if told to."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.then: list[str] = []
        self.body: ReplayableBody | None = None

    def body_chunk(self, data: bytes) -> None:
        """Note it."""
        self.events.append(data)
        if self.then:
            getattr(self.body, self.then.pop(0))()

    def body_ended(self) -> None:
        """Note it."""
        self.events.append("ended")

    def body_failed(self, failure: UpstreamFailure) -> None:
        """Note it."""
        self.events.append("failed")


class CollectedBodyTests(SynchronousTestCase):
    """A body of ten bytes, in chunks of three."""

    def collect(self, fault: Fault | None = None, turns: int = 0) -> ReplayableBody:
        """Collect so many chunks."""
        self.clock = Clock()
        registry = FakeRegistry(self.clock, chunk=3)
        self.inner = FakeBody(registry, CONTENT, 0, len(CONTENT), fault or Fault())
        self.changes = 0
        body = ReplayableBody(self.inner, self.changed)
        body.collect()
        self.turn(turns)
        self.taker = Taker()
        self.taker.body = body
        return body

    def changed(self) -> None:
        """Count."""
        self.changes += 1

    def turn(self, count: int = 10) -> None:
        """Let so many chunks come."""
        for _ in range(count):
            self.clock.advance(0.001)

    def test_interfaces(self) -> None:
        """It is a body, and takes one."""
        body = self.collect()
        self.assertTrue(verifyObject(IBlobBody, body))
        self.assertTrue(verifyObject(IBodyConsumer, body))
        self.assertTrue(verifyObject(IBodyConsumer, self.taker))

    def test_collected(self) -> None:
        """All that comes is kept, and each event told."""
        body = self.collect(turns=4)
        self.assertEqual((body.content(), body.length, body.ended), (CONTENT, 10, True))
        self.assertEqual(self.changes, 5)

    def test_held(self) -> None:
        """Who holds it has the upstream paused, and hears nothing any more."""
        body = self.collect(turns=1)
        body.hold()
        self.turn()
        self.assertEqual((body.length, self.changes, self.inner.paused), (3, 1, True))

    def test_taken_over_half_way(self) -> None:
        """The new consumer gets what was kept, and then the rest as it comes."""
        body = self.collect(turns=2)
        body.hold()
        body.deliver(self.taker)
        self.assertEqual(self.taker.events, [b"012", b"345"])
        self.turn()
        self.assertEqual(self.taker.events, [b"012", b"345", b"678", b"9", "ended"])

    def test_taken_over_at_the_end(self) -> None:
        """What has ended is replayed with its end."""
        body = self.collect(turns=4)
        body.hold()
        body.deliver(self.taker)
        self.assertEqual(self.taker.events, [b"012", b"345", b"678", b"9", "ended"])

    def test_taken_over_broken(self) -> None:
        """What has broken off is replayed with its failure."""
        body = self.collect(Fault(cut=4), turns=4)
        self.assertIsNotNone(body.failure)
        body.hold()
        body.deliver(self.taker)
        self.assertEqual(self.taker.events, [b"012", b"3", "failed"])

    def test_paused_while_replaying(self) -> None:
        """A consumer that pauses gets the next chunk when it resumes, in order."""
        body = self.collect(turns=4)
        body.hold()
        self.taker.then = ["pause"]
        body.deliver(self.taker)
        self.assertEqual(self.taker.events, [b"012"])
        body.resume()
        self.assertEqual(self.taker.events, [b"012", b"345", b"678", b"9", "ended"])

    def test_comes_although_paused(self) -> None:
        """What was on its way when the consumer paused waits for it to resume."""
        body = self.collect(turns=1)
        body.deliver(self.taker)
        body.pause()
        body.body_chunk(b"345")
        self.assertEqual(self.taker.events, [b"012"])
        body.resume()
        self.assertEqual(self.taker.events, [b"012", b"345"])

    def test_aborted_while_replaying(self) -> None:
        """A consumer that aborts hears nothing more."""
        body = self.collect(turns=4)
        body.hold()
        self.taker.then = ["abort"]
        body.deliver(self.taker)
        self.turn()
        self.assertEqual(self.taker.events, [b"012"])

    def test_aborted(self) -> None:
        """To abort it closes the upstream's body."""
        body = self.collect(turns=1)
        body.abort()
        self.turn()
        self.assertEqual((self.inner.open, self.changes), (False, 1))
