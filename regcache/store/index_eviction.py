"""Statements that find contents to evict, and evict them.

Eviction removes the place of content and nothing else: uses, links and lists stay. The digest is
noted in ``leaving`` until the file is removed, so that a kill -9 in between leaves no file that
the index does not know. Functions take the connection first, and run in the index's thread.
"""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isfinite

from regcache.digests import Digest
from regcache.light_dataclass import dataclass
from regcache.plans import Savings
from regcache.retention import Candidate, CandidatePage, Position, Selection, SelectionPage
from regcache.store.index_places import DAY, GHOST_UNIT_BITS, drop_place
from regcache.store.index_schema import digest_from_key, digest_key

MOST_LOOKED_AT = 2000
"""Rows that one query reads."""

MOST_CANDIDATES = 64
"""Candidates in one page."""

STEP = 0.01
"""Seconds after which a step begins nothing more."""

MOST_GHOSTS = 100_000
"""Evicted contents that are remembered, to count those that are fetched again."""

IN_ORDER = """
SELECT p.needed, p.priority, p.content_id, p.size, p.since FROM places p
WHERE p.place = 'disk' AND (p.needed, p.priority, p.content_id) > (?, ?, ?)
ORDER BY p.needed, p.priority, p.content_id LIMIT ?
"""

_UNPINNED = """
SELECT digest FROM contents c
WHERE id = ? AND NOT EXISTS (SELECT 1 FROM pinned p WHERE p.digest = c.digest)
"""

_IN_RANGE = """
+p.place = 'disk' AND p.content_id > :after AND p.content_id <= :end AND p.since <= :before
"""
_UP_TO = "AND (+p.needed, +p.priority, +p.content_id) <= (:needed, :worth, :number)"
# Uses since then are read for the whole range at once. Content that was never used counts as used
# when it was stored.
_UNUSED = """
AND p.content_id NOT IN (
    SELECT content_id FROM uses
    WHERE content_id > :after AND content_id <= :end AND last_use > :last_use
)
AND (p.since <= :last_use OR EXISTS (SELECT 1 FROM uses WHERE content_id = p.content_id))
"""
_OF_UPSTREAM = """
AND (:upstream = '' OR EXISTS (
    SELECT 1 FROM links l JOIN upstreams u ON u.key = l.upstream
    WHERE l.content_id = p.content_id AND u.name = :upstream
))
"""
WHERE_SELECTED = f"{_IN_RANGE} {_UP_TO} {_UNUSED} {_OF_UPSTREAM}"

_SELECTED = f"""
SELECT p.content_id, p.needed, p.priority, p.size, p.since, c.digest
FROM places p JOIN contents c ON c.id = p.content_id
WHERE {WHERE_SELECTED} AND NOT EXISTS (SELECT 1 FROM pinned n WHERE n.digest = c.digest)
ORDER BY p.content_id
"""

_PINNED_BYTES = """
SELECT n.digest, p.size FROM pinned n
LEFT JOIN contents c ON c.digest = n.digest
LEFT JOIN places p ON p.content_id = c.id AND p.place = 'disk'
WHERE n.digest > ? ORDER BY n.digest LIMIT ?
"""


@dataclass(slots=True)
class PinnedWork:
    """The sum of pinned bytes, while it is made.

    :ivar after: the key of the digest after which the next step begins; None: all is added up.
    """

    after: bytes | None = b""
    size: int = 0


@dataclass(frozen=True, slots=True)
class EvictionBatch:
    """Contents that are being evicted.

    :ivar waiting: those that still have their places.
    :ivar selection: those outside it by now stay; None: those whose priority was raised stay.
    :ivar gone: those that were evicted.
    """

    waiting: Sequence[Candidate]
    selection: Selection | None = None
    gone: Sequence[Candidate] = ()


def candidates(connection: sqlite3.Connection, after: Position, before: float) -> CandidatePage:
    """Give a page of candidates after a position, in the order of eviction.

    :param before: only those stored before this (Unix seconds).
    """
    rows = connection.execute(IN_ORDER, (*after, MOST_LOOKED_AT)).fetchall()
    found: list[Candidate] = []
    for needed, worth, number, size, since in rows:
        after = (needed, worth, number)
        if since <= before and (key := _unpinned(connection, number)) is not None:
            found.append(Candidate(after, digest_from_key(key), size, since))
            if len(found) == MOST_CANDIDATES:
                return CandidatePage(tuple(found), after)
    return CandidatePage(tuple(found), after if len(rows) == MOST_LOOKED_AT else None)


def _unpinned(connection: sqlite3.Connection, number: int) -> bytes | None:
    row = connection.execute(_UNPINNED, (number,)).fetchone()
    return None if row is None else row[0]


def evict(connection: sqlite3.Connection, batch: EvictionBatch) -> EvictionBatch:
    """Evict contents of a batch, as many as one step has time for. Give the rest of the batch.

    Content that was pinned or used since the batch was made stays.
    """
    end = time.perf_counter() + STEP
    waiting = list(batch.waiting)
    gone = []
    while waiting:
        candidate = waiting.pop(0)
        if _may_go(connection, candidate, batch.selection):
            _evict_one(connection, candidate)
            gone.append(candidate)
        if time.perf_counter() > end:
            break
    return replace(batch, waiting=waiting, gone=gone)


def _may_go(
    connection: sqlite3.Connection, candidate: Candidate, selection: Selection | None
) -> bool:
    """Whether a candidate is still stored, and was neither pinned nor used since."""
    number = candidate.position[2]
    if _unpinned(connection, number) is None:
        return False
    if selection is not None:
        return _is_selected(connection, number, selection)
    row = connection.execute(
        "SELECT needed, priority FROM places WHERE content_id = ? AND place = 'disk'", (number,)
    ).fetchone()
    return row is not None and row <= candidate.position[:2]


def _is_selected(connection: sqlite3.Connection, number: int, selection: Selection) -> bool:
    row = connection.execute(_SELECTED, parameters(selection, number - 1, number)).fetchone()
    return row is not None


def _evict_one(connection: sqlite3.Connection, candidate: Candidate) -> None:
    _, worth, number = candidate.position
    drop_place(connection, number)
    key = digest_key(candidate.digest)
    connection.execute("INSERT OR IGNORE INTO leaving (digest) VALUES (?)", (key,))
    connection.execute(
        "UPDATE eviction SET floor = max(floor, ?), freed = freed + ?", (worth, candidate.size)
    )
    connection.execute(
        "INSERT OR REPLACE INTO ghosts (content_id, size, freed)"
        " SELECT ?1, ?2, freed - ?2 FROM eviction",
        (number, candidate.size),
    )


def selected(connection: sqlite3.Connection, selection: Selection, after: int) -> SelectionPage:
    """Give a page of selected contents after a content id."""
    (last,) = connection.execute("SELECT ifnull(max(content_id), 0) FROM places").fetchone()
    end = after + MOST_LOOKED_AT
    found = []
    for row in connection.execute(_SELECTED, parameters(selection, after, end)):
        number, needed, worth, size, since, key = row
        found.append(Candidate((needed, worth, number), digest_from_key(key), size, since))
        if len(found) == MOST_CANDIDATES:
            return SelectionPage(tuple(found), number)
    return SelectionPage(tuple(found), end if end < last else None)


def parameters(selection: Selection, after: int, end: int) -> dict[str, object]:
    """The parameters of statements with :data:`WHERE_SELECTED`."""
    needed, worth, number = selection.until or (2, 0.0, 0)
    return {
        "after": after,
        "end": end,
        "before": selection.before,
        "last_use": selection.last_use,
        "upstream": selection.upstream,
        "needed": needed,
        "worth": worth,
        "number": number,
    }


def where_planned(selection: Selection) -> str:
    """The condition for plans: :data:`WHERE_SELECTED` without parts that a selection does not need.

    So content that is used at this moment may be in a plan. A run checks that again.
    """
    found = [_IN_RANGE]
    if selection.until is not None:
        found.append(_UP_TO)
    if isfinite(selection.unused_since):
        found.append(_UNUSED)
    if selection.upstream:
        found.append(_OF_UPSTREAM)
    return " ".join(found)


def note_left(connection: sqlite3.Connection, digests: Iterable[Digest]) -> None:
    """Note that the files of evicted contents are removed."""
    connection.executemany(
        "DELETE FROM leaving WHERE digest = ?", [(digest_key(each),) for each in digests]
    )
    connection.execute(
        "DELETE FROM ghosts WHERE freed <= ifnull((SELECT freed FROM ghosts"
        f" ORDER BY freed DESC LIMIT 1 OFFSET {MOST_GHOSTS}), -1)"
    )


def savings(connection: sqlite3.Connection, since: float) -> list[Savings]:
    """Count evicted contents that were fetched again, by the space that would have kept them."""
    rows = connection.execute(
        "SELECT doublings, sum(misses), sum(bytes) FROM ghost_misses WHERE day >= ?"
        " GROUP BY doublings ORDER BY doublings",
        (int(since // DAY),),
    )
    found: list[Savings] = []
    for doublings, misses, size in rows:
        before = found[-1] if found else Savings(0, 0, 0)
        more = 2 ** (doublings + GHOST_UNIT_BITS)
        found.append(Savings(more, before.misses + misses, before.bytes + size))
    return found


def add_pinned(connection: sqlite3.Connection, work: PinnedWork) -> None:
    """Add up the sizes of some pinned contents."""
    rows = connection.execute(_PINNED_BYTES, (work.after, MOST_LOOKED_AT)).fetchall()
    work.size += sum(size or 0 for _, size in rows)
    work.after = rows[-1][0] if len(rows) == MOST_LOOKED_AT else None
