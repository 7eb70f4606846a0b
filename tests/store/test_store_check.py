"""What is found where the disk is not as the index has it, or not as it was."""

import os
import random
from typing import Any
from unittest.mock import patch

import twisted.internet.reactor  # noqa: F401 - it opens files when it is first imported
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from regcache.digests import Digest
from regcache.identity import RepositoryContent
from regcache.store.index import SqliteIndex
from regcache.store.index_file import IndexFile
from regcache.store.scrub import (
    AGAIN,
    FIRST,
    PAUSE,
    Rate,
    Scrub,
    StoreVerification,
    VerificationNote,
)
from regcache.store.store_check import FOLDERS, MOST_UNVERIFIED, CheckResult, StoreCheck
from tests.store.stores import StoreTestCase
from tests.support.index_cases import HUB, QUAY, manifest_of, mention, repository_of
from tests.support.pools import ImmediatePool, RecordingPool

SMALL = random.Random(1).randbytes(50_000)
LARGE = random.Random(2).randbytes(3_000_000)
DAY = 24 * 3600.0


class CheckCase(StoreTestCase):
    """A store, and a real index of what is in it."""

    def setUp(self) -> None:
        super().setUp()
        self.clock.advance(1_000_000)
        self.index = self.open_index()
        self.missing: list[Digest] = []
        self.pool = RecordingPool(ImmediatePool())
        self.check = self.make_check()

    def open_index(self) -> SqliteIndex:
        """The index of the directory."""
        index = SqliteIndex(IndexFile(self.paths.index), ImmediatePool(), ImmediatePool(), Clock())
        self.addCleanup(lambda: self.successResultOf(index.close()))
        self.successResultOf(index.open())
        return index

    def make_check(self) -> StoreCheck:
        """What checks the directory."""
        return StoreCheck(
            self.index.checks,
            self.store,
            self.paths,
            pool=self.pool,
            clock=self.clock,
            lost=self.missing.append,
        )

    def put(self, content: bytes, upstream: Any = HUB) -> Digest:
        """Content that is stored and known."""
        digest = self.commit(content)
        self.successResultOf(self.store.sync())
        recording = self.index.record_blob(
            RepositoryContent(repository_of("a", upstream), digest),
            len(content),
            credentials="",
            public=True,
            now=self.clock.seconds(),
        )
        self.successResultOf(recording)
        return digest

    def flip(self, digest: Digest, content: bytes) -> None:
        """Four bytes are others."""
        path = self.paths.blob(digest)
        os.chmod(path, 0o600)
        with open(path, "r+b") as target:
            target.seek(2000)
            target.write(bytes(byte ^ 255 for byte in content[2000:2004]))
        os.chmod(path, 0o400)

    def foreign(self, name: Digest, content: bytes) -> str:
        """A file that the index does not know."""
        path = self.paths.blob(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as target:
            target.write(content)
        return path

    def run_check(self, thorough: bool = True, **more: Any) -> CheckResult:
        """Check everything."""
        result = CheckResult()

        async def check() -> None:
            for folder in FOLDERS:
                await self.check.check(folder, result, thorough=thorough, **more)

        self.successResultOf(Deferred.fromCoroutine(check()))
        return result

    def size(self, digest: Digest) -> int | None:
        """What the index says."""
        known = self.successResultOf(self.index.checks.stored_between(digest, digest))
        found: int | None = known.get(digest)
        return found


class StoreCheckTests(CheckCase):
    """One check of everything."""

    def test_all_is_well(self) -> None:
        """What is right stays; all of it is hashed if the check is thorough, else nothing is."""
        for content in (SMALL, LARGE):
            self.put(content)
        result = self.run_check()
        self.assertEqual(result.contents, 2)
        self.assertEqual((result.damaged, result.missing, result.adopted), ([], 0, 0))
        self.pool.names.clear()
        self.assertEqual(self.run_check(thorough=False), CheckResult())
        self.assertNotIn("catch_up", self.pool.names)

    def test_flipped_bytes(self) -> None:
        """Four flipped bytes, in a small and in a large one: removed, and told of."""
        for content in (SMALL, LARGE):
            self.damages.clear()
            digest = self.put(content)
            self.flip(digest, content)
            self.assertEqual(self.run_check(thorough=False).damaged, [])
            result = self.run_check()
            self.assertEqual((result.damaged, result.damaged_count), ([digest], 1))
            self.assertEqual(self.damages, [(digest, len(content))])
            self.assertFalse(os.path.exists(self.paths.blob(digest)))
            self.successResultOf(self.index.forget_content(digest))

    def test_images(self) -> None:
        """It is told which images lack what is damaged: by their tags, else the repository."""
        layer, alone = self.put(LARGE), self.put(SMALL)
        image = self.lists("image", layer)
        index = self.lists("index", image)
        other = self.lists("other", layer, repository="b")
        for repository, tag, named in (("a", "1", index), ("b", "2", other), ("b", "x", alone)):
            self.clock.advance(1)
            now = self.clock.seconds()
            self.index.record_tag(repository_of(repository), tag, named, now)
        self.index.record_tag(repository_of("b"), "x", other, self.clock.seconds())
        for digest, content in ((layer, LARGE), (alone, SMALL)):
            self.flip(digest, content)
        images = self.run_check().images
        self.assertEqual(set(images), {layer, alone})
        self.assertEqual(images[layer], ["docker.io/b:x", "docker.io/b:2", "docker.io/a:1"])
        self.assertEqual(images[alone], ["docker.io/a"])
        self.successResultOf(self.index.forget_content(image))
        above = self.successResultOf(self.index.checks.images_with(image))
        self.assertEqual(above, ["docker.io/a:1"])
        nobody = self.successResultOf(self.index.checks.images_with(Digest.of(b"nobody's")))
        self.assertEqual(nobody, [])

    def lists(self, name: str, *listed: Digest, repository: str = "a") -> Digest:
        """A manifest that is known, without a file, and what it lists."""
        manifest = manifest_of(name=name)
        recording = self.index.record_manifest(
            repository_of(repository),
            manifest,
            [mention(each, len(LARGE)) for each in listed],
            subject=None,
            credentials="",
            now=self.clock.seconds(),
        )
        self.successResultOf(recording)
        return manifest.digest

    def test_truncated(self) -> None:
        """A file that was cut short."""
        digest = self.put(LARGE)
        path = self.paths.blob(digest)
        os.chmod(path, 0o600)
        os.truncate(path, 1000)
        self.assertEqual(self.run_check().damaged, [digest])
        self.assertEqual(self.damages, [(digest, 1000)])

    def test_missing(self) -> None:
        """A file that is gone is found without hashing anything, and told of."""
        digest, other = self.put(SMALL), self.put(LARGE)
        os.unlink(self.paths.blob(digest))
        for thorough in (False, True):
            self.missing.clear()
            result = self.run_check(thorough)
            self.assertEqual((result.missing, self.missing), (1, [digest]))
        self.assertEqual(self.size(other), len(LARGE))
        self.assertEqual(self.damages, [])

    def test_evicted_meanwhile(self) -> None:
        """What has left the index when its file is looked for is not missing."""
        digest = self.put(SMALL)
        os.unlink(self.paths.blob(digest))
        verify = self.store.verify

        def forget_first(*what: Any) -> Any:
            self.successResultOf(self.index.forget_content(digest))
            return verify(*what)

        self.patch(self.store, "verify", forget_first)
        self.assertEqual((self.run_check().missing, self.missing), (0, []))

    def test_cannot_be_read(self) -> None:
        """What cannot be read now stays, and the others are looked at; too many end it."""
        digest = self.put(SMALL)
        self.put(LARGE)
        verify = self.store.verify

        def refuse(which: Digest, *what: Any) -> Any:
            return fail(OSError(12, "no memory")) if which == digest else verify(which, *what)

        self.patch(self.store, "verify", refuse)
        result = self.run_check()
        self.assertEqual((result.unverified, result.contents, result.damaged), (1, 1, []))
        self.assertTrue(os.path.exists(self.paths.blob(digest)))
        result = CheckResult(unverified=MOST_UNVERIFIED - 1)
        folder = FOLDERS[int(digest.hex[:2], 16)]
        checking = Deferred.fromCoroutine(self.check.check(folder, result, thorough=True))
        self.failureResultOf(checking, OSError)

    def test_adopted(self) -> None:
        """A file too much is hashed and adopted, without a right to anybody."""
        digest = Digest.of(SMALL)
        self.foreign(digest, SMALL)
        self.assertEqual(self.run_check(thorough=False).adopted, 1)
        self.assertEqual(self.size(digest), len(SMALL))
        content = RepositoryContent(repository_of("a"), digest)
        facts = self.successResultOf(self.index.content(content))
        self.assertEqual((facts.public, facts.link, facts.upstream_linked), (False, None, False))
        self.assertEqual(self.run_check(thorough=False), CheckResult())

    def test_not_adopted(self) -> None:
        """One that is not what its name says is removed, and told of."""
        digest = Digest.of(b"something else")
        path = self.foreign(digest, SMALL)
        result = self.run_check(thorough=False)
        self.assertEqual((result.adopted, result.damaged), (0, [digest]))
        self.assertFalse(os.path.exists(path))
        self.assertIsNone(self.size(digest))

    def test_sha512(self) -> None:
        """The other algorithm has its folders, too."""
        digest = Digest.of(SMALL, "sha512")
        self.foreign(digest, SMALL)
        self.assertEqual(self.run_check(thorough=False).adopted, 1)

    def test_none_of_ours(self) -> None:
        """What is no file of ours is passed over."""
        folder = os.path.dirname(self.paths.blob(Digest.of(SMALL)))
        os.makedirs(folder, exist_ok=True)
        for name in ("notes.txt", "0" * 63):
            with open(os.path.join(folder, name), "wb"):
                pass
        os.symlink("/etc/passwd", os.path.join(folder, Digest.of(SMALL).hex))
        os.mkdir(os.path.join(folder, Digest.of(SMALL).hex[:2] + "0" * 62))
        self.assertEqual(self.run_check(), CheckResult())

    def test_being_removed(self) -> None:
        """What is about to be removed is left to who removes it."""
        digest = Digest.of(SMALL)
        self.foreign(digest, SMALL)
        key = b"\x01" + bytes.fromhex(digest.hex)
        self.index._file.write(
            [lambda connection: connection.execute("INSERT INTO leaving VALUES (?)", (key,))]
        )
        self.assertEqual(self.run_check(thorough=False), CheckResult())
        self.successResultOf(self.index.checks.adopt(digest, len(SMALL), 1.0))
        self.assertIsNone(self.size(digest))

    def test_of_an_upstream(self) -> None:
        """Only what an upstream has a link to, and nothing is adopted."""
        self.put(SMALL)
        digest = self.put(LARGE, QUAY)
        self.foreign(Digest.of(b"x"), b"x")
        result = self.run_check(upstream=QUAY)
        self.assertEqual((result.contents, result.adopted), (1, 0))
        self.flip(digest, LARGE)
        self.assertEqual(self.run_check(upstream=HUB).damaged, [])
        self.assertEqual(self.run_check(upstream=QUAY).damaged, [digest])


class VerificationTests(CheckCase):
    """Everything at once."""

    def test_progress(self) -> None:
        """It says how far it came, and remembers what it found."""
        self.put(SMALL)
        damaged = self.put(LARGE)
        self.flip(damaged, LARGE)
        told: list[tuple[int, int]] = []
        verification = StoreVerification(self.check, self.index.checks, self.clock)
        running = verification.run(lambda done, total, _: told.append((done, total)))
        result = self.successResultOf(Deferred.fromCoroutine(running))
        total = len(SMALL) + len(LARGE)
        self.assertEqual({each for _, each in told}, {total})
        self.assertEqual(told[-1][0], total)
        self.assertEqual(sorted(told), told)
        self.assertEqual(result.damaged, [damaged])
        self.assertEqual(verification.last, (self.clock.seconds(), result))

    def test_what_cannot_be_hashed(self) -> None:
        """What is missing, cut short, new or gone meanwhile leaves no gap at the end."""
        self.put(SMALL)
        cut, gone = self.put(LARGE), self.put(LARGE[:5000])
        self.foreign(Digest.of(b"unknown"), b"unknown")
        os.unlink(self.paths.blob(gone))
        os.chmod(self.paths.blob(cut), 0o600)
        os.truncate(self.paths.blob(cut), 1000)
        told: list[tuple[int, int]] = []
        verification = StoreVerification(self.check, self.index.checks, self.clock)
        running = verification.run(lambda done, total, _: told.append((done, total)))
        result = self.successResultOf(Deferred.fromCoroutine(running))
        self.assertEqual(result.unread, len(LARGE) + 5000)
        hashed = len(SMALL) + len(b"unknown")
        self.assertEqual(told[-1], (hashed, hashed))
        self.assertTrue(all(done <= total for done, total in told), told)
        self.successResultOf(self.index.checks.adopt(Digest.of(b"evicted"), 7, 1.0))
        with patch.object(self.check, "check", return_value=succeed(None)):
            running = verification.run(lambda done, total, _: told.append((done, total)))
            self.successResultOf(Deferred.fromCoroutine(running))
        self.assertEqual(told[-1], (0, 0))

    def test_after_a_restart(self) -> None:
        """What it came to is known after a restart, until there is another one."""

        def latest(verification: StoreVerification) -> VerificationNote | None:
            asked: Deferred[VerificationNote | None] = Deferred.fromCoroutine(verification.latest())
            return self.successResultOf(asked)

        damaged = self.put(LARGE)
        self.flip(damaged, LARGE)
        first, second = (
            StoreVerification(self.check, self.index.checks, self.clock) for _ in range(2)
        )
        self.assertIsNone(latest(second))
        self.clock.advance(5.0)
        running = first.run(lambda *_: None)
        self.successResultOf(Deferred.fromCoroutine(running))
        found = VerificationNote(self.clock.seconds(), 1, [str(damaged)])
        self.assertEqual((latest(first), latest(second)), (found, found))
        self.successResultOf(self.index.checks.note_progress("last verification", {"ended": "x"}))
        self.assertIsNone(latest(second))


class ScrubTests(CheckCase):
    """All of it, over a long time."""

    def setUp(self) -> None:
        """A round lasts 512 hours: an hour for each folder."""
        super().setUp()
        self.every = 512 * 3600.0
        self.scrub = self.begin()

    def begin(self) -> Scrub:
        """A daemon starts."""
        scrub = Scrub(self.check, self.index.checks, self.clock, self.every)
        scrub.startService()
        self.addCleanup(lambda: scrub.running and scrub.stopService())
        return scrub

    def compare(self) -> None:
        """The comparison after the start."""
        self.clock.advance(FIRST)
        for _ in FOLDERS:
            self.clock.advance(PAUSE)

    def pass_hours(self, count: int) -> None:
        """Let hours pass, in which a step or two are waited for."""
        for _ in range(count):
            for _ in range(4):
                self.clock.advance(900.0)
            for _ in range(600):
                self.clock.advance(PAUSE)

    def place(self, digest: Digest) -> int:
        """The number of the folder that something lies in."""
        return int(digest.hex[:2], 16)

    def test_compare_after_the_start(self) -> None:
        """What is missing and what is too much is found soon after the start."""
        gone, known = self.put(SMALL), self.put(LARGE)
        os.unlink(self.paths.blob(gone))
        self.foreign(Digest.of(b"x"), b"x")
        self.clock.advance(FIRST - 1)
        self.assertEqual(self.missing, [])
        self.compare()
        self.assertEqual((self.missing, self.size(Digest.of(b"x"))), ([gone], 1))
        self.assertEqual(self.size(known), len(LARGE))

    def test_round(self) -> None:
        """Each folder has its time; what is damaged is found when its folder is due."""
        digest = self.put(SMALL)
        self.compare()
        self.flip(digest, SMALL)
        due = self.place(digest)
        self.pass_hours(due - 1)
        self.assertEqual(self.damages, [])
        self.pass_hours(3)
        self.assertEqual(self.damages, [(digest, len(SMALL))])

    def test_restart(self) -> None:
        """It goes on where the last process was, and makes up for the time between."""
        digest = self.put(SMALL)
        self.compare()
        due = self.place(digest)
        self.pass_hours(due - 4)
        self.scrub.stopService()
        noted = self.successResultOf(self.index.checks.progress("scrub"))
        self.assertIn(noted["next"], range(due - 6, due))
        self.flip(digest, SMALL)
        self.clock.advance(10 * 3600.0)
        self.pool.names.clear()
        self.scrub = self.begin()
        self.compare()
        for _ in range(100):
            self.clock.advance(PAUSE)
        self.assertEqual(self.damages, [(digest, len(SMALL))])
        self.assertLess(self.pool.names.count("list_contents"), len(FOLDERS) + 20)

    def test_next_round(self) -> None:
        """When all folders were hashed it begins again."""
        digest = self.put(SMALL)
        self.compare()
        self.pass_hours(530)
        self.assertEqual(self.damages, [])
        self.flip(digest, SMALL)
        self.pass_hours(512)
        self.assertEqual(self.damages, [(digest, len(SMALL))])

    def test_odd_position(self) -> None:
        """What cannot be understood, or lies in the future, begins a round."""
        for noted in ({"began": "x"}, {}, {"began": 1e12, "next": 5}, {"began": -1e9, "next": 3}):
            self.successResultOf(self.index.checks.note_progress("scrub", noted))
            self.scrub.stopService()
            self.scrub = self.begin()
            self.compare()
            self.pass_hours(1)
            found = self.successResultOf(self.index.checks.progress("scrub"))
            self.assertLess(found["next"], 4)
            self.assertLessEqual(found["began"], self.clock.seconds())

    def test_never(self) -> None:
        """Without it the disk is compared once a day, and nothing is hashed."""
        self.scrub.stopService()
        self.every = None  # type: ignore[assignment]
        digest = self.put(SMALL)
        self.flip(digest, SMALL)
        self.scrub = self.begin()
        self.compare()
        os.unlink(self.paths.blob(self.put(LARGE)))
        self.clock.advance(AGAIN)
        for _ in FOLDERS:
            self.clock.advance(PAUSE)
        self.assertEqual(self.missing, [Digest.of(LARGE)])
        self.assertEqual(self.damages, [])

    def test_rate(self) -> None:
        """Hashing is paced."""
        waiting = Deferred.fromCoroutine(Rate(self.clock, 1000.0)(500))
        self.clock.advance(0.4)
        self.assertNoResult(waiting)
        self.clock.advance(0.2)
        self.successResultOf(waiting)

    def test_stop(self) -> None:
        """Nothing is left behind."""
        self.compare()
        self.scrub.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
