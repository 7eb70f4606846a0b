"""Removes what earlier versions left of repositories that were cleared, behind the start.

What manifests of theirs mention, and refer to, stayed in ``shown`` and ``referrers``, and a later
repository may have got the number. What clients are told does not depend on these rows: it is
read with the right to the manifest. They only take room, and keep things that could be removed.

The place that was reached is in the index, and is noted by the transaction that got there.

=======  ===================================  ===================================================
state    event                                what happens
=======  ===================================  ===================================================
done     the index is opened                  nothing, or some: an earlier version wrote it
some     ``PAUSE`` is over                    the next step; behind the last one: done
some     a step fails: the disk is full       it is tried again after ``AGAIN``
some     the daemon ends, or is killed        the next start goes on
=======  ===================================  ===================================================
"""

import sqlite3

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from regcache.store.index_checks import find_progress, note_progress
from regcache.store.index_schema import LEFTOVERS
from regcache.store.index_thread import IndexThread

MOST_LOOKED_AT = 2000
"""Rows that one step looks at: that takes some milliseconds."""

PAUSE = 0.05
"""Seconds between two steps."""

AGAIN = 60.0
"""Seconds until a step that failed is tried again."""

_KEYS = {
    "shown": "repository_id, digest, size, manifest_id",
    "referrers": "repository_id, subject, manifest_id",
}
_PAGE = """
SELECT {columns}, EXISTS (
    SELECT 1 FROM links l
    WHERE l.content_id = t.manifest_id AND l.repository_id = t.repository_id)
FROM {table} t WHERE ({columns}) > ({values}) ORDER BY {columns} LIMIT ?
"""
_DROP = "DELETE FROM {table} WHERE ({columns}) = ({values})"
_BEFORE_ALL = (-1, b"", -1, -1)


def step(connection: sqlite3.Connection) -> bool:
    """Look at some more rows, and remove those without a right. Returns whether more are left."""
    place = find_progress(connection, LEFTOVERS)
    table = str(place.get("table"))
    if table not in _KEYS:
        return False
    columns = _KEYS[table]
    values = ", ".join("?" * len(columns.split(",")))
    names = {"table": table, "columns": columns, "values": values}
    after = _key(place["after"])[: columns.count(",") + 1]
    rows = connection.execute(_PAGE.format(**names), (*after, MOST_LOOKED_AT)).fetchall()
    gone = [row[:-1] for row in rows if not row[-1]]
    connection.executemany(_DROP.format(**names), gone)
    if len(rows) == MOST_LOOKED_AT:
        _note(connection, table, rows[-1][:-1])
    elif table == "shown":
        _note(connection, "referrers", _BEFORE_ALL)
    else:
        connection.execute("DELETE FROM progress WHERE name = ?", (LEFTOVERS,))
        return False
    return True


def _key(noted: list[int | str]) -> tuple[int | bytes | str, ...]:
    """The key of a row, of which JSON has the digest in hexadecimal; [] is before all rows."""
    if not noted:
        return _BEFORE_ALL
    number, digest, *rest = noted
    return (number, bytes.fromhex(str(digest)), *rest)


def _note(connection: sqlite3.Connection, table: str, key: tuple[int | bytes, ...]) -> None:
    after = [each.hex() if isinstance(each, bytes) else each for each in key]
    note_progress(connection, LEFTOVERS, {"table": table, "after": after})


class Leftovers:
    """Takes one step after another."""

    def __init__(self, thread: IndexThread, clock: IReactorTime) -> None:
        self._thread = thread
        self._clock = clock
        self._next: IDelayedCall | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin, or go on, if anything is left."""
        looking = self._thread.read(find_progress, LEFTOVERS)
        looking.addCallbacks(lambda noted: self._took(bool(noted)), self._failed)

    def stop(self) -> None:
        """Begin no further step. Idempotent."""
        self._stopped = True
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _step(self) -> "Deferred[None]":
        stepping = self._thread.write_for(step, is_patient=True)
        return stepping.addCallbacks(self._took, self._failed)

    def _took(self, more: bool) -> None:
        if more:
            self._later(PAUSE)

    def _failed(self, failure: Failure) -> None:
        failure.trap(OSError)  # it is in the log
        self._later(AGAIN)

    def _later(self, seconds: float) -> None:
        if not self._stopped:
            self._next = self._clock.callLater(seconds, self._step)
