"""Images that lose only a part by a sweep: large layers go before the manifests that list them.

What goes by its place in the order goes one by one, so that an image may stay without some of its
layers. Functions take the connection first, and run in the index's thread.
"""

import sqlite3

from regcache.facts import in_blocks
from regcache.retention import Selection
from regcache.store.index_eviction import WHERE_SELECTED, parameters, where_planned
from regcache.store.index_uses import MOST_REACHED

MOST_STAYING = 200
"""Images of one range that lose a part and are told of."""

NOT_PINNED = "AND NOT EXISTS (SELECT 1 FROM pinned n WHERE n.digest = c.digest)"

# The images above what goes that stay by their own place in the order.
_STAYING = """
SELECT DISTINCT ifnull((
    SELECT a.manifest_id FROM contents k CROSS JOIN mentions a ON a.digest = k.digest
    CROSS JOIN places b ON b.content_id = a.manifest_id WHERE k.id = m.manifest_id LIMIT 1
), m.manifest_id)
FROM places p CROSS JOIN contents c ON c.id = p.content_id
CROSS JOIN mentions m ON m.digest = c.digest
CROSS JOIN places q ON q.content_id = m.manifest_id
WHERE p.tags IS NULL AND (q.needed, q.priority, q.content_id) > (:needed, :worth, :number)
AND {} LIMIT :most
"""

_LISTED = f"""
WITH RECURSIVE listed (id) AS (
    VALUES (?)
    UNION
    SELECT c.id FROM listed l CROSS JOIN mentions m ON m.manifest_id = l.id
    CROSS JOIN contents c ON c.digest = m.digest
    LIMIT {MOST_REACHED}
)
SELECT id FROM listed
"""

IS_SELECTED = f"""
SELECT p.size FROM places p JOIN contents c ON c.id = p.content_id
WHERE {WHERE_SELECTED} {NOT_PINNED}
"""


def staying(connection: sqlite3.Connection, selection: Selection, after: int, end: int) -> set[int]:
    """Images that stay without some content of a range, by their numbers; some of them."""
    if selection.until is None:
        return set()
    statement = _STAYING.format(where_planned(selection) + NOT_PINNED)
    names = {**parameters(selection, after, end), "most": MOST_STAYING}
    return {number for (number,) in connection.execute(statement, names)}


def lost(connection: sqlite3.Connection, selection: Selection, image: int) -> tuple[int, float]:
    """What an image loses (in blocks), and its last use; 0 bytes also where it goes itself."""
    numbers = [number for (number,) in connection.execute(_LISTED, (image,)).fetchall()]
    sizes = []
    for number in numbers:
        names = parameters(selection, number - 1, number)
        row = connection.execute(IS_SELECTED, names).fetchone()
        if row is not None and number == image:
            return 0, 0.0
        sizes.append(in_blocks(row[0]) if row is not None else 0)
    (last_use,) = connection.execute(
        "SELECT ifnull(max(last_use), 0) FROM uses WHERE content_id = ?", (image,)
    ).fetchone()
    return sum(sizes), last_use
