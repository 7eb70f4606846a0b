"""Statements that forget what is known of content that has not been here for long.

Eviction takes only the place of content; its uses, rights and lists are worth something as long
as it may come again. Functions take the connection first, and run in the index's thread.
"""

import sqlite3
import time
from dataclasses import replace

from regcache.light_dataclass import dataclass
from regcache.store.index_contents import forget_content
from regcache.store.index_holdings import VANISH
from regcache.store.index_schema import digest_from_key

STEP = 0.01
"""Seconds after which a step ends, once what it has begun is done."""

RANGE = 1000
"""Numbers that are looked at in one go."""

FORGET_AFTER = 90 * 86_400.0
"""Seconds without a place, a use or a proof after which content is forgotten."""

_FORGOTTEN = """
SELECT c.id, c.digest FROM contents c
WHERE c.id > :after AND c.id <= :end
AND NOT EXISTS (SELECT 1 FROM places WHERE content_id = c.id)
AND NOT EXISTS (SELECT 1 FROM uses WHERE content_id = c.id AND last_use >= :before)
AND NOT EXISTS (SELECT 1 FROM links WHERE content_id = c.id AND proved_at >= :before)
AND NOT EXISTS (SELECT 1 FROM tags WHERE digest = c.digest AND validated_at >= :before)
AND NOT EXISTS (SELECT 1 FROM pinned WHERE digest = c.digest)
AND NOT EXISTS (SELECT 1 FROM leaving WHERE digest = c.digest)
"""

_HOLDERS = "SELECT repository_id FROM links WHERE content_id = ?"


@dataclass(frozen=True, slots=True)
class ForgettingWork:
    """Content that is being forgotten.

    :ivar before: Unix seconds of the last use or proof.
    :ivar after: behind which number it goes on; None: it is over.
    """

    before: float
    after: int | None = 0
    forgotten: int = 0


def step(connection: sqlite3.Connection, work: ForgettingWork) -> ForgettingWork:
    """Forget some of it. Returns how far it is then."""
    end = time.perf_counter() + STEP
    (last,) = connection.execute("SELECT ifnull(max(id), 0) FROM contents").fetchone()
    after, forgotten = work.after, work.forgotten
    while after is not None and time.perf_counter() < end:
        names = {"after": after, "end": after + RANGE, "before": work.before}
        for number, key in connection.execute(_FORGOTTEN, names).fetchall():
            _forget(connection, number, key)
            forgotten += 1
        after = after + RANGE if after + RANGE < last else None
    return replace(work, after=after, forgotten=forgotten)


def _forget(connection: sqlite3.Connection, number: int, key: bytes) -> None:
    holders = connection.execute(_HOLDERS, (number,)).fetchall()
    forget_content(connection, digest_from_key(key))
    for table in ("links", "withdrawn", "uses", "ghosts"):
        connection.execute(f"DELETE FROM {table} WHERE content_id = ?", (number,))
    connection.execute("DELETE FROM tags WHERE digest = ?", (key,))
    connection.execute("DELETE FROM contents WHERE id = ?", (number,))
    for (repository,) in holders:
        connection.execute(VANISH, {"id": repository})
