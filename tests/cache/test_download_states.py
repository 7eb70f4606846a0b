"""The table of states of regcache/cache/download.py, row by row.

Each row is reached, and then something happens meanwhile: the client leaves, the upstream dies,
the disk fills up, the stored blob is evicted, or the daemon is told to stop.
"""

import os
import random
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from regcache.errors import UpstreamNotFound, UpstreamUnreachable
from tests.support.bodies import Fault
from tests.support.pipeline import Daemon
from tests.support.pullers import Puller

KIB = 1024


class Row:
    """A row, and the five questions to it.

    :cvar outcomes: what becomes of the client, in the order of the questions.
    """

    finish: ClassVar[int | None] = None
    outcomes: ClassVar[str] = ""

    def setUp(self) -> None:
        """A blob of 300 KiB, in chunks of 10 KiB, on a disk that takes a millisecond."""
        content = random.Random(7).randbytes(300 * KIB)
        self.directory = os.path.abspath(self.mktemp())
        self.daemon = Daemon(self.directory, [content], self.finish)
        self.addCleanup(self.daemon.close)
        self.registry = self.daemon.registries[0]
        self.registry.chunk, self.registry.stall_timeout = 10 * KIB, 30.0
        self.client: Any = None
        self.reach()

    def reach(self) -> None:
        """Come to the row."""
        raise NotImplementedError

    def pull(self, slow: bool = False) -> Puller:
        """A client that wants the whole blob."""
        client = Puller(self.daemon, 0, "org/app", [])
        client.slow = slow
        return client

    def until(self, reached: Any) -> None:
        """Turn until something is so."""
        for _ in range(2000):
            if reached():
                return
            self.daemon.turn(1)
        raise AssertionError("the row is not reached")

    @property
    def download(self) -> Any:
        """The download, while it runs."""
        return self.daemon._download(0)

    def state(self) -> str:
        """Its state; "" where there is none."""
        return "" if self.download is None else self.download._state.value

    def prepare(self, size: int, data: bytes) -> None:
        """A partial file from an earlier day."""
        opening = self.daemon.caches.store.open_partial(self.daemon.digests[0], "up0.test")
        self.daemon.settle()
        partial = self.successResultOf(opening)
        partial.set_size(size)
        for doing in (partial.write(0, [data]), partial.save()):
            self.daemon.settle()
            self.successResultOf(doing)
        partial.close()
        self.daemon.settle()

    def conclude(self, question: int) -> None:
        """Everything ends as expected, nothing wrong is kept, and the next pull is right."""
        daemon = self.daemon
        if not self.client.begun:
            self.client.begin()
        self.client.resume()
        daemon.settle()
        self.assertEqual(daemon.problems, [])
        self.assertEqual(daemon.faults, [])
        self.assertEqual(self.client.outcome, self.outcomes.split()[question])
        self.assertEqual(len(daemon.caches.downloads), 0)
        daemon.disk.failing, daemon.spaces[-1].limit = 0, 2**60
        self.registry.faults, self.registry.failure = [], None
        vars(self.registry).pop("_get_blob", None)
        vars(self.registry).pop("_head_blob", None)
        daemon.clock.advance(60.0)
        for _ in range(2):
            last = self.pull()
            daemon.settle()
            if last.outcome == "complete":
                break
        self.assertEqual(last.outcome, "complete")
        self.assertEqual(daemon.problems, [])
        daemon.stop()
        daemon.assert_nothing_left()
        daemon.assert_only_verified()

    def test_client_leaves(self) -> None:
        """The client leaves meanwhile."""
        self.client.leave()
        self.conclude(0)

    def test_upstream_dies(self) -> None:
        """The upstream dies meanwhile, and stays away."""
        failure = UpstreamUnreachable("up0.test", "connection refused")

        def refuse(*_: object) -> None:
            raise failure

        self.registry.failure = failure
        for question in ("_get_blob", "_head_blob"):  # those under way, too
            setattr(self.registry, question, refuse)
        for body in self.registry.bodies:
            if body.open and body.delivered:
                body.pause()
                body._fail(UpstreamUnreachable("up0.test", "the connection broke"))
            elif body.open:
                body._fault.cut = 0
        self.conclude(1)

    def test_disk_fills_up(self) -> None:
        """The disk refuses everything from now on."""
        self.daemon.disk.failing = 1_000_000
        self.conclude(2)

    def test_blob_is_evicted(self) -> None:
        """What is stored of it is removed meanwhile."""
        self.daemon.caches.store.remove(self.daemon.digests[0])
        self.conclude(3)

    def test_daemon_stops(self) -> None:
        """The daemon is told to stop meanwhile, and started again."""
        self.daemon.stop()
        self.client.resume()
        self.daemon.settle()
        if self.client.outcome is None:
            self.client.leave()
        self.daemon.settle()
        self.daemon.assert_nothing_left()
        self.daemon.start()
        self.conclude(4)


class OpeningFileOpened(Row, SynchronousTestCase):
    """opening, partial file opened: filling; the first gap is asked for."""

    outcomes = "gone refused aborted complete refused"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.state() == "filling")
        self.assertEqual(self.registry.requests[-1][3:], (0, None))


class OpeningNothingMissing(Row, SynchronousTestCase):
    """opening, nothing is missing: proving, by one HEAD."""

    outcomes = "gone refused complete complete refused"

    def reach(self) -> None:
        self.prepare(300 * KIB, self.daemon.contents[0])
        self.client = self.pull()
        self.until(lambda: self.state() == "proving")
        self.assertEqual([each[0] for each in self.registry.requests], ["head_blob"])


class OpeningCannotBeOpened(Row, SynchronousTestCase):
    """opening, cannot be opened: over; waiting readers relay."""

    outcomes = "gone aborted complete complete complete"

    def reach(self) -> None:
        self.daemon.disk.failing = 1
        self.client = self.pull()
        self.until(lambda: self.client.opened is not None)
        self.assertEqual(self.client.opened.status.outcome, "relay")


class ProvingRightProved(Row, SynchronousTestCase):
    """proving, right proved: checking."""

    outcomes = "gone complete complete complete complete"

    def reach(self) -> None:
        self.prepare(300 * KIB, self.daemon.contents[0])
        self.client = self.pull()
        self.until(lambda: self.state() == "checking")
        self.assertEqual(self.registry.count("get_blob"), 0)


class FillingFirstAnswer(Row, SynchronousTestCase):
    """filling, first answer: heads of answers go out."""

    outcomes = "gone aborted aborted complete aborted"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.client.begun)
        self.assertEqual((self.state(), len(self.client.data)), ("filling", 0))


class FillingAnotherSize(Row, SynchronousTestCase):
    """filling, another size than ours: what is held is dropped and fetched afresh."""

    outcomes = "gone refused complete complete refused"

    def reach(self) -> None:
        self.prepare(400 * KIB, b"x" * 1000)
        self.client = self.pull()
        self.until(lambda: self.state() == "filling")
        self.until(lambda: self.state() == "checking")


class FillingFirstAnswerRefused(Row, SynchronousTestCase):
    """filling, first answer refused: over; every waiting reader gets the failure."""

    outcomes = "refused refused refused refused refused"

    def reach(self) -> None:
        refusal = UpstreamNotFound("up0.test", "not found", status=404)
        self.registry.faults = [Fault(refuse=refusal)]
        self.client = self.pull()
        self.until(lambda: self.client.outcome is not None)
        self.assertIs(self.client.error, refusal)


class FillingClaimRefused(Row, SynchronousTestCase):
    """filling, claim of space refused: over; the first who waits relays the same answer."""

    outcomes = "gone aborted complete complete complete"

    def reach(self) -> None:
        self.daemon.spaces[-1].limit = 1000
        self.client = self.pull()
        self.until(lambda: self.client.begun)
        self.assertEqual(self.client.opened.status.outcome, "relay")
        self.assertEqual(self.registry.count("get_blob"), 1)


class FillingFillBreaks(Row, SynchronousTestCase):
    """filling, fill breaks: asked again from there after a pause."""

    outcomes = "gone aborted aborted complete aborted"

    def reach(self) -> None:
        self.registry.faults = [Fault(cut=100 * KIB)]
        self.client = self.pull()
        self.until(lambda: self.client.begun)
        self.until(lambda: self.download._fetching._retries.waiting)
        self.assertEqual((self.state(), self.client.outcome), ("filling", None))


class FillingWriteRefused(Row, SynchronousTestCase):
    """filling, write refused: over; readers aborted, the file dropped."""

    outcomes = "aborted aborted aborted aborted aborted"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.client.data)
        self.daemon.disk.failing = 1
        self.until(lambda: self.client.outcome is not None)
        self.assertEqual(self.daemon.caches.events.storage_errors, 1)


class FillingLastReaderLeaves(Row, SynchronousTestCase):
    """filling, last reader leaves: filling, if at most ``finish`` is missing."""

    finish = 290 * KIB
    outcomes = "gone gone gone gone gone"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.client.data)
        self.client.leave()
        self.assertEqual(self.state(), "filling")


class FillingLastReaderLeavesMuch(Row, SynchronousTestCase):
    """filling, last reader leaves: parking, if more is missing."""

    finish = 100 * KIB
    outcomes = "gone gone gone gone gone"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.client.data)
        self.until(lambda: any(fill._queued for fill in self.download._fetching._fills))
        self.client.leave()
        self.assertEqual(self.state(), "parking")
        self.assertFalse(self.registry.bodies[0].open)


class ParkingReaderJoins(Row, SynchronousTestCase):
    """parking, a reader joins: filling."""

    finish = 100 * KIB
    outcomes = "gone aborted aborted complete aborted"

    def reach(self) -> None:
        FillingLastReaderLeavesMuch.reach(self)  # type: ignore[arg-type]
        self.client = self.pull()
        self.until(lambda: self.state() == "filling")
        self.assertTrue(self.client.begun)


class ParkingFillsHaveDrained(Row, SynchronousTestCase):
    """parking, fills have drained: over; intervals saved, the file stays as it is."""

    finish = 100 * KIB
    outcomes = "gone gone gone gone gone"

    def reach(self) -> None:
        FillingLastReaderLeavesMuch.reach(self)  # type: ignore[arg-type]
        self.until(lambda: self.state() == "over")
        self.daemon.settle()
        self.assertEqual(len(os.listdir(os.path.join(self.directory, "partial"))), 2)


class FillingEveryBytePresent(Row, SynchronousTestCase):
    """filling, every byte present: checking."""

    outcomes = "gone complete aborted complete complete"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.state() == "checking")
        self.assertEqual(self.download.file.present.total, 300 * KIB)
        self.assertIsNone(self.client.outcome)


class CheckingDigestRight(Row, SynchronousTestCase):
    """checking, digest right: all is released, while the file gets its name."""

    outcomes = "gone complete complete complete complete"

    def reach(self) -> None:
        self.client = self.pull(slow=True)
        self.until(lambda: self.state() == "checking" and self.download.audience.verified)
        self.assertIsNone(self.client.outcome)


class CheckingDigestWrong(Row, SynchronousTestCase):
    """checking, digest wrong: over; readers aborted, the file dropped."""

    outcomes = "aborted aborted aborted aborted aborted"

    def reach(self) -> None:
        self.registry.faults = [Fault(flip=5)]
        self.client = self.pull()
        self.until(lambda: self.client.outcome is not None)
        self.assertEqual(self.daemon.caches.events.mismatches, ["up0.test"])


class CheckingIndexTold(Row, SynchronousTestCase):
    """checking, index told: over; readers go on with the open file."""

    outcomes = "gone complete complete complete complete"

    def reach(self) -> None:
        self.client = self.pull(slow=True)
        self.until(lambda: self.client.begun)
        self.until(lambda: self.download is None)
        self.assertIsNone(self.client.outcome)


class AnyDaemonStops(Row, SynchronousTestCase):
    """any, daemon stops: over; intervals saved."""

    outcomes = "aborted aborted aborted aborted aborted"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.client.data)
        self.stopping = self.daemon.caches.downloads.stop()
        self.assertEqual(self.state(), "over")

    def conclude(self, question: int) -> None:
        """The next life is right, whatever befell the end of this one."""
        if question < 4:
            self.daemon.settle()
            self.successResultOf(self.stopping)
            self.daemon.disk.failing = 0
            self.daemon.stop()
            self.daemon.start()
        super().conclude(question)
