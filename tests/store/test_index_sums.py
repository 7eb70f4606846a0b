"""What is stored of each upstream, added up."""

import sqlite3

from regcache.digests import Digest
from regcache.identity import UpstreamIdentity
from regcache.pins import Pin
from regcache.store import index_sums
from regcache.store.index_places import DAY
from regcache.store.index_schema import digest_key
from regcache.store.index_sums import SumsWork
from tests.support.index_cases import BLOB, HUB, OTHER, SqliteIndexCase, repository_of

QUAY = UpstreamIdentity("quay.test", ("https://quay.test",))
#: Of the same name, and another registry.
ELSEWHERE = UpstreamIdentity(QUAY.name, ("https://elsewhere.test",))


class SumsTests(SqliteIndexCase):
    """What counts how often."""

    def sums(self) -> dict[str, tuple[int, int]]:
        """By the name of the upstream: bytes that are stored, and how many of them are pinned."""
        stored = self.successResultOf(self.index.plans.stored(1000.0))
        return {each.name: (each.stored, each.pinned) for each in stored.upstreams}

    def test_upstreams(self) -> None:
        """Content counts once for each upstream that gave it, in however many repositories."""
        for repository in ("a", "b"):
            self.blob(repository, BLOB, size=5)
        self.blob("a", BLOB, upstream=QUAY, size=5)
        self.blob("a", OTHER, upstream=QUAY, size=7)
        pin = self.index.pins.pin(repository_of("a"), str(BLOB), Pin("", 1.0))
        self.successResultOf(pin)
        self.assertEqual(self.sums(), {HUB.name: (5, 5), QUAY.name: (12, 5)})

    def test_same_name(self) -> None:
        """Upstreams that have had the same name count as one."""
        for upstream in (QUAY, ELSEWHERE):
            self.blob("a", BLOB, upstream=upstream, size=5)
        self.blob("a", OTHER, upstream=ELSEWHERE, size=7)
        self.assertEqual(self.sums(), {QUAY.name: (12, 0)})

    def by_age(self, now: float) -> list[int]:
        """The bytes in each range of ages."""
        return [size for _, size in self.successResultOf(self.index.plans.stored(now)).by_age]

    def used(self, digest: Digest, writer: int, last_use: float) -> None:
        """A use that one of several daemons noted."""

        def change(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR IGNORE INTO writers (id, name) VALUES (?, ?)", [writer] * 2
            )
            connection.execute(
                "INSERT OR REPLACE INTO uses SELECT id, ?, ?, 1 FROM contents WHERE digest = ?",
                (writer, last_use, digest_key(digest)),
            )

        self.assertEqual(self.file.write([change]), [None])

    def test_ages(self) -> None:
        """Content counts once, by the last use that any daemon noted, or else by its arrival."""
        first, second, third = (Digest.of(b"%d" % number) for number in range(3))
        for digest, size in ((first, 1), (second, 10), (third, 100)):
            self.blob("a", digest, size=size, now=100.0)
        self.assertEqual(self.by_age(100.0 + DAY), [111, 0, 0, 0, 0])
        self.used(first, 1, 100.0 + 10 * DAY)
        self.assertEqual(self.by_age(100.0 + 100 * DAY), [0, 0, 0, 1, 110])
        self.used(first, 2, 100.0 + 99 * DAY)
        self.used(second, 2, 100.0 + 60 * DAY)
        self.assertEqual(self.by_age(100.0 + 100 * DAY), [1, 0, 0, 10, 100])

    def test_many_pinned(self) -> None:
        """What pins cover is added up whole, though it takes several steps."""
        digests = [Digest.of(b"%d" % number) for number in range(2 * index_sums.RANGE + 1)]
        for digest in digests[::100]:
            self.blob("a", digest, size=3)

        def change(connection: sqlite3.Connection) -> None:
            rows = [(digest_key(each),) for each in digests]
            connection.executemany("INSERT INTO pinned VALUES (?, 1)", rows)

        self.assertEqual(self.file.write([change]), [None])
        self.assertEqual(self.sums(), {HUB.name: (63, 63)})

    def test_age_of_days(self) -> None:
        """What is just as old as a range begins is in the younger one."""
        for number, days in enumerate(index_sums.AGES):
            self.blob("a", Digest.of(b"%d" % number), size=10**number, now=100.0 * DAY - days * DAY)
        self.assertEqual(self.by_age(100.0 * DAY), [1, 10, 100, 1000, 0])
        self.assertEqual(self.by_age(100.0 * DAY + 1), [0, 1, 10, 100, 1000])

    def test_nothing_is_sorted(self) -> None:
        """The sums by age take one pass over what is stored: no row is kept or sorted for them."""

        def plan(connection: sqlite3.Connection) -> str:
            said: list[str] = []
            connection.set_trace_callback(said.append)
            index_sums.step(connection, SumsWork(1000.0))
            connection.set_trace_callback(None)
            (aged,) = (each for each in said if "86400" in each)
            return str(connection.execute(f"EXPLAIN QUERY PLAN {aged}").fetchall())

        self.blob("a", BLOB)
        for writer in (1, 2):
            self.used(BLOB, writer, 500.0)
            found = self.file.read(plan)
            self.assertNotIn("TEMP B-TREE", found)
            self.assertNotIn("MATERIALIZE", found)
