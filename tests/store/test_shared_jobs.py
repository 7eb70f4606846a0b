"""Jobs that several share, as small contents do on their way to the disk."""

import errno
import os
from collections.abc import Callable

from twisted.internet.defer import fail
from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.store import aside
from regcache.store.contents import keep_contents
from regcache.store.paths import StorePaths
from regcache.store.pool import PoolStoppedError
from regcache.store.shared_jobs import SharedJobs
from tests.support.pools import HeldPool

MOST_IN_BATCH, MOST_JOBS = 32, 2


class SharedJobsTests(SynchronousTestCase):
    """A pool that works when told to."""

    def setUp(self) -> None:
        """An empty store."""
        self.paths = StorePaths(os.path.abspath(self.mktemp()))
        self.paths.prepare()
        self.pool = HeldPool()
        self.jobs = SharedJobs[tuple[Digest, bytes], int](
            self.pool, keep_contents, self.paths, most_items=MOST_IN_BATCH, most_jobs=MOST_JOBS
        )

    def contents(self, count: int) -> list[tuple[Digest, bytes]]:
        """Different ones."""
        made = [b"%d" % number for number in range(count)]
        return [(Digest.of(content), content) for content in made]

    def test_first_does_not_wait(self) -> None:
        """The first begins at once; what comes while the threads are busy shares a job."""
        contents = self.contents(MOST_JOBS + 5)
        keeping = [self.jobs.run(each) for each in contents]
        self.assertEqual(len(self.pool.jobs), MOST_JOBS)
        self.pool.release()
        self.assertEqual(len(self.pool.jobs), MOST_JOBS)
        self.pool.release_all()
        self.assertEqual([self.successResultOf(each) for each in keeping], [0] * len(contents))
        for digest, content in contents:
            with open(self.paths.blob(digest), "rb") as file:
                self.assertEqual(file.read(), content)
        self.assertEqual(os.listdir(self.paths.partials), [])

    def test_turns(self) -> None:
        """Where jobs begin at the end of a turn, those that came in one share a job."""
        turns: list[Callable[[], None]] = []
        jobs = SharedJobs[tuple[Digest, bytes], int](
            self.pool, keep_contents, self.paths, most_items=4, most_jobs=2, later=turns.append
        )
        contents = self.contents(9)
        keeping = [jobs.run(each) for each in contents]
        self.assertEqual((len(self.pool.jobs), len(turns)), (0, 1))
        turns.pop()()
        self.assertEqual([len(items) for _, _, (_, items) in self.pool.jobs], [4, 4])
        keeping.append(jobs.run((Digest.of(b"more"), b"more")))
        self.assertEqual(turns, [])  # it has its turn when a job is done
        self.pool.release()
        self.assertEqual([len(items) for _, _, (_, items) in self.pool.jobs], [4, 2])
        self.pool.release_all()
        self.assertEqual([self.successResultOf(each) for each in keeping], [0] * 10)

    def test_batches_are_bounded(self) -> None:
        """No job takes more than its share."""
        contents = self.contents(MOST_JOBS + 2 * MOST_IN_BATCH)
        keeping = [self.jobs.run(each) for each in contents]
        jobs = 0
        while self.pool.jobs:
            jobs += 1
            self.pool.release()
        self.assertEqual(jobs, MOST_JOBS + 2)
        for each in keeping:
            self.successResultOf(each)

    def test_each_has_its_own_outcome(self) -> None:
        """What cannot be stored takes nothing else with it."""
        contents = self.contents(MOST_JOBS + 4)
        blocked, wrong = contents[-1][0], contents[-2][0]
        self.patch(aside, "MOST_ASIDE", 0)
        os.makedirs(os.path.join(self.paths.blob(blocked), "of somebody"))
        contents[-2] = (wrong, b"something else")
        keeping = [self.jobs.run(each) for each in contents]
        self.pool.release_all()
        failure = self.failureResultOf(keeping.pop(), OSError)
        self.assertEqual(failure.value.errno, errno.EEXIST)
        self.failureResultOf(keeping.pop(), ValueError)
        for each in keeping:
            self.assertEqual(self.successResultOf(each), 0)
        self.assertEqual(os.listdir(self.paths.partials), [])

    def test_fault_of_a_job(self) -> None:
        """All who share a job hear of any end of it, and the next job has a turn."""
        contents = self.contents(2 * MOST_JOBS)
        keeping = [self.jobs.run(each) for each in contents]
        for _ in range(MOST_JOBS):
            job, _, _ = self.pool.jobs.pop(0)
            job.errback(RuntimeError("no threads"))
        for each in keeping[:MOST_JOBS]:
            self.failureResultOf(each, RuntimeError)
        self.pool.release_all()
        for each in keeping[MOST_JOBS:]:
            self.assertEqual(self.successResultOf(each), 0)

    def test_no_threads_any_more(self) -> None:
        """Everybody hears of it when the pool has stopped, however many they are."""
        waiting = [self.jobs.run(each) for each in self.contents(MOST_JOBS + 3000)]
        self.patch(self.pool, "run", lambda *_: fail(PoolStoppedError("stopped")))
        for _ in range(MOST_JOBS):
            job, _, _ = self.pool.jobs.pop(0)
            job.errback(PoolStoppedError("stopped"))
        for each in waiting:
            self.failureResultOf(each, PoolStoppedError)
        self.failureResultOf(self.jobs.run((Digest.of(b""), b"")), PoolStoppedError)

    def test_replaced(self) -> None:
        """The size of what had the name before is told."""
        ((digest, content),) = self.contents(1)
        os.makedirs(os.path.dirname(self.paths.blob(digest)))
        with open(self.paths.blob(digest), "wb") as file:
            file.write(b"damaged")
        keeping = self.jobs.run((digest, content))
        self.pool.release_all()
        self.assertEqual(self.successResultOf(keeping), len(b"damaged"))
