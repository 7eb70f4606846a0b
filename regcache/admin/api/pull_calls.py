"""POST pull: fetches an image into the cache. POST refresh: asks what a tag names now."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from regcache.admin.api.call_problems import UpstreamProblem
from regcache.admin.api.callers import Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.image_kinds import PlatformChoice, TagOrDigest
from regcache.admin.api.job_calls import BEGUN, begin_job
from regcache.admin.api.kinds import Flag, Named, Parameter, RepositoryName
from regcache.admin.api.schemas import DIGEST, FLAG, TEXT, TIME, nullable, record
from regcache.admin.jobs import Job, Jobs, JobState, JobStep, WorkFailedError
from regcache.cache.remembered_manifests import DEFAULT_PLATFORM
from regcache.cache.warming import WarmedImage, WarmedSoFar, WarmingError
from regcache.errors import ManifestUnknownError, UpstreamFailure
from regcache.identity import Repository
from regcache.light_dataclass import dataclass
from regcache.times import time_text

_NAME = Parameter("name", RepositoryName(), "Of the repository.", required=True)

PULL = ApiCall(
    method="POST",
    path="pull",
    role=Role.ADMIN,
    text="Begins a job that fetches an image into the cache. Of an index it takes the platforms, "
    f"{DEFAULT_PLATFORM} where none is named; `all` takes attestations, too.",
    parameters=(
        _NAME,
        Parameter("reference", TagOrDigest(), "Tag or digest.", required=True),
        Parameter("platforms", PlatformChoice(), "A list of them, or `all`."),
        Parameter("pin", Flag(), "Pin it, too.", default=False),
    ),
    answer=BEGUN,
    status=202,
)
REFRESH = ApiCall(
    method="POST",
    path="refresh",
    role=Role.ADMIN,
    text="Asks the upstream what a tag names now, however fresh the copy is.",
    parameters=(_NAME, Parameter("reference", TagOrDigest(False), "The tag.", required=True)),
    answer=record(
        name=TEXT, reference=TEXT, digest=DIGEST, was=nullable(DIGEST), moved=FLAG, checked=TIME
    ),
)
#: All of them.
CALLS = (PULL, REFRESH)


class Pull(Protocol):
    """Fetches an image; cancelled to end it."""

    def __call__(
        self,
        repository: Repository,
        reference: str,
        platforms: Sequence[str] | None,
        tell: Callable[[WarmedSoFar], None],
    ) -> Coroutine[Any, Any, None]:
        """See :meth:`regcache.cache.warming.Warming.pull`."""


@dataclass(frozen=True, slots=True)
class RefreshedTag:
    """What a tag named before, and names now.

    :ivar was: None where it was not cached.
    :ivar checked: Unix seconds.
    """

    digest: str
    was: str | None
    checked: float


class ImageSource(Protocol):
    """What the calls do, by the configuration in force."""

    def find(self, named: Named) -> Repository:
        """A repository by its name. :raises Problem: if none of the upstreams serves it."""

    @property
    def pull(self) -> Pull:
        """Fetches images."""

    async def pin(self, repository: Repository, reference: str, by: str) -> None:
        """Pin a tag or digest."""

    async def refresh(self, repository: Repository, tag: str) -> RefreshedTag:
        """Ask the upstream for a tag. :raises UpstreamFailure: if it does not answer."""


def pull_routes(jobs: Jobs, images: ImageSource) -> list[CallRoute]:
    """The calls."""
    calls = _PullCalls(jobs, images)
    return [CallRoute(PULL, calls.pull), CallRoute(REFRESH, calls.refresh)]


class _PullCalls:
    """Answers the calls."""

    def __init__(self, jobs: Jobs, images: ImageSource) -> None:
        self._jobs = jobs
        self._images = images

    def pull(self, asked: AskedCall) -> dict[str, Any]:
        """Begin the job."""
        named, reference = asked.values["name"], asked.values["reference"]
        repository, fetch = self._images.find(named), self._images.pull
        platforms = asked.values["platforms"] or [DEFAULT_PLATFORM]
        chosen = None if platforms == PlatformChoice.ALL else sorted(set(platforms))

        async def work(job: Job) -> None:
            job.result = {"name": str(named), "reference": reference, "digest": None}
            if asked.values["pin"]:
                await self._images.pin(repository, reference, asked.caller.account)
            try:
                await fetch(repository, reference, chosen, _Notes(job).take)
            except WarmingError as error:
                raise WorkFailedError(str(error)) from None

        words = ",".join(chosen or [PlatformChoice.ALL])
        return begin_job(self._jobs, asked, "pull", work, about=f"{repository} {reference} {words}")

    async def refresh(self, asked: AskedCall) -> dict[str, Any]:
        """Ask the upstream."""
        named, tag = asked.values["name"], asked.values["reference"]
        try:
            found = await self._images.refresh(self._images.find(named), tag)
        except UpstreamFailure as failure:
            why = failure.answer(ManifestUnknownError).message
            raise UpstreamProblem(why, params={"upstream": failure.upstream}) from None
        return {
            "name": str(named),
            "reference": tag,
            "digest": found.digest,
            "was": found.was,
            "moved": found.was not in (None, found.digest),
            "checked": time_text(found.checked),
        }


class _Notes:
    """Keeps a job up to date."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._images: Sequence[WarmedImage] = ()

    def take(self, told: WarmedSoFar) -> None:
        """Note how far it is. This comes with every piece of a blob, and images may be many."""
        job = self._job
        job.done_bytes, job.total_bytes = told.done, told.total
        if told.images is not self._images:
            self._images = told.images
            job.steps = [JobStep(_text(each), _state(each)) for each in told.images]
        assert job.result is not None
        job.result |= {
            "digest": str(told.digest),
            "arriving": [
                {"digest": str(each.digest), "size_bytes": each.size, "here_bytes": each.here}
                for each in told.arriving
            ],
        }


def _text(image: WarmedImage) -> str:
    return f"{image.platform or 'image'} {image.digest}: {image.blobs} blobs, {image.size} bytes"


def _state(image: WarmedImage) -> JobState:
    return JobState.DONE if image.done else JobState.RUNNING
