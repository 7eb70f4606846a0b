"""Tests for regcachectl pull, refresh, jobs and cancel."""

import io
import json
from contextlib import redirect_stderr
from typing import Any

from regcache.admin.api.job_calls import CANCEL_JOB, GET_JOB, GET_JOBS
from regcache.admin.api.pull_calls import PULL, REFRESH
from regcache.ctl.client import RefusedError
from regcache.ctl.job_commands import cancel, show_jobs
from regcache.ctl.pull_command import pull
from regcache.ctl.refresh_command import refresh
from tests.ctl.cases import CommandCase
from tests.ctl.test_verify_command import job

DIGEST, OLD = f"sha256:{'ab' * 32}", f"sha256:{'cd' * 32}"
NGINX = {"name": "docker.io/library/nginx", "reference": "1.29"}
STEPS = [f"linux/{each} {DIGEST}: 7 blobs, 50 bytes" for each in ("amd64", "arm64")]


def pulling(here: int, *states: str, **more: Any) -> dict[str, Any]:
    """What is told of a pull."""
    arriving = [{"digest": DIGEST, "size_bytes": 100, "here_bytes": here}] if here < 100 else []
    steps = [{"text": text, "state": state} for text, state in zip(STEPS, states, strict=False)]
    result = {**NGINX, "digest": DIGEST, "arriving": arriving}
    told = {"kind": "pull", "done_bytes": here, "steps": steps, "result": result}
    return job(**(told | more))


def pulled(state: str = "done", **more: Any) -> dict[str, Any]:
    """What is told of one that has ended."""
    return pulling(100, state, state, state=state, ended="2026-11-26T08:10:00Z", **more)


class PullTests(CommandCase):
    """What is asked and printed."""

    def pull(self, *arguments: str, last: dict[str, Any] | None = None) -> tuple[int, str, str]:
        """Run it."""
        self.daemon.answer(PULL, {"job": "7"})
        half = pulling(40, "running", "done")
        self.daemon.answer(GET_JOB, [job(total_bytes=None), half, last or pulled()])
        return self.run_work(pull, "pull", *arguments)

    def test_lines(self) -> None:
        """Each step has a line when it is done, and the end has one."""
        code, out, errors = self.pull("nginx:1.29")
        self.assertEqual((code, errors), (0, ""))
        end = f"docker.io/library/nginx:1.29 {DIGEST}: 100 B are in the cache"
        self.assertEqual(out.splitlines(), [STEPS[1], STEPS[0], end])
        self.assertEqual(self.daemon.asked[0][2], {**NGINX, "pin": False})

    def test_options(self) -> None:
        """Platforms, all, and the pin go with it."""
        self.pull("nginx", "--platform", "linux/arm64", "--platform", "linux/amd64", "--pin")
        sent = self.daemon.asked[0][2]
        self.assertEqual((sent["platforms"], sent["pin"]), (["linux/arm64", "linux/amd64"], True))
        self.assertEqual(sent["reference"], "latest")
        self.daemon.asked.clear()
        self.pull(f"nginx@{DIGEST}", "--all")
        sent = self.daemon.asked[0][2]
        self.assertEqual((sent["platforms"], sent["reference"]), ("all", DIGEST))

    def test_wrong_name(self) -> None:
        """A name that is none is wrong usage, and says what to write."""
        errors = io.StringIO()
        with redirect_stderr(errors):
            stop = self.assertRaises(SystemExit, self.options, "pull", "Nginx")
        self.assertEqual(stop.code, 2)
        self.assertIn("write a name such as nginx:1.29", errors.getvalue())

    def test_terminal(self) -> None:
        """On a terminal there are bars, one for each blob that comes."""
        self.terminal = True
        code, out, _ = self.pull("nginx:1.29")
        self.assertEqual(code, 0)
        self.assertIn("are in the cache", out)
        self.assertNotIn(STEPS[0], out)

    def test_json(self) -> None:
        """The last answer about the job, and nothing else."""
        code, out, _ = self.pull("nginx:1.29", "--json")
        self.assertEqual((code, json.loads(out)["result"]["digest"]), (0, DIGEST))

    def test_failed(self) -> None:
        """It says why, in words."""
        code, out, errors = self.pull("nginx", last=pulled("failed", error="no room"))
        self.assertEqual((code, out, errors), (1, f"{STEPS[1]}\n", "no room\n"))

    def test_runs(self) -> None:
        """The same one runs already."""
        self.daemon.answer(PULL, RefusedError({"detail": "such a job runs already"}))
        code, _, errors = self.run_work(pull, "pull", "nginx")
        self.assertEqual((code, errors), (1, "such a job runs already\n"))


class RefreshTests(CommandCase):
    """What a tag names now."""

    def refresh(self, was: str | None, *arguments: str) -> tuple[int, str, str]:
        """Run it."""
        moved = was not in (None, DIGEST)
        told = {**NGINX, "digest": DIGEST, "was": was, "moved": moved}
        self.daemon.answer(REFRESH, told | {"checked": "2026-11-26T08:10:00Z"})
        return self.run_work(refresh, "refresh", "nginx:1.29", *arguments)

    def test_lines(self) -> None:
        """The same, moved, and new."""
        name = "docker.io/library/nginx:1.29"
        for was, line in (
            (DIGEST, f"{name} is still {DIGEST}\n"),
            (OLD, f"{name} has moved: {DIGEST}; it was {OLD}\n"),
            (None, f"{name} is {DIGEST}; it was not here\n"),
        ):
            self.assertEqual(self.refresh(was), (0, line, ""))
        self.assertEqual(self.daemon.asked[0], ("POST", "refresh", NGINX))
        self.assertTrue(json.loads(self.refresh(OLD, "--json")[1])["moved"])

    def test_digest(self) -> None:
        """A digest never names anything else."""
        code, _, errors = self.run_work(refresh, "refresh", f"nginx@{DIGEST}")
        self.assertEqual((code, self.daemon.asked), (2, []))
        self.assertIn("write a tag", errors)


class JobCommandTests(CommandCase):
    """What goes on."""

    def test_jobs(self) -> None:
        """A line for each."""
        failed = pulled("failed", id="8", error="no room", by=None)
        self.daemon.answer(GET_JOBS, {"items": [pulling(40, "running"), failed], "next": None})
        code, out, _ = self.run_work(show_jobs, "jobs")
        began = "2026-11-26T08:00:00Z"
        first = f"7\tpull\trunning\t{began}\troot\t40 B of 100 B\tdocker.io/library/nginx:1.29"
        second = f"8\tpull\tfailed\t{began}\t\t100 B of 100 B\tno room"
        self.assertEqual((code, out.splitlines()), (0, [first, second]))
        self.assertEqual(len(json.loads(self.run_work(show_jobs, "jobs", "--json")[1])["items"]), 2)

    def test_cancel(self) -> None:
        """It is called off."""
        self.daemon.answer(CANCEL_JOB, pulled("cancelled"))
        self.assertEqual(self.run_work(cancel, "cancel", "7"), (0, "pull 7: cancelled\n", ""))
        self.assertEqual(self.daemon.asked[0][2], {"id": "7"})
        self.assertEqual(json.loads(self.run_work(cancel, "cancel", "7", "--json")[1])["id"], "7")
