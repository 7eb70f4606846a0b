"""What goes along with a removal and is looked at in further steps of it.

It is in the file, so that a removal that was begun is finished after a restart. Functions run in
the index's thread, within a transaction.

========  ===========================================================  =========================
part      what it is                                                   in one step
========  ===========================================================  =========================
NAMED     what was named, where that lists very much: its bytes, and   one
          what it lists, are to be forgotten
BYTES     a manifest that goes along, likewise                         one
MANIFEST  a manifest that something listed which is removed            so many as list little
BLOB      a blob likewise: behind all manifests, any of which may      ``MOST_BLOBS``
          keep it
DONE      a manifest that was removed by this: what lists it, and is
          removed later, removes it no second time
========  ===========================================================  =========================
"""

import sqlite3
from collections.abc import Iterable
from enum import IntEnum
from typing import Self

MOST_BLOBS = 512
"""Blobs that go in one step."""

MOST_QUEUED = 20_000
"""What goes along with one removal. What is left of an image that lists more is evicted first."""

FOLLOWING = """
CREATE TABLE following (                -- what goes along with what was removed, in further steps
    repository_id INTEGER NOT NULL,
    named BLOB NOT NULL,                -- the digest of what was removed
    part INTEGER NOT NULL,              -- regcache.store.removal_queue.RemovalPart
    digest BLOB NOT NULL,
    PRIMARY KEY (repository_id, named, part, digest)
) WITHOUT ROWID;
"""
"""The script that adds the table to an index."""

_ADD = "INSERT OR IGNORE INTO following (repository_id, named, part, digest) VALUES (?, ?, ?, ?)"

_OF_IT = "FROM following WHERE repository_id = ? AND named = ?"


class RemovalPart(IntEnum):
    """What is to be done with content, in this order."""

    NAMED = 0
    BYTES = 1
    MANIFEST = 2
    BLOB = 3
    DONE = 4


class RemovalQueue:
    """What is left of one removal.

    :ivar repository: the number of the repository that something was removed from.
    :ivar named: the digest of what was named.
    """

    def __init__(self, connection: sqlite3.Connection, repository: int, named: bytes) -> None:
        self._connection = connection
        self.repository = repository
        self.named = named

    @classmethod
    def unfinished(cls, connection: sqlite3.Connection) -> Self | None:
        """A removal of which something is left."""
        row = connection.execute("SELECT repository_id, named FROM following LIMIT 1").fetchone()
        return None if row is None else cls(connection, *row)

    def add(self, part: RemovalPart, digests: Iterable[bytes]) -> None:
        """Look at some contents later."""
        (count,) = self._connection.execute(f"SELECT count(*) {_OF_IT}", self._names).fetchone()
        rows = [(*self._names, part, each) for each in digests]
        self._connection.executemany(_ADD, rows[: max(0, MOST_QUEUED - count)])

    def next(self) -> tuple[RemovalPart, list[bytes]]:
        """What to look at in the next step: of one part, as much as there may be of it."""
        rows = self._connection.execute(
            f"SELECT part, digest {_OF_IT} ORDER BY part, digest LIMIT ?",
            (*self._names, MOST_BLOBS),
        ).fetchall()
        part = RemovalPart(rows[0][0]) if rows else RemovalPart.DONE
        return part, [digest for found, digest in rows if found == part]

    def drop(self, part: RemovalPart, last: bytes) -> None:
        """What comes next was looked at.

        :param last: the last of it.
        """
        self._connection.execute(
            f"DELETE {_OF_IT} AND part = ? AND digest <= ?", (*self._names, part, last)
        )

    def known_manifests(self, last: bytes) -> set[bytes]:
        """What was taken for blobs, and is known to be manifests by now.

        :param last: of the blobs that come next.
        """
        rows = self._connection.execute(
            "SELECT f.digest FROM following f CROSS JOIN contents c ON c.digest = f.digest"
            " WHERE repository_id = ? AND named = ? AND part = ? AND f.digest <= ?"
            " AND c.media_type != ''",
            (*self._names, RemovalPart.BLOB, last),
        )
        return {digest for (digest,) in rows}

    def was_removed(self, digest: bytes) -> bool:
        """Whether a manifest was removed in an earlier step."""
        row = self._connection.execute(
            f"SELECT 1 {_OF_IT} AND part = ? AND digest = ?",
            (*self._names, RemovalPart.DONE, digest),
        ).fetchone()
        return row is not None

    def close(self) -> bool:
        """If nothing is left, forget the removal. Returns whether something is left of any."""
        part, _ = self.next()
        if part is RemovalPart.DONE:
            self._connection.execute(f"DELETE {_OF_IT}", self._names)
        return self.unfinished(self._connection) is not None

    @property
    def _names(self) -> tuple[int, bytes]:
        return self.repository, self.named
