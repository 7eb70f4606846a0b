"""Statements about uses: when content was used last, and how much.

A use of a manifest is also one of all that it lists, and of the index that lists it. So uses are
recorded in batches, in steps that are short enough for other work of the index's thread in between.
All functions take the connection first, and run in that thread.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import field

from regcache.digests import Digest
from regcache.light_dataclass import dataclass
from regcache.manifest_body import MOST_DESCRIPTORS
from regcache.retention import MOST_DOUBLINGS, count_now, priority, weight
from regcache.store.index_schema import digest_key

STEP = 0.005
"""Seconds after which a step ends, once what it has begun is done."""

MOST_REACHED = MOST_DESCRIPTORS + 2
"""Contents that one use may reach: the largest image, and an index. Real ones have some dozens."""

MOST_ABOVE = 16
"""Indexes above a manifest that are looked at."""

WRITER = 1
"""The row of the one daemon that writes here."""

# The same content may be listed several times, and lists may contain each other.
_REACHED = f"""
WITH RECURSIVE reached (id) AS (
    VALUES (:root)
    UNION
    SELECT c.id FROM reached r
    JOIN mentions m ON m.manifest_id = r.id
    JOIN contents c ON c.digest = m.digest
    LIMIT {MOST_REACHED}
)
SELECT r.id, p.size FROM reached r
LEFT JOIN places p ON p.content_id = r.id AND p.place = 'disk'
"""

_ABOVE = f"""
SELECT m.manifest_id, p.size FROM mentions m
JOIN places p ON p.content_id = m.manifest_id AND p.place = 'disk'
WHERE m.digest = ? LIMIT {MOST_ABOVE}
"""

_NOTE = """
INSERT INTO uses (content_id, writer, last_use, count) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    last_use = max(last_use, excluded.last_use), count = count + excluded.count
"""

_RAISE = """
UPDATE places SET priority = max(priority, ?) WHERE content_id = ? AND place = 'disk'
"""

_COUNTS = """
SELECT u.count, w.landmark FROM uses u JOIN writers w ON w.id = u.writer WHERE u.content_id = ?
"""

Reached = tuple[int, int | None]
"""The number of a content, and its size on the disk; None where it is not there."""


@dataclass(slots=True)
class Use:
    """The uses of some content since the last batch.

    :ivar count: how often.
    :ivar last: the last time (Unix seconds).
    """

    count: int
    last: float


@dataclass(slots=True)
class UseBatch:
    """Uses that are being recorded.

    :ivar waiting: uses that are not recorded yet.
    :ivar noted: how many uses of each content are recorded. A pull of an image uses its index, its
        manifest and its layers; that counts as one use of each of them.
    """

    waiting: list[tuple[Digest, Use]]
    noted: dict[int, int] = field(default_factory=dict)


def note_uses(connection: sqlite3.Connection, given: UseBatch) -> UseBatch:
    """Record some of the uses of a batch; as many as there is time for. Returns what is left."""
    batch = UseBatch(list(given.waiting), dict(given.noted))
    end = time.perf_counter() + STEP
    (floor,) = connection.execute("SELECT floor FROM eviction").fetchone()
    while batch.waiting:
        digest, use = batch.waiting.pop()
        _note_use(connection, batch, digest, use, floor)
        if time.perf_counter() > end:
            break
    return batch


def _note_use(
    connection: sqlite3.Connection, batch: UseBatch, digest: Digest, use: Use, floor: float
) -> None:
    row = connection.execute(
        "SELECT id, media_type FROM contents WHERE digest = ?", (digest_key(digest),)
    ).fetchone()
    if row is None:
        return
    root, media_type = row
    reached = connection.execute(_REACHED, {"root": root}).fetchall()
    above = connection.execute(_ABOVE, (digest_key(digest),)).fetchall() if media_type else []
    _add(connection, batch, [*reached, *above], use)
    count = count_of(connection, root, use.last)
    _raise(connection, reached, floor, count)
    for index in above:
        _raise(connection, [index], floor, count_of(connection, index[0], use.last))


def _add(
    connection: sqlite3.Connection, batch: UseBatch, reached: Sequence[Reached], use: Use
) -> None:
    """Add those uses to the counts of contents that this batch has not added yet."""
    each = weight(use.last, landmark(connection, use.last))
    rows = []
    for number, _ in reached:
        more = max(0, use.count - batch.noted.get(number, 0))
        batch.noted[number] = batch.noted.get(number, 0) + more
        rows.append((number, WRITER, use.last, more * each))
    connection.executemany(_NOTE, rows)


def _raise(
    connection: sqlite3.Connection, reached: Sequence[Reached], floor: float, count: float
) -> None:
    """Update the order of eviction: an image counts as much as its most used part."""
    connection.executemany(
        _RAISE,
        [(priority(floor, count, size), number) for number, size in reached if size is not None],
    )


def note_stored(connection: sqlite3.Connection, number: int, now: float) -> None:
    """Record new content. The request for it is counted as a use separately."""
    connection.execute(_NOTE, (number, WRITER, now, 0.0))


def count_of(connection: sqlite3.Connection, number: int, now: float) -> float:
    """The uses of a content, of all writers, as they count at a moment."""
    rows = connection.execute(_COUNTS, (number,))
    return sum(count_now(total, since, now) for total, since in rows if since is not None)


def landmark(connection: sqlite3.Connection, now: float) -> float:
    """When a use weighed 1. It is set with the first use, and moves before sums overflow."""
    (found,) = connection.execute("SELECT landmark FROM writers WHERE id = ?", (WRITER,)).fetchone()
    if found is not None and weight(now, found) < 2.0 ** (MOST_DOUBLINGS - 1):
        return float(found)
    if found is not None:
        connection.execute(
            "UPDATE uses SET count = count / ? WHERE writer = ?", (weight(now, found), WRITER)
        )
    connection.execute("UPDATE writers SET landmark = ? WHERE id = ?", (now, WRITER))
    return now
