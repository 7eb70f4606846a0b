"""The file of what is counted over time. If it is lost only charts miss something."""

import sqlite3
from collections.abc import Mapping, Sequence

from regcache.counts import (
    KEPT,
    NAMES_KEPT,
    CountBatch,
    CountPeriod,
    NameKind,
    Sums,
)
from regcache.store.sums_file import SumsFile

VERSION = 1
#: Names of one kind that are kept of a period that is over, and while it runs.
NAMES_OF_PAST, NAMES_OF_PRESENT = {NameKind.REPOSITORY: 200, NameKind.PRINCIPAL: 2000}, 2000

_FIELDS = ("served", "fetched", "requests", "hits", "failed", "pulls")
_NAMES = ", ".join(_FIELDS)
_TOTALS = ", ".join(f"COALESCE(SUM({name}), 0)" for name in _FIELDS)
_ADDED = ", ".join(f"{name} = {name} + excluded.{name}" for name in _FIELDS)
_COLUMNS = ", ".join(f"{name} INTEGER NOT NULL" for name in _FIELDS)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS counts (
    step INTEGER NOT NULL, start INTEGER NOT NULL, upstream TEXT NOT NULL, {_COLUMNS},
    PRIMARY KEY (step, start, upstream)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stored (
    step INTEGER NOT NULL, start INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (step, start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (
    step INTEGER NOT NULL, start INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    {_COLUMNS}, PRIMARY KEY (step, start, kind, name)) WITHOUT ROWID;
"""
_PRAGMAS = ("PRAGMA synchronous = OFF", "PRAGMA cache_size = -1024")
_ADD_COUNT = (
    f"INSERT INTO counts (step, start, upstream, {_NAMES}) VALUES (?,?,?,?,?,?,?,?,?)"
    f" ON CONFLICT DO UPDATE SET {_ADDED}"
)
_ADD_NAME = (
    f"INSERT INTO names (step, start, kind, name, {_NAMES}) VALUES (?,?,?,?,?,?,?,?,?,?)"
    f" ON CONFLICT DO UPDATE SET {_ADDED}"
)
#: Of each kind the names that served most stay.
_PRUNE = """
DELETE FROM names WHERE step = ?1 AND start = ?2 AND kind = ?3 AND name NOT IN (
    SELECT name FROM names WHERE step = ?1 AND start = ?2 AND kind = ?3
    ORDER BY served DESC, requests DESC LIMIT ?4)
"""


class CountFile:
    """See :class:`regcache.counts.ICountFile`."""

    def __init__(self, path: str) -> None:
        self._file = SumsFile(path, _SCHEMA, VERSION, pragmas=_PRAGMAS, keeps=False)

    def add(self, batch: CountBatch) -> None:
        """Add a batch to the periods of its time, and drop what is too old."""
        with self._file.writing() as connection:
            self._add(connection, batch)

    def _add(self, connection: sqlite3.Connection, batch: CountBatch) -> None:
        now = int(batch.time)
        for step, kept in KEPT.items():
            start = now // step * step
            rows = [(step, start, name, *_values(sums)) for name, sums in batch.upstreams.items()]
            connection.executemany(_ADD_COUNT, rows)
            if batch.disk is not None:
                row = (step, start, batch.disk)
                connection.execute("INSERT OR REPLACE INTO stored VALUES (?,?,?)", row)
            for table in ("counts", "stored"):
                old = (step, now - kept)
                connection.execute(f"DELETE FROM {table} WHERE step = ? AND start < ?", old)
        for step, kept in NAMES_KEPT.items():
            start = now // step * step
            self._add_names(connection, batch, step, start)
            connection.execute("DELETE FROM names WHERE step = ? AND start < ?", (step, now - kept))

    def _add_names(
        self, connection: sqlite3.Connection, batch: CountBatch, step: int, start: int
    ) -> None:
        rows = [(step, start, *key, *_values(sums)) for key, sums in batch.names.items()]
        if not rows:
            return
        connection.executemany(_ADD_NAME, rows)
        query = "SELECT start, kind, COUNT(*) FROM names WHERE step = ? GROUP BY start, kind"
        for at, kind, count in connection.execute(query, (step,)).fetchall():
            most = NAMES_OF_PRESENT if at == start else NAMES_OF_PAST[kind]
            if count > most:
                connection.execute(_PRUNE, (step, at, kind, most))

    def series(self, step: int, start: int, upstream: str | None) -> Sequence[CountPeriod]:
        """The periods of a length from a time on, of one upstream or of all together."""
        query = f"SELECT start, {_TOTALS} FROM counts WHERE step = ? AND start >= ?"
        arguments: tuple[object, ...] = (step, start)
        if upstream is not None:
            query, arguments = f"{query} AND upstream = ?", (*arguments, upstream)
        counted = self._file.read(f"{query} GROUP BY start ORDER BY start", arguments)
        stored = dict(self.stored(step, start))
        return [CountPeriod(at, _read(sums), stored.get(at)) for at, *sums in counted]

    def stored(self, step: int, start: int) -> Sequence[tuple[int, int]]:
        """When how many bytes were stored: the start of each period from a time on, in order."""
        query = "SELECT start, bytes FROM stored WHERE step = ? AND start >= ? ORDER BY start"
        return self._file.read(query, (step, start))

    def by_upstream(self, step: int, start: int) -> Mapping[str, Sums]:
        """Sums since a time, by upstream."""
        query = f"SELECT upstream, {_TOTALS} FROM counts WHERE step = ? AND start >= ?"
        rows = self._file.read(f"{query} GROUP BY upstream", (step, start))
        return {name: _read(sums) for name, *sums in rows}

    def names(self, step: int, start: int, kind: str) -> Mapping[str, Sums]:
        """Sums since a time, by name."""
        rows = self._file.read(
            f"SELECT name, {_TOTALS} FROM names WHERE step = ? AND start >= ? AND kind = ?"
            " GROUP BY name",
            (step, start, kind),
        )
        return {name: _read(sums) for name, *sums in rows}

    def close(self) -> None:
        """Close it. Idempotent."""
        self._file.close()


def _values(sums: Sums) -> tuple[int, ...]:
    return tuple(getattr(sums, name) for name in _FIELDS)


def _read(columns: Sequence[int]) -> Sums:
    return Sums(**dict(zip(_FIELDS, columns, strict=True)))
