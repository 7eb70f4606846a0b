"""The call that tells who used how much, with 1,000 accounts and a year of days."""

import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import date, timedelta
from http.client import HTTPConnection
from itertools import product
from statistics import median

from benchmarks.load import LoadFailedError
from benchmarks.peers import Peer, Regcache
from benchmarks.processes import free_port
from benchmarks.workload import Workload
from regcache.store.usage_file import UsageFile, day_number, month_number

ACCOUNTS, DAYS = 1000, 365
UPSTREAMS = ("docker.io", "ghcr.io")
#: Requests, pulls, bytes served and fetched, and refusals of each row.
_SUMS = (40, 3, 10**9, 10**7, 0)
REPEATED = 15
"""Requests of each kind, of which the median counts."""


class UsagePage(Workload):
    """What the page of all accounts asks, and that of one account; both over HTTP."""

    name = "usage"
    title = f"who used how much: {ACCOUNTS:,} accounts, {DAYS} days"
    peers = "R"
    fresh = True
    counted = False
    watched = False

    def furnish(self, peer: Peer) -> None:
        (peer.folder / "cache").mkdir(parents=True, exist_ok=True)
        fill(str(peer.folder / "cache" / "usage.sqlite"), date.today())
        self._port = free_port()
        if isinstance(peer, Regcache):
            peer.admin = f"{{endpoint: 'tcp:{self._port}:interface=127.0.0.1'}}"

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        began = time.monotonic()
        day = date.today()
        year_ago = day - timedelta(days=DAYS)
        return {
            "month_ms": self._milliseconds("group=month", ACCOUNTS * len(UPSTREAMS)),
            "account_ms": self._milliseconds(
                f"account=seat-0007&from={year_ago}&to={day}", DAYS * len(UPSTREAMS)
            ),
            "week_ms": self._milliseconds(
                f"from={day - timedelta(days=6)}&to={day}&upstream=ghcr.io", 7 * ACCOUNTS
            ),
            "seconds": time.monotonic() - began,
        }

    def _milliseconds(self, query: str, rows: int) -> float:
        return median(self._one(query, rows) for _ in range(REPEATED))

    def _one(self, query: str, rows: int) -> float:
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            began = time.perf_counter()
            connection.request("GET", f"/api/v1/usage?{query}")
            answer = connection.getresponse()
            body = answer.read()
            took = (time.perf_counter() - began) * 1000
        found = len(json.loads(body).get("items", ()))
        if answer.status != 200 or not rows <= found <= rows + 10:
            raise LoadFailedError(f"GET usage?{query}: {answer.status}, {found} rows of {rows}")
        return took


def fill(path: str, today: date, accounts: int = ACCOUNTS, days: int = DAYS) -> None:
    """Make a file in which every account has used every upstream on every day."""
    file = UsageFile(path)
    file.add({}, today)
    file.close()
    past = [today - timedelta(days=back) for back in range(days)]
    names = [f"seat-{number:04}" for number in range(accounts)]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for table, periods in (
            ("days", sorted(map(day_number, past))),
            ("months", sorted(set(map(month_number, past)))),
        ):
            keys = product(names, periods, UPSTREAMS)
            rows = ((period, name, "", upstream, *_SUMS) for name, period, upstream in keys)
            connection.executemany(f"INSERT INTO {table} VALUES (?,?,?,?,1,?,?,?,?,?)", rows)
        connection.commit()
