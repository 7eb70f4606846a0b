"""Statements about pulls: how often images of a repository were asked for, lately.

They are counted in slots of 30 hours, of which 24 are kept: 30 days. What is asked for by its
digest counts as an image of the repository unless an index lists it: then it is a part of that
one's pull.
"""

import sqlite3
from collections.abc import Iterable

from regcache.digests import Digest
from regcache.identity import Repository
from regcache.light_dataclass import dataclass
from regcache.store.identities import find_names
from regcache.store.index_schema import digest_key

SLOT = 30 * 3600
"""Seconds of a slot."""

SLOTS = 24
"""How many are kept."""

_NOTE = """
INSERT INTO pulls (repository_id, digest, slot, count, listed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = count + excluded.count, listed = min(listed, excluded.listed)
"""
_SERIES = """
SELECT slot, sum(count) FROM pulls
WHERE repository_id = ? AND slot > ? AND listed = 0 GROUP BY slot
"""
_OF_IMAGE = """
SELECT ifnull(sum(count), 0) FROM pulls WHERE repository_id = ? AND digest = ? AND slot > ?
"""


@dataclass(slots=True)
class Pulled:
    """Requests for one manifest since the last batch.

    A client may ask for the tag with HEAD, and then with GET by digest: that is one pull.

    :ivar last: the last time (Unix seconds).
    """

    by_tag: int = 0
    got: int = 0
    headed: int = 0
    last: float = 0.0

    @property
    def count(self) -> int:
        """How many pulls that makes."""
        return max(self.by_tag, self.got, self.headed)


PulledOne = tuple[Repository, Digest, Pulled]
"""A repository, a manifest of it, and the requests for that."""


def slot_of(now: float) -> int:
    """The slot of a moment (Unix seconds)."""
    return int(now // SLOT)


def note_pulls(connection: sqlite3.Connection, batch: Iterable[PulledOne]) -> None:
    """Record pulls of a batch."""
    for repository, digest, pulled in batch:
        _note(connection, repository, digest_key(digest), pulled)


def _note(
    connection: sqlite3.Connection, repository: Repository, key: bytes, pulled: Pulled
) -> None:
    row = connection.execute(
        "SELECT id FROM repositories WHERE upstream = ? AND name = ?",
        find_names(connection, repository),
    ).fetchone()
    if row is None:
        return
    listed = not pulled.by_tag and bool(
        connection.execute("SELECT 1 FROM mentions WHERE digest = ? LIMIT 1", (key,)).fetchone()
    )
    slot = slot_of(pulled.last)
    connection.execute(_NOTE, (row[0], key, slot, pulled.count, listed))
    connection.execute(
        "DELETE FROM pulls WHERE repository_id = ? AND (slot <= ? OR slot > ?)",
        (row[0], slot - SLOTS, slot),
    )
    if not listed:
        connection.execute(
            "UPDATE summaries SET pulls = pulls + ? WHERE repository_id = ?",
            (pulled.count, row[0]),
        )


def series(connection: sqlite3.Connection, number: int, now: float) -> list[int]:
    """The pulls of a repository in each slot, the oldest first."""
    last = slot_of(now)
    found = dict(connection.execute(_SERIES, (number, last - SLOTS)).fetchall())
    return [found.get(slot, 0) for slot in range(last - SLOTS + 1, last + 1)]


def pulls_of(connection: sqlite3.Connection, number: int, key: bytes, now: float) -> int:
    """The pulls of one image of a repository."""
    (found,) = connection.execute(_OF_IMAGE, (number, key, slot_of(now) - SLOTS)).fetchone()
    return int(found)
