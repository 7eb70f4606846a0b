"""Statements about which contents are on the disk, and in which order they are evicted.

Other facts about content are kept in other tables: evicted content only loses its place. All
functions take the connection first, and run in the index's thread.
"""

import sqlite3
from dataclasses import KW_ONLY

from regcache.light_dataclass import dataclass
from regcache.retention import priority
from regcache.store.index_uses import count_of, note_stored

_ADD = """
INSERT INTO places (content_id, place, size, since, needed, priority, fetched_by)
VALUES (?, 'disk', ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET size = excluded.size, priority = max(priority, excluded.priority)
"""

IS_NEEDED = """
EXISTS (
    SELECT 1 FROM mentions m JOIN places p ON p.content_id = m.manifest_id AND p.place = 'disk'
    WHERE m.digest = :digest
)
"""
"""Whether a stored manifest lists ``:digest``."""

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


_COUNT_RETURN = """
INSERT INTO ghost_misses (day, doublings, misses, bytes) VALUES (?, ?, 1, ?)
ON CONFLICT DO UPDATE SET misses = misses + 1, bytes = bytes + excluded.bytes
"""

DAY = 86_400.0

GHOST_UNIT_BITS = 20
"""1 MiB: how much larger a disk would have to be is counted in this, doubled so many times."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Content whose bytes are on the disk.

    :ivar number: of its row.
    :ivar key: of its digest.
    :ivar size: in bytes.
    :ivar fetched_by: the account or address for which it was fetched; "" where it is not known.
    """

    number: int
    key: bytes
    size: int
    _: KW_ONLY
    is_manifest: bool
    fetched_by: str = ""


def add_place(connection: sqlite3.Connection, content: Stored, now: float) -> None:
    """Record that content was stored. That counts as a use of it."""
    note_stored(connection, content.number, now)
    _count_return(connection, content.number, now)
    needed = content.is_manifest or _is_needed(connection, content.key)
    count = count_of(connection, content.number, now)
    worth = priority(eviction_floor(connection), count, content.size)
    row = (content.number, content.size, now, needed, worth, content.fetched_by)
    connection.execute(_ADD, row)


def add_first_place(
    connection: sqlite3.Connection, content: Stored, now: float, floor: float, needed: bool
) -> None:
    """The same for content of which nothing was known before.

    :param floor: as :func:`eviction_floor`.
    :param needed: whether a stored manifest lists it.
    """
    note_stored(connection, content.number, now)
    worth = priority(floor, 0.0, content.size)
    row = (content.number, content.size, now, needed, worth, content.fetched_by)
    connection.execute(_ADD, row)


def drop_place(connection: sqlite3.Connection, number: int) -> bool:
    """Record that content is not on the disk any more, or about to be removed.

    What a manifest lists is needed no more, unless another stored one lists it.

    :returns: whether it was there, as far as the index knew.
    """
    dropped = connection.execute(
        "DELETE FROM places WHERE content_id = ? AND place = 'disk'", (number,)
    )
    if dropped.rowcount:
        connection.execute(_NOTE_NEEDLESS, {"manifest": number})
    return bool(dropped.rowcount)


def note_needed(connection: sqlite3.Connection, manifest: int) -> None:
    """A stored manifest lists what it lists."""
    connection.execute(_NOTE_NEEDED, (manifest,))


def _count_return(connection: sqlite3.Connection, number: int, now: float) -> None:
    """Content that was evicted is here again: a larger disk would have kept it."""
    ghost = connection.execute(
        "DELETE FROM ghosts WHERE content_id = ? RETURNING size,"
        " (SELECT freed FROM eviction) - freed",
        (number,),
    ).fetchone()
    if ghost is None:
        return
    size, more = ghost
    doublings = max(0, (more - 1).bit_length() - GHOST_UNIT_BITS)
    connection.execute(_COUNT_RETURN, (int(now // DAY), doublings, size))


def eviction_floor(connection: sqlite3.Connection) -> float:
    """The priority of what was evicted last."""
    (floor,) = connection.execute("SELECT floor FROM eviction").fetchone()
    return float(floor)


def _is_needed(connection: sqlite3.Connection, key: bytes) -> bool:
    (needed,) = connection.execute(f"SELECT {IS_NEEDED}", {"digest": key}).fetchone()
    return bool(needed)
