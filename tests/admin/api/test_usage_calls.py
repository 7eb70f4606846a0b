"""GET usage."""

import csv
import io
from datetime import date
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from regcache.admin.api.callers import Reach
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.usage_calls import GET_USAGE, MOST_ROWS, UsageSources, usage_routes
from regcache.usage import (
    NOBODY,
    AddressClass,
    TooManyRowsError,
    Usage,
    UsageKey,
    UsageQuestion,
    UsageRow,
)
from tests.support.api import ALICE, ROOT, ApiCase

TODAY = date(2026, 12, 10)
ROWS: list[UsageRow] = [
    (
        UsageKey(TODAY, "alice", "", "docker.io"),
        Usage(requests=1, pulls=2, served=3, fetched=4, refused=5),
    ),
    (UsageKey(TODAY, NOBODY, AddressClass.PRIVATE, ""), Usage(requests=6)),
]


class UsageCase(ApiCase):
    """A file that says what it is asked."""

    def routes(self) -> list[CallRoute]:
        self.asked: list[UsageQuestion] = []
        self.failure: Exception | None = None
        return usage_routes(UsageSources(self.rows, lambda: TODAY))

    def rows(self, question: UsageQuestion, most: int) -> "Deferred[Any]":
        """What the file has."""
        self.assertEqual(most, MOST_ROWS)
        self.asked.append(question)
        return succeed(ROWS) if self.failure is None else fail(self.failure)

    def question(self, query: str = "", credentials: str = ROOT) -> UsageQuestion:
        """What the file is asked."""
        self.answered(GET_USAGE, self.get(f"usage{query}", credentials))
        return self.asked[-1]


class UsageTests(UsageCase):
    """What is asked and told."""

    def test_items(self) -> None:
        """Each row, and what is not known of it."""
        told = self.answered(GET_USAGE, self.get("usage"))
        self.assertIsNone(told["next"])
        self.assertEqual(
            told["items"],
            [
                {
                    "day": "2026-12-10",
                    "account": "alice",
                    "address_class": None,
                    "upstream": "docker.io",
                    "requests": 1,
                    "pulls": 2,
                    "served_bytes": 3,
                    "fetched_bytes": 4,
                    "refused": 5,
                },
                {
                    "day": "2026-12-10",
                    "account": "anonymous",
                    "address_class": "private",
                    "upstream": None,
                    "requests": 6,
                    "pulls": 0,
                    "served_bytes": 0,
                    "fetched_bytes": 0,
                    "refused": 0,
                },
            ],
        )

    def test_csv(self) -> None:
        """The same as CSV, in a file with a name."""
        answer = self.get("usage?format=csv")
        self.assertEqual(answer.headers["content-type"], "text/csv; charset=utf-8")
        name = 'attachment; filename="usage-2026-12-01-2026-12-10.csv"'
        self.assertEqual(answer.headers["content-disposition"], name)
        rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
        self.assertEqual(rows[0]["served_bytes"], "3")
        self.assertEqual((rows[1]["upstream"], rows[1]["address_class"]), ("", "private"))
        self.assertEqual(rows[1]["account"], "anonymous")

    def test_periods(self) -> None:
        """This month by itself; else the days that are named, both included."""
        for query, first, last in (
            ("", "2026-12-01", "2026-12-10"),
            ("?from=2026-11-03", "2026-11-03", "2026-12-10"),
            ("?to=2026-11-20", "2026-11-01", "2026-11-20"),
            ("?from=2026-11-03&to=2026-11-03", "2026-11-03", "2026-11-03"),
            ("?from=2026-12-20", "2026-12-20", "2026-12-20"),
            ("?group=month", "2026-12-01", "2026-12-31"),
            ("?group=month&from=2026-10-01&to=2026-11-30", "2026-10-01", "2026-11-30"),
        ):
            asked = self.question(query)
            self.assertEqual((str(asked.first), str(asked.last)), (first, last), query)
            self.assertEqual(asked.by_month, "month" in query)

    def test_filters(self) -> None:
        """One account, and one upstream or none."""
        asked = self.question("?account=bob&upstream=docker.io")
        self.assertEqual((asked.account, asked.upstream), ("bob", "docker.io"))
        self.assertEqual(self.question("?upstream=").upstream, "")
        self.assertEqual(self.question("?account=anonymous").account, NOBODY)

    def test_refusals(self) -> None:
        """Days that are none, or in the wrong order; too much, and a disk that fails."""
        for query in ("from=2026-02-30", "to=yesterday", "from=2026-12-02&to=2026-12-01"):
            self.assert_problem(self.get(f"usage?{query}"), 400, "INVALID")
        self.assert_problem(self.get("usage?from=0000-01-01"), 400, "INVALID")
        self.failure = TooManyRowsError()
        problem = self.assert_problem(self.get("usage"), 400, "INVALID")
        self.assertIn("group=month", problem["detail"])
        self.failure = OSError("the disk")
        self.assert_problem(self.get("usage"), 503, "UNAVAILABLE")

    def test_ends_of_the_calendar(self) -> None:
        """The first and the last day there is are days like others."""
        self.assertEqual(self.question("?from=0001-01-01&to=9999-12-31").last, date.max)
        self.assertEqual(self.question("?to=9999-12-31&group=month").last, date.max)


class AccountTests(UsageCase):
    """Who sees what."""

    reach = Reach.REMOTE

    def test_own(self) -> None:
        """An account sees itself, also without a right to pull; an administrator sees all."""
        self.assertEqual(self.question("", ALICE).account, "alice")
        self.assertEqual(self.question("?account=alice", ALICE).account, "alice")
        for other in ("bob", "anonymous", "*"):
            answer = self.get(f"usage?account={other}", ALICE)
            self.assert_problem(answer, 403, "FORBIDDEN")
        self.assertIsNone(self.question("", ROOT).account)
        self.assert_problem(self.get("usage"), 401, "UNAUTHENTICATED")
