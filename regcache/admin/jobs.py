"""Work that takes longer than a request: begun by one, watched and called off by others.

=========  ==========================  =================================================
state      event                       what holds afterwards
=========  ==========================  =================================================
none       the same one runs, and it   queued
           is one that waits for that
queued     the one before it ends      running
queued     it is called off, or the    cancelled
           daemon stops
running    the work has ended          done
running    the work fails              failed, with one line that says why
running    it is called off, or the    cancelled; what it has done until then stays done
           daemon stops
any other  ``KEPT`` jobs ended later   forgotten
=========  ==========================  =================================================

The same job never runs twice at a time, and the jobs of each kind that run or wait are limited.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

import secrets
from collections.abc import Callable, Coroutine
from dataclasses import KW_ONLY, field
from enum import Enum
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.facts import in_units
from regcache.light_dataclass import dataclass
from regcache.timings import begin_timings

#: Jobs that have ended and are still told of.
KEPT = 100
#: Jobs that run at a time, of all kinds, and of each.
MOST_RUNNING, MOST_OF_A_KIND = 16, 8
#: Jobs that wait for others, in all.
MOST_QUEUED = 32


class JobState(Enum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WorkFailedError(Exception):
    """What a job is for cannot be done, by no fault of the daemon; the text is one line."""


class JobRunningError(Exception):
    """There is such a job already, or there are too many."""


@dataclass(slots=True)
class JobStep:
    """A part of a job, for people."""

    text: str
    state: JobState = JobState.RUNNING


@dataclass(slots=True, eq=False)
class Job:
    """A piece of work. The work itself keeps the fields up to date.

    :ivar by: the account that began it; "" for none.
    :ivar about: tells jobs of a kind apart; "" where it has only one.
    :ivar began: Unix seconds; ``ended`` likewise, None while it runs or waits.
    :ivar done_bytes: how much of ``total_bytes`` is done; None where that says nothing.
    :ivar result: what it has found, as plain JSON; None as long as that is not known.
    """

    id: str
    kind: str
    by: str
    began: float
    _: KW_ONLY
    about: str = ""
    ended: float | None = None
    state: JobState = JobState.RUNNING
    done_bytes: int = 0
    total_bytes: int | None = None
    steps: list[JobStep] = field(default_factory=list)
    result: dict[str, Any] | None = None
    error: str = ""


Work = Callable[[Job], Coroutine[Any, Any, None]]
"""What a job does. It is cancelled when the job is called off."""


class Jobs(Service):
    """The jobs of a daemon; as a service it calls them off when that stops."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._work: dict[str, Deferred[None]] = {}
        self._queue: list[tuple[Job, Work]] = []

    def begin(self, kind: str, by: str, work: Work, *, about: str = "", waits: bool = False) -> Job:
        """Begin a job.

        :param about: tells jobs of a kind apart; the same one does not run twice.
        :param waits: it waits for the same one to end, where that runs.
        :raises JobRunningError: if it runs, or too many jobs run or wait.
        """
        running = [self._jobs[each] for each in self._work]
        alike = [each for each in running if each.kind == kind]
        runs = any(each.about == about for each in alike)
        if runs and not waits:
            raise JobRunningError("such a job runs already")
        full = len(running) >= MOST_RUNNING or len(alike) >= MOST_OF_A_KIND
        if len(self._queue) >= MOST_QUEUED if runs else full:
            raise JobRunningError("too many jobs run; they end by themselves, or are called off")
        job = Job(secrets.token_hex(8), kind, by, self._clock.seconds(), about=about)
        self._jobs[job.id] = job
        if runs:
            job.state = JobState.QUEUED
            self._queue.append((job, work))
        else:
            self._start(job, work)
        return job

    def _start(self, job: Job, work: Work) -> None:
        job.state = JobState.RUNNING
        doing = self._work[job.id] = Deferred.fromCoroutine(self._run(job, work))
        doing.addCallbacks(
            lambda _: self._end(job, JobState.DONE), self._failed, errbackArgs=(job,)
        )

    def _start_next(self, ended: Job) -> None:
        """Begin what has waited longest for a job that has ended."""
        for place, (job, work) in enumerate(self._queue):
            if (job.kind, job.about) == (ended.kind, ended.about):
                del self._queue[place]
                self._start(job, work)
                return

    async def _run(self, job: Job, work: Work) -> None:
        begin_timings(self._clock.seconds, job.by)  # so it is known for whom something is fetched
        await work(job)

    def all(self) -> list[Job]:
        """All that are known, the latest first."""
        return list(reversed(self._jobs.values()))

    def find(self, job_id: str) -> Job | None:
        """A job, if it is known."""
        return self._jobs.get(job_id)

    def cancel(self, job: Job) -> None:
        """Call a job off, if it still runs or waits."""
        work = self._work.get(job.id)
        if work is not None:
            work.cancel()
        elif job.state is JobState.QUEUED:
            self._queue = [each for each in self._queue if each[0] is not job]
            self._end(job, JobState.CANCELLED)

    def stopService(self) -> None:
        """Call all of them off."""
        super().stopService()
        for job, _ in list(self._queue):
            self.cancel(job)
        for work in list(self._work.values()):
            work.cancel()

    def _failed(self, failure: Failure, job: Job) -> None:
        if failure.check(CancelledError):
            self._end(job, JobState.CANCELLED)
            return
        job.error = failure.getErrorMessage()
        if failure.check(OSError, WorkFailedError):
            self._log.warn("{job} failed: {why}", job=_named(job), why=job.error)
        else:
            self._log.failure("{job} failed", failure, job=_named(job))
        self._end(job, JobState.FAILED)

    def _end(self, job: Job, state: JobState) -> None:
        if self._work.pop(job.id, None) is not None:
            self._start_next(job)
        job.state, job.ended = state, self._clock.seconds()
        if state is not JobState.FAILED:
            self._log_end(job)
        for step in job.steps:
            if step.state is JobState.RUNNING:
                step.state = state
        ended = [each for each in self._jobs.values() if each.ended is not None]
        ended.sort(key=lambda each: each.ended or 0.0)
        for oldest in ended[: max(0, len(ended) - KEPT)]:
            del self._jobs[oldest.id]

    def _log_end(self, job: Job) -> None:
        """Say who had what done, and how much of it was done when it was called off."""
        whole = "" if job.total_bytes is None else f" of {in_units(job.total_bytes)}"
        self._log.info(
            "{job}, begun by {by}: {state}, {done}{whole}, {seconds:.1f} s",
            job=_named(job),
            by=job.by or "somebody without an account",
            state=job.state.value,
            done=in_units(job.done_bytes),
            whole=whole,
            seconds=(job.ended or job.began) - job.began,
        )


def _named(job: Job) -> str:
    return f"{job.kind} of {job.about}" if job.about else job.kind
