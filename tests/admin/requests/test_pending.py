"""Records that are handed on many at once."""

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.requests.pending import MOST_KINDS, MOST_PENDING, Alike, PendingRecords
from regcache.web.records import RequestRecord
from tests.admin.requests.rows import row

#: A moment with which a minute begins.
NOW = 1_800_000_000.0


class PendingTests(SynchronousTestCase):
    """The table at the top of the module."""

    def setUp(self) -> None:
        self.pending = PendingRecords()
        self.looked: list[RequestRecord] = []
        self.counted: list[list[tuple[str, int, int]]] = []
        self.pending.each_to(self.looked.extend)
        self.pending.alike_to(self.count)

    def count(self, kinds: Sequence[Alike]) -> None:
        """Keep what is told of them."""
        self.counted.append([(each.one.reference, each.count, each.bytes) for each in kinds])

    def end(self, count: int, **changes: Any) -> list[RequestRecord]:
        """Some requests end."""
        records = [row(**changes) for _ in range(count)]
        for each in records:
            self.pending(each)
        return records

    def test_full(self) -> None:
        """Records wait until there are enough, and are handed on in their order."""
        records = self.end(MOST_PENDING - 1)
        self.assertEqual(self.looked, [])
        records += self.end(1)
        self.assertEqual(self.looked, records)
        self.assertEqual(self.counted, [])

    def test_settled(self) -> None:
        """Who asks has all looked at and counted; it is so once."""
        records = self.end(MOST_PENDING, body_bytes=2)
        records += self.end(3, body_bytes=5)
        for _ in range(2):
            self.pending.settle()
            self.assertEqual(self.looked, records)
            self.assertEqual(self.counted, [[("3.20", MOST_PENDING + 3, 2 * MOST_PENDING + 15)]])

    def test_mixed(self) -> None:
        """Requests of two kinds are counted apart, in whatever order they end."""
        for size in (1, 2, 4, 8):
            self.end(2, reference="a", repository="a", body_bytes=size)
            self.end(1, reference="b", repository="b", body_bytes=16)
        self.pending.settle()
        self.assertEqual(self.counted, [[("a", 8, 30), ("b", 4, 64)]])

    def test_looked_at(self) -> None:
        """Who wants each one alone does not have them counted."""
        records = self.end(3)
        self.pending.look()
        self.assertEqual((self.looked, self.counted), (records, []))

    def test_kinds(self) -> None:
        """Requests of which something differs that is counted are of two kinds, others of one."""
        differing: list[dict[str, Any]] = [
            {"is_distribution": False},
            {"peer": "10.0.0.1"},
            {"account": "bob"},
            {"upstream": "ghcr.io"},
            {"repository": "library/busybox"},
            {"outcome": "miss"},
            {"status": 304},
            {"ended_early": "cut"},
            {"shows_login": False},
            {"is_pull": True},
        ]
        self.end(1)
        for changes in differing:
            self.end(2, **changes)
        self.end(1, reference="3.21", first_byte=0.5, seconds=0.6, agent=b"podman")
        self.pending.settle()
        (kinds,) = self.counted
        self.assertEqual([count for _, count, _ in kinds], [2] * (len(differing) + 1))

    def test_minute(self) -> None:
        """Requests that ended in two minutes are never of one kind, though they waited together."""
        self.end(2, arrived=NOW - 0.1, seconds=0.05, reference="a")
        self.end(3, arrived=NOW - 0.1, seconds=0.2, reference="b")
        self.pending.settle()
        self.end(1, arrived=NOW + 59.0, seconds=0.5, reference="c")
        self.pending.settle()
        self.end(MOST_PENDING, arrived=NOW + 59.0, seconds=0.5, reference="d")
        self.end(MOST_PENDING, arrived=NOW + 59.0, seconds=1.5, reference="e")
        self.pending.settle()
        told = [[(name, count) for name, count, _ in kinds] for kinds in self.counted]
        self.assertEqual(
            told, [[("a", 2)], [("b", 3)], [("c", 1)], [("d", MOST_PENDING)], [("e", MOST_PENDING)]]
        )

    def test_many_kinds(self) -> None:
        """However many kinds there are, few wait."""
        for number in range(MOST_KINDS + MOST_PENDING):
            self.end(1, repository=f"r{number}")
        self.assertTrue(self.counted)
        self.pending.settle()
        self.assertEqual(sum(map(len, self.counted)), MOST_KINDS + MOST_PENDING)

    def test_account(self) -> None:
        """Who is to know at once what an account has used is told of each one before all others."""
        told: list[tuple[str, int]] = []
        self.pending.accounts_to(lambda one: told.append((one.account, len(self.looked))))
        self.end(MOST_PENDING - 1)
        self.end(1, account="bob")
        self.assertEqual(told, [("bob", 0)])

    def test_fault(self) -> None:
        """A fault of one who is told is logged; the others are told, and what follows is."""

        def fail(_: object) -> None:
            raise ValueError("a fault of ours")

        pending = PendingRecords()
        pending.each_to(fail)
        pending.each_to(self.looked.extend)
        pending.alike_to(fail)
        pending.alike_to(self.count)
        for _ in range(2):
            pending(row())
            pending.settle()
        self.assertEqual((len(self.looked), len(self.counted)), (2, 2))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 4)

    def test_fault_about_an_account(self) -> None:
        """A fault of one who is told of accounts is logged; the record reaches all others."""

        def fail(_: object) -> None:
            raise ValueError("a fault of ours")

        told: list[RequestRecord] = []
        self.pending.accounts_to(fail)
        self.pending.accounts_to(told.append)
        records = self.end(2, account="bob")
        self.pending.settle()
        self.assertEqual((told, self.looked), (records, records))
        self.assertEqual(len(self.counted), 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
