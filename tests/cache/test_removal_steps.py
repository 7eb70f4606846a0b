"""Removals in many steps, over a real store: what holds when something happens between two."""

import errno
import json
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs, formatEvent

from regcache.cache.removal import NotHereError
from regcache.cache.removal_retries import FIRST
from regcache.digests import Digest
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from regcache.pins import Pin
from regcache.removals import RemovalTarget, manifest_of
from regcache.store import content_names
from tests.cache import test_removal
from tests.cache.test_removal import KIB, RemovalCase
from tests.support.removal_steps import make_steps_small


class StepsCase(RemovalCase):
    """Each step removes one manifest, or one blob."""

    def setUp(self) -> None:
        """Nothing is here yet."""
        super().setUp()
        make_steps_small(self)

    def index_of(self, *members: Digest, tag: str = "multi") -> Digest:
        """The upstream has an index of images."""
        listed = [{"mediaType": OCI_MANIFEST, "digest": str(each), "size": 1} for each in members]
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
        return self.up.add_manifest("org/a", tag, json.dumps(document).encode(), OCI_INDEX)

    def pulled_index(self) -> Digest:
        """An index of two images is here, with all that they list."""
        base = self.layer(KIB)
        self.members = [self.image(base, self.layer(), tag=tag)[0] for tag in ("x", "y")]
        digest = self.index_of(*self.members)
        self.pull_index()
        return digest

    def pull_index(self) -> None:
        """Pull it as a client of several platforms does: its images by their digests."""
        served = self.caches.served("org/a")
        manifest = self.result(self.caches.tags.by_tag(served, "multi")).manifest
        for each in json.loads(manifest.content)["manifests"]:
            member = Digest.parse(each["digest"])
            found = self.result(self.caches.tags.by_digest(served, member)).manifest
            body = json.loads(found.content)
            for blob in (body["config"], *body["layers"]):
                self.blob(Digest.parse(blob["digest"]))

    def before_step(self, number: int, work: Callable[[], Any]) -> None:
        """Do something before a further step is written, and let it fail with what that gives."""
        removals, calls = self.caches.index.removals, list[int]()
        remove_further = removals.remove_further

        def further(generation: int) -> "Deferred[Any]":
            calls.append(generation)
            failure = work() if len(calls) == number else None
            return failure if isinstance(failure, Deferred) else remove_further(generation)

        self.patch(removals, "remove_further", further)

    def break_before(self, number: int, target: RemovalTarget) -> None:
        """Begin to remove something; a step fails."""
        self.before_step(number, lambda: fail(OSError(errno.EIO, "broken")))
        self.refusal(target, OSError)


class BetweenTests(StepsCase):
    """What happens between two steps."""

    def test_whole(self) -> None:
        """Nothing is left of it, and the next pull fetches it anew and is right."""
        digest = self.pulled_index()
        removed = self.remove(manifest_of(self.repository(), digest))
        self.assertEqual((removed.tags, removed.contents, self.names()), (1, 6, set()))
        self.asked()
        self.pull_index()
        self.assertEqual(self.asked().count("get_blob"), 3)

    def test_killed(self) -> None:
        """Where the daemon is killed before any step, the next start removes the rest."""
        for number in range(1, 8):
            digest = self.pulled_index()
            self.break_before(number, manifest_of(self.repository(), digest))
            self.check()
            self.restart()
            self.assertEqual(self.names(), set())
            self.check()
            self.refusal(manifest_of(self.repository(), digest), NotHereError)

    def test_killed_and_served(self) -> None:
        """After the start its name is gone at once, and who pulls it before the rest gets it."""
        for number in range(1, 8):
            digest = self.pulled_index()
            self.break_before(number, manifest_of(self.repository(), digest))
            self.kill()
            self.start(resumes=False)
            removing = Deferred.fromCoroutine(self.caches.removal.resume())
            self.refusal(manifest_of(self.repository(), digest), NotHereError)
            self.caches.run()
            self.successResultOf(removing)
            self.check()
            self.pull_index()
            self.break_before(number, manifest_of(self.repository(), digest))
            self.kill()
            self.start(resumes=False)
            self.assertEqual(self.successResultOf(self.tags()), [])
            self.pull_index()
            self.result(self.caches.removal.resume())
            self.check()
            self.pull_index()
            self.clock.advance(3600.0)  # the next one has the same tag

    def tags(self) -> "Deferred[list[str]]":
        """The tags that the index knows."""
        tags: Deferred[list[str]] = self.caches.index.tags(self.repository(), "", 9)
        return tags

    def test_failed(self) -> None:
        """What was left by a removal that failed goes before the next removal."""
        digest = self.pulled_index()
        other, _ = self.image(self.layer(), repository="org/b")
        self.pull("org/b")
        self.break_before(2, manifest_of(self.repository(), digest))
        self.assertGreater(len(self.names()), 2)
        self.remove(manifest_of(self.repository("org/b"), other))
        self.assertEqual(self.names(), set())

    def test_failed_again(self) -> None:
        """Where that fails again, the next removal is done nevertheless, and finishes it."""
        digest = self.pulled_index()
        other, _ = self.image(self.layer(), self.layer(), repository="org/b")
        self.pull("org/b")
        self.break_before(2, manifest_of(self.repository(), digest))
        self.before_step(1, lambda: fail(OSError(errno.EIO, "broken")))
        self.remove(manifest_of(self.repository("org/b"), other))
        self.assertEqual(self.names(), set())

    def test_removed_again(self) -> None:
        """Where a removal failed twice, and all was pulled again, the next removes all of it."""
        digest = self.pulled_index()
        self.caches.removal.stop()  # else it goes on before the image is pulled
        self.break_before(4, manifest_of(self.repository(), digest))
        self.pull_index()
        removals, failures = self.caches.index.removals, [OSError(errno.EIO, "broken")]
        remove_further = removals.remove_further

        def broken_at_first(generation: int) -> "Deferred[Any]":
            return fail(failures.pop()) if failures else remove_further(generation)

        self.patch(removals, "remove_further", broken_at_first)
        self.remove(manifest_of(self.repository(), digest))
        self.assertEqual(self.names(), set())
        self.check()

    def test_full_disk(self) -> None:
        """On a full disk the files of a step go before it, so that there is room to say so."""
        digest = self.pulled_index()
        self.before_step(1, lambda: fail(OSError(errno.ENOSPC, "full")))
        self.remove(manifest_of(self.repository(), digest))
        self.assertEqual(self.names(), set())

    def test_pinned_on_a_full_disk(self) -> None:
        """Where an index goes ahead of its step, and is pinned before that, it is shown as gone."""
        digest = self.pulled_index()
        removals, failures = self.caches.index.removals, [OSError(errno.ENOSPC, "full")]
        remove = removals.remove

        def full_at_first(*what: Any) -> "Deferred[Any]":
            return fail(failures.pop()) if failures else remove(*what)

        self.patch(removals, "remove", full_at_first)
        pin = self.caches.index.pins.pin
        self.before_step(1, lambda: pin(self.repository(), str(digest), Pin("", 1.0)) and None)
        self.remove(manifest_of(self.repository(), digest))
        self.assertNotIn(digest.hex, self.names())
        self.successResultOf(self.caches.index.pins.unpin(self.repository(), str(digest)))
        self.check()

    def test_pulled_again(self) -> None:
        """Who pulls it at any moment gets all of it; index and files agree."""
        for number in range(1, 8):
            digest = self.pulled_index()
            pulling: list[Any] = []

            def pull(pulling: list[Any] = pulling) -> None:
                served = self.caches.served("org/a")
                pulling.append(Deferred.fromCoroutine(self.caches.tags.by_tag(served, "multi")))

            self.before_step(number, pull)
            self.remove(manifest_of(self.repository(), digest))
            self.caches.run()
            self.assertEqual(
                [self.successResultOf(each).manifest.digest for each in pulling], [digest]
            )
            self.check()
            self.pull_index()
            self.clock.advance(3600.0)  # the next one has the same tag
            self.restart()

    def test_pinned(self) -> None:
        """An image of it that is pinned meanwhile stays, with all that it lists."""
        digest = self.pulled_index()
        kept = max(self.members, key=str)
        pin = self.caches.index.pins.pin
        self.before_step(1, lambda: pin(self.repository(), str(kept), Pin("", 1.0)) and None)
        self.remove(manifest_of(self.repository(), digest))
        self.assertEqual(len(self.names()), 3)
        self.asked()
        self.result(self.caches.tags.by_digest(self.caches.served("org/a"), kept))
        self.assertNotIn("get_manifest", self.asked())

    def test_stopped(self) -> None:
        """Where the index is closed between two steps, the removal fails and is finished later."""
        digest = self.pulled_index()
        self.before_step(2, lambda: self.caches.index.close() and None)
        self.refusal(manifest_of(self.repository(), digest), OSError)
        self.restart()
        self.assertEqual(self.names(), set())


class RetryTests(StepsCase):
    """What is left of a removal that failed goes by itself after some time."""

    def break_for(self, times: int) -> list[float]:
        """Let steps fail, so many of them; when each step was tried."""
        removals, tried = self.caches.index.removals, list[float]()
        remove_further = removals.remove_further

        def further(generation: int) -> "Deferred[Any]":
            tried.append(self.clock.seconds())
            failing = len(tried) <= times
            return fail(OSError(errno.EIO, "broken")) if failing else remove_further(generation)

        self.patch(removals, "remove_further", further)
        return tried

    def broken(self) -> Digest:
        """An index is here, and its removal fails at the second step."""
        digest = self.pulled_index()
        self.refusal(manifest_of(self.repository(), digest), OSError)
        return digest

    def test_step(self) -> None:
        """A step that failed is done after some seconds, with all that follow it."""
        self.break_for(1)
        self.broken()
        self.assertNotEqual(self.names(), set())
        self.caches.run(FIRST)
        self.assertEqual(self.names(), set())
        self.check()

    def test_files(self) -> None:
        """A file that the disk did not remove is removed after some seconds."""
        refusing = self.patch(content_names, "remove_content", test_removal.refuse)
        self.broken()
        self.assertEqual(len(self.names()), 6)
        refusing.restore()
        self.caches.run(FIRST)
        self.assertEqual(self.names(), set())

    def test_again_and_again(self) -> None:
        """Each pause is twice as long as the one before, up to ten minutes; the log says it."""
        tried = self.break_for(11)
        with capturedLogs() as events:
            self.broken()
            for _ in range(60):
                self.clock.pump([1.0] * 60)
                self.caches.run()
            pauses = [round(end - start) for start, end in pairwise(tried[:12])]
            self.assertEqual(pauses[:8], [5, 10, 20, 40, 80, 160, 320, 600])
            self.assertEqual((max(pauses), self.names()), (600, set()))
            first, *_, last = [formatEvent(each) for each in events if "seconds" in each]
        self.assertIn("broken; the rest of it is tried again in 5 s", first)
        self.assertIn("in 600 s", last)

    def test_finished_by_another(self) -> None:
        """Where the next removal has finished it, nothing more is tried."""
        self.break_for(1)
        self.broken()
        other, _ = self.image(self.layer(), repository="org/b")
        self.pull("org/b")
        self.remove(manifest_of(self.repository("org/b"), other))
        self.assertEqual(self.names(), set())
        looks = list[int]()
        self.patch(self.caches.index.removals, "leaving", lambda: looks.append(1))
        self.caches.run(3600.0)
        self.assertEqual(looks, [])

    def test_stopped(self) -> None:
        """Nothing is tried any more when the daemon stops; the next start finishes it."""
        tried = self.break_for(1)
        self.broken()
        self.caches.removal.stop()
        self.caches.run(3600.0)
        self.assertEqual(len(tried), 1)
        self.restart()
        self.assertEqual(self.names(), set())


class StepPropertyTests(test_removal.PropertyTests, StepsCase):
    """Any order of pulls, removals and restarts, some of them in the middle of a removal."""

    def act(self, chance: random.Random) -> None:
        """One thing that may happen."""
        tags = [key for key in sorted(self.up.manifests) if ":" not in key[1]]
        if not tags or chance.random() < 0.7:
            super().act(chance)
            return
        repository, tag = chance.choice(tags)
        digest = Digest.of(self.up.manifests[repository, tag][0])
        self.before_step(chance.randint(1, 3), lambda: fail(OSError(errno.EIO, "killed")))
        target = manifest_of(self.repository(repository), digest)
        removing = Deferred.fromCoroutine(self.caches.removal.remove(target))
        removing.addErrback(lambda failure: failure.trap(NotHereError, OSError) and None)
        self.caches.run()
        self.check()
        self.restart()
