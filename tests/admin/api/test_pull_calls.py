"""POST pull and POST refresh."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from regcache.admin.api.call_problems import UnknownUpstreamProblem
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.job_calls import GET_JOB, job_routes
from regcache.admin.api.kinds import Named
from regcache.admin.api.pull_calls import PULL, REFRESH, RefreshedTag, pull_routes
from regcache.admin.jobs import Jobs
from regcache.cache.warming import ArrivingBlob, WarmedImage, WarmedSoFar, WarmingError
from regcache.digests import Digest
from regcache.errors import UpstreamNotFound, UpstreamServerError
from regcache.identity import Repository, UpstreamIdentity
from tests.support.api import ALICE, ROOT, ApiCase

HUB = UpstreamIdentity("docker.io")
NGINX = {"name": "docker.io/library/nginx", "reference": "1.29"}
TOP, LAYER, OLD = (Digest.of(text) for text in (b"top", b"layer", b"old"))
IMAGE = WarmedImage("linux/amd64", TOP, blobs=7, size=100, done=False)


class FakeImages:
    """Images that come when the test says so."""

    def __init__(self) -> None:
        self.pulls: list[tuple[Any, ...]] = []
        self.waiting: list[Deferred[None]] = []
        self.pins: list[tuple[Any, ...]] = []
        self.outcome: RefreshedTag | Exception = RefreshedTag(str(TOP), str(OLD), 1_700_000_000)

    def find(self, named: Named) -> Repository:
        """A repository of the one upstream."""
        if named.upstream != HUB.name:
            raise UnknownUpstreamProblem("no upstream has this name")
        return Repository(HUB, named.repository)

    async def pull(
        self,
        repository: Repository,
        reference: str,
        platforms: Sequence[str] | None,
        tell: Callable[[WarmedSoFar], None],
    ) -> None:
        """Half of it at once."""
        self.pulls.append((str(repository), reference, platforms))
        arriving = [ArrivingBlob(LAYER, 100, 50)]
        tell(WarmedSoFar(TOP, images=[IMAGE], done=50, total=100, arriving=arriving))
        self.waiting.append(Deferred())
        await self.waiting[-1]
        done = WarmedImage("linux/amd64", TOP, blobs=7, size=100, done=True)
        tell(WarmedSoFar(TOP, images=[done], done=100, total=100, arriving=[]))

    async def pin(self, repository: Repository, reference: str, by: str) -> None:
        """Note it."""
        self.pins.append((str(repository), reference, by))

    async def refresh(self, repository: Repository, tag: str) -> RefreshedTag:
        """What the test says."""
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class PullCallTests(ApiCase):
    """What is begun, and what is told of it."""

    def routes(self) -> list[CallRoute]:
        self.jobs = Jobs(self.clock)
        self.images = FakeImages()
        return [*job_routes(self.jobs), *pull_routes(self.jobs, self.images)]

    def begin(self, **more: Any) -> str:
        """Begin one; its id."""
        answer = self.post("pull", NGINX | more, ROOT)
        return str(self.answered(PULL, answer)["job"])

    def job(self, name: str) -> Any:
        """How far it is."""
        return self.answered(GET_JOB, self.get(f"job?id={name}", ROOT))

    def test_progress(self) -> None:
        """In bytes, in steps, and for each blob that is coming."""
        job = self.begin()
        told = self.job(job)
        self.assertEqual((told["kind"], told["done_bytes"], told["total_bytes"]), ("pull", 50, 100))
        text = f"linux/amd64 {TOP}: 7 blobs, 100 bytes"
        self.assertEqual(told["steps"], [{"text": text, "state": "running"}])
        arriving = [{"digest": str(LAYER), "size_bytes": 100, "here_bytes": 50}]
        result = {**NGINX, "digest": str(TOP), "arriving": arriving}
        self.assertEqual(told["result"], result)
        self.images.waiting[0].callback(None)
        told = self.job(job)
        self.assertEqual((told["state"], told["done_bytes"]), ("done", 100))
        self.assertEqual((told["steps"][0]["state"], told["result"]["arriving"]), ("done", []))

    def test_platforms(self) -> None:
        """None are those of most machines, ``all`` is all, and others are as they are named."""
        for asked, meant in (
            (None, ["linux/amd64"]),
            ("all", None),
            (["linux/arm/v7", "linux/amd64", "linux/amd64"], ["linux/amd64", "linux/arm/v7"]),
        ):
            self.begin(platforms=asked)
            self.assertEqual(self.images.pulls.pop()[2], meant)
        for wrong in ("some", [], ["amd64"], ["linux/amd64 x"], 7, [7], ["linux/a/b/c"]):
            problem = self.post("pull", NGINX | {"platforms": wrong}, ROOT)
            field = self.assert_problem(problem, 400, "INVALID")["params"]["field"]
            self.assertTrue(field.startswith("platforms"), field)

    def test_references(self) -> None:
        """A tag or a digest of an image of a known upstream."""
        self.begin(reference=str(TOP))
        for wrong in ("", "a b", "sha256:77", "x" * 300, "-x"):
            problem = self.post("pull", NGINX | {"reference": wrong}, ROOT)
            self.assert_problem(problem, 400, "INVALID")
        problem = self.post("pull", NGINX | {"name": "no.test/x"}, ROOT)
        self.assert_problem(problem, 404, "UNKNOWN_UPSTREAM")

    def test_pin(self) -> None:
        """It is pinned at once, by who asks, so that nothing of it goes meanwhile."""
        self.begin(pin=True)
        self.assertEqual(self.images.pins, [("docker.io/library/nginx", "1.29", "root")])

    def test_twice(self) -> None:
        """The same one does not run twice at a time; another one does, up to a bound."""
        self.begin()
        self.assert_problem(self.post("pull", NGINX, ROOT), 409, "JOB_RUNNING")
        for number in range(7):
            self.begin(reference=str(number))
        problem = self.post("pull", NGINX | {"reference": "more"}, ROOT)
        self.assert_problem(problem, 409, "JOB_RUNNING")

    def test_cancel(self) -> None:
        """It is called off, and may begin again."""
        job = self.begin()
        self.post("jobs/cancel", {"id": job}, ROOT)
        self.assertEqual(self.job(job)["state"], "cancelled")
        self.begin()

    def test_failed(self) -> None:
        """What hinders it is said, and is no fault of ours."""
        job = self.begin()
        self.images.waiting[0].errback(WarmingError("upstream docker.io answered 503"))
        told = self.job(job)
        self.assertEqual(
            (told["state"], told["error"]), ("failed", "upstream docker.io answered 503")
        )
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_roles(self) -> None:
        """Only administrators do that."""
        for call in ("pull", "refresh"):
            self.assert_problem(self.post(call, NGINX, ALICE), 403, "FORBIDDEN")
            self.assert_problem(self.post(call, NGINX), 401, "UNAUTHENTICATED")
        self.assertEqual(self.images.pulls, [])

    def test_refresh(self) -> None:
        """What the tag names now, and whether that is news."""
        told = self.answered(REFRESH, self.post("refresh", NGINX, ROOT))
        self.assertEqual((told["digest"], told["was"], told["moved"]), (str(TOP), str(OLD), True))
        for was in (str(TOP), None):
            self.images.outcome = RefreshedTag(str(TOP), was, 1_700_000_000)
            told = self.answered(REFRESH, self.post("refresh", NGINX, ROOT))
            self.assertEqual((told["was"], told["moved"]), (was, False))
        problem = self.post("refresh", NGINX | {"reference": str(TOP)}, ROOT)
        self.assert_problem(problem, 400, "INVALID")

    def test_refresh_fails(self) -> None:
        """The upstream's failure is no failure of ours."""
        for failure, why in (
            (UpstreamServerError("docker.io", "x", status=503), "upstream docker.io answered 503"),
            (UpstreamNotFound("docker.io", "x"), "upstream docker.io does not have it"),
        ):
            self.images.outcome = failure
            problem = self.assert_problem(self.post("refresh", NGINX, ROOT), 502, "UPSTREAM")
            self.assertEqual(problem["detail"], why)
