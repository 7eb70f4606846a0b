"""GET jobs and job, POST jobs/cancel: work that goes on behind the answers."""

from typing import Any

from regcache.admin.api.call_problems import JobRunningProblem, NotCachedProblem
from regcache.admin.api.callers import Caller, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.kinds import Parameter, Text
from regcache.admin.api.schemas import COUNT, TEXT, TIME, array, nullable, record, words
from regcache.admin.jobs import Job, JobRunningError, Jobs, JobState, Work
from regcache.times import time_or_null, time_text

STATES = ("queued", *(each.value for each in JobState))

JOB = record(
    id=TEXT,
    kind=TEXT,
    by=nullable(TEXT),
    state=words(*STATES),
    began=TIME,
    ended=nullable(TIME),
    done_bytes=COUNT,
    total_bytes=nullable(COUNT),
    steps=array(record(text=TEXT, state=words(*STATES))),
    result=nullable({"type": "object"}),
    error=nullable(TEXT),
)
#: What a call answers that begins a job.
BEGUN = record(job=TEXT)
_ID = Parameter("id", Text(64, 1), "Of the job.", required=True)

GET_JOBS = ApiCall(
    method="GET",
    path="jobs",
    role=Role.READ,
    text="What goes on behind the answers, and what has; the latest first.",
    answer=record(items=array(JOB), next=nullable(TEXT)),
)
GET_JOB = ApiCall(
    method="GET",
    path="job",
    role=Role.READ,
    text="How far one of them is.",
    parameters=(_ID,),
    answer=JOB,
)
CANCEL_JOB = ApiCall(
    method="POST",
    path="jobs/cancel",
    role=Role.ADMIN,
    text="Calls a job off; what it has done until then stays done.",
    parameters=(_ID,),
    answer=JOB,
)
#: All of them.
CALLS = (GET_JOBS, GET_JOB, CANCEL_JOB)


def job_routes(jobs: Jobs) -> list[CallRoute]:
    """The calls."""

    def find(asked: AskedCall) -> Job:
        job = jobs.find(asked.values["id"])
        if job is None or not _is_seen(job, asked.caller):
            raise NotCachedProblem("there is no such job, or it ended long ago")
        return job

    def list_jobs(asked: AskedCall) -> dict[str, Any]:
        seen = [each for each in jobs.all() if _is_seen(each, asked.caller)]
        return {"items": [_told(each, asked.caller) for each in seen], "next": None}

    def cancel(asked: AskedCall) -> dict[str, Any]:
        job = find(asked)
        jobs.cancel(job)
        return _told(job, asked.caller)

    return [
        CallRoute(GET_JOBS, list_jobs),
        CallRoute(GET_JOB, lambda asked: _told(find(asked), asked.caller)),
        CallRoute(CANCEL_JOB, cancel),
    ]


def begin_job(
    jobs: Jobs, asked: AskedCall, kind: str, work: Work, *, about: str = "", waits: bool = False
) -> dict[str, Any]:
    """Begin a job; the answer of its call.

    :param about: tells jobs of a kind apart.
    :param waits: it waits for the same one to end.
    :raises JobRunningProblem: if the same one runs, or too many do.
    """
    try:
        job = jobs.begin(kind, asked.caller.account, work, about=about, waits=waits)
    except JobRunningError as error:
        raise JobRunningProblem(f"{error}; see GET jobs") from None
    return {"job": job.id}


def _is_seen(job: Job, caller: Caller) -> bool:
    """Who sees every repository sees all jobs, since they hide nothing; others their own."""
    return caller.sees_all or caller.sees_who(job.by)


def _told(job: Job, caller: Caller) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "by": job.by if job.by and caller.sees_who(job.by) else None,
        "state": job.state.value,
        "began": time_text(job.began),
        "ended": time_or_null(job.ended),
        "done_bytes": job.done_bytes,
        "total_bytes": job.total_bytes,
        "steps": [{"text": each.text, "state": each.state.value} for each in job.steps],
        "result": job.result,
        "error": job.error or None,
    }
