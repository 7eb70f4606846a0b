"""Tests for small blobs: into memory first, verified, and answered with."""

import gc
import os
import weakref

from regcache.cache.download.context import WITHHELD, BlobSource
from regcache.errors import UpstreamNotFound
from tests.support.bodies import Fault
from tests.support.caches import Caches, Sink
from tests.support.download_case import KIB, make_content
from tests.support.pools import HeldPool
from tests.support.small_case import SmallCase


class AskingTests(SmallCase):
    """What the first answer decides."""

    def test_small_answer(self) -> None:
        """A small blob costs one request and no partial file, and is stored and recorded."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=3)
        self.assertTrue(self.fetch().target.file.in_memory)
        self.assertEqual(self.partials(), [])
        self.assertNoResult(opening)
        self.caches.run()
        opened = self.successResultOf(opening)
        self.assertEqual((opened.content, opened.status.outcome), (self.content, "miss"))
        opened.reader.leave()
        self.assertEqual(self.registry.count("get_blob"), 1)
        with open(self.blob_path(), "rb") as file:
            self.assertEqual(file.read(), self.content)
        facts = self.successResultOf(
            self.caches.index.content(self.caches.served().content(self.digest))
        )
        self.assertEqual((facts.size, facts.public), (len(self.content), True))
        self.assertIsNotNone(facts.link)
        self.assertTrue(all(claim.released for claim in self.caches.space.claims))

    def test_nothing_is_left_to_the_collector(self) -> None:
        """What fetched a blob goes as soon as that is over, before Python's collector looks."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for content in (self.content, make_content(WITHHELD + 1, seed=12)):
            opening = self.caches.open(self.registry.add(content))
            self.caches.run(turns=3)
            (running,) = self.caches.downloads._all.values()
            download = weakref.ref(running)
            del running
            self.caches.run()
            self.successResultOf(opening).reader.leave()
            self.caches.run()
            self.registry.bodies.pop()._consumer = None  # the real one forgets it at its end
            del opening
            self.assertIsNone(download())

    def test_credentials_are_recorded(self) -> None:
        """What credentials gave is not public."""
        self.registry.credentials = "ours"
        self.pull()
        asking = self.caches.index.content(self.caches.served().content(self.digest))
        facts = self.successResultOf(asking)
        self.assertEqual((facts.public, facts.link.credentials), (False, "ours"))

    def test_larger_answer_goes_to_the_disk(self) -> None:
        """One byte more than fits goes through a file, from the same answer."""
        self.content = make_content(WITHHELD + 1, seed=12)
        self.digest = self.registry.add(self.content)
        sink = self.pull()
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 1)

    def test_daemon_stops_before_there_is_a_file(self) -> None:
        """An answer that waits for a file when the download ends is closed."""
        self.content = make_content(WITHHELD + 1, seed=12)
        self.digest = self.registry.add(self.content)
        pool = HeldPool()
        caches = Caches(os.path.abspath(self.mktemp()), self.clock, self.registry, pool=pool)
        opening = caches.open(self.digest)
        pool.release_all()
        caches.run()
        stopping = caches.downloads.stop()
        pool.release_all()
        self.successResultOf(stopping)
        self.failureResultOf(opening)
        self.assertEqual([body.open for body in self.registry.bodies], [False])

    def test_unknown_size(self) -> None:
        """What does not say its size is in memory until it is too much for it."""
        for size in (40 * KIB, 100 * KIB):
            self.content = make_content(size, seed=12)
            self.digest = self.registry.add(self.content)
            self.registry.faults = [Fault(hide_size=True)]
            opening = self.caches.open(self.digest)
            self.caches.run(turns=5)
            self.assertEqual(self.partials(), [])
            self.caches.run()
            opened = self.successResultOf(opening)
            self.assertEqual(opened.content, self.content if size == 40 * KIB else None)
            sink = Sink()
            opened.reader.begin(0, None, sink)
            opened.reader.leave()
            self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 2)

    def test_refused(self) -> None:
        """A refusal reaches everybody who waits."""
        refusal = UpstreamNotFound("up.test", "not found", status=404)
        self.registry.faults = [Fault(refuse=refusal)]
        openings = [self.caches.open(self.digest) for _ in range(2)]
        self.caches.run()
        for opening in openings:
            self.assertIs(self.failureResultOf(opening).value, refusal)

    def test_partial_file_is_resumed(self) -> None:
        """Where an earlier attempt left something, only the rest is asked for."""
        partial = self.successResultOf(
            self.caches.store.open_partial(self.digest, self.registry.identity)
        )
        partial.set_size(len(self.content))
        self.successResultOf(partial.write(0, [self.content[:1000]]))
        self.successResultOf(partial.save())
        partial.close()
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertEqual([each[3] for each in self.registry.requests], [1000])

    def test_partial_file_that_came_between(self) -> None:
        """What is there against all expectation does not get into what the answer brings."""
        self.content = make_content(WITHHELD + 1, seed=12)
        self.digest = self.registry.add(self.content)
        partial = self.successResultOf(
            self.caches.store.open_partial(self.digest, self.registry.identity)
        )
        self.successResultOf(partial.write(0, [self.content[:1000]]))
        self.successResultOf(partial.save())
        partial.close()
        source = BlobSource(self.registry, self.caches.served().identity)
        reader = self.caches.downloads.begin(self.digest, source, None, True).join()
        self.caches.run()
        self.successResultOf(reader.ready())
        reader.leave()
        self.assertEqual(self.registry.sent, len(self.content))
        self.assertEqual(bytes(self.pull().data), self.content)

    def take_partial_folder_away(self) -> None:
        """Have it lie on a disk that is not there, until the test is over."""
        path = os.path.join(self.directory, "partial")
        os.rmdir(path)
        os.symlink("on another disk", path)
        self.addCleanup(os.mkdir, path)
        self.addCleanup(os.unlink, path)

    def test_nobody_relays(self) -> None:
        """An answer that has no file to go to, and nobody who waits, is closed."""
        self.digest = self.registry.add(make_content(WITHHELD + 1, seed=12))
        self.take_partial_folder_away()
        opening = self.caches.open(self.digest)
        opening.cancel()
        self.failureResultOf(opening)
        self.caches.run()
        self.assertEqual([body.open for body in self.registry.bodies], [False])

    def test_partial_file_cannot_be_opened(self) -> None:
        """An answer that is too large, and has no file to go to, is relayed."""
        self.content = make_content(WITHHELD + 1, seed=12)
        self.digest = self.registry.add(self.content)
        self.take_partial_folder_away()
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        sink = self.read(opening)
        self.caches.run()
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 1)


class FillingTests(SmallCase):
    """What happens while the body comes."""

    def test_joined(self) -> None:
        """Who asks meanwhile waits for the same answer."""
        openings = [self.caches.open(self.digest) for _ in range(50)]
        self.caches.run(turns=4)
        openings.append(self.caches.open(self.digest))
        self.caches.run()
        statuses = self.statuses(*openings)
        self.assertEqual(statuses, ["miss", *["collapsed"] * 50])
        self.assertEqual(self.registry.count("get_blob"), 1)

    def test_joined_through_another_repository(self) -> None:
        """What credentials give is for who has a right of his own, what is public for everybody."""
        self.registry.serve_private = True
        caches = Caches(os.path.abspath(self.mktemp()), self.clock, self.registry)
        for credentials, questions in (("ours", ["get_blob", "head_blob"]), ("", ["get_blob"])):
            self.content = make_content(40 * KIB, seed=len(questions))
            self.digest = self.registry.add(self.content)
            self.registry.credentials = credentials
            self.registry.requests.clear()
            self.registry.holds = lambda repository, digest: repository == "org/app"
            opening = caches.open(self.digest)
            caches.run(turns=4)
            other = caches.open(self.digest, "org/two")
            caches.run()
            self.assertEqual([each[0] for each in self.registry.requests], questions)
            if credentials:
                self.failureResultOf(other, UpstreamNotFound)
            else:
                self.assertEqual(self.statuses(other), ["collapsed"])
            self.assertEqual(self.statuses(opening), ["miss"])
        caches.stop()

    def test_broken_body_is_resumed(self) -> None:
        """What came before a break is not asked for again."""
        self.registry.faults = [Fault(cut=25 * KIB)]
        opening = self.caches.open(self.digest)
        self.caches.run(seconds=5)
        self.assertEqual(self.statuses(opening), ["miss"])
        self.assertEqual([each[3] for each in self.registry.requests], [0, 25 * KIB])
        self.assertEqual(self.registry.sent, len(self.content))

    def test_wrong_bytes(self) -> None:
        """Wrong bytes reach nobody, are counted, and are nowhere kept."""
        self.registry.faults = [Fault(flip=5)]
        opening = self.caches.open(self.digest)
        self.caches.run()
        self.failureResultOf(opening)
        self.assertEqual(self.caches.events.mismatches, ["up.test"])
        self.assertFalse(os.path.exists(self.blob_path()))
        self.assertEqual(self.partials(), [])
        self.assertIsNone(self.caches.small_blobs.get(self.digest))
        self.assertEqual(bytes(self.pull().data), self.content)

    def test_liar(self) -> None:
        """A URL that gave wrong bytes twice is not asked a third time."""
        self.registry.faults = [Fault(flip=5), Fault(flip=5)]
        for _ in range(3):
            opening = self.caches.open(self.digest)
            self.caches.run()
            self.failureResultOf(opening)
        self.assertEqual(self.registry.count("get_blob"), 2)

    def test_surplus(self) -> None:
        """More bytes than announced are nobody's."""
        self.registry.faults = [Fault(surplus=b"more")]
        opening = self.caches.open(self.digest)
        self.caches.run(seconds=5)
        self.assertEqual(self.statuses(opening), ["miss"])
        with open(self.blob_path(), "rb") as file:
            self.assertEqual(file.read(), self.content)

    def test_everybody_leaves(self) -> None:
        """A small blob that nobody waits for any more is fetched to its end."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=4)
        opening.cancel()
        self.failureResultOf(opening)
        self.caches.run()
        self.assertTrue(os.path.exists(self.blob_path()))

    def test_daemon_stops(self) -> None:
        """At the end of the daemon clients are refused, and the upstream's body is closed."""
        for turns, bodies in ((0, 0), (3, 1)):
            opening = self.caches.open(self.digest)
            self.caches.run(turns=turns)
            self.successResultOf(self.caches.downloads.stop())
            self.failureResultOf(opening)
            self.assertEqual([body.open for body in self.registry.bodies], [False] * bodies)
            self.caches.run()
            self.assertEqual(len(self.registry.bodies), bodies)
            self.caches.stop()
            self.caches = self.make_caches()


class FinishTests(SmallCase):
    """An operator who wants nothing finished that nobody waits for."""

    finish = 10 * KIB

    def test_parks(self) -> None:
        """What came is kept in a file, and the rest is fetched when somebody asks."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=3)
        opening.cancel()
        self.failureResultOf(opening)
        self.caches.run()
        self.assertEqual(len(self.caches.downloads), 0)
        self.assertLess(self.registry.sent, len(self.content))
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertLessEqual(self.registry.sent, len(self.content) + self.registry.chunk)
