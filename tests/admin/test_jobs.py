"""Work that goes on behind the answers."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.jobs import (
    KEPT,
    MOST_QUEUED,
    MOST_RUNNING,
    Job,
    JobRunningError,
    Jobs,
    JobState,
    JobStep,
)


class JobTests(SynchronousTestCase):
    """One after another."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.jobs = Jobs(self.clock)
        self.jobs.startService()
        self.waiting: list[Deferred[None]] = []

    def begin(self, kind: str = "verify", **more: Any) -> Job:
        """A job that goes on until the test says so."""

        async def work(job: Job) -> None:
            job.steps.append(JobStep("all"))
            waiting: Deferred[None] = Deferred()
            self.waiting.append(waiting)
            await waiting
            job.done_bytes = 5

        return self.jobs.begin(kind, "root", work, **more)

    def test_done(self) -> None:
        """It is told of while it runs, and after its end."""
        job = self.begin()
        self.assertEqual((job.state, job.began, job.ended), (JobState.RUNNING, 1000, None))
        self.assertIs(self.jobs.find(job.id), job)
        self.clock.advance(5)
        self.waiting[0].callback(None)
        self.assertEqual((job.state, job.ended, job.done_bytes), (JobState.DONE, 1005, 5))
        self.assertEqual([each.state for each in job.steps], [JobState.DONE])
        self.assertEqual(self.jobs.all(), [job])

    def test_failed(self) -> None:
        """A fault of the disk takes a line; what is our own fault has a traceback in the log."""
        for fault in (OSError("the disk is full"), RuntimeError("odd")):
            job = self.begin()
            self.waiting[-1].errback(fault)
            self.assertEqual((job.state, job.error), (JobState.FAILED, str(fault)))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_log(self) -> None:
        """The log alone says who had what done, and how far it came where it was called off."""
        with capturedLogs() as events:
            job = self.begin("purge")
            job.done_bytes, job.total_bytes = 2048, 4096
            self.clock.advance(3)
            self.jobs.cancel(job)
            self.begin("pull", about="docker.io/library/busybox 1")
            self.waiting[-1].callback(None)
        self.assertEqual(
            [formatEvent(each) for each in events],
            [
                "purge, begun by root: cancelled, 2.0 KiB of 4.0 KiB, 3.0 s",
                "pull of docker.io/library/busybox 1, begun by root: done, 5 B, 0.0 s",
            ],
        )

    def test_cancelled(self) -> None:
        """It is called off, once."""
        job = self.begin()
        self.jobs.cancel(job)
        self.assertEqual((job.state, job.error), (JobState.CANCELLED, ""))
        self.jobs.cancel(job)
        self.assertEqual([each.state for each in job.steps], [JobState.CANCELLED])

    def test_alone(self) -> None:
        """Only one of a kind runs, and of all kinds a bounded number."""
        self.begin()
        self.assertRaises(JobRunningError, self.begin)
        for number in range(MOST_RUNNING - 1):
            self.begin(f"other {number}")
        self.assertRaises(JobRunningError, self.begin, "one more")
        self.waiting[0].callback(None)
        self.begin()

    def test_queued(self) -> None:
        """One that waits for the same one begins when that ends, in turn, however it ends."""
        first, second, third = (self.begin(waits=True) for _ in range(3))
        self.assertEqual([each.state.value for each in (first, second)], ["running", "queued"])
        self.waiting[0].errback(OSError("no"))
        self.assertEqual([each.state.value for each in (second, third)], ["running", "queued"])
        self.jobs.cancel(second)
        self.assertEqual([each.state.value for each in (second, third)], ["cancelled", "running"])
        self.waiting[-1].callback(None)
        self.assertIs(third.state, JobState.DONE)

    def test_queue_bounded(self) -> None:
        """So many wait; a job that is called off waits no more, nor when the daemon stops."""
        self.begin()
        queued = [self.begin(waits=True) for _ in range(MOST_QUEUED)]
        self.assertRaises(JobRunningError, self.begin, waits=True)
        self.jobs.cancel(queued[0])
        self.begin(waits=True)
        self.jobs.stopService()
        self.assertEqual({each.state for each in self.jobs.all()}, {JobState.CANCELLED})
        self.assertEqual(len(self.waiting), 1)

    def test_several(self) -> None:
        """Some kinds may run more than once."""
        jobs = [self.begin("pull", about=str(number)) for number in range(2)]
        self.assertEqual(len({each.id for each in jobs}), 2)

    def test_forgotten(self) -> None:
        """Old ones are forgotten; those that run never are."""
        running = self.begin("long")
        jobs = []
        for _ in range(KEPT + 10):
            self.clock.advance(1)
            jobs.append(self.begin())
            self.waiting[-1].callback(None)
        self.assertEqual(len(self.jobs.all()), KEPT + 1)
        self.assertIs(self.jobs.find(running.id), running)
        self.assertIsNone(self.jobs.find(jobs[0].id))

    def test_stop(self) -> None:
        """When the daemon stops they are called off."""
        job = self.begin()
        self.jobs.stopService()
        self.assertIs(job.state, JobState.CANCELLED)
