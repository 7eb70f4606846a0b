"""POST upstreams/test."""

from typing import Any

from regcache.admin.api.calls import CallRoute
from regcache.admin.api.job_calls import GET_JOB, job_routes
from regcache.admin.api.upstream_test_call import TEST_UPSTREAM, Test, upstream_test_routes
from regcache.admin.jobs import Jobs
from regcache.probing import ProbedUrl, ProbeStep, TellProbe
from tests.support.api import ALICE, ROOT, ApiCase

DNS = ProbeStep("DNS", text="203.0.113.5", seconds=0.0124, ok=True)
CONNECT = ProbeStep("connect", text="connection refused", seconds=2.0, ok=False)
FIRST, SECOND = "https://one.test", "https://two.test"


class UpstreamTestCallTests(ApiCase):
    """What a test of an upstream tells."""

    def routes(self) -> list[CallRoute]:
        self.jobs = Jobs(self.clock)
        self.found: tuple[ProbedUrl, ...] = (ProbedUrl(FIRST, (DNS,)),)
        return [*job_routes(self.jobs), *upstream_test_routes(self.jobs, self.find)]

    def find(self, name: str) -> Test | None:
        """The one upstream."""
        return self.probe if name == "docker.io" else None

    async def probe(self, tell: TellProbe) -> None:
        """Tell of a step that goes on, then of all."""
        tell((ProbedUrl(FIRST, (ProbeStep("DNS"),)),))
        tell(self.found)

    def told(self) -> Any:
        """Begin one, which ends at once; what is told of it."""
        begun = self.answered(
            TEST_UPSTREAM, self.post("upstreams/test", {"name": "docker.io"}, ROOT)
        )
        return self.answered(GET_JOB, self.get(f"job?id={begun['job']}", ROOT))

    def test_well(self) -> None:
        """Each step with its time."""
        told = self.told()
        self.assertEqual((told["state"], told["kind"], told["error"]), ("done", "test", None))
        self.assertEqual(told["steps"], [{"text": "DNS: 203.0.113.5 (12 ms)", "state": "done"}])
        step = {"step": "DNS", "ok": True, "duration_ms": 12, "text": "203.0.113.5"}
        urls = [{"url": FIRST, "problem": None, "steps": [step]}]
        self.assertEqual(told["result"], {"name": "docker.io", "urls": urls})

    def test_ill(self) -> None:
        """The first problem is the job's; of several URLs each has its steps."""
        self.found = (ProbedUrl(FIRST, (DNS, CONNECT)), ProbedUrl(SECOND, (DNS,)))
        told = self.told()
        self.assertEqual((told["state"], told["error"]), ("failed", "connect: connection refused"))
        texts = [(each["text"], each["state"]) for each in told["steps"]]
        self.assertEqual(texts[0], (f"{FIRST} DNS: 203.0.113.5 (12 ms)", "done"))
        self.assertEqual(texts[1], (f"{FIRST} connect: connection refused (2000 ms)", "failed"))
        self.assertEqual(len(texts), 3)

    def test_refused(self) -> None:
        """Unknown upstreams, and people who may not."""
        problem = self.post("upstreams/test", {"name": "no.test"}, ROOT)
        self.assert_problem(problem, 404, "UNKNOWN_UPSTREAM")
        problem = self.post("upstreams/test", {"name": "docker.io"}, ALICE)
        self.assert_problem(problem, 403, "FORBIDDEN")
