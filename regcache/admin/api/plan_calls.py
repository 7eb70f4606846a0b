"""The calls that make a plan of a removal, show it and run it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from regcache.admin.api.call_problems import (
    InvalidProblem,
    JobRunningProblem,
    NotCachedProblem,
    PinnedProblem,
    PlanChangedProblem,
    PlanExpiredProblem,
    UnknownUpstreamProblem,
)
from regcache.admin.api.callers import Role
from regcache.admin.api.calls import PAGING, ApiCall, AskedCall, CallRoute
from regcache.admin.api.cursors import Cursors
from regcache.admin.api.job_calls import BEGUN, begin_job
from regcache.admin.api.kinds import (
    ArrayOf,
    Choice,
    DigestText,
    Fields,
    Integer,
    Parameter,
    RepositoryName,
    Text,
)
from regcache.admin.api.schemas import (
    COUNT,
    DIGEST,
    FLAG,
    TEXT,
    TIME,
    array,
    nullable,
    record,
    words,
)
from regcache.admin.jobs import Job, Jobs, WorkFailedError
from regcache.digests import Digest, is_digest
from regcache.identity import Repository, UpstreamIdentity
from regcache.plans import (
    NothingPlannedError,
    Plan,
    PlanAction,
    PlanChangedError,
    PlanExpiredError,
    PlanItem,
    PlanOutcome,
    PlanRequest,
    PlanSkipped,
    TooManyTargetsError,
)
from regcache.removals import RemovalTarget, blob_of, manifest_of, tag_of
from regcache.times import time_text

_DAY = 86_400
_MOST_DAYS = 36_500
_MOST_BYTES = 2**53
#: Names of what is not here, in one text.
_MOST_NAMED = 10

TARGET = Fields(
    (
        Parameter("name", RepositoryName(), "Of the repository.", required=True),
        Parameter("reference", Text(256, 1), "A tag, or the digest of a manifest."),
        Parameter("digest", DigestText(), "Of a manifest or a blob."),
    )
)
ITEM = record(
    name=TEXT,
    tags=array(TEXT),
    digest=nullable(DIGEST),
    unused_days=nullable(COUNT),
    size_bytes=COUNT,
    frees_bytes=COUNT,
    reason=words("age", "size", "asked"),
    shared_with=array(TEXT),
    whole=FLAG,
)
SKIPPED = record(name=TEXT, reference=TEXT, why=words("pinned", "open", "downloading"))
PLAN = record(
    plan=TEXT,
    expires=TIME,
    freed_bytes=COUNT,
    kept_bytes=COUNT,
    tags=COUNT,
    images=COUNT,
    partials=COUNT,
    partial_bytes=COUNT,
    items=array(ITEM),
    next=nullable(TEXT),
    skipped=array(SKIPPED),
    skipped_more=COUNT,
    also_lost_tags=array(TEXT),
)
MAKE_PLAN = ApiCall(
    method="POST",
    path="plans",
    role=Role.ADMIN,
    text="Says what a deletion, a sweep or a purge would remove, and what would stay. For five "
    "minutes it can be run.",
    parameters=(
        Parameter("action", Choice(tuple(each.value for each in PlanAction)), required=True),
        Parameter("targets", ArrayOf(TARGET), "What is deleted; without reference all of it."),
        Parameter("upstream", Text(256, 1), "Of which all goes, or alone something goes."),
        Parameter("unused_for_days", Integer(0, _MOST_DAYS), "Only what was not used for so long."),
        Parameter("to_bytes", Integer(0, _MOST_BYTES), "Only until so much is left."),
    ),
    answer=PLAN,
)
GET_PLAN = ApiCall(
    method="GET",
    path="plan",
    role=Role.ADMIN,
    text="A plan that was made, and more of what would go by it; its `next` leads to the rest.",
    parameters=(
        Parameter("id", Text(64, 1), "The id of the plan.", required=True),
        *PAGING,
    ),
    answer=PLAN,
)
RUN_PLAN = ApiCall(
    method="POST",
    path="plans/run",
    role=Role.ADMIN,
    text="Begins a job that does what a plan has shown; what is pinned or used meanwhile stays.",
    parameters=(Parameter("plan", Text(64, 1), "The id of the plan.", required=True),),
    answer=BEGUN,
    status=202,
)
#: All calls of this module.
CALLS = (MAKE_PLAN, GET_PLAN, RUN_PLAN)


class PlanService(Protocol):
    """Makes and runs plans (:class:`regcache.cache.eviction.planner.Planner`)."""

    async def make(self, request: PlanRequest) -> Plan:
        """Make a plan."""

    async def page(self, plan_id: str, start: int, limit: int) -> tuple[Plan, list[PlanItem]]:
        """Give a plan, and a page of its items."""

    async def take(self, plan_id: str) -> Plan:
        """Take a plan out of the waiting ones, to run it."""

    async def confirm(self, plan: Plan) -> None:
        """Check that a plan removes no more now than when it was taken."""

    def give_back(self, plan: Plan) -> None:
        """Put back a plan that is not run now."""

    async def run(self, plan: Plan, progress: Callable[[int], None], by: str = "") -> PlanOutcome:
        """Remove what a plan has shown."""


class PlanCalls:
    """Handles the calls.

    :param upstreams: gives those of the configuration in force, by name.
    :param seconds: gives the time.
    :param unused_for: gives the default for the days of a sweep, in seconds; None if there is none.
    """

    def __init__(
        self,
        plans: PlanService,
        jobs: Jobs,
        *,
        upstreams: Callable[[], Mapping[str, UpstreamIdentity]],
        seconds: Callable[[], float],
        unused_for: Callable[[], float | None],
    ) -> None:
        self._plans = plans
        self._jobs = jobs
        self._upstreams = upstreams
        self._seconds = seconds
        self._unused_for = unused_for
        self._cursors = Cursors()

    def routes(self) -> list[CallRoute]:
        """The calls with their handlers."""
        return [
            CallRoute(MAKE_PLAN, self._make),
            CallRoute(GET_PLAN, self._page),
            CallRoute(RUN_PLAN, self._run),
        ]

    async def _make(self, asked: AskedCall) -> dict[str, Any]:
        request = self._request(asked.values)
        try:
            plan = await self._plans.make(request)
        except NothingPlannedError:
            raise _not_cached(request) from None
        except TooManyTargetsError as error:
            raise InvalidProblem("targets", str(error)) from None
        if plan.request.action is PlanAction.DELETE and plan.skipped and not plan.items:
            raise PinnedProblem("all of it is pinned: unpin it first, by hand or in storage.pin")
        return self._told(plan)

    async def _page(self, asked: AskedCall) -> dict[str, Any]:
        position = self._cursors.position(GET_PLAN.path, asked.values)
        (start,) = position.after or (0,)
        try:
            plan, items = await self._plans.page(asked.values["id"], start, position.limit)
        except PlanExpiredError as error:
            raise PlanExpiredProblem(str(error)) from None
        shown = replace(plan, items=tuple(items))
        return self._told(shown, start + position.limit)

    async def _run(self, asked: AskedCall) -> dict[str, Any]:
        try:
            plan = await self._plans.take(asked.values["plan"])
        except PlanExpiredError as error:
            raise PlanExpiredProblem(str(error)) from None
        except PlanChangedError as error:
            raise PlanChangedProblem(
                "it would remove more than was shown", params={"plan": self._told(error.plan)}
            ) from None

        async def work(job: Job) -> None:
            job.total_bytes = plan.sums.freed
            try:
                await self._plans.confirm(plan)
            except PlanChangedError:
                raise WorkFailedError("it would remove more by now than was shown") from None
            progress = lambda freed: _note(job, freed)  # noqa: E731
            outcome = await self._plans.run(plan, progress, job.by)
            job.done_bytes = outcome.freed
            job.result = {
                "contents": outcome.contents,
                "freed_bytes": outcome.freed,
                "skipped": [_skipped(each) for each in outcome.skipped],
                "skipped_more": outcome.skipped_more,
            }

        try:
            return begin_job(self._jobs, asked, plan.request.action.value, work, waits=True)
        except JobRunningProblem:
            self._plans.give_back(plan)
            raise

    def _request(self, values: Mapping[str, Any]) -> PlanRequest:
        action = PlanAction(values["action"])
        targets, repositories = self._targets(values["targets"] or [])
        upstream = None
        if values["upstream"] is not None:
            upstream = self._upstream(values["upstream"])
        days, to_bytes = values["unused_for_days"], values["to_bytes"]
        if action is PlanAction.DELETE and not (targets or repositories or upstream):
            raise InvalidProblem("targets", "say what is to be deleted: targets, or an upstream")
        if action is not PlanAction.DELETE and (targets or repositories):
            raise InvalidProblem("targets", "only a deletion has targets")
        unused_for = None if days is None else float(days * _DAY)
        if action is PlanAction.SWEEP and days is None and to_bytes is None:
            unused_for = self._unused_for()
            if unused_for is None:
                raise InvalidProblem(
                    "unused_for_days", "it is needed, since storage.unused_for is null"
                )
        return PlanRequest(
            action,
            targets=tuple(targets),
            repositories=tuple(repositories),
            upstream=upstream,
            unused_for=unused_for,
            to_bytes=to_bytes,
        )

    def _targets(self, given: list[dict[str, Any]]) -> tuple[list[RemovalTarget], list[Repository]]:
        targets, repositories = [], []
        for each in given:
            name = each["name"]
            repository = Repository(self._upstream(name.upstream), name.repository)
            reference, digest = each["reference"], each["digest"]
            if reference is not None and is_digest(reference):
                digest = DigestText().from_text(reference, "targets.reference")
                reference = None
            if reference is not None:
                targets.append(tag_of(repository, reference))
            elif digest is not None:
                targets += _by_digest(repository, digest)
            else:
                repositories.append(repository)
        return targets, repositories

    def _upstream(self, name: str) -> UpstreamIdentity:
        found = self._upstreams().get(name)
        if found is None:
            raise UnknownUpstreamProblem(name)
        return found

    def _told(self, plan: Plan, shown: int | None = None) -> dict[str, Any]:
        """:param shown: how many entries were described; None: as many as there are items."""
        now, shown = self._seconds(), len(plan.items) if shown is None else shown
        first = self._cursors.position(GET_PLAN.path, {"id": plan.id, "limit": 1, "cursor": None})
        return {
            "plan": plan.id,
            "expires": time_text(plan.expires),
            "freed_bytes": plan.sums.freed,
            "kept_bytes": plan.kept,
            "tags": plan.sums.tags,
            "images": plan.sums.images,
            "partials": plan.partials.files,
            "partial_bytes": plan.partials.bytes,
            "items": [_item(each, now) for each in plan.items],
            "next": first.cursor((shown,)) if shown < len(plan.entries) else None,
            "skipped": [_skipped(each) for each in plan.skipped],
            "skipped_more": plan.skipped_more,
            "also_lost_tags": list(plan.also_lost),
        }


def _by_digest(repository: Repository, digest: Digest) -> list[RemovalTarget]:
    """The two targets that a digest may name: a manifest or a blob. The index has one of them."""
    return [manifest_of(repository, digest), blob_of(repository, digest)]


def _not_cached(request: PlanRequest) -> NotCachedProblem:
    """Nothing of what is to be deleted is here: the names, as far as they are few."""
    names = list(dict.fromkeys(map(str, (*request.targets, *request.repositories))))
    if request.upstream is not None:
        names.append(request.upstream.name)
    named, more = names[:_MOST_NAMED], len(names[_MOST_NAMED:])
    told = f"nothing of {named[0]} is in the cache"
    if len(names) > 1:
        told = f"none of these is in the cache: {', '.join(named)}"
    if more:
        told = f"{told}, and {more} more"
    return NotCachedProblem(told, params={"names": named})


def _note(job: Job, freed: int) -> None:
    job.done_bytes = freed


def _item(item: PlanItem, now: float) -> dict[str, Any]:
    unused = None if item.last_use is None else max(0, int((now - item.last_use) // _DAY))
    return {
        "name": item.name,
        "tags": list(item.tags),
        "digest": None if item.digest is None else str(item.digest),
        "unused_days": unused,
        "size_bytes": item.size,
        "frees_bytes": item.frees,
        "reason": item.reason,
        "shared_with": list(item.shared_with),
        "whole": item.whole,
    }


def _skipped(skipped: PlanSkipped) -> dict[str, Any]:
    return {"name": skipped.name, "reference": skipped.reference, "why": skipped.why}
