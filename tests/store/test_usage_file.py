"""The file of what accounts use."""

import errno
import os
import random
import sqlite3
from collections.abc import Iterable
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.store.sums_file import DAMAGED
from regcache.store.usage_file import UsageFile
from regcache.usage import (
    KEPT_DAYS,
    NOBODY,
    AddressClass,
    ServedTo,
    TooManyRowsError,
    Usage,
    UsageBatch,
    UsageKey,
    UsageQuestion,
)

TODAY = date(2026, 12, 1)


def served(
    count: int, account: str = "alice", day: date = TODAY, upstream: str = "a"
) -> UsageBatch:
    """A batch with one answer."""
    return {UsageKey(day, account, "", upstream): Usage(requests=1, served=count)}


class UsageFileCase(SynchronousTestCase):
    """A file in a folder."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / "usage.sqlite"
        self.file = UsageFile(str(self.path))
        self.addCleanup(lambda: self.file.close())

    def again(self) -> None:
        """Open it again."""
        self.file.close()
        self.file = UsageFile(str(self.path))

    def ask(
        self, first: date = date.min, last: date = date.max, most: int = 1000, **more: object
    ) -> dict[UsageKey, Usage]:
        """The sums of a question, which are in order."""
        question = UsageQuestion(first=first, last=last, **more)  # type: ignore[arg-type]
        found = self.file.rows(question, most)
        self.assertEqual([key for key, _ in found], sorted(key for key, _ in found))
        return dict(found)


class AddingTests(UsageFileCase):
    """What is kept, and for how long."""

    def test_sums(self) -> None:
        """Batches add up in every selection of them."""
        key = UsageKey(TODAY, "alice", "", "a")
        self.file.add({key: Usage(requests=1, pulls=2, served=3, fetched=4, refused=5)}, TODAY)
        self.again()
        self.file.add({key: Usage(requests=10, pulls=20, served=30, fetched=40, refused=50)}, TODAY)
        expected = {key: Usage(requests=11, pulls=22, served=33, fetched=44, refused=55)}
        self.assertEqual(self.ask(), expected)
        self.assertEqual(self.ask(TODAY, TODAY, account="alice", upstream="a"), expected)
        self.assertEqual(self.ask(TODAY, date(2026, 12, 31), by_month=True), expected)
        self.assertEqual(self.ask(account="bob"), {})
        self.assertEqual(self.ask(upstream=""), {})

    def test_any_batches(self) -> None:
        """Every question gets the sum of the batches; each has its own way through it."""
        chance = random.Random(16)
        days = [date(2026, 1, 1) + timedelta(days=n) for n in range(300)]
        keys = [
            UsageKey(chance.choice(days), account, "", upstream)
            for account in ("alice", "bob", "carol")
            for upstream in ("", "a", "b")
            for _ in range(40)
        ]
        keys.append(UsageKey(days[7], NOBODY, AddressClass.PUBLIC, "a"))
        sums = [
            (key, Usage(**{field.name: chance.randrange(9) for field in fields(Usage)}))
            for key in keys * 2
        ]
        for key, usage in sums:
            self.file.add({key: usage}, days[-1])
        for _ in range(60):
            first, last = sorted(chance.choices(days, k=2))
            if chance.random() < 0.5:
                first = first.replace(day=1)
                last = (last.replace(day=1) + timedelta(days=31)).replace(day=1)
                last -= timedelta(days=1)
            account = chance.choice([None, "alice", NOBODY])
            upstream = chance.choice([None, "", "a"])
            for by_month in (False, True):
                expected: dict[UsageKey, Usage] = {}
                for key, usage in sums:
                    if not first <= key.day <= last or account not in (None, key.account):
                        continue
                    if upstream not in (None, key.upstream):
                        continue
                    period = key.day.replace(day=1) if by_month else key.day
                    expected.setdefault(key._replace(day=period), Usage()).add(usage)
                found = self.ask(first, last, account=account, upstream=upstream, by_month=by_month)
                self.assertEqual(found, expected)

    def test_age(self) -> None:
        """A day is kept for 400 days, its month as long as any day of it."""
        self.file.add(served(1), TODAY)
        last = TODAY + timedelta(days=KEPT_DAYS - 1)
        self.file.add({}, last)
        self.assertEqual(len(self.ask()), 1)
        self.file.add({}, last + timedelta(days=1))
        self.assertEqual(self.ask(), {})
        whole = {"first": TODAY, "last": date(2026, 12, 31), "by_month": True}
        self.assertEqual(len(self.ask(**whole)), 1)  # type: ignore[arg-type]
        self.file.add({}, last + timedelta(days=31))
        self.assertEqual(self.ask(**whole), {})  # type: ignore[arg-type]

    def test_bound(self) -> None:
        """More rows than may be told are refused, not cut off."""
        for number in range(5):
            self.file.add(served(1, f"a{number}"), TODAY)
        self.assertEqual(len(self.ask(most=5)), 5)
        with self.assertRaises(TooManyRowsError):
            self.ask(most=4)

    def test_served(self) -> None:
        """How much was served today and this month, for all accounts but nobody."""
        for batch in (
            served(1),
            served(2, upstream="b"),
            served(4, day=date(2026, 11, 30)),
            served(8, "bob", date(2026, 12, 3)),
            {UsageKey(TODAY, NOBODY, AddressClass.LOCAL, "a"): Usage(served=99)},
        ):
            self.file.add(batch, TODAY)
        self.assertEqual(self.file.served(TODAY), {"alice": ServedTo(3, 3), "bob": ServedTo(0, 8)})
        self.assertEqual(self.file.served(date(2026, 11, 30)), {"alice": ServedTo(4, 4)})


class FaultTests(UsageFileCase):
    """Files that are damaged, and disks that fail."""

    def test_mode(self) -> None:
        """Nobody else reads what accounts used."""
        self.file.add(served(1), TODAY)
        modes = {path.stat().st_mode & 0o777 for path in self.path.parent.iterdir()}
        self.assertEqual(modes, {0o600})

    def test_damage(self) -> None:
        """A damaged file is kept under another name, and begun anew."""
        damage = b"no database at all" * 1000
        self.path.write_bytes(damage)
        self.file.add(served(1), TODAY)
        self.assertEqual(len(self.ask()), 1)
        self.assertEqual(Path(str(self.path) + DAMAGED).read_bytes(), damage)

    def test_damage_while_open(self) -> None:
        """Damage that is found later fails once."""
        self.file.add(served(1), TODAY)
        self.file.close()
        self.path.write_bytes(self.path.read_bytes()[:100] + b"\xff" * 8000)
        self.again()
        try:
            self.file.add(served(2), TODAY)
        except OSError:
            self.file.add(served(2), TODAY)
        self.assertEqual([usage.served for usage in self.ask().values()], [2])

    def test_all_or_nothing(self) -> None:
        """A batch that fails in the middle has added nothing."""
        self.file.add(served(1), TODAY)
        bad = {**served(2), UsageKey(TODAY, "bob", "", "a"): Usage(served=2**70)}
        with self.assertRaises((OSError, OverflowError)):
            self.file.add(bad, TODAY)
        self.again()
        self.assertEqual([usage.served for usage in self.ask().values()], [1])

    def test_full_disk(self) -> None:
        """A full disk fails with OSError; later the same batch is added once."""
        self.file.add(served(1), TODAY)
        self.file.close()
        self.limit_pages(2)
        many = {UsageKey(TODAY, "x" * 200 + str(n), "", "a"): Usage(requests=1) for n in range(500)}
        with self.assertRaises(OSError):
            self.file.add(many, TODAY)
        self.limit_pages(100_000)
        self.file.add(many, TODAY)
        self.assertEqual(sum(usage.requests for usage in self.ask().values()), 501)

    def limit_pages(self, more: int) -> None:
        """Let the file grow by so many pages only."""
        connection = sqlite3.connect(self.path)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.close()
        file = UsageFile(str(self.path))
        file._file._pragmas = (*file._file._pragmas, f"PRAGMA max_page_count = {pages + more}")
        self.file.close()
        self.file = file

    def refuse_writing(self) -> None:
        """Let nothing be opened for writing, as on a file system that is mounted read only."""
        system_open = os.open

        def refusing(path: str, flags: int, *more: int) -> int:
            if flags & os.O_RDWR:
                raise OSError(errno.EROFS, "read-only")
            return system_open(path, flags, *more)

        self.patch(os, "open", refusing)

    def test_read_only(self) -> None:
        """Where nothing can be written it is read, with its log and without one."""
        self.file.add(served(7), TODAY)
        expected = self.ask()
        with_log = UsageFile(str(self.path))
        self.addCleanup(with_log.close)
        self.refuse_writing()
        question = UsageQuestion(first=date.min, last=date.max)
        self.assertEqual(dict(with_log.rows(question, 10)), expected)
        self.again()
        self.assertFalse(Path(f"{self.path}-wal").exists())
        self.assertEqual(self.ask(), expected)
        with self.assertRaises(OSError):
            self.file.add(served(7), TODAY)
        self.assertEqual(self.file.served(TODAY)["alice"], ServedTo(7, 7))

    def test_nothing_to_read(self) -> None:
        """Where nothing was ever written nothing was used; what cannot be read is told."""
        self.refuse_writing()
        self.assertEqual(self.ask(), {})
        self.path.touch()
        self.assertEqual(self.ask(), {})
        self.path.write_bytes(b"something else" * 500)
        with self.assertRaises(OSError):
            self.ask()

    def test_strange(self) -> None:
        """What has the name of the file and is none is moved aside; nobody waits for it."""
        os.mkfifo(self.path)
        self.file.add(served(1), TODAY)
        self.assertTrue(self.path.is_file())

    def test_writers(self) -> None:
        """Rows of other writers are added up, and stay as they are."""
        self.file.add(served(1), TODAY)
        other = sqlite3.connect(self.path)
        other.execute("INSERT INTO writers VALUES (2, 'other')")
        for table, number in (("days", 20261201), ("months", 202612)):
            row = (number, "alice", "", "a", 2, 1, 0, 10, 0, 0)
            other.execute(f"INSERT INTO {table} VALUES (?,?,?,?,?,?,?,?,?,?)", row)
        other.commit()
        self.file.add(served(100), TODAY)
        self.assertEqual(self.values("SELECT served FROM days ORDER BY writer", other), [101, 10])
        other.close()
        self.assertEqual([usage.served for usage in self.ask().values()], [111])
        self.assertEqual(self.file.served(TODAY), {"alice": ServedTo(111, 111)})

    def values(self, query: str, connection: sqlite3.Connection) -> list[object]:
        """The first column of a query."""
        rows: Iterable[tuple[object]] = connection.execute(query)
        return [first for (first,) in rows]
