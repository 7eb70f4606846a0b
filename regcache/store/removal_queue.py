"""Keeps the contents that further steps of a removal have to look at.

They are in the file of the index, so that a removal that was begun is finished after a restart. All
functions run in the index's thread, within a transaction. There are never more than the removed
manifests have listed in the file before.

========  ===========================================================  =========================
part      what it is                                                   in one step
========  ===========================================================  =========================
NAMED     the named content, if it lists very much: its bytes and      one
          its list have to be forgotten
BYTES     the same for another manifest that is removed with it        one
MANIFEST  a manifest that a removed manifest listed                    as many as one step may
BLOB      a blob that a removed manifest listed; blobs follow all      ``MOST_BLOBS``
          manifests, since any manifest may need them
DONE      a manifest that this removal has removed already; it is
          not removed again if another removed manifest lists it;
          a later removal of the same content forgets that
========  ===========================================================  =========================
"""

import sqlite3
from collections.abc import Iterable
from enum import IntEnum
from typing import Self

MOST_BLOBS = 512
"""At most so many blobs are removed in one step."""

FOLLOWING = """
CREATE TABLE following (                -- what goes along with what was removed, in further steps
    repository_id INTEGER NOT NULL,
    named BLOB NOT NULL,                -- the digest of what was removed
    part INTEGER NOT NULL,              -- regcache.store.removal_queue.RemovalPart
    digest BLOB NOT NULL,
    PRIMARY KEY (repository_id, named, part, digest)
) WITHOUT ROWID;
"""
"""Adds the table to an index."""

_ADD = "INSERT OR IGNORE INTO following (repository_id, named, part, digest) VALUES (?, ?, ?, ?)"

_OF_IT = "FROM following WHERE repository_id = ? AND named = ?"


class RemovalPart(IntEnum):
    """Says what has to be done with content. The parts are done in this order."""

    NAMED = 0
    BYTES = 1
    MANIFEST = 2
    BLOB = 3
    DONE = 4


class RemovalQueue:
    """Holds what is left of one removal.

    :ivar repository: the number of the repository that something was removed from.
    :ivar named: the digest of the named content.
    """

    def __init__(self, connection: sqlite3.Connection, repository: int, named: bytes) -> None:
        self._connection = connection
        self.repository = repository
        self.named = named

    @classmethod
    def unfinished(cls, connection: sqlite3.Connection) -> Self | None:
        """Find a removal of which something is left; None if there is none."""
        row = connection.execute("SELECT repository_id, named FROM following LIMIT 1").fetchone()
        return None if row is None else cls(connection, *row)

    def begin(self) -> None:
        """Begin a removal; an earlier one of the same content may not be finished.

        What that one removed may have been pulled since, so it is to be removed once more.
        """
        self._connection.execute(f"DELETE {_OF_IT} AND part = ?", (*self._names, RemovalPart.DONE))

    def add(self, part: RemovalPart, digests: Iterable[bytes]) -> None:
        """Put some contents into the queue."""
        self._connection.executemany(_ADD, ((*self._names, part, each) for each in digests))

    def next(self) -> tuple[RemovalPart, list[bytes]]:
        """Return what the next step has to look at: contents of one part, as many as it may."""
        rows = self._connection.execute(
            f"SELECT part, digest {_OF_IT} ORDER BY part, digest LIMIT ?",
            (*self._names, MOST_BLOBS),
        ).fetchall()
        part = RemovalPart(rows[0][0]) if rows else RemovalPart.DONE
        return part, [digest for found, digest in rows if found == part]

    def drop(self, part: RemovalPart, last: bytes) -> None:
        """Remove contents that were looked at from the front of the queue.

        :param last: the last of these contents.
        """
        self._connection.execute(
            f"DELETE {_OF_IT} AND part = ? AND digest <= ?", (*self._names, part, last)
        )

    def known_manifests(self, last: bytes) -> set[bytes]:
        """Find contents that were queued as blobs, and are known to be manifests by now.

        :param last: the last of the blobs for the next step.
        """
        rows = self._connection.execute(
            "SELECT f.digest FROM following f CROSS JOIN contents c ON c.digest = f.digest"
            " WHERE repository_id = ? AND named = ? AND part = ? AND f.digest <= ?"
            " AND c.media_type != ''",
            (*self._names, RemovalPart.BLOB, last),
        )
        return {digest for (digest,) in rows}

    def was_removed(self, digest: bytes) -> bool:
        """Return whether a manifest was removed in an earlier step."""
        row = self._connection.execute(
            f"SELECT 1 {_OF_IT} AND part = ? AND digest = ?",
            (*self._names, RemovalPart.DONE, digest),
        ).fetchone()
        return row is not None

    def close(self) -> bool:
        """Forget the removal if nothing is left of it. Return whether any removal is unfinished."""
        part, _ = self.next()
        if part is RemovalPart.DONE:
            self._connection.execute(f"DELETE {_OF_IT}", self._names)
        return self.unfinished(self._connection) is not None

    @property
    def _names(self) -> tuple[int, bytes]:
        return self.repository, self.named
