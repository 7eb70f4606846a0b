"""Tests for regcachectl status."""

import contextlib
import io
import json
from typing import Any

from regcache.admin.api.status_calls import GET_STATUS
from regcache.admin.api.storage_calls import GET_ADVICE
from regcache.admin.api.upstream_calls import GET_UPSTREAMS
from regcache.ctl.client import NoDaemonError, RefusedError
from regcache.ctl.main import main
from regcache.ctl.status_command import SENTENCES, sentence, show_status
from tests.ctl.cases import CommandCase

WELL: dict[str, Any] = {
    "version": "1.2",
    "title": "here",
    "started": "2026-11-26T08:00:00Z",
    "config_loaded": "2026-11-26T09:00:00Z",
    "verdict": {"level": "ok", "code": "ok", "params": {"upstreams": 2}},
    "notices": [],
    "hour": {"requests": None, "failed": None, "first_byte_p50_ms": None},
    "disk": {
        "used_bytes": 3 * 2**30,
        "limit_bytes": 50 * 2**30,
        "pinned_bytes": None,
        "by_age": None,
        "evictable_bytes": None,
        "partial_bytes": 0,
        "fs_free_bytes": 1536,
        "full_in_days": None,
        "next_sweep": None,
        "relaying_since": None,
    },
    "counts": {
        "repositories": 7,
        "tags": 8,
        "blobs": None,
        "downloads": 1,
        "readers": 2,
        "upstreams_ill": 0,
    },
}


def upstream(name: str, state: str = "ok", since: str | None = None) -> dict[str, Any]:
    """An upstream as the API tells of it."""
    url = {"url": f"https://{name}", "state": state, "breaker": "closed"}
    return {
        "name": name,
        "aliases": [],
        "hosts": [],
        "state": state,
        "since": since,
        "answer_p50_ms": None,
        "answer_series_ms": [None] * 24,
        "account": None,
        "credentials_ok": None,
        "ratelimit": None,
        "hit_ratio_7d": None,
        "served_bytes_7d": None,
        "fetched_bytes_7d": None,
        "stored_bytes": None,
        "repositories": None,
        "downloads": 0,
        "max_downloads": 8,
        "urls": [url | {"next_try": None, "last_error": None}],
    }


class StatusTests(CommandCase):
    """What is printed."""

    def setUp(self) -> None:
        super().setUp()
        self.upstreams = [upstream("a"), upstream("b")]
        self.savings: list[tuple[int, float, float]] = []

    def show(self, status: Any = WELL, *arguments: str) -> tuple[int, str, str]:
        """Run it."""
        self.daemon.answer(GET_STATUS, status)
        self.daemon.answer(GET_UPSTREAMS, {"items": self.upstreams, "next": None})
        keys = ("more_bytes", "saved_misses_per_day", "saved_bytes_per_day")
        savings = [dict(zip(keys, each, strict=True)) for each in self.savings]
        self.daemon.answer(GET_ADVICE, {"ghost_bytes": savings, "full_in_days": None})
        return self.run_work(show_status, "status", *arguments)

    def test_well(self) -> None:
        """A sentence first, then the numbers, one a line with a tab."""
        code, out, errors = self.show()
        lines = out.splitlines()
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(lines[0], "It works.")
        self.assertEqual(lines[1], "2 of 2 upstreams answered when asked last.")
        self.assertIn("configuration read\t2026-11-26T09:00:00Z", lines)
        for line in ("version\t1.2", "stored\t3.0 GiB of 50.0 GiB", "blobs\t?", "tags\t8"):
            self.assertIn(line, lines)

    def test_upstreams(self) -> None:
        """One that failed once, and one that nobody asked, are not said to be well."""
        self.upstreams = []
        self.assertIn("version", self.show()[1].splitlines()[1])
        self.upstreams = [
            upstream("a", since="2026-12-02T08:00:00Z"),
            upstream("b", state="unasked"),
            upstream("c", state="down", since="2026-12-02T08:00:00Z"),
            upstream("d", state="slow"),
        ]
        lines = self.show()[1].splitlines()
        self.assertEqual(
            lines[1], "1 of 4 upstreams answered when asked last; failed: a, c; not asked yet: 1."
        )

    def test_small_disk(self) -> None:
        """Where much came back that had been evicted, it says how much more disk would do."""
        gib = 2**30
        self.savings = [(gib, 1.5, gib), (4 * gib, 20.4, 5 * gib), (16 * gib, 22.0, 6.5 * gib)]
        told = "With 4.0 GiB more disk 20 fetches of what had been evicted, 5.0 GiB a day, would"
        self.assertEqual(self.show()[1].splitlines()[2], f"{told} not be needed.")
        self.savings = [(gib, 0.9, 9 * gib)]
        self.assertNotIn("more disk", self.show()[1])
        self.daemon.answer(GET_ADVICE, RefusedError({"code": "INDEX_BUSY"}))
        code, out, errors = self.run_work(show_status, "status")
        self.assertEqual((code, errors), (0, ""))
        self.assertIn("started", out)

    def test_terminal(self) -> None:
        """On a terminal it is a table."""
        self.terminal = True
        code, out, _ = self.show()
        self.assertEqual(code, 0)
        self.assertIn("3.0 GiB of 50.0 GiB", out)
        self.assertNotIn("\t", out)

    def test_notices(self) -> None:
        """What is wrong takes the place of the first sentence, and steers no terminal."""
        hostile = "\x1b[2J"
        notices = [
            {"level": "bad", "code": "upstream.down", "params": {"upstream": "a"}, "link": None},
            {
                "level": "warn",
                "code": "storage.closed",
                "params": {"text": hostile},
                "link": None,
            },
            {"level": "warn", "code": "new.code", "params": {}, "link": None},
        ]
        code, out, _ = self.show(WELL | {"notices": notices})
        lines = out.splitlines()
        self.assertEqual(code, 0)
        self.assertEqual(lines[0], "a does not answer. Cached images are still served.")
        self.assertIn("\\x1b[2J", lines[1])
        self.assertEqual(lines[2], "new.code")
        self.assertEqual(lines[3], "2 of 2 upstreams answered when asked last.")

    def test_json(self) -> None:
        """--json prints the answer."""
        code, out, _ = self.show(WELL, "--json")
        self.assertEqual((code, json.loads(out)), (0, WELL))

    def test_failures(self) -> None:
        """1 where it is refused, 3 where nobody answers; both say why, a refusal as JSON, too."""
        refused = RefusedError({"detail": "an account is needed"})
        self.assertEqual(self.show(refused), (1, "", "an account is needed\n"))
        problem = {"code": "UNAUTHENTICATED", "detail": "an account is needed"}
        status, out, errors = self.show(RefusedError(problem), "--json")
        self.assertEqual((status, json.loads(out), errors), (1, problem, "an account is needed\n"))
        gone = NoDaemonError("no daemon answers at /x: no")
        self.assertEqual(self.show(gone), (3, "", "no daemon answers at /x: no\n"))

    def test_sentences(self) -> None:
        """A sentence whose parameters are missing is its code."""
        for code in SENTENCES:
            told = sentence({"code": code, "params": {}})
            self.assertEqual(told, code if "{" in SENTENCES[code] else SENTENCES[code])

    def test_usage(self) -> None:
        """--help has an example; credentials without a URL are wrong usage."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            self.assertEqual(main(["status", "--user", "alice"]), 2)
            self.assertEqual(main(["status", "-c", "/nowhere/regcache.yml"]), 2)
        self.assertIn("--user and --link are for --url", errors.getvalue())
        self.assertIn("/nowhere/regcache.yml: cannot be read", errors.getvalue())
        with contextlib.redirect_stderr(errors):
            self.assertEqual(main(["-c", "/early/regcache.yml", "status"]), 2)
            self.assertEqual(main(["-c", "/early/a.yml", "status", "-c", "/late/a.yml"]), 2)
            self.assertRaises(SystemExit, main, ["--json", "passwd", "a", "b"])
        self.assertIn("/early/regcache.yml: cannot be read", errors.getvalue())
        self.assertIn("/late/a.yml: cannot be read", errors.getvalue())
        self.assertIn("for commands that ask the daemon", errors.getvalue())
        help = io.StringIO()
        with contextlib.redirect_stdout(help):
            self.assertRaises(SystemExit, main, ["status", "--help"])
        self.assertIn("example: regcachectl status --json", help.getvalue())
