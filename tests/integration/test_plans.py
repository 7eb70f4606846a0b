"""Plans of an owner who changes things meanwhile: what was shown goes, and nothing else."""

import json
import threading
from pathlib import Path
from typing import Any

from tests.access.accounts import hashed
from tests.integration.base import UPSTREAM, PullThroughCase, upstream_config
from tests.support.images import MIB, Image, mixed_image
from tests.support.processes import wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache
from tests.support.small_disk import fill_up, small_disk

ADMIN = ("admin", "secret")
HEADERS = {"X-Regcache": "1", "Content-Type": "application/json"}


class PlansCase(PullThroughCase):
    """A daemon with accounts; the owner asks for plans, and has them run."""

    def setUp(self) -> None:
        """Start it, empty."""
        self.upstream = self.faulty_upstream()
        accounts = self.workspace().file("htpasswd", f"admin:{hashed(ADMIN[1]).decode()}\n")
        rules = [{"accounts": ["anonymous"]}]
        access = {"htpasswd": str(accounts), "admins": ["admin"], "rules": rules}
        self.daemon = self.started({**upstream_config(self.upstream.url), "access": access})
        self.owner = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}", ADMIN)
        self.client = self.daemon.client()

    def started(self, config: dict[str, Any]) -> Regcache:
        """A daemon that runs."""
        return self.regcache(config)

    def image(self, name: str, tag: str, size: int = MIB) -> Image:
        """An image of the upstream, and pull all of it."""
        made = mixed_image(f"{name} {tag}", size)
        self.upstream.add_image(name, made, tag)
        self.pull(name, tag, made)
        return made

    def pull(self, name: str, tag: str, made: Image) -> None:
        """Pull all of an image, and see that it is right."""
        manifests = {each.digest: each.data for each in made.all_manifests()}
        for reference, data in {tag: made.data, **manifests}.items():
            answer = self.client.get(f"/v2/{name}/manifests/{reference}")
            self.assertEqual((answer.status, answer.body), (200, data), reference)
        for digest, blob in made.all_blobs().items():
            answer = self.client.get(f"/v2/{name}/blobs/{digest}")
            self.assertEqual((answer.status, answer.body), (200, blob.data), digest)

    def post(self, call: str, body: Any, status: int = 200) -> Any:
        """What a change answers."""
        answer = self.owner.ask("POST", f"/api/v1/{call}", json.dumps(body).encode(), HEADERS)
        self.assertEqual(answer.status, status, answer.body[:800])
        return answer.json()

    def delete_plan(self, *names: str) -> Any:
        """The plan to delete repositories."""
        targets = [{"name": f"{UPSTREAM}/{name}"} for name in names]
        return self.post("plans", {"action": "delete", "targets": targets})

    def run_plan(self, plan: Any) -> Any:
        """Run a plan to its end; the job."""
        return self.ended(self.post("plans/run", {"plan": plan["plan"]}, 202)["job"])

    def ended(self, job: str) -> Any:
        """A job, once it has ended."""
        told: list[Any] = []

        def is_over() -> bool:
            told.append(self.owner.get(f"/api/v1/job?id={job}").json())
            return bool(told[-1]["ended"])

        wait_until(is_over, "the job has ended")
        return told[-1]

    def files(self) -> list[Path]:
        """All that is stored, finished or not."""
        folders = (self.daemon.directory / "blobs", self.daemon.directory / "partial")
        return [one for each in folders for one in each.rglob("*") if one.is_file()]

    def used(self) -> int:
        """What the daemon says is used of the disk."""
        used: int = self.owner.get("/api/v1/status").json()["disk"]["used_bytes"]
        return used

    def on_disk(self) -> int:
        """What the files take (bytes, in blocks)."""
        return sum(each.stat().st_blocks * 512 for each in self.files())


class ChangedTests(PlansCase):
    """What changes between plan and run, or while it runs."""

    def test_more(self) -> None:
        """A plan that would remove more by now is refused; the new one removes all, once."""
        self.image("team/app", "1")
        plan = self.delete_plan("team/app")
        self.image("team/app", "2")
        refused = self.post("plans/run", {"plan": plan["plan"]}, 409)
        self.assertEqual(refused["code"], "PLAN_CHANGED")
        self.assertEqual(refused["params"]["plan"]["tags"], 2)
        self.assertEqual(self.run_plan(refused["params"]["plan"])["state"], "done")
        self.assertEqual((self.files(), self.used()), ([], 0))
        again = self.post("plans/run", {"plan": refused["params"]["plan"]["plan"]}, 410)
        self.assertEqual(again["code"], "PLAN_EXPIRED")

    def test_two_at_once(self) -> None:
        """Of plans that are run at once each runs once, and the ledger is what the disk has."""
        for tag in "12":
            self.image("team/app", tag)
        kept = self.image("other/app", "1")
        plans = [self.delete_plan("team/app"), self.delete_plan("team/app")]
        answers: list[Any] = []

        def run(plan: Any) -> None:
            asker = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}", ADMIN)
            body = json.dumps({"plan": plan["plan"]}).encode()
            answers.append(asker.ask("POST", "/api/v1/plans/run", body, HEADERS))

        threads = [threading.Thread(target=run, args=(each,)) for each in plans * 2]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        jobs = [self.ended(each.json()["job"]) for each in answers if each.status == 202]
        self.assertEqual(sorted(each.status for each in answers), [202, 202, 410, 410])
        self.assertEqual([each["error"] for each in jobs], [None, None])
        self.assertEqual(sum(each["result"]["contents"] for each in jobs), 10)
        self.assertEqual(self.used(), self.on_disk())
        self.pull("other/app", "1", kept)

    def test_kill(self) -> None:
        """A kill -9 in the midst leaves what was not removed, all of it right, and no more."""
        made = {str(number): self.image("team/app", str(number), 4096) for number in range(40)}
        plan = self.delete_plan("team/app")
        before = len(self.files())
        self.post("plans/run", {"plan": plan["plan"]}, 202)
        wait_until(lambda: len(self.files()) < before - 10, "some of it is gone")
        self.daemon.process.kill()
        self.daemon.start()
        wait_until(lambda: self.used() == self.on_disk(), "the ledger is what the disk has")
        verified = self.ended(self.post("verify", {}, 202)["job"])["result"]
        counts = tuple(verified[each] for each in ("damaged_count", "missing", "adopted"))
        self.assertEqual(counts, (0, 0, 0))
        for tag, image in made.items():
            self.pull("team/app", tag, image)
        self.assertEqual(self.used(), self.on_disk())


class FullDiskTests(PlansCase):
    """An owner whose disk is full to the last byte."""

    def started(self, config: dict[str, Any]) -> Regcache:
        """One whose storage is a small file system of its own."""
        daemon = Regcache(config)
        self.mount = small_disk(self, self.workspace().path, 48 * MIB, daemon.close)
        daemon.directory = self.mount
        daemon.config["storage"] |= {"directory": str(self.mount), "min_free": "1MiB"}
        daemon.start()
        return daemon

    def test_removed(self) -> None:
        """He is shown what deletions and a purge free, and has them done."""
        images = {name: self.image(name, "1") for name in ("team/a", "team/b", "team/c")}
        fill_up(self.mount)
        job = self.run_plan(self.delete_plan("team/a"))
        self.assertEqual((job["state"], job["result"]["contents"]), ("done", 5))
        fill_up(self.mount)
        owner = self.daemon.client(credentials=ADMIN)
        self.assertEqual(owner.ask("DELETE", "/v2/team/b/manifests/1").status, 202)
        self.assertEqual(len(self.files()), 5)
        fill_up(self.mount)
        job = self.run_plan(self.post("plans", {"action": "purge"}))
        self.assertEqual((job["state"], job["result"]["contents"]), ("done", 5))
        self.assertEqual((self.files(), self.used()), ([], 0))
        (self.mount / "others").unlink()
        for name, image in images.items():
            self.pull(name, "1", image)
        self.assertEqual(self.used(), self.on_disk())

    def test_pinned(self) -> None:
        """He can pin what is there, and take that back: no byte more is needed for it."""
        self.image("team/a", "1")
        fill_up(self.mount)
        targets = {"targets": [{"name": f"{UPSTREAM}/team/a", "reference": "1"}]}
        for call in ("pin", "unpin") * 10:
            self.assertEqual(self.post(call, targets)["changed"], 1)
