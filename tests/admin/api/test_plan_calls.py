"""POST plans and plans/run, GET pins, POST pin and unpin, GET storage and advice."""

import base64
import os
from typing import Any

from twisted.internet.defer import Deferred

from regcache.access.grants import Action, Grant, Rule
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.job_calls import GET_JOB, job_routes
from regcache.admin.api.pin_calls import GET_PINS, PIN, UNPIN, PinCalls
from regcache.admin.api.plan_calls import GET_PLAN, MAKE_PLAN, RUN_PLAN, PlanCalls
from regcache.admin.api.status_calls import DiskFacts
from regcache.admin.api.storage_calls import (
    GET_ADVICE,
    GET_STORAGE,
    RuleFacts,
    StorageFacts,
    storage_routes,
)
from regcache.admin.jobs import MOST_QUEUED, Job, Jobs, JobState
from regcache.cache.eviction.deletion_plans import MOST_ITEMS
from regcache.digests import Digest
from regcache.plans import Savings, UpstreamSums
from tests.support.api import ALICE, ROOT, ApiCase
from tests.support.evictions import MIB, Storage
from tests.support.index_cases import HUB, QUAY

DAY = 86_400.0
ONLY_QUAY = Rule(frozenset({"alice"}), Grant(frozenset({Action.PULL}), frozenset({"quay.io"})))
NAME = "docker.io/a"


class StorageApiCase(ApiCase):
    """A store with an image that was not used for a week."""

    rules = (ONLY_QUAY,)

    def setUp(self) -> None:
        super().setUp()
        self.image = self.storage.add_image("old", MIB, MIB)
        self.storage.tag("1", self.image[0])
        self.clock.advance(7 * DAY)

    def routes(self) -> list[CallRoute]:
        self.storage = Storage(os.path.abspath(self.mktemp()), self.clock)
        self.storage.start()
        self.addCleanup(self.storage.stop)
        self.jobs = Jobs(self.clock)
        upstreams = {"docker.io": HUB, "quay.io": QUAY}
        seconds, index = self.clock.seconds, self.storage.index
        self.unused_for: float | None = 2 * DAY
        plans = PlanCalls(
            self.storage.planner,
            self.jobs,
            upstreams=lambda: upstreams,
            seconds=seconds,
            unused_for=lambda: self.unused_for,
        )
        pins = PinCalls(index.pins, index.plans.image, upstreams=lambda: upstreams, seconds=seconds)
        storage = storage_routes(self.facts, self.savings, lambda: 2.5)
        return [*plans.routes(), *pins.routes(), *storage, *job_routes(self.jobs)]

    async def facts(self) -> StorageFacts:
        """How the disk is used."""
        stored = await self.storage.index.plans.stored(self.clock.seconds())
        return StorageFacts(
            disk=DiskFacts(used=5, limit=6, partial=0, free=7, by_age=stored.by_age),
            upstreams=(*stored.upstreams, UpstreamSums("quay.io", 5, 2, 1)),
            rules=[RuleFacts("storage.max_size", "80%", 5)],
            swept=(self.clock.seconds(), 7, 1.5),
            verified=None,
        )

    async def savings(self) -> list[Savings]:
        """What came back."""
        return [Savings(2**20, 7, 70)]

    def plan(self, **body: Any) -> Any:
        """Make a plan."""
        answer = self.post("plans", body, ROOT)
        self.clock.pump([0] * 20)
        return self.answered(MAKE_PLAN, answer)

    def run_plan(self, plan: str) -> Any:
        """Run it; the job."""
        begun = self.answered(RUN_PLAN, self.post("plans/run", {"plan": plan}, ROOT))
        self.clock.pump([0] * 20)
        return self.answered(GET_JOB, self.get(f"job?id={begun['job']}", ROOT))

    def stored(self, digest: Digest) -> bool:
        """Whether content is there."""
        return digest in self.storage.files()


class PlanCallTests(StorageApiCase):
    """Plans."""

    def test_sweep(self) -> None:
        """A sweep is shown, then done by a job."""
        plan = self.plan(action="sweep")
        (item,) = plan["items"]
        self.assertEqual((item["name"], item["tags"], item["unused_days"]), (NAME, ["1"], 7))
        self.assertEqual(plan["images"], 1)
        job = self.run_plan(plan["plan"])
        self.assertEqual((job["kind"], job["state"], job["by"]), ("sweep", "done", "root"))
        self.assertEqual((job["result"]["contents"], job["result"]["skipped"]), (3, []))
        self.assertEqual(self.storage.files(), {})

    def test_age(self) -> None:
        """The age is the configured one, or one that was asked for."""
        self.assertEqual(self.plan(action="sweep", unused_for_days=9)["images"], 0)
        self.unused_for = None
        problem = self.assert_problem(self.post("plans", {"action": "sweep"}, ROOT), 400, "INVALID")
        self.assertEqual(problem["params"]["field"], "unused_for_days")

    def test_not_cached(self) -> None:
        """Where nothing of it is here its names are told, as many as are legible."""
        digest = str(Digest.of(b"none"))
        many = [{"name": NAME, "reference": f"t{number}"} for number in range(12)]
        for more, told in (
            (
                {"targets": [{"name": NAME, "reference": "9"}]},
                f"nothing of {NAME}:9 is in the cache",
            ),
            ({"targets": [{"name": NAME, "digest": digest}]}, f"nothing of {NAME}@{digest} is in"),
            ({"upstream": "quay.io"}, "nothing of quay.io is in the cache"),
            (
                {"targets": [*many, {"name": "quay.io/a"}]},
                f"none of these is in the cache: {NAME}:t0, {NAME}:t1",
            ),
        ):
            answer = self.post("plans", {"action": "delete", **more}, ROOT)
            problem = self.assert_problem(answer, 404, "NOT_CACHED")
            self.assertTrue(problem["detail"].startswith(told), problem)
        self.assertTrue(problem["detail"].endswith("t9, and 3 more"), problem)
        self.assertEqual(problem["params"]["names"], [f"{NAME}:t{number}" for number in range(10)])

    def test_partials(self) -> None:
        """What is left of downloads is told, and counts in what comes free."""
        self.storage.add_partial("one", MIB)
        plan = self.plan(action="purge")
        self.assertEqual((plan["partials"], plan["partial_bytes"]), (1, MIB))
        job = self.run_plan(plan["plan"])
        self.assertEqual(job["result"]["freed_bytes"], plan["freed_bytes"])
        self.assertEqual((job["done_bytes"], job["total_bytes"]), (plan["freed_bytes"],) * 2)

    def test_delete(self) -> None:
        """A tag, a digest and a whole repository can be deleted."""
        for target in (
            {"name": NAME, "reference": "1"},
            {"name": NAME, "digest": str(self.image[0])},
            {"name": NAME, "reference": str(self.image[0])},
            {"name": NAME},
        ):
            plan = self.plan(action="delete", targets=[target])
            self.assertEqual(plan["freed_bytes"] // MIB, 2, target)
        self.run_plan(plan["plan"])
        self.assertEqual(self.storage.files(), {})

    def test_changed(self) -> None:
        """What would remove more than was shown is refused, with the new plan."""
        plan = self.plan(action="delete", upstream="docker.io")
        self.storage.tag("2", self.image[0])
        answer = self.post("plans/run", {"plan": plan["plan"]}, ROOT)
        problem = self.assert_problem(answer, 409, "PLAN_CHANGED")
        self.assertTrue(self.stored(self.image[0]))
        self.assertEqual(problem["params"]["plan"]["tags"], 2)
        self.run_plan(problem["params"]["plan"]["plan"])
        self.assertFalse(self.stored(self.image[0]))

    def test_another_runs(self) -> None:
        """A plan waits while another one is run; too many do not, and can be run afterwards."""

        async def wait(_job: Job) -> None:
            await ended

        ended: Deferred[None] = Deferred()
        self.jobs.begin("delete", "root", wait)
        waits = self.plan(action="delete", upstream="docker.io")["plan"]
        begun = self.answered(RUN_PLAN, self.post("plans/run", {"plan": waits}, ROOT))
        for _ in range(MOST_QUEUED - 1):
            self.jobs.begin("delete", "root", wait, waits=True)
        plan = self.plan(action="delete", upstream="docker.io")["plan"]
        answer = self.post("plans/run", {"plan": plan}, ROOT)
        self.assert_problem(answer, 409, "JOB_RUNNING")
        self.assertTrue(self.stored(self.image[0]))
        ended.callback(None)
        self.clock.pump([0.1] * 20)
        job = self.jobs.find(begun["job"])
        self.assertEqual(job and job.state, JobState.DONE)
        self.assertFalse(self.stored(self.image[0]))

    def test_pages(self) -> None:
        """Of very much the rest comes page by page, until the plan is run."""
        for number in range(MOST_ITEMS + 3):
            self.storage.add_manifest(f"manifest {number}")
        told = self.plan(action="purge")
        shown = [each["digest"] for each in told["items"]]
        while told["next"]:
            query = f"plan?id={told['plan']}&limit=2&cursor={told['next']}"
            told = self.answered(GET_PLAN, self.get(query, ROOT))
            shown += [each["digest"] for each in told["items"]]
        self.assertEqual((len(shown), len(set(shown))), (told["images"],) * 2)
        self.assertGreater(len(shown), MOST_ITEMS)
        other = self.plan(action="purge")
        query = f"plan?id={told['plan']}&cursor={other['next']}"
        self.assert_problem(self.get(query, ROOT), 410, "CURSOR")
        self.assert_problem(self.get("plan?id=none", ROOT), 410, "PLAN_EXPIRED")
        self.assert_problem(self.get(f"plan?id={told['plan']}", ALICE), 403, "FORBIDDEN")

    def test_changed_in_the_queue(self) -> None:
        """A plan that would remove more by the time of its turn removes nothing."""

        async def wait(_job: Job) -> None:
            await ended

        ended: Deferred[None] = Deferred()
        self.jobs.begin("delete", "root", wait)
        plan = self.plan(action="delete", upstream="docker.io")["plan"]
        begun = self.answered(RUN_PLAN, self.post("plans/run", {"plan": plan}, ROOT))
        self.clock.advance(5)
        self.storage.tag("another", self.image[0])
        ended.callback(None)
        self.clock.pump([0.1] * 20)
        job = self.jobs.find(begun["job"])
        assert job is not None
        self.assertEqual(job.state, JobState.FAILED)
        self.assertIn("more by now", job.error)
        self.assertTrue(self.stored(self.image[0]))

    def test_refused(self) -> None:
        """What makes no sense, or is not there, is said."""
        for body, status, code in (
            ({"action": "delete"}, 400, "INVALID"),
            ({"action": "purge", "targets": [{"name": NAME}]}, 400, "INVALID"),
            ({"action": "delete", "targets": [{"name": "no.test/a"}]}, 404, "UNKNOWN_UPSTREAM"),
            ({"action": "delete", "targets": [{"name": "quay.io/a"}]}, 404, "NOT_CACHED"),
        ):
            self.assert_problem(self.post("plans", body, ROOT), status, code)
        self.assert_problem(self.post("plans/run", {"plan": "none"}, ROOT), 410, "PLAN_EXPIRED")
        self.assert_problem(self.post("plans", {"action": "purge"}, ALICE), 403, "FORBIDDEN")

    def test_all_pinned(self) -> None:
        """Where all of it is pinned there is no plan."""
        targets = [{"name": NAME, "reference": "1"}]
        self.answered(PIN, self.post("pin", {"targets": targets}, ROOT))
        answer = self.post("plans", {"action": "delete", "targets": targets}, ROOT)
        self.assert_problem(answer, 409, "PINNED")


class PinCallTests(StorageApiCase):
    """Pins."""

    def pin(self, *references: str, path: str = "pin", name: str = NAME) -> int:
        """Pin or unpin; how many that changed."""
        targets = [{"name": name, "reference": reference} for reference in references]
        call = PIN if path == "pin" else UNPIN
        changed: int = self.answered(call, self.post(path, {"targets": targets}, ROOT))["changed"]
        return changed

    def test_pin(self) -> None:
        """What is pinned is listed, with who did it, and not swept, until it is unpinned."""
        self.assertEqual([self.pin("1"), self.pin("1", "later")], [1, 1])
        pins = self.answered(GET_PINS, self.get("pins", ROOT))["items"]
        self.assertEqual([each["reference"] for each in pins], ["1", "later"])
        self.assertEqual((pins[0]["digest"], pins[0]["by"]), (str(self.image[0]), "root"))
        self.assertEqual((pins[0]["own_bytes"] // MIB, pins[1]["digest"]), (2, None))
        plan = self.plan(action="purge")
        self.assertEqual((plan["freed_bytes"], plan["skipped"][0]["why"]), (0, "pinned"))
        self.assertEqual([self.pin("1", "no", path="unpin"), self.pin("1", path="unpin")], [1, 0])
        self.assertEqual(self.plan(action="purge")["images"], 1)

    def test_pages(self) -> None:
        """Pins come in pages; who may not pull something does not see its pins."""
        self.pin("1", "2", "3")
        self.pin("1", name="quay.io/b")
        page = self.answered(GET_PINS, self.get("pins?limit=2", ROOT))
        rest = self.answered(GET_PINS, self.get(f"pins?limit=2&cursor={page['next']}", ROOT))
        names = [(each["name"], each["reference"]) for each in page["items"] + rest["items"]]
        self.assertEqual(names, [(NAME, "1"), (NAME, "2"), (NAME, "3"), ("quay.io/b", "1")])
        seen = self.answered(GET_PINS, self.get("pins", ALICE))["items"]
        self.assertEqual([each["name"] for each in seen], ["quay.io/b"])
        self.assertIsNone(seen[0]["by"])

    def test_hidden_cursor(self) -> None:
        """A cursor tells nobody the name of a row that is hidden; the same row has the same one."""
        self.pin("1", "2")
        pages = [self.get("pins?limit=1", ALICE) for _ in range(2)]
        page = self.answered(GET_PINS, pages[0])
        self.assertEqual((page["items"], pages[0].body), ([], pages[1].body))
        cursor = page["next"] + "=" * (-len(page["next"]) % 4)
        self.assertNotIn(b"docker.io", base64.urlsafe_b64decode(cursor))
        rest = self.answered(GET_PINS, self.get(f"pins?limit=1&cursor={page['next']}", ALICE))
        self.assertEqual(rest["items"], [])
        for wrong in ("AA", "A" * 64, page["next"][:-2]):
            answer = self.get(f"pins?limit=1&cursor={wrong}", ALICE)
            self.assert_problem(answer, 410, "CURSOR")

    def test_hidden_sharing(self) -> None:
        """What others share is told to nobody who may not see all of them."""
        self.storage.tag("1", self.image[0])
        self.pin(str(self.image[0]), name="quay.io/b")
        for who, told in ((ROOT, int), (ALICE, type(None))):
            (pin,) = self.answered(GET_PINS, self.get("pins", who))["items"]
            self.assertIsInstance(pin["own_bytes"], told)

    def test_refused(self) -> None:
        """An upstream that is not there, and what is neither tag nor digest."""
        for name, reference, status, code in (
            ("no.test/a", "1", 404, "UNKNOWN_UPSTREAM"),
            (NAME, "sha256:12", 400, "INVALID"),
            (NAME, "a/b", 400, "INVALID"),
        ):
            body = {"targets": [{"name": name, "reference": reference}]}
            self.assert_problem(self.post("pin", body, ROOT), status, code)
        self.assert_problem(self.post("pin", {"targets": []}, ALICE), 403, "FORBIDDEN")


class EverythingTests(StorageApiCase):
    """An account that may pull everything, as without any rules."""

    rules = ()

    def test_by(self) -> None:
        """It sees all pins, what they take, and not who set them."""
        self.storage.tag("1", self.image[0])
        body = {"targets": [{"name": NAME, "reference": "1"}]}
        self.answered(PIN, self.post("pin", body, ROOT))
        for who, by in ((ALICE, None), (ROOT, "root"), ("", "root")):
            (pin,) = self.answered(GET_PINS, self.get("pins", who))["items"]
            self.assertEqual((pin["by"], pin["own_bytes"] // MIB), (by, 2), who)


class StorageCallTests(StorageApiCase):
    """The disk."""

    def test_storage(self) -> None:
        """How it is used, by upstream and by age; each sees the upstreams that it may pull from."""
        told = self.answered(GET_STORAGE, self.get("storage", ROOT))
        self.assertEqual([each["name"] for each in told["by_upstream"]], ["docker.io", "quay.io"])
        (hub, _) = told["by_upstream"]
        self.assertEqual((hub["stored_bytes"] // MIB, hub["repositories"]), (2, 1))
        ages = {each["to_days"]: each["bytes"] // MIB for each in told["disk"]["by_age"]}
        self.assertEqual(ages, {1: 0, 7: 2, 30: 0, 90: 0, None: 0})
        self.assertEqual(told["last_sweep"]["duration_ms"], 1500)
        seen = self.answered(GET_STORAGE, self.get("storage", ALICE))["by_upstream"]
        self.assertEqual([each["name"] for each in seen], ["quay.io"])

    def test_advice(self) -> None:
        """What a larger disk would save, a day."""
        told = self.answered(GET_ADVICE, self.get("advice", ROOT))
        (row,) = told["ghost_bytes"]
        self.assertEqual((row["more_bytes"], row["saved_misses_per_day"]), (2**20, 1.0))
