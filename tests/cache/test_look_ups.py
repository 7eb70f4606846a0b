"""Tests for what comes between while the index or the disk is asked."""

import os
from typing import Any

from twisted.internet.defer import Deferred

from tests.support.caches import Caches
from tests.support.download_case import KIB, DownloadTestCase, make_content
from tests.support.pools import HeldPool


class LateCase(DownloadTestCase):
    """A disk and an index that answer when they are told to."""

    def setUp(self) -> None:
        """Nothing is stored."""
        super().setUp()
        self.pool = HeldPool()
        directory = os.path.abspath(self.mktemp())
        self.late = Caches(directory, self.clock, self.registry, pool=self.pool)
        self.answers: list[Deferred[None]] = []

    def tearDown(self) -> None:
        """End what was begun."""
        stopping = self.late.downloads.stop()
        self.pool.release_all()
        self.late.run()
        self.pool.release_all()
        self.successResultOf(stopping)
        closing = self.late.store.close()
        self.pool.release_all()
        self.successResultOf(closing)
        super().tearDown()

    def hold_index(self) -> None:
        """From now on the index answers late what it knew when it was asked."""
        content = self.late.index.content

        def later(*key: Any) -> "Deferred[Any]":
            known = self.successResultOf(content(*key))
            self.answers.append(Deferred())
            return self.answers[-1].addCallback(lambda _: known)

        self.patch(self.late.index, "content", later)

    def open(self) -> Any:
        """A client asks."""
        return self.late.open(self.digest)

    def finish(self, opening: Any) -> Any:
        """Let everything happen that can; the client reads all of it, and leaves."""
        for _ in range(60):
            self.pool.release_all()
            self.late.run(turns=20)
            for answer in self.answers:
                if not answer.called:
                    answer.callback(None)
        opened = self.successResultOf(opening)
        sink = self.read_opened(opened)
        self.pool.release_all()
        self.late.run()
        self.pool.release_all()
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        return opened.status.outcome

    def read_opened(self, opened: Any) -> Any:
        """Read all of what was opened; disks answer meanwhile."""
        done: Deferred[Any] = Deferred()
        done.callback(opened)
        sink = self.read(done)
        for _ in range(60):
            self.pool.release_all()
            self.late.run(turns=20)
        opened.reader.leave()
        return sink


class AbsentTests(LateCase):
    """The word that there is nothing comes when there is something."""

    def fetch(self) -> None:
        """Another client pulls the blob from beginning to end; the first look-up stays open."""
        before, self.pool.jobs = self.pool.jobs, []
        self.finish(self.open())
        self.assertEqual(len(self.late.downloads), 0)
        self.pool.jobs += before

    def answer_late(self, function: str) -> None:
        """The oldest job of a kind says that there is nothing, which was true when it began."""
        for index, (result, job, _) in enumerate(self.pool.jobs):
            if function in job.__qualname__:
                del self.pool.jobs[index]
                result.callback([False])
                return
        raise AssertionError(f"nobody asked for {function}")

    def test_large(self) -> None:
        """A download that began and ended during the look-up is not begun again."""
        opening = self.open()
        self.fetch()
        self.answer_late("look_up_contents")
        self.assertEqual(self.finish(opening), "hit")
        self.assertEqual(self.registry.count("get_blob"), 1)
        self.assertEqual(self.registry.sent, len(self.content))

    def test_small(self) -> None:
        """Nor is a small one."""
        self.content = make_content(4 * KIB, seed=4)
        self.digest = self.registry.add(self.content)
        self.test_large()

    def test_index_knew_nothing(self) -> None:
        """What the index said before the download is not held against its content."""
        self.hold_index()
        opening = self.open()
        late, self.answers = self.answers, []
        self.fetch()
        self.answers += late
        self.assertEqual(self.finish(opening), "hit")
        self.assertEqual(self.registry.count("get_blob"), 1)

    def test_note_of_what_is_stored_is_kept(self) -> None:
        """A late word that a file is missing does not make the index forget the new one."""
        self.fetch()
        self.late.small_blobs._contents.clear()
        digest = self.digest
        self.late.store.remove(digest)
        self.pool.release_all()
        opening = self.open()  # the index says that it is stored
        before, self.pool.jobs = self.pool.jobs, []
        second = self.open()
        self.finish(second)
        self.pool.jobs += before
        self.answer_late("look_up_contents")
        self.assertEqual(self.finish(opening), "hit")
        facts = self.successResultOf(self.late.index.content(self.late.served().content(digest)))
        self.assertEqual(facts.size, len(self.content))
        self.assertEqual(self.registry.count("get_blob"), 2)

    def test_joins_what_began_meanwhile(self) -> None:
        """A download that began during the look-up, and runs on, is joined."""
        opening = self.open()
        before, self.pool.jobs = self.pool.jobs, []
        second = self.open()
        self.pool.release_all()
        self.late.run(turns=8)
        self.pool.jobs += before
        self.answer_late("look_up_contents")
        outcomes = {self.finish(each) for each in (opening, second)}
        self.assertEqual(outcomes, {"miss", "collapsed"})
        self.assertEqual(self.registry.count("get_blob"), 1)
