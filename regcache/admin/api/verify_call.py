"""POST verify: hashes all that is stored, at once."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import Any, Protocol

from regcache.admin.api.call_problems import UnknownUpstreamProblem
from regcache.admin.api.callers import Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.job_calls import BEGUN, begin_job
from regcache.admin.api.kinds import Parameter, Text
from regcache.admin.jobs import Job, Jobs
from regcache.identity import UpstreamIdentity
from regcache.light_dataclass import dataclass

VERIFY = ApiCall(
    method="POST",
    path="verify",
    role=Role.ADMIN,
    text="Begins a job that hashes all that is stored, or what an upstream has a right to. What "
    "is damaged is removed; its result names that, with images that it belongs to.",
    parameters=(Parameter("upstream", Text(256, 1), "Only what this one has."),),
    answer=BEGUN,
    status=202,
)
#: All of them.
CALLS = (VERIFY,)


@dataclass(frozen=True, slots=True)
class VerifiedSoFar:
    """How far a verification is.

    :ivar done: bytes that were hashed.
    :ivar total: bytes that are stored.
    :ivar damaged: digests that were removed; not all where there are very many.
    :ivar images: the names of images that they belong to, by digest.
    """

    done: int
    total: int
    _: KW_ONLY
    contents: int
    damaged: tuple[str, ...]
    images: Mapping[str, Sequence[str]]
    damaged_count: int
    missing: int
    adopted: int


class Verify(Protocol):
    """Verifies all that is stored, or what an upstream has; cancelled to end it."""

    def __call__(
        self, progress: Callable[[VerifiedSoFar], None], upstream: UpstreamIdentity | None
    ) -> Coroutine[Any, Any, None]:
        """:param progress: called now and then, and in the end."""


def verify_routes(
    jobs: Jobs, verify: Verify, upstreams: Callable[[], Mapping[str, UpstreamIdentity]]
) -> list[CallRoute]:
    """The call.

    :param upstreams: those of the configuration in force, by name.
    """

    def handle(asked: AskedCall) -> dict[str, Any]:
        name = asked.values["upstream"]
        upstream = None if name is None else upstreams().get(name)
        if name is not None and upstream is None:
            raise UnknownUpstreamProblem(name)

        async def work(job: Job) -> None:
            await verify(lambda found: _note(job, found), upstream)

        return begin_job(jobs, asked, "verify", work)

    return [CallRoute(VERIFY, handle)]


def _note(job: Job, found: VerifiedSoFar) -> None:
    job.done_bytes, job.total_bytes = found.done, found.total
    job.result = {
        "blobs": found.contents,
        "damaged": list(found.damaged),
        "damaged_images": [
            {"digest": digest, "images": list(images)} for digest, images in found.images.items()
        ],
        "damaged_count": found.damaged_count,
        "missing": found.missing,
        "adopted": found.adopted,
    }
