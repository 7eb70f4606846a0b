"""Statements about which contents are on the disk, and in which order they are evicted.

Other facts about content are kept in other tables: evicted content only loses its place. All
functions take the connection first, and run in the index's thread.
"""

import sqlite3
from dataclasses import dataclass
from math import inf

from regcache.digests import Digest
from regcache.retention import priority
from regcache.store.index_schema import digest_from_key
from regcache.store.index_uses import count_of, note_stored

IN_ORDER = """
SELECT p.needed, p.priority, p.content_id, c.digest, p.size, p.since
FROM places p JOIN contents c ON c.id = p.content_id
WHERE p.place = 'disk' AND (p.needed, p.priority, p.content_id) > (?, ?, ?)
AND NOT EXISTS (SELECT 1 FROM pinned WHERE digest = c.digest)
ORDER BY p.needed, p.priority, p.content_id LIMIT ?
"""

_ADD = """
INSERT INTO places (content_id, place, size, since, needed, priority)
VALUES (?, 'disk', ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET size = excluded.size, priority = max(priority, excluded.priority)
"""

_IS_NEEDED = """
SELECT EXISTS (
    SELECT 1 FROM mentions m JOIN places p ON p.content_id = m.manifest_id AND p.place = 'disk'
    WHERE m.digest = ?
)
"""

_NOTE_NEEDED = """
UPDATE places SET needed = 1
WHERE place = 'disk' AND +needed = 0 AND content_id IN (
    SELECT c.id FROM mentions m JOIN contents c ON c.digest = m.digest WHERE m.manifest_id = ?
)
"""

_NOTE_NEEDLESS = """
UPDATE places SET needed = 0
WHERE place = 'disk' AND content_id IN (
    SELECT c.id FROM mentions m JOIN contents c ON c.digest = m.digest
    WHERE m.manifest_id = :manifest AND c.media_type = '' AND NOT EXISTS (
        SELECT 1 FROM mentions o JOIN places p ON p.content_id = o.manifest_id AND p.place = 'disk'
        WHERE o.digest = m.digest AND o.manifest_id != :manifest
    )
)
"""


Position = tuple[int, float, int]
"""Where content is in the order of eviction: whether it is needed, its priority, its number."""

FIRST: Position = (0, -inf, 0)
"""In front of all."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Content that may be evicted, since it is not pinned.

    :ivar size: in bytes.
    :ivar since: when it came (Unix seconds).
    """

    position: Position
    digest: Digest
    size: int
    since: float


@dataclass(frozen=True, slots=True)
class Stored:
    """Content whose bytes are on the disk.

    :ivar number: of its row.
    :ivar key: of its digest.
    :ivar size: in bytes.
    """

    number: int
    key: bytes
    size: int
    is_manifest: bool


def add_place(connection: sqlite3.Connection, content: Stored, now: float) -> None:
    """Record that content was stored. That counts as a use of it."""
    note_stored(connection, content.number, now)
    needed = content.is_manifest or _is_needed(connection, content.key)
    count = count_of(connection, content.number, now)
    worth = priority(eviction_floor(connection), count, content.size)
    connection.execute(_ADD, (content.number, content.size, now, needed, worth))


def drop_place(connection: sqlite3.Connection, number: int) -> None:
    """Record that content is not on the disk any more, or about to be removed.

    What a manifest lists is needed no more, unless another stored one lists it.
    """
    dropped = connection.execute(
        "DELETE FROM places WHERE content_id = ? AND place = 'disk'", (number,)
    )
    if dropped.rowcount:
        connection.execute(_NOTE_NEEDLESS, {"manifest": number})


def note_needed(connection: sqlite3.Connection, manifest: int) -> None:
    """A stored manifest lists what it lists."""
    connection.execute(_NOTE_NEEDED, (manifest,))


def in_order(connection: sqlite3.Connection, after: Position, limit: int) -> list[Candidate]:
    """The contents that may be evicted, in that order, after a position."""
    rows = connection.execute(IN_ORDER, (*after, limit))
    return [
        Candidate((needed, worth, number), digest_from_key(key), size, since)
        for needed, worth, number, key, size, since in rows
    ]


def eviction_floor(connection: sqlite3.Connection) -> float:
    """The priority of what was evicted last."""
    (floor,) = connection.execute("SELECT floor FROM eviction").fetchone()
    return float(floor)


def _is_needed(connection: sqlite3.Connection, key: bytes) -> bool:
    (needed,) = connection.execute(_IS_NEEDED, (key,)).fetchone()
    return bool(needed)
