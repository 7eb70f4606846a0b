"""The table of states of regcache/cache/download/download.py, row by row.

Each row is reached, and then something happens meanwhile: the client leaves, the upstream dies,
the disk fills up, the stored blob is evicted, or the daemon is told to stop.
"""

import os

from regcache.errors import UpstreamNotFound
from tests.support import state_rows
from tests.support.bodies import Fault
from tests.support.state_rows import KIB


class OpeningFileOpened(state_rows.Row):
    """opening, partial file opened: filling; the first gap is asked for."""

    outcomes = "gone refused aborted complete refused"

    def reach(self) -> None:
        self.prepare(300 * KIB, self.daemon.contents[0][: 10 * KIB])
        self.client = self.pull()
        self.until(lambda: self.state() == "filling")
        self.assertEqual([each[3:] for each in self.registry.requests], [(10 * KIB, None)])


class OpeningNothingWasHere(state_rows.Row):
    """opening, nothing was here: filling, at once; what comes is in memory."""

    outcomes = "gone refused complete complete refused"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.state() == "filling")
        self.assertEqual([each[3:] for each in self.registry.requests], [(0, None)])
        self.assertTrue(self.download.target.file.in_memory)


class OpeningNothingMissing(state_rows.Row):
    """opening, nothing is missing: proving, by one HEAD."""

    outcomes = "gone refused complete complete refused"

    def reach(self) -> None:
        self.prepare(300 * KIB, self.daemon.contents[0])
        self.client = self.pull()
        self.until(lambda: self.state() == "proving")
        self.assertEqual([each[0] for each in self.registry.requests], ["head_blob"])


class OpeningCannotBeOpened(state_rows.Row):
    """opening, cannot be opened: over; waiting readers relay."""

    outcomes = "gone aborted complete complete complete"

    def reach(self) -> None:
        self.daemon.disk.failing = 1
        self.client = self.pull()
        self.until(lambda: self.client.opened is not None)
        self.assertEqual(self.client.opened.status.outcome, "relay")


class ProvingRightProved(state_rows.Row):
    """proving, right proved: checking."""

    outcomes = "gone complete complete complete complete"

    def reach(self) -> None:
        self.prepare(300 * KIB, self.daemon.contents[0])
        self.client = self.pull()
        self.until(lambda: self.state() == "checking")
        self.assertEqual(self.registry.count("get_blob"), 0)


class FillingFirstAnswer(state_rows.Row):
    """filling, first answer: heads of answers go out."""

    outcomes = "gone aborted aborted complete aborted"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.client.begun)
        self.assertEqual((self.state(), len(self.client.data)), ("filling", 0))


class FillingSmallAnswer(state_rows.Row):
    """filling, first answer, up to 64 KiB: heads of answers wait until all was verified."""

    size = 40 * KIB
    outcomes = "gone refused complete complete refused"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.daemon.present(0))
        self.assertEqual((self.state(), self.client.opened), ("filling", None))
        self.assertTrue(self.download.target.file.in_memory)


class FillingAnotherSize(state_rows.Row):
    """filling, another size than ours: what is held is dropped and fetched afresh."""

    outcomes = "gone refused complete complete refused"

    def reach(self) -> None:
        self.prepare(400 * KIB, b"x" * 1000)
        self.client = self.pull()
        self.until(lambda: self.state() == "filling")
        self.until(lambda: self.state() == "checking")


class FillingFirstAnswerRefused(state_rows.Row):
    """filling, first answer refused: over; every waiting reader gets the failure."""

    outcomes = "refused refused refused refused refused"

    def reach(self) -> None:
        refusal = UpstreamNotFound("up0.test", "not found", status=404)
        self.registry.faults = [Fault(refuse=refusal)]
        self.client = self.pull()
        self.until(lambda: self.client.outcome is not None)
        self.assertIs(self.client.error, refusal)


class FillingClaimRefused(state_rows.Row):
    """filling, claim of space refused: over; the first who waits relays the same answer."""

    outcomes = "gone aborted complete complete complete"

    def reach(self) -> None:
        self.daemon.spaces[-1].limit = 1000
        self.client = self.pull()
        self.until(lambda: self.client.begun)
        self.assertEqual(self.client.opened.status.outcome, "relay")
        self.assertEqual(self.registry.count("get_blob"), 1)


class FillingSmallClaimRefused(state_rows.Row):
    """filling, claim of space refused, what fits in memory: filling, and it is not stored."""

    size = 40 * KIB
    outcomes = "gone refused complete complete refused"

    def reach(self) -> None:
        self.daemon.spaces[-1].limit = 1000
        self.client = self.pull()
        self.until(lambda: self.daemon.present(0))
        self.assertEqual((self.state(), self.download.target.stored), ("filling", False))


class FillingMentionDoesNotFit(state_rows.Row):
    """filling, only a manifest states a size, and it does not fit: over, if a head is out."""

    outcomes = "aborted aborted aborted aborted aborted"

    def reach(self) -> None:
        self.daemon.mention(0, 400 * KIB)
        self.registry.faults = [Fault(hide_size=True)] * 20
        self.client = self.pull()
        self.until(lambda: self.client.outcome is not None, pace=0.05)
        self.assertIsNone(self.daemon.caches.downloads.believed_size(self.daemon.digests[0], 5))


class FillingSmallMentionDoesNotFit(state_rows.Row):
    """filling, only a manifest states a size, and it does not fit: all is fetched again."""

    size = 40 * KIB
    mentioned = 50 * KIB
    outcomes = "gone refused complete complete refused"

    def reach(self) -> None:
        self.daemon.mention(0, self.mentioned)
        self.registry.faults = [Fault(hide_size=True)] * 20
        self.client = self.pull()
        self.until(lambda: self.daemon.present(0))
        self.until(lambda: not self.daemon.present(0), pace=0.02)
        self.assertIn(self.state(), ("checking", "filling"))


class CheckingLongerThanMentioned(FillingSmallMentionDoesNotFit):
    """checking, digest wrong, and only a manifest states a size: all is fetched again."""

    mentioned = 20 * KIB


class FillingFillBreaks(state_rows.Row):
    """filling, fill breaks: asked again from there after a pause."""

    outcomes = "gone aborted aborted complete aborted"

    def reach(self) -> None:
        self.registry.faults = [Fault(cut=100 * KIB)]
        self.client = self.pull()
        self.until(lambda: self.client.begun)
        self.until(lambda: self.download._fetching._retries.waiting)
        self.assertEqual((self.state(), self.client.outcome), ("filling", None))


class FillingSmallBreaks(state_rows.Row):
    """filling, fill breaks: filling, on the disk."""

    size = 40 * KIB
    outcomes = "gone refused complete complete refused"

    def reach(self) -> None:
        self.registry.faults = [Fault(cut=20 * KIB)]
        self.client = self.pull()
        self.until(lambda: self.daemon.present(0))
        self.until(lambda: self.download._fetching._retries.waiting)
        self.assertFalse(self.download.target.file.in_memory)


class FillingWriteRefused(state_rows.Row):
    """filling, write refused: over; readers aborted, the file dropped."""

    outcomes = "aborted aborted aborted aborted aborted"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.client.data)
        self.daemon.disk.failing = 1
        self.until(lambda: self.client.outcome is not None)
        self.assertEqual(self.daemon.caches.events.storage_errors, 1)


class FillingLastReaderLeaves(state_rows.Row):
    """filling, last reader leaves: filling, if at most ``finish`` is missing."""

    finish = 290 * KIB
    outcomes = "gone gone gone gone gone"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.client.data)
        self.client.leave()
        self.assertEqual(self.state(), "filling")


class FillingLastReaderLeavesMuch(state_rows.Row):
    """filling, last reader leaves: parking, if more is missing."""

    finish = 100 * KIB
    outcomes = "gone gone gone gone gone"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.client.data)
        self.until(
            lambda: any(fill._unwritten.queued for fill in self.download._fetching.plan.fills)
        )
        self.client.leave()
        self.assertEqual(self.state(), "parking")
        self.assertFalse(self.registry.bodies[0].open)


class ParkingReaderJoins(state_rows.Row):
    """parking, a reader joins: filling."""

    finish = 100 * KIB
    outcomes = "gone aborted aborted complete aborted"

    def reach(self) -> None:
        FillingLastReaderLeavesMuch.reach(self)  # type: ignore[arg-type]
        self.client = self.pull()
        self.until(lambda: self.state() == "filling")
        self.assertTrue(self.client.begun)


class ParkingEveryBytePresent(state_rows.Row):
    """parking, every byte present: checking."""

    finish = 5 * KIB
    outcomes = "gone gone gone gone gone"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.registry.sent == self.size)
        self.client.leave()
        self.assertEqual(self.state(), "parking")
        self.until(lambda: self.state() == "checking")


class ParkingFillsHaveDrained(state_rows.Row):
    """parking, fills have drained: over; intervals saved, the file stays as it is."""

    finish = 100 * KIB
    outcomes = "gone gone gone gone gone"

    def reach(self) -> None:
        FillingLastReaderLeavesMuch.reach(self)  # type: ignore[arg-type]
        self.until(lambda: self.state() == "over")
        self.daemon.settle()
        self.assertEqual(len(os.listdir(os.path.join(self.directory, "partial"))), 2)


class FillingEveryBytePresent(state_rows.Row):
    """filling, every byte present: checking."""

    outcomes = "gone complete aborted complete complete"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.state() == "checking")
        self.assertEqual(self.download.target.file.present.total, 300 * KIB)
        self.assertIsNone(self.client.outcome)


class CheckingDigestRight(state_rows.Row):
    """checking, digest right: all is released, while the file gets its name."""

    outcomes = "gone complete complete complete complete"

    def reach(self) -> None:
        self.client = self.pull(slow=True)
        self.until(lambda: self.state() == "checking" and self.download.readers.verified)
        self.assertIsNone(self.client.outcome)


class CheckingSmallDigestRight(state_rows.Row):
    """checking, digest right: all is released, while it is stored behind the answer."""

    size = 40 * KIB
    outcomes = "gone complete complete complete complete"

    def reach(self) -> None:
        self.client = self.pull(slow=True)
        self.until(lambda: self.client.begun)
        self.assertEqual((self.state(), self.client.outcome), ("checking", None))
        self.assertEqual(self.client.opened.content, self.daemon.contents[0])


class CheckingNotToBeStored(state_rows.Row):
    """checking, not to be stored: over; readers have their bytes."""

    size = 40 * KIB
    outcomes = "gone complete complete complete complete"

    def reach(self) -> None:
        self.daemon.spaces[-1].limit = 1000
        self.client = self.pull(slow=True)
        self.until(lambda: self.client.begun)
        self.assertEqual((self.state(), self.client.opened.status.outcome), ("", "relay"))


class CheckingStoringRefused(state_rows.Row):
    """checking, storing it refused: over; readers have their bytes, the disk rests."""

    size = 40 * KIB
    outcomes = "gone complete complete complete complete"

    def reach(self) -> None:
        self.client = self.pull(slow=True)
        self.until(lambda: self.daemon.present(0))
        self.daemon.disk.failing = 1
        self.until(lambda: self.client.begun and self.state() == "")
        self.assertTrue(self.daemon.caches.downloads.storage_rests)


class CheckingDigestWrong(state_rows.Row):
    """checking, digest wrong: over; readers aborted, the file dropped."""

    outcomes = "aborted aborted aborted aborted aborted"

    def reach(self) -> None:
        self.registry.faults = [Fault(flip=5)]
        self.client = self.pull()
        self.until(lambda: self.client.outcome is not None)
        self.assertEqual(self.daemon.caches.events.mismatches, ["up0.test"])


class CheckingIndexTold(state_rows.Row):
    """checking, index told: over; readers go on with the open file."""

    outcomes = "gone complete complete complete complete"

    def reach(self) -> None:
        self.client = self.pull(slow=True)
        self.until(lambda: self.client.begun)
        self.until(lambda: self.download is None)
        self.assertIsNone(self.client.outcome)


class AnyDaemonStops(state_rows.Row):
    """any, daemon stops: over; intervals saved."""

    outcomes = "aborted aborted aborted aborted aborted"

    def reach(self) -> None:
        self.client = self.pull()
        self.until(lambda: self.client.data)
        self.stopping = self.daemon.caches.downloads.stop()
        self.assertEqual(self.state(), "over")

    def conclude(self, question: int, removed: list[object] | None = None) -> None:
        """Restart the daemon in most cases, and check that it then gives the right bytes."""
        if question < 4:
            self.daemon.settle()
            self.successResultOf(self.stopping)
            self.daemon.disk.failing = 0
            self.daemon.stop()
            self.daemon.start()
        super().conclude(question, removed)
