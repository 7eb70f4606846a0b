"""GET jobs and job, POST jobs/cancel and verify."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from regcache.access.grants import Action, Grant, Rule
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.job_calls import CANCEL_JOB, GET_JOB, GET_JOBS, job_routes
from regcache.admin.api.verify_call import VERIFY, VerifiedSoFar, verify_routes
from regcache.admin.jobs import Jobs
from regcache.identity import UpstreamIdentity
from tests.support.api import ALICE, ROOT, ApiCase

HUB = UpstreamIdentity("docker.io")
SOME = Rule(frozenset({"alice"}), Grant(frozenset({Action.PULL}), None, ("library/*",)))


class JobCase(ApiCase):
    """A verification that goes on until the test says so."""

    def routes(self) -> list[CallRoute]:
        self.jobs = Jobs(self.clock)
        self.waiting: list[Deferred[None]] = []
        self.upstreams: list[UpstreamIdentity | None] = []
        verifying = verify_routes(self.jobs, self.verify, lambda: {"docker.io": HUB})
        return [*job_routes(self.jobs), *verifying]

    async def verify(
        self, progress: Callable[[VerifiedSoFar], None], upstream: UpstreamIdentity | None
    ) -> None:
        """Half of it at once."""
        self.upstreams.append(upstream)
        more: dict[str, Any] = {"damaged_count": 1, "missing": 2, "adopted": 3}
        more["images"] = {"sha256:ab": ["docker.io/library/a:1"]}
        progress(VerifiedSoFar(50, 100, contents=7, damaged=("sha256:ab",), **more))
        waiting: Deferred[None] = Deferred()
        self.waiting.append(waiting)
        await waiting
        progress(VerifiedSoFar(100, 100, contents=9, damaged=("sha256:ab",), **more))

    def begin(self, **body: Any) -> str:
        """Begin one; its id."""
        job: str = self.answered(VERIFY, self.post("verify", body, ROOT))["job"]
        return job


class JobCallTests(JobCase):
    """Who sees and does what."""

    def test_verify(self) -> None:
        """It begins a job, which tells how far it is and what was found."""
        job = self.begin()
        told = self.answered(GET_JOB, self.get(f"job?id={job}", ROOT))
        self.assertEqual((told["kind"], told["by"], told["state"]), ("verify", "root", "running"))
        self.assertEqual((told["done_bytes"], told["total_bytes"]), (50, 100))
        self.waiting[0].callback(None)
        told = self.answered(GET_JOB, self.get(f"job?id={job}", ROOT))
        self.assertEqual((told["state"], told["done_bytes"]), ("done", 100))
        self.assertEqual((told["result"]["blobs"], told["result"]["damaged"]), (9, ["sha256:ab"]))
        images = [{"digest": "sha256:ab", "images": ["docker.io/library/a:1"]}]
        self.assertEqual(told["result"]["damaged_images"], images)

    def test_of_an_upstream(self) -> None:
        """Of one upstream alone, if that is known."""
        self.begin(upstream="docker.io")
        self.assertEqual(self.upstreams, [HUB])
        answer = self.post("verify", {"upstream": "no.test"}, ROOT)
        self.assert_problem(answer, 404, "UNKNOWN_UPSTREAM")

    def test_twice(self) -> None:
        """One at a time."""
        self.begin()
        self.assert_problem(self.post("verify", {}, ROOT), 409, "JOB_RUNNING")

    def test_cancel(self) -> None:
        """It is called off."""
        job = self.begin()
        told = self.answered(CANCEL_JOB, self.post("jobs/cancel", {"id": job}, ROOT))
        self.assertEqual(told["state"], "cancelled")
        self.begin()

    def test_unknown(self) -> None:
        """A job that nobody knows."""
        self.assert_problem(self.get("job?id=x", ROOT), 404, "NOT_CACHED")
        self.assert_problem(self.post("jobs/cancel", {"id": "x"}, ROOT), 404, "NOT_CACHED")
        self.assert_problem(self.get("job", ROOT), 400, "INVALID")

    def test_roles(self) -> None:
        """Only administrators begin and call off."""
        job = self.begin()
        for call, body in (("verify", {}), ("jobs/cancel", {"id": job})):
            self.assert_problem(self.post(call, body, ALICE), 403, "FORBIDDEN")
            self.assert_problem(self.post(call, body), 401, "UNAUTHENTICATED")

    def test_list(self) -> None:
        """All of them, the latest first."""
        first = self.begin()
        self.waiting[0].callback(None)
        second = self.begin()
        told = self.answered(GET_JOBS, self.get("jobs", ROOT))
        self.assertEqual([each["id"] for each in told["items"]], [second, first])


class HiddenJobTests(JobCase):
    """An account that may see some repositories."""

    rules = (SOME,)

    def test_hidden(self) -> None:
        """It sees no job of others, which may name what it may not see."""
        job = self.begin()
        told = self.answered(GET_JOBS, self.get("jobs", ALICE))
        self.assertEqual(told["items"], [])
        self.assert_problem(self.get(f"job?id={job}", ALICE), 404, "NOT_CACHED")


class EverythingTests(JobCase):
    """An account that may pull everything, as without any rules."""

    def test_by(self) -> None:
        """It sees all jobs, and not whose they are."""
        job = self.begin()
        for who, by in ((ALICE, None), (ROOT, "root"), ("", "root")):
            (told,) = self.answered(GET_JOBS, self.get("jobs", who))["items"]
            self.assertEqual(told["by"], by, who)
            told = self.answered(GET_JOB, self.get(f"job?id={job}", who))
            self.assertEqual(told["by"], by, who)
