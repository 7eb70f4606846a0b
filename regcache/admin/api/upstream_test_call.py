"""POST upstreams/test: asks an upstream whether it can be reached, step by step."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from regcache.admin.api.call_problems import UnknownUpstreamProblem
from regcache.admin.api.callers import Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.job_calls import BEGUN, begin_job
from regcache.admin.api.kinds import Parameter, Text
from regcache.admin.jobs import Job, Jobs, JobState, JobStep, WorkFailedError
from regcache.probing import ProbedUrl, ProbeStep, TellProbe

TEST_UPSTREAM = ApiCall(
    method="POST",
    path="upstreams/test",
    role=Role.ADMIN,
    text="Begins a job that asks an upstream whether it can be reached: DNS, connect, TLS, token "
    "and /v2/ of each of its URLs, once, with the time that each took.",
    parameters=(Parameter("name", Text(256, 1), "The configured name.", required=True),),
    answer=BEGUN,
    status=202,
)
#: All of them.
CALLS = (TEST_UPSTREAM,)

Test = Callable[[TellProbe], Coroutine[Any, Any, None]]
"""Tests one upstream; cancelled to end it."""


def upstream_test_routes(jobs: Jobs, find: Callable[[str], Test | None]) -> list[CallRoute]:
    """The call.

    :param find: gives what tests an upstream of the configuration in force; None for none.
    """

    def handle(asked: AskedCall) -> dict[str, Any]:
        name = asked.values["name"]
        test = find(name)
        if test is None:
            raise UnknownUpstreamProblem(name)

        async def work(job: Job) -> None:
            await test(lambda urls: _note(job, name, urls))
            problems = [each["problem"] for each in (job.result or {}).get("urls", ())]
            failed = [each for each in problems if each]
            if failed:
                raise WorkFailedError(failed[0])

        return begin_job(jobs, asked, "test", work, about=name)

    return [CallRoute(TEST_UPSTREAM, handle)]


def _note(job: Job, name: str, urls: Sequence[ProbedUrl]) -> None:
    job.steps = [
        JobStep(_text(each, "" if len(urls) == 1 else f"{url.url} "), _state(each))
        for url in urls
        for each in url.steps
    ]
    job.result = {
        "name": name,
        "urls": [
            {
                "url": url.url,
                "problem": url.problem or None,
                "steps": [_told(each) for each in url.steps],
            }
            for url in urls
        ],
    }


def _told(step: ProbeStep) -> dict[str, Any]:
    took = None if step.seconds is None else _milliseconds(step.seconds)
    return {"step": step.name, "ok": step.ok, "duration_ms": took, "text": step.text}


def _text(step: ProbeStep, url: str) -> str:
    if step.seconds is None:
        return f"{url}{step.name}"
    return f"{url}{step.name}: {step.text} ({_milliseconds(step.seconds)} ms)"


def _milliseconds(seconds: float) -> int:
    """The clock may be set back meanwhile."""
    return max(0, round(seconds * 1000))


def _state(step: ProbeStep) -> JobState:
    if step.ok is None:
        return JobState.RUNNING
    return JobState.DONE if step.ok else JobState.FAILED
