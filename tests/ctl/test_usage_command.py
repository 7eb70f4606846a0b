"""Tests for regcachectl usage."""

import contextlib
import io
from typing import Any

from regcache.admin.api.usage_calls import GET_USAGE
from regcache.ctl.usage_command import show_usage
from tests.ctl.cases import CommandCase


def item(account: str, served: int, **more: Any) -> dict[str, Any]:
    """A row of the API."""
    return {
        "day": "2026-11-01",
        "account": account,
        "address_class": None,
        "upstream": "docker.io",
        "requests": 2,
        "pulls": 1,
        "served_bytes": served,
        "fetched_bytes": 0,
        "refused": 0,
    } | more


ITEMS = [
    item("alice", 1024),
    item("alice", 512, upstream=None),
    item("bob", 2**30),
    item("anonymous", 5, address_class="public"),
]


class UsageTests(CommandCase):
    """What is asked and printed."""

    def show(self, *arguments: str) -> tuple[int, str, str]:
        """Run it."""
        self.daemon.answer(GET_USAGE, {"items": ITEMS, "next": None})
        return self.run_work(show_usage, "usage", *arguments)

    def asked(self) -> dict[str, Any]:
        """What the daemon was asked last."""
        return {name: each for name, each in self.daemon.asked[-1][2].items() if each is not None}

    def test_all(self) -> None:
        """This month, the upstreams of an account added up, who was served most first."""
        status, out, _ = self.show()
        self.assertEqual(status, 0)
        self.assertEqual(self.asked(), {"group": "month"})
        self.assertEqual(
            [line.split("\t") for line in out.splitlines()],
            [
                ["bob", "2", "1", "1.0 GiB", "0 B", "0"],
                ["alice", "4", "2", "1.5 KiB", "0 B", "0"],
                ["anonymous (public)", "2", "1", "5 B", "0 B", "0"],
            ],
        )

    def test_account(self) -> None:
        """Of one account a line for each day; a month is asked for from its first to last day."""
        _, out, _ = self.show("--account", "alice", "--month", "2024-02")
        asked = {"account": "alice", "group": "day", "from": "2024-02-01", "to": "2024-02-29"}
        self.assertEqual(self.asked(), asked)
        self.assertTrue(out.startswith("2026-11-01\t"), out)

    def test_csv(self) -> None:
        """CSV has every row and its upstream."""
        _, out, _ = self.show("--csv")
        lines = out.splitlines()
        self.assertEqual(len(lines), 5)
        self.assertTrue(lines[0].startswith("day,account,upstream,requests,pulls,served_bytes"))
        self.assertEqual(lines[1], "2026-11-01,alice,docker.io,2,1,1024,0,0,")

    def test_json(self) -> None:
        """JSON is the answer."""
        _, out, _ = self.show("--json")
        self.assertIn('"served_bytes": 1024', out)

    def test_wrong_month(self) -> None:
        """What is no month is wrong usage."""
        for text in ("2026-13", "11-2026", "0000-01", "now"):
            errors = io.StringIO()
            with contextlib.redirect_stderr(errors), self.assertRaises(SystemExit) as stop:
                self.options("usage", "--month", text)
            self.assertEqual(stop.exception.code, 2)
            self.assertIn("2026-11", errors.getvalue())
