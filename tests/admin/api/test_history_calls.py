"""GET history and top."""

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from regcache.access.grants import Action, Grant, Rule
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.history_calls import (
    GET_HISTORY,
    GET_TOP,
    HistorySources,
    history_routes,
)
from regcache.counts import CountPeriod, NameKind, Span, Sums
from tests.support.api import ALICE, ROOT, ApiCase

PULL = frozenset({Action.PULL})


class HistoryCase(ApiCase):
    """Some counts."""

    def routes(self) -> list[CallRoute]:
        self.periods: list[CountPeriod] = []
        self.sums: dict[str, Sums] = {}
        self.broken = False
        self.asked: list[tuple[Any, ...]] = []
        sources = HistorySources(
            self.series, self.names, self.clock.seconds, lambda: ["docker.io", "ghcr.io"]
        )
        return history_routes(sources)

    def series(self, span: Span, upstream: str | None) -> "Deferred[Any]":
        """What the file has."""
        self.asked.append((span, upstream))
        return fail(OSError("the disk")) if self.broken else succeed(self.periods)

    def names(self, span: Span, kind: str) -> "Deferred[Any]":
        """What the file has."""
        self.asked.append((span, kind))
        return fail(OSError("the disk")) if self.broken else succeed(self.sums)

    def history(self, query: str = "", credentials: str = "") -> Any:
        """The answer to GET history."""
        return self.answered(GET_HISTORY, self.get(f"history{query}", credentials))

    def top(self, query: str = "", credentials: str = "") -> Any:
        """The items of GET top."""
        return self.answered(GET_TOP, self.get(f"top{query}", credentials))["items"]


class HistoryTests(HistoryCase):
    """Over time."""

    def test_lengths(self) -> None:
        """Each range has its step, and ends now."""
        for name, count, step in (("1h", 60, 60), ("24h", 96, 900), ("7d", 672, 900)):
            told = self.history(f"?range={name}")
            self.assertEqual((len(told["requests"]), told["step_ms"]), (count, step * 1000))
            self.assertEqual(set(told["requests"]), {None})
        self.assertEqual(len(self.history("?range=30d")["hits"]), 120)

    def test_values(self) -> None:
        """Before the first period nothing is known; without requests there were none."""
        now = int(self.clock.seconds()) // 60 * 60
        self.periods = [
            CountPeriod(now - 120, Sums(served=10, fetched=5, requests=3, hits=2, failed=1), 100),
            CountPeriod(now, Sums(served=20, requests=1, hits=1), None),
        ]
        told = self.history("?range=1h&upstream=ghcr.io")
        self.assertEqual(self.asked[-1][1], "ghcr.io")
        self.assertEqual(told["served_bytes"][-4:], [None, 10, 0, 20])
        self.assertEqual(told["fetched_bytes"][-3:], [5, 0, 0])
        self.assertEqual((told["hits"][-1], told["failed"][-3]), (1, 1))
        self.assertEqual(told["disk_bytes"][-3:], [100, None, None])

    def test_refusals(self) -> None:
        """An upstream that is not there, a range that is none, and a disk that fails."""
        problem = self.get("history?upstream=x.test")
        self.assert_problem(problem, 404, "UNKNOWN_UPSTREAM")
        self.assert_problem(self.get("history?range=2h"), 400, "INVALID")
        self.broken = True
        self.assert_problem(self.get("history"), 503, "UNAVAILABLE")
        self.assert_problem(self.get("top"), 503, "UNAVAILABLE")


class TopTests(HistoryCase):
    """What was served most."""

    def test_order(self) -> None:
        """What served most is first, as many as asked for."""
        self.sums = {
            f"docker.io/r{n}": Sums(served=n, fetched=1, requests=4, hits=3, pulls=2)
            for n in range(30)
        }
        items = self.top("?limit=2&by=repository")
        self.assertEqual([each["name"] for each in items], ["docker.io/r29", "docker.io/r28"])
        self.assertEqual((items[0]["pulls"], items[0]["hit_ratio"]), (2, 0.75))
        self.assertEqual(len(self.top()), 10)

    def test_nothing(self) -> None:
        """Without requests there is no ratio."""
        self.sums = {"bob": Sums(served=1)}
        (item,) = self.top(f"?by={NameKind.PRINCIPAL}")
        self.assertIsNone(item["hit_ratio"])


class AccountTests(HistoryCase):
    """What an account sees."""

    rules = (Rule(frozenset({"alice"}), Grant(PULL, frozenset({"docker.io"}), ("library/**",))),)

    def test_account(self) -> None:
        """Sums of all are hidden, so are other accounts and what may not be pulled."""
        self.periods = [CountPeriod(int(self.clock.seconds()) // 900 * 900, Sums(served=1), 1)]
        self.assertEqual(set(self.history("", ALICE)["served_bytes"]), {None})
        self.assertEqual(self.asked, [])
        self.assert_problem(self.get("history?upstream=ghcr.io", ALICE), 404, "UNKNOWN_UPSTREAM")
        self.sums = {"docker.io/library/a": Sums(served=1), "docker.io/secret": Sums(served=2)}
        self.assertEqual([each["name"] for each in self.top("", ALICE)], ["docker.io/library/a"])
        self.sums = {"alice": Sums(served=1), "bob": Sums(served=2)}
        self.assertEqual([each["name"] for each in self.top("?by=principal", ALICE)], ["alice"])


class EverythingTests(HistoryCase):
    """An account that may pull everything."""

    def test_accounts(self) -> None:
        """It sees what was served of everything, and not to whom; administrators see that."""
        self.sums = {"alice": Sums(served=1), "bob": Sums(served=2)}
        self.assertEqual([each["name"] for each in self.top("?by=principal", ALICE)], ["alice"])
        self.assertEqual(len(self.top("?by=principal", ROOT)), 2)
        self.sums = {"docker.io/a": Sums(served=1)}
        self.assertEqual(len(self.top("", ALICE)), 1)
