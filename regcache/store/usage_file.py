"""The file of what accounts use, by day and by month.

Sums are only added to, in a row for each writer; readers add the rows up. Days are kept in the
order of accounts, since one account is asked about for a long time, and months in the order of
time, since all accounts are asked about for a short one.

It is no part of the index, which may be made anew from what is stored. A damaged one is kept as
``usage.sqlite.damaged`` and begun anew.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from twisted.logger import Logger

from regcache.local_days import first_of_month, last_of_month
from regcache.store.sums_file import SumsFile
from regcache.usage import (
    KEPT_DAYS,
    ServedTo,
    TooManyRowsError,
    Usage,
    UsageBatch,
    UsageKey,
    UsageQuestion,
    UsageRow,
)

VERSION = 1

#: The row of this daemon in the table of writers.
_WRITER = 1
_FIELDS = ("requests", "pulls", "served", "fetched", "refused")
_NAMES = ", ".join(_FIELDS)
_COLUMNS = ", ".join(f"{name} INTEGER NOT NULL" for name in _FIELDS)
_TOTALS = ", ".join(f"SUM({name})" for name in _FIELDS)
_ADDED = ", ".join(f"{name} = {name} + excluded.{name}" for name in _FIELDS)
_NAMED = ", ".join(f"{name} TEXT NOT NULL" for name in ("account", "class", "upstream"))
_KEYS = f"{_NAMED}, writer INTEGER NOT NULL"
#: Days and months are numbers that can be read: 20261201 and 202612.
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS writers (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
INSERT OR IGNORE INTO writers (id, name) VALUES ({_WRITER}, lower(hex(randomblob(16))));
CREATE TABLE IF NOT EXISTS days (
    day INTEGER NOT NULL, {_KEYS}, {_COLUMNS},
    PRIMARY KEY (account, class, day, upstream, writer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS months (
    month INTEGER NOT NULL, {_KEYS}, {_COLUMNS},
    PRIMARY KEY (month, account, class, upstream, writer)) WITHOUT ROWID;
"""
_PRAGMAS = ("PRAGMA synchronous = NORMAL", "PRAGMA cache_size = -4096")
_ADD = {
    table: f"INSERT INTO {table}s ({table}, account, class, upstream, writer, {_NAMES})"
    f" VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET {_ADDED}"
    for table in ("day", "month")
}
#: All who are in some months: so days can be looked up by account.
_WHO = "(SELECT DISTINCT account, class FROM months WHERE month BETWEEN ? AND ?)"


class UsageFile:
    """See :class:`regcache.usage.IUsageFile`."""

    _log = Logger()

    def __init__(self, path: str) -> None:
        self._file = SumsFile(path, _SCHEMA, VERSION, pragmas=_PRAGMAS, keeps=True)
        self._tidied: date | None = None

    def add(self, batch: UsageBatch, today: date) -> None:
        """Add a batch, all of it or nothing, and drop what is too old."""
        batch = {key: usage for key, usage in batch.items() if self._can_be_kept(key)}
        with self._file.writing() as connection:
            for table, number in (("day", day_number), ("month", month_number)):
                rows = [_row(number(key.day), key, usage) for key, usage in batch.items()]
                connection.executemany(_ADD[table], rows)
            if self._tidied != today:
                _drop_before(connection, today - timedelta(days=KEPT_DAYS - 1))
        self._tidied = today

    def _can_be_kept(self, key: UsageKey) -> bool:
        """Whether SQLite takes the names of a row: with one that it does not, no row is written."""
        try:
            f"{key.account}{key.upstream}".encode()
        except UnicodeEncodeError:
            self._log.error(
                "what {account} used of {upstream} is not kept: the name is no Unicode text",
                account=ascii(key.account),
                upstream=ascii(key.upstream),
            )
            return False
        return True

    def rows(self, question: UsageQuestion, most: int) -> Sequence[UsageRow]:
        """The sums that are asked for."""
        query, arguments = _query(question)
        found = self._file.read(f"{query} LIMIT ?", (*arguments, most + 1))
        if len(found) > most:
            raise TooManyRowsError
        return [_told(*row) for row in found]

    def served(self, today: date) -> Mapping[str, ServedTo]:
        """How much was served to each account on a day, and in its month."""
        month = month_number(today)
        whole = self._file.read(
            "SELECT account, SUM(served) FROM months WHERE month = ? AND class = ''"
            " GROUP BY account",
            (month,),
        )
        query = (
            f"SELECT account, SUM(served) FROM {_WHO} JOIN days USING (account, class)"
            " WHERE day = ? AND class = '' GROUP BY account"
        )
        day = dict(self._file.read(query, (month, month, day_number(today))))
        return {account: ServedTo(day.get(account, 0), served) for account, served in whole}

    def close(self) -> None:
        """Close it. Idempotent."""
        self._file.close()


def day_number(day: date) -> int:
    """A day as it is kept."""
    return day.year * 10_000 + day.month * 100 + day.day


def month_number(day: date) -> int:
    """The month of a day as it is kept."""
    return day.year * 100 + day.month


def _row(number: int, key: UsageKey, usage: Usage) -> tuple[object, ...]:
    names = (number, key.account, key.address_class, key.upstream, _WRITER)
    return *names, *(getattr(usage, name) for name in _FIELDS)


def _told(number: int, account: str, address_class: str, upstream: str, *sums: int) -> UsageRow:
    month = number if number < 1_000_000 else number // 100
    day = date(month // 100, month % 100, 1 if month == number else number % 100)
    return UsageKey(day, account, address_class, upstream), Usage(
        **dict(zip(_FIELDS, sums, strict=True))
    )


def _drop_before(connection: sqlite3.Connection, first: date) -> None:
    connection.execute("DELETE FROM days WHERE day < ?", (day_number(first),))
    connection.execute("DELETE FROM months WHERE month < ?", (month_number(first),))


def _query(question: UsageQuestion) -> tuple[str, Sequence[object]]:
    first, last = question.first, question.last
    months, days = ((number(first), number(last)) for number in (month_number, day_number))
    if question.by_month and _is_whole(first, last):
        return _grouped("month", "months", question, months)
    period = "day / 100" if question.by_month else "day"
    if question.account is not None:
        return _grouped(period, "days", question, days)
    return _grouped(period, f"{_WHO} JOIN days USING (account, class)", question, (*months, *days))


def _is_whole(first: date, last: date) -> bool:
    """Whether days are all those of some months."""
    return first == first_of_month(first) and last == last_of_month(last)


def _grouped(
    period: str, table: str, question: UsageQuestion, between: Sequence[object]
) -> tuple[str, Sequence[object]]:
    wanted = {"account": question.account, "upstream": question.upstream}
    more = {f"{name} = ?": value for name, value in wanted.items() if value is not None}
    column = "month" if table == "months" else "day"
    where = " AND ".join((f"{column} BETWEEN ? AND ?", *more))
    names = f"{period}, account, class, upstream"
    query = f"SELECT {names}, {_TOTALS} FROM {table} WHERE {where}"
    return f"{query} GROUP BY {names} ORDER BY {names}", (*between, *more.values())
