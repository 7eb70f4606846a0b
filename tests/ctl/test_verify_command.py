"""Tests for regcachectl verify, and for waiting for a job."""

import json
from typing import Any

from regcache.admin.api.job_calls import GET_JOB
from regcache.admin.api.verify_call import VERIFY
from regcache.ctl.client import NoDaemonError, RefusedError
from regcache.ctl.verify_command import verify
from tests.ctl.cases import CommandCase

DIGEST = f"sha256:{'ab' * 32}"


def job(**changes: Any) -> dict[str, Any]:
    """What is told of one that runs."""
    told: dict[str, Any] = {
        "id": "7",
        "kind": "verify",
        "by": "root",
        "state": "running",
        "began": "2026-11-26T08:00:00Z",
        "ended": None,
        "done_bytes": 50,
        "total_bytes": 100,
        "steps": [],
        "result": None,
        "error": None,
    }
    return told | changes


def ended(state: str = "done", *damaged: str, **changes: Any) -> dict[str, Any]:
    """What is told of one that has ended."""
    result: dict[str, Any] = {"blobs": 9, "damaged": damaged, "damaged_count": len(damaged)}
    result |= {"missing": 1, "adopted": 2, "damaged_images": []}
    told = {"state": state, "ended": "2026-11-26T08:10:00Z", "done_bytes": 100, "result": result}
    return job(**(told | changes))


class VerifyTests(CommandCase):
    """What is asked and printed."""

    def verify(self, last: dict[str, Any], *arguments: str) -> tuple[int, str, str]:
        """Run it."""
        self.daemon.answer(VERIFY, {"job": "7"})
        self.daemon.answer(GET_JOB, [job(), job(total_bytes=None), json.loads(json.dumps(last))])
        return self.run_work(verify, "verify", *arguments)

    def test_all_is_well(self) -> None:
        """It waits for the end, and says what was looked at."""
        code, out, errors = self.verify(ended())
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(out, "9 verified, 0 damaged, 1 missing, 2 unknown until now\n")
        self.assertEqual([each[0:2] for each in self.daemon.asked[1:]], [("GET", "job")] * 3)
        self.assertEqual(self.daemon.asked[0][2], {})

    def test_damaged(self) -> None:
        """What was damaged is named, and the status says that there was something."""
        code, out, _ = self.verify(ended("done", DIGEST))
        self.assertEqual((code, out.splitlines()[0]), (1, f"damaged, and removed: {DIGEST}"))
        found = ended("done", DIGEST)
        names = ["docker.io/library/nginx:1.29", "quay.io/a:2"]
        found["result"]["damaged_images"] = [{"digest": DIGEST, "images": names}]
        _, out, _ = self.verify(found)
        told = f"damaged, and removed: {DIGEST}, of {', '.join(names)}"
        self.assertEqual(out.splitlines()[0], told)

    def test_upstream(self) -> None:
        """Of one upstream."""
        self.verify(ended(), "--upstream", "docker.io")
        self.assertEqual(self.daemon.asked[0][2], {"upstream": "docker.io"})

    def test_terminal(self) -> None:
        """On a terminal there is a bar."""
        self.terminal = True
        code, out, _ = self.verify(ended())
        self.assertEqual(code, 0)
        self.assertIn("9 verified", out)

    def test_json(self) -> None:
        """The last answer about the job, and the same status."""
        code, out, _ = self.verify(ended("done", DIGEST), "--json")
        self.assertEqual((code, json.loads(out)["result"]["damaged"]), (1, [DIGEST]))

    def test_failed(self) -> None:
        """A job that failed, or was called off."""
        code, _, errors = self.verify(ended("failed", error="the disk is ill"))
        self.assertEqual((code, errors), (1, "the disk is ill\n"))
        code, _, errors = self.verify(ended("cancelled"))
        self.assertEqual((code, errors), (1, "it was cancelled\n"))

    def test_stopped(self) -> None:
        """If the daemon goes meanwhile it is told what that means for the job."""
        self.daemon.answer(VERIFY, {"job": "7"})
        gone = NoDaemonError("no daemon answers at /s: Connection refused", "--socket says where")
        self.daemon.answer(GET_JOB, [job(), gone])
        code, out, errors = self.run_work(verify, "verify")
        self.assertEqual((code, out), (3, ""))
        told = "no daemon answers at /s: Connection refused; job 7 was begun, and ended if the"
        self.assertTrue(errors.startswith(told), errors)
        self.assertNotIn("--socket", errors)
        self.daemon.answer(GET_JOB, [job(), RefusedError({"code": "NOT_CACHED"})])
        code, _, errors = self.run_work(verify, "verify")
        anew = "the daemon was started anew, and job 7 ended with the one before\n"
        self.assertEqual((code, errors), (1, anew))

    def test_refused(self) -> None:
        """One that runs already."""
        self.daemon.answer(VERIFY, RefusedError({"detail": "there is such a job already"}))
        code, _, errors = self.run_work(verify, "verify")
        self.assertEqual((code, errors), (1, "there is such a job already\n"))
