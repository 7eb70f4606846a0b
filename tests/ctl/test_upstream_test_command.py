"""Tests for regcachectl test."""

import json
from typing import Any

from regcache.admin.api.job_calls import GET_JOB
from regcache.admin.api.upstream_test_call import TEST_UPSTREAM
from regcache.ctl.client import RefusedError
from regcache.ctl.upstream_test_command import test as run_test
from tests.ctl.cases import CommandCase
from tests.ctl.test_verify_command import job

URL = "https://registry-1.docker.io"
KEY = "upstreams.docker.io.proxy"


def step(name: str, ok: bool, text: str) -> dict[str, Any]:
    """What is told of a step."""
    return {"step": name, "ok": ok, "duration_ms": 12, "text": text}


class UpstreamTestTests(CommandCase):
    """What is printed of each step."""

    def run_it(self, *arguments: str, ok: bool = True) -> tuple[int, str, str]:
        """Run it against a daemon whose test ends so."""
        last = step("connect", ok, "to 192.0.2.1 port 443" if ok else f"refused; see {KEY}")
        urls = [{"url": URL, "problem": None, "steps": [step("DNS", True, "192.0.2.1"), last]}]
        told = {"kind": "test", "ended": "2026-11-26T08:00:01Z", "result": {"urls": urls}}
        told["state"] = "done" if ok else "failed"
        told["error"] = None if ok else f"connect: refused; see {KEY}"
        told["steps"] = [{"text": "DNS: 192.0.2.1 (12 ms)", "state": "done"}]
        self.daemon.answer(TEST_UPSTREAM, {"job": "7"})
        self.daemon.answer(GET_JOB, [job(), job(**told)])
        return self.run_work(run_test, "test", "docker.io", *arguments)

    def test_well(self) -> None:
        """A line for each step."""
        code, out, errors = self.run_it()
        self.assertEqual((code, errors), (0, ""))
        rows = [f"{URL}\tDNS\tok\t12 ms\t192.0.2.1"]
        self.assertEqual(
            out.splitlines(), [*rows, f"{URL}\tconnect\tok\t12 ms\tto 192.0.2.1 port 443"]
        )
        self.assertEqual(self.daemon.asked[0], ("POST", "upstreams/test", {"name": "docker.io"}))

    def test_ill(self) -> None:
        """What failed is said, with what to look at."""
        code, out, errors = self.run_it(ok=False)
        self.assertEqual((code, errors), (1, f"connect: refused; see {KEY}\n"))
        self.assertIn(f"connect\tbad\t12 ms\trefused; see {KEY}", out)
        code, out, _ = self.run_it("--json", ok=False)
        self.assertEqual((code, json.loads(out)["state"]), (1, "failed"))

    def test_unknown(self) -> None:
        """No such upstream."""
        self.daemon.answer(TEST_UPSTREAM, RefusedError({"detail": "no upstream has this name"}))
        code, _, errors = self.run_work(run_test, "test", "no.test")
        self.assertEqual((code, errors), (1, "no upstream has this name\n"))
