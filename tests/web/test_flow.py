"""How fast answers are, and who they wait for."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.interfaces import Wait
from regcache.web.flow import MOST_SAMPLES, STEP, Flow
from regcache.web.flow_watch import FlowWatch
from regcache.web.records import RequestFacts


class FlowTests(SynchronousTestCase):
    """What is noted of one answer."""

    def test_waits(self) -> None:
        """Who is waited for counts for the time since the look before; a limit is nobody."""
        flow = Flow()
        for wait in (Wait.UPSTREAM, Wait.CLIENT, Wait.CLIENT, Wait.DISK, Wait.LIMIT):
            flow.look(STEP, wait, 0)
        self.assertEqual(flow.waits, (STEP, 2 * STEP, STEP))

    def test_samples(self) -> None:
        """Samples are the bytes of each step."""
        flow = Flow()
        for sent in (10, 10, 30, 25):
            flow.look(STEP, Wait.CLIENT, sent)
        self.assertEqual((flow.step, flow.samples), (STEP, [10, 0, 20, 0]))

    def test_long(self) -> None:
        """However long it takes, there are few samples, and none of the bytes is lost."""
        flow = Flow()
        for number in range(1, 5000):
            flow.look(STEP, Wait.CLIENT, number * 7)
            self.assertLess(len(flow.samples), MOST_SAMPLES)
        self.assertEqual(flow.step, 32.0)
        self.assertEqual(sum(flow.samples), 7 * int(4999 * STEP // flow.step * flow.step / STEP))


class FakeSender:
    """A sender as it is seen."""

    def __init__(self) -> None:
        self.client: Any = self
        self.facts = RequestFacts()
        self.body_bytes_sent = 0
        self.waits_for = Wait.UPSTREAM


class WatchTests(SynchronousTestCase):
    """Looking at all of them."""

    def test_looks(self) -> None:
        """Answers are looked at as long as they are there; short ones are not noted."""
        clock = Clock()
        senders: set[Any] = set()
        watch = FlowWatch(senders, clock)
        watch.startService()
        sender = FakeSender()
        senders.add(sender)
        self.assertIsNone(sender.facts.flow)
        clock.pump([STEP] * 4)
        flow = sender.facts.flow
        assert flow is not None
        self.assertEqual(flow.waits.upstream, 4 * STEP)
        senders.clear()
        clock.pump([STEP] * 4)
        self.assertEqual(flow.waits.upstream, 4 * STEP)
        watch.stopService()
        self.assertEqual(clock.getDelayedCalls(), [])
