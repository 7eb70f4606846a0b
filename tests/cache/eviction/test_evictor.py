"""Making room: what goes, what stays, and who waits."""

import errno
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import execute, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.eviction.evictor import (
    LOCKED_FOR,
    LOOK,
    PATIENCE,
    PAUSE,
    SAID_EVERY,
    STUCK_FOR,
)
from regcache.digests import Digest
from regcache.interfaces import NoRoomError
from regcache.pins import Pin
from regcache.retention import YOUNG_FOR, Candidate
from regcache.store import content_names, index_opening
from regcache.store.index_writes import RETRY
from regcache.store.space import SpaceClaim
from tests.store.test_index_lock import OtherProgram
from tests.support.evictions import MIB, Storage
from tests.support.index_cases import repository_of


class EvictorCase(SynchronousTestCase):
    """A store of 10 MiB with eight blobs of 1 MiB, each in an image of its own."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.storage = Storage(self.mktemp(), self.clock, 10 * MIB)
        self.storage.start()
        self.addCleanup(self.storage.stop)
        self.blobs: list[Digest] = []
        self.manifests: list[Digest] = []
        for number in range(8):
            self.clock.advance(1)
            manifest, blob = self.storage.add_image(f"image {number}", MIB)
            self.blobs.append(blob)
            self.manifests.append(manifest)
        self.clock.advance(YOUNG_FOR)

    def claimed(self, size: int) -> SpaceClaim:
        """A claim that is granted."""
        claim = self.storage.claim(size)
        assert claim is not None
        return claim

    def gone(self) -> list[int]:
        """Which of the blobs are not stored any more."""
        files = self.storage.files()
        return [place for place, digest in enumerate(self.blobs) if digest not in files]

    def is_known(self, digest: Digest) -> bool:
        """Whether the index says that content is stored."""
        page = self.successResultOf(self.storage.index.places.candidates((0, -1e9, 0), 1e12))
        return digest in [each.digest for each in page.candidates]


class LockTests(EvictorCase):
    """Another program locks the index."""

    def setUp(self) -> None:
        self.patch(index_opening, "BUSY_WAIT", 0.0)
        super().setUp()

    def test_lock(self) -> None:
        """Meanwhile nothing is evicted, as it could not be noted; soon after that it is."""
        other = OtherProgram(self.storage.paths.index)
        self.addCleanup(other.close)
        other.lock()
        claim = self.claimed(5 * MIB)
        room = claim.room()
        self.clock.pump([RETRY] * 6)
        self.failureResultOf(room, NoRoomError)
        claim.release()
        self.assertEqual(self.gone(), [])
        self.assertTrue(all(self.is_known(digest) for digest in self.blobs))
        other.end()
        self.clock.pump([RETRY, LOCKED_FOR])
        self.successResultOf(self.claimed(5 * MIB).room())
        self.assertNotEqual(self.gone(), [])
        self.assertFalse(any(self.is_known(self.blobs[number]) for number in self.gone()))


class ClaimTests(EvictorCase):
    """Claims that need room."""

    def test_enough(self) -> None:
        """Where there is room nothing goes, and nobody waits."""
        self.assert_room(self.claimed(MIB))
        self.assertEqual(self.gone(), [])

    def assert_room(self, claim: SpaceClaim) -> None:
        """A claim has its room."""
        self.assertIsNone(self.successResultOf(claim.room()))

    def test_free_meanwhile(self) -> None:
        """What others freed since the last measurement is found before anything goes."""
        self.storage.others = self.storage.total - self.storage.on_disk() - MIB
        self.successResultOf(self.storage.monitor.refresh())
        claim = self.claimed(3 * MIB // 2)
        self.assertGreater(self.storage.ledger.excess(0), 0)
        self.storage.others = 0
        self.assert_room(claim)
        self.assertEqual(self.gone(), [])

    def test_just_enough(self) -> None:
        """What a claim needs goes, and two in a hundred more."""
        self.assert_room(self.claimed(3 * MIB))
        self.assertEqual(len(self.gone()), 2)  # 1 MiB and some blocks of manifests are lacking
        self.assertEqual(self.storage.ledger.contents, self.storage.on_disk())
        self.assertLessEqual(self.storage.ledger.excess(0), 0)

    def test_one_after_the_other(self) -> None:
        """Small claims evict little each."""
        for size in range(4, 12):
            claim = self.claimed(size * MIB // 2)
            self.assert_room(claim)
            self.assertLessEqual(len(self.gone()), size // 2)
            claim.release()

    def test_used_stay(self) -> None:
        """What is used stays, and what is used no more goes first."""
        for digest in self.blobs[:4]:
            for _ in range(3):
                self.storage.index.touch(digest, self.clock.seconds())
        self.assert_room(self.claimed(5 * MIB))
        self.assertTrue(set(self.gone()) <= {4, 5, 6, 7}, self.gone())

    def test_young_last(self) -> None:
        """What came less than ten minutes ago goes only when nothing else is left."""
        young = self.storage.add_blob("young", MIB // 2)
        self.assert_room(self.claimed(9 * MIB))
        self.assertIn(young, self.storage.files())
        self.assert_room(self.claimed(MIB))
        self.assertNotIn(young, self.storage.files())

    def test_open_and_downloading_stay(self) -> None:
        """What is open, or being fetched, never goes; a claim that needs it is refused."""
        found = self.successResultOf(self.storage.store.look_up(self.blobs[0], MIB))
        self.storage.downloads.add(self.blobs[1])
        room = self.claimed(9 * MIB).room()
        self.assertNoResult(room)
        self.clock.pump([PAUSE] * round(PATIENCE / PAUSE + 2))
        failure = self.failureResultOf(room, NoRoomError)
        self.assertIn("storage.max_size 10.0 MiB: ", failure.getErrorMessage())
        self.assertEqual(self.gone(), [2, 3, 4, 5, 6, 7])
        self.assertIsNone(self.storage.claim(9 * MIB))  # without another round
        found.file.close()
        self.storage.downloads.clear()
        self.clock.advance(STUCK_FOR + 1)
        self.assertEqual(self.gone(), [0, 1, 2, 3, 4, 5, 6, 7])

    def test_pinned_stay(self) -> None:
        """What is pinned never goes, and counts not as what could: nothing goes in vain for it."""
        pins = self.storage.index.pins
        self.successResultOf(pins.pin(repository_of("a"), str(self.manifests[0]), Pin("me", 1.0)))
        self.successResultOf(pins.pin(repository_of("a"), str(self.manifests[1]), Pin("me", 1.0)))
        self.clock.advance(LOOK)
        self.assertIsNone(self.storage.claim(9 * MIB))
        self.assertEqual(self.gone(), [])
        self.assert_room(self.claimed(15 * MIB // 2))
        self.assertFalse({0, 1} & set(self.gone()))

    def test_closed_meanwhile(self) -> None:
        """Where all that is left is open it is waited for, for a moment."""
        files = [
            self.successResultOf(self.storage.store.look_up(digest, MIB)).file
            for digest in self.blobs
        ]
        room = self.claimed(4 * MIB).room()
        self.assertNoResult(room)
        for file in files[:3]:
            file.close()
        self.clock.advance(PAUSE)
        self.successResultOf(room)
        self.assertEqual(self.gone(), [0, 1, 2])
        for file in files[3:]:
            file.close()

    def test_used_meanwhile(self) -> None:
        """Where the only content that is not open is used since, the others are waited for."""
        files = [
            self.successResultOf(self.storage.store.look_up(digest, None)).file
            for digest in [*self.blobs, *self.manifests]
        ]
        files.pop(0).close()
        evict = self.storage.index.places.evict
        refused: list[object] = []

        def evict_later(candidates: Sequence[Candidate], *rest: Any) -> Any:
            if not refused:
                refused.extend(candidates)
                return succeed(())
            return evict(candidates, *rest)

        self.patch(self.storage.index.places, "evict", evict_later)
        room = self.claimed(3 * MIB).room()
        self.assertNoResult(room)
        for file in files:
            file.close()
        self.clock.advance(PAUSE)
        self.successResultOf(room)
        self.assertEqual((len(refused), len(self.gone())), (1, 2))

    def test_nothing_can_be_changed(self) -> None:
        """Where neither the index nor the files can be changed, that is tried once, not for all."""

        def refuse(*_: object) -> None:
            raise OSError(errno.EROFS, "read only")

        self.patch(content_names, "remove_content", refuse)
        self.patch(self.storage.index.places, "evict", lambda *_: execute(refuse))
        with capturedLogs() as logged:
            room = self.claimed(3 * MIB).room()
            self.assertIn("read only", self.failureResultOf(room, NoRoomError).getErrorMessage())
        lines = [str(formatEvent(event)) for event in logged]
        self.assertEqual(len([each for each in lines if "cannot be evicted" in each]), 2, lines)
        self.assertEqual(self.gone(), [])

    def test_what_came_since(self) -> None:
        """Content that came after a walk along the order began goes, too, when the rest is gone."""
        self.claimed(3 * MIB).release()
        for number in range(3):
            self.storage.add_image(f"later {number}", MIB)
        self.assert_room(self.claimed(9 * MIB + MIB // 2))
        self.assertEqual(len(self.gone()), 8)

    def test_larger_than_all(self) -> None:
        """What can never fit evicts nothing."""
        self.assertIsNone(self.storage.claim(11 * MIB))
        self.assertEqual(self.gone(), [])

    def test_said_once_a_minute(self) -> None:
        """A refusal is in the log with the key and the numbers, once a minute."""
        with capturedLogs() as logged:
            for _ in range(5):
                self.storage.claim(11 * MIB)
            self.clock.advance(SAID_EVERY)
            self.storage.claim(11 * MIB)
        lines = [formatEvent(event) for event in logged]
        self.assertEqual(len(lines), 2, lines)
        self.assertEqual(
            lines[0],
            "too large to be kept, so passed through: storage.max_blob 10.0 MiB: it has 11.0 MiB",
        )

    def test_refusal(self) -> None:
        """Why there was no space is known until there is; what is too large says nothing of it."""
        evictor = self.storage.evictor
        self.storage.claim(11 * MIB)
        self.assertEqual((evictor.refusal, evictor.relaying_since), ("", None))
        self.storage.ledger.closed = "closed for now"
        self.storage.claim(MIB)
        self.assertEqual(evictor.refusal, "storage.directory: closed for now")
        self.storage.ledger.closed = ""
        self.clock.advance(LOOK)
        self.assertEqual(evictor.refusal, "")

    def test_min_free(self) -> None:
        """Where others fill the disk content makes way, down to what has to stay free."""
        self.storage.others = 990 * MIB
        self.successResultOf(self.storage.monitor.refresh())
        self.assert_room(self.claimed(4 * MIB))
        self.assertGreaterEqual(1000 * MIB - 990 * MIB - self.storage.on_disk(), 4 * MIB)

    def test_forgotten_everywhere(self) -> None:
        """Index and memory forget what goes, and none of its rights; sums are told."""
        self.assert_room(self.claimed(3 * MIB))
        gone = {self.blobs[place] for place in self.gone()}
        told = self.storage.memories.told
        self.assertTrue(gone <= {each.key for each in told})
        self.assertEqual({(each.generation, each.evicted) for each in told}, {(0, True)})
        for digest in gone:
            self.assertFalse(self.is_known(digest))
        self.assertEqual(sum(self.storage.evicted), sum(MIB for _ in gone))

    def test_comes_again(self) -> None:
        """What was evicted can be stored again at once."""
        self.claimed(10 * MIB).release()
        self.assert_room(self.claimed(10 * MIB))
        (place, *_) = self.gone()
        again = self.storage.add_blob(f"image {place} 0", MIB)
        self.assertEqual(again, self.blobs[place])
        self.assertEqual(self.storage.files()[again], MIB)


class LookTests(EvictorCase):
    """Limits that are exceeded though nobody claims anything."""

    def test_others_fill_the_disk(self) -> None:
        """It is seen soon, and made good."""
        storage = Storage(self.mktemp(), self.clock, min_free=20 * MIB, total=100 * MIB)
        storage.start()
        self.addCleanup(storage.stop)
        for number in range(8):
            storage.add_blob(f"{number}", MIB)
        storage.others = 75 * MIB
        self.clock.advance(30)
        with capturedLogs() as logged:
            self.successResultOf(storage.monitor.refresh())
            self.clock.advance(30)
        self.assertLessEqual(storage.ledger.excess(0), 0)
        self.assertGreaterEqual(len(storage.files()), 4)
        lines = [formatEvent(event) for event in logged]
        why = "to make room, since there was none: storage.min_free 20.0 MiB: "
        self.assertTrue([line for line in lines if why in str(line)], lines)

    def test_stopped(self) -> None:
        """A daemon that stops evicts nothing."""
        claim = self.claimed(9 * MIB)
        self.storage.evictor.stopService()
        self.failureResultOf(claim.room(), NoRoomError)
        self.assertEqual(self.gone(), [])
