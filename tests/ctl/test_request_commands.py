"""Tests for regcachectl requests, top and history."""

import io
import json
import re
from contextlib import redirect_stderr
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.api.history_calls import GET_HISTORY, GET_TOP
from regcache.admin.api.request_calls import GET_REQUESTS
from regcache.admin.requests import shares, verdicts
from regcache.ctl.client import NoDaemonError
from regcache.ctl.request_commands import show_history, show_requests, show_top
from regcache.ctl.request_words import SENTENCES, seconds_text, what, why
from tests.ctl.cases import CommandCase


def item(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A request as the API tells it."""
    known: dict[str, Any] = {
        "id": f"a-{number}",
        "time": "2026-11-26T08:00:00Z",
        "principal": None,
        "address": "192.0.2.7",
        "agent": "docker/27",
        "method": "GET",
        "upstream": "docker.io",
        "repository": "library/alpine",
        "reference": "3.20",
        "digest": None,
        "part": None,
        "kind": "manifest",
        "status": 200,
        "outcome": "hit",
        "slow": False,
        "failed": False,
        "verdict": {"code": "ok.hit", "params": {"upstream": "docker.io", "principal": None}},
        "sent_bytes": 2048,
        "first_byte_ms": 3,
        "duration_ms": 1500,
        "open": False,
    }
    return known | changes


def page(*items: dict[str, Any]) -> dict[str, Any]:
    """A page of them."""
    counts = dict.fromkeys(("all", "slow", "failed", "miss", "stale"), 0)
    return {"items": items, "next": None, "total": None, "counts": counts, "kept_since": None}


class WordTests(SynchronousTestCase):
    """Verdicts in words."""

    def test_all(self) -> None:
        """Every verdict that the daemon can give has words, and they name all they need."""
        text = f"{verdicts.__doc__} {verdicts._OK} {shares._CODES}"
        codes = set(re.findall(r"\b(?:slow|ok)\.[a-z_]+", text)) - {"slow."}
        self.assertEqual({code for code in codes if code not in SENTENCES}, set())
        for code in SENTENCES:
            words = why(item(verdict={"code": code, "params": {}}))
            self.assertNotIn("{", words)

    def test_params(self) -> None:
        """Sizes are for people, and what is not known is a question mark."""
        params = {"host": "cdn.test", "bytes_per_s": 2048, "median_bytes_per_s": None}
        words = why(item(verdict={"code": "slow.upstream", "params": params}))
        self.assertEqual(words, "cdn.test sent 2.0 KiB/s. The median of ? is ?/s.")
        self.assertEqual(why(item(verdict={"code": "new.code", "params": {}})), "new.code")
        self.assertEqual(why(item(verdict=None)), "It goes on.")

    def test_hostile(self) -> None:
        """What others call themselves is no format."""
        params = {"principal": "{0.__class__}{upstream}", "upstream": "a"}
        words = why(item(verdict={"code": "denied.other", "params": params}))
        self.assertEqual(words, "Not allowed for {0.__class__}{upstream}.")

    def test_what(self) -> None:
        """Names are written as people write them."""
        self.assertEqual(what(item()), "docker.io/library/alpine:3.20")
        self.assertEqual(what(item(reference="sha256:ab")), "docker.io/library/alpine@sha256:ab")
        self.assertEqual(what(item(reference=None)), "docker.io/library/alpine")
        self.assertEqual(what(item(kind="ping", upstream=None, repository=None)), "ping")
        self.assertEqual([seconds_text(each) for each in (None, 7, 1500)], ["-", "7 ms", "1.5 s"])


class RequestTests(CommandCase):
    """regcachectl requests."""

    def show(self, *arguments: str) -> list[str]:
        """The lines that are printed."""
        code, out, errors = self.run_work(show_requests, "requests", *arguments)
        self.assertEqual((code, errors), (0, ""))
        return out.splitlines()

    def test_lines(self) -> None:
        """One line each, with tabs; with --why the reason."""
        self.daemon.answer(GET_REQUESTS, page(item(), item(2, principal="a\x1b[2J", open=True)))
        first, second = self.show("--why")
        self.assertEqual(
            first.split("\t"),
            [
                "2026-11-26T08:00:00Z",
                "hit",
                "200",
                "2.0 KiB",
                "3 ms",
                "1.5 s",
                "192.0.2.7",
                "docker.io/library/alpine:3.20",
                "From the disk.",
            ],
        )
        self.assertIn("a\\x1b[2J", second)

    def test_filters(self) -> None:
        """Filters are the daemon's."""
        self.daemon.answer(GET_REQUESTS, page())
        self.show("nginx", "--slow", "--failed", "--upstream", "ghcr.io", "--limit", "5")
        ((_, _, asked),) = self.daemon.asked
        expected = {"q": "nginx", "slow": True, "failed": True, "upstream": "ghcr.io", "limit": 5}
        self.assertEqual(asked, expected)

    def test_limit(self) -> None:
        """More, or fewer, than the API gives at a time is wrong usage."""
        for command in ("requests", "top"):
            for limit in ("0", "-1", "201", "1e2", "x", "9" * 9):
                with redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as ended:
                    self.options(command, "--limit", limit)
                self.assertEqual(ended.exception.code, 2, limit)

    def test_json(self) -> None:
        """--json prints the answer."""
        self.daemon.answer(GET_REQUESTS, page(item()))
        self.assertEqual(json.loads("\n".join(self.show("--json")))["items"][0]["id"], "a-1")

    def test_follow(self) -> None:
        """Each is printed once, when it has ended, the latest last, until the daemon is gone."""
        pages = [page(item(3), item(1)), page(item(4), item(3), item(2, open=True), item(1))]
        self.daemon.answer(GET_REQUESTS, page(item(1)))

        async def pause(seconds: float) -> None:
            gone = NoDaemonError("it is gone")
            self.daemon.answer(GET_REQUESTS, pages.pop(0) if pages else gone)

        self.daemon.pause = pause  # type: ignore[method-assign]
        code, out, _ = self.run_work(show_requests, "requests", "--follow", "--json")
        self.assertEqual(code, 3)
        printed = [json.loads(line)["id"] for line in out.splitlines()]
        self.assertEqual(printed, ["a-1", "a-3", "a-4"])

    def test_follow_begins_with_few(self) -> None:
        """What was over before, beyond --limit, is never printed; what was open then is."""
        before = page(item(5), item(4), item(3), item(2, open=True), item(1))
        later = page(item(6), item(5), item(4), item(3), item(2), item(1))
        self.daemon.answer(GET_REQUESTS, [before, later, later, NoDaemonError("it is gone")])
        command = ("requests", "--follow", "--json", "--limit", "2")
        code, out, _ = self.run_work(show_requests, *command)
        printed = [json.loads(line)["id"] for line in out.splitlines()]
        self.assertEqual((code, printed), (3, ["a-4", "a-5", "a-2", "a-6"]))

    def test_follow_lines(self) -> None:
        """Elsewhere than on a terminal they have tabs, as those that are not followed."""
        self.daemon.answer(GET_REQUESTS, [page(item(1)), NoDaemonError("it is gone")])
        _, followed, _ = self.run_work(show_requests, "requests", "--follow")
        self.daemon.answer(GET_REQUESTS, page(item(1)))
        self.assertEqual(followed.splitlines(), self.show())


class SumTests(CommandCase):
    """regcachectl top and history."""

    def test_top(self) -> None:
        """What was served most, and which share of it came from the cache."""
        named = {"name": "docker.io/a", "served_bytes": 1024, "fetched_bytes": 0, "pulls": 3}
        items = [named | {"hit_ratio": 0.5}, named | {"hit_ratio": None}]
        self.daemon.answer(GET_TOP, {"items": items, "next": None})
        code, out, _ = self.run_work(show_top, "top", "--by", "principal", "--range", "1h")
        self.assertEqual(code, 0)
        first, second = out.splitlines()
        self.assertEqual(first.split("\t"), ["docker.io/a", "1.0 KiB", "0 B", "3", "50 %"])
        self.assertTrue(second.endswith("\t?"))
        self.assertEqual(self.daemon.asked[0][2], {"by": "principal", "range": "1h", "limit": 10})

    def test_history(self) -> None:
        """Periods in which something was asked for, and the sums."""
        told: dict[str, Any] = {"step_ms": 60_000, "start": "2026-11-26T08:00:00Z"}
        told |= {"requests": [None, 0, 7], "hits": [None, 0, 5], "failed": [None, 0, 1]}
        told |= {"served_bytes": [None, 0, 1024], "fetched_bytes": [None, 0, 512]}
        told |= {"disk_bytes": [None, None, None]}
        self.daemon.answer(GET_HISTORY, told)
        code, out, _ = self.run_work(show_history, "history", "--range", "1h")
        self.assertEqual(code, 0)
        expected = ["2026-11-26T08:02:00Z", "7", "5", "1", "1.0 KiB", "512 B"]
        self.assertEqual(
            [line.split("\t") for line in out.splitlines()],
            [
                expected,
                ["in all", *expected[1:]],
            ],
        )
