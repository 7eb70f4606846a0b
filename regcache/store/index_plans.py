"""Statements that add up, for a plan, what evicting a selection would free.

The sums are made for one range of content ids after the other, in short steps, so that other work
of the index's thread need not wait. Functions take the connection first, and run in that thread.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, field, replace
from functools import partial
from math import inf, isfinite
from typing import Any

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.identity import Repository
from regcache.light_dataclass import dataclass
from regcache.plans import PlanEntry, PlanItem, PlanSkipped, PlanSums
from regcache.removals import RemovalEffect, RemovalTarget
from regcache.retention import FIRST, Position, Selection
from regcache.store.index_eviction import (
    IN_ORDER,
    MOST_LOOKED_AT,
    where_planned,
)
from regcache.store.index_eviction import parameters as selection_parameters
from regcache.store.index_holdings import begin
from regcache.store.index_removal import remove, undone
from regcache.store.index_schema import digest_from_key
from regcache.store.index_uses import MOST_REACHED
from regcache.store.planned_parts import IS_SELECTED, NOT_PINNED, lost, staying
from regcache.store.removed_blobs import begin_blobs

STEP = 0.01
"""Seconds after which a step begins nothing more."""

RANGE = 2000
"""Content ids whose sums one statement makes."""

MOST_ITEMS = 200
"""Images of a plan that its first page describes; the sums count all of them."""

MOST_ENTRIES = 10_000
"""Images of a plan that its further pages can describe."""

MOST_SKIPPED, MOST_PINNED = 200, 10_000
"""How many pinned tags of a plan are named, and how many are counted."""

MOST_COMPARED = 400
"""Contents in the order of eviction that one step compares with a selection."""

MOST_NAMES, MOST_TAGS = 10, 50
"""Repositories that one item names as sharing contents with it, and its tags."""

_PLACES = "places p"
_CONTENTS = "places p CROSS JOIN contents c ON c.id = p.content_id"

_SUMS = """
SELECT count(*), ifnull(sum((p.size + 4095) / 4096), 0) * 4096,
    count(p.tags), ifnull(sum(p.tags), 0)
FROM {} WHERE {}
"""

_IMAGES = """
SELECT p.content_id, ifnull(max(u.last_use), 0)
FROM {} LEFT JOIN uses u ON u.content_id = p.content_id
WHERE p.tags IS NOT NULL AND {} GROUP BY p.content_id HAVING {}
"""

# The condition of index_eviction, on the last use that the statement has joined already.
_LAST_USED_BEFORE = "ifnull(max(u.last_use), p.since) <= :last_use"

_IS_PINNED = """
SELECT 1 FROM contents c JOIN pinned n ON n.digest = c.digest WHERE c.id = ?
"""

_STORED = """
SELECT c.digest, EXISTS (SELECT 1 FROM pinned n WHERE n.digest = c.digest)
FROM contents c JOIN places p ON p.content_id = c.id AND p.place = 'disk' WHERE c.id = ?
"""

_PINNED_TAGS = """
SELECT DISTINCT u.name || '/' || r.name, t.tag
FROM pinned n CROSS JOIN tags t ON t.digest = n.digest
CROSS JOIN repositories r ON r.id = t.repository_id
CROSS JOIN upstreams u ON u.key = r.upstream
LIMIT ?
"""

# Pinned contents are left out. 4096: as regcache.facts.BLOCK
_SUM_IN_ORDER = f"""
SELECT count(*), ifnull(sum(iif(
    EXISTS (SELECT 1 FROM pinned)
    AND EXISTS (
        SELECT 1 FROM contents c JOIN pinned n ON n.digest = c.digest WHERE c.id = content_id
    ), 0, (size + 4095) / 4096
)), 0) * 4096 FROM ({IN_ORDER})
"""
_ONE_IN_ORDER = f"{IN_ORDER} OFFSET ?"

# All contents of an image, each with another stored manifest that lists it, if there is one.
_REACHED = f"""
WITH RECURSIVE reached (id) AS (
    VALUES (:image)
    UNION
    SELECT c.id FROM reached r CROSS JOIN mentions m ON m.manifest_id = r.id
    CROSS JOIN contents c ON c.digest = m.digest
    LIMIT {MOST_REACHED}
)
SELECT p.size, (
    SELECT m.manifest_id FROM mentions m CROSS JOIN places q ON q.content_id = m.manifest_id
    WHERE m.digest = c.digest AND m.manifest_id NOT IN (SELECT id FROM reached) LIMIT 1
)
FROM reached r CROSS JOIN contents c ON c.id = r.id
CROSS JOIN places p ON p.content_id = r.id AND p.place = 'disk'
"""

_HOLDERS = """
SELECT u.name || '/' || r.name, r.id FROM links l
JOIN repositories r ON r.id = l.repository_id JOIN upstreams u ON u.key = r.upstream
WHERE l.content_id = ? LIMIT ?
"""

# A blob that is being downloaded has no link yet: then a repository is named that lists it.
_NAMES = """
SELECT u.name || '/' || r.name FROM contents c JOIN links l ON l.content_id = c.id
JOIN repositories r ON r.id = l.repository_id JOIN upstreams u ON u.key = r.upstream
WHERE c.digest = :key
UNION ALL
SELECT u.name || '/' || r.name FROM mentions m JOIN links l ON l.content_id = m.manifest_id
JOIN repositories r ON r.id = l.repository_id JOIN upstreams u ON u.key = r.upstream
WHERE m.digest = :key LIMIT 1
"""


@dataclass(slots=True)
class PlanWork:
    """A plan that is being made. While a step runs it belongs to the index's thread.

    :ivar after: up to which content id the sums are made; None when they are complete.
    :ivar sums: the sums so far.
    :ivar longest_unused: images that go: (minus the last use, content id).
    :ivar entries: the images in order, the longest unused first; None before they are sorted.
    :ivar items: descriptions of the first entries.
    :ivar staying: images that stay, may lose some of their contents, and were not checked yet.
    :ivar parts: images that stay and lose some of their contents, with the bytes lost.
    """

    selection: Selection
    _: KW_ONLY
    after: int | None = 0
    sums: PlanSums = field(default_factory=PlanSums)
    longest_unused: list[tuple[float, int]] = field(default_factory=list)
    entries: list[PlanEntry] | None = None
    items: list[PlanItem] = field(default_factory=list)
    staying: set[int] = field(default_factory=set)
    parts: list[PlanEntry] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether all is done."""
        return self.entries is not None and len(self.items) == len(self.entries[:MOST_ITEMS])


def step(connection: sqlite3.Connection, work: PlanWork) -> None:
    """Do one step of the plan."""
    end = time.perf_counter() + STEP
    while not work.over and time.perf_counter() < end:
        if work.after is not None:
            work.after = _add_range(connection, work, work.after)
        elif work.staying:
            _look_at_parts(connection, work, work.staying.pop())
        elif work.entries is None:
            work.entries = [PlanEntry(number, -use) for use, number in _ranked(work)]
            work.entries += sorted(work.parts, key=lambda each: each.last_use)
        else:
            work.items.append(_described(connection, work.entries[len(work.items)]))


def _add_range(connection: sqlite3.Connection, work: PlanWork, after: int) -> int | None:
    (last,) = connection.execute("SELECT ifnull(max(content_id), 0) FROM places").fetchone()
    names = selection_parameters(work.selection, after, after + RANGE)
    (has_pins,) = connection.execute("SELECT EXISTS (SELECT 1 FROM pinned)").fetchone()
    tables, unpinned = (_CONTENTS, NOT_PINNED) if has_pins else (_PLACES, "")
    sums_of = _SUMS.format(tables, where_planned(work.selection) + unpinned)
    found = PlanSums(*connection.execute(sums_of, names).fetchone())
    if found.images:
        where = where_planned(replace(work.selection, unused_since=inf)) + unpinned
        having = _LAST_USED_BEFORE if isfinite(work.selection.unused_since) else "true"
        images = connection.execute(_IMAGES.format(tables, where, having), names)
        work.longest_unused.extend((-last_use, number) for number, last_use in images)
    # Images that lose a part are looked for until either kind would fill the first page.
    if max(len(work.longest_unused), len(work.staying)) < MOST_ITEMS:
        work.staying |= staying(connection, work.selection, after, after + RANGE)
    if len(work.longest_unused) >= 2 * MOST_ENTRIES:
        work.longest_unused = _ranked(work)
    work.sums += found
    return after + RANGE if after + RANGE < last else None


def _look_at_parts(connection: sqlite3.Connection, work: PlanWork, number: int) -> None:
    size, last_use = lost(connection, work.selection, number)
    if size:
        work.parts.append(PlanEntry(number, last_use, frees=size))


def _described(connection: sqlite3.Connection, entry: PlanEntry) -> PlanItem:
    item = describe(connection, entry.number, entry.last_use)
    return replace(item, frees=entry.frees, whole=False) if entry.frees else item


def _ranked(work: PlanWork) -> list[tuple[float, int]]:
    """The images that were unused for longest, in this order; as many as can be described."""
    return sorted(work.longest_unused, reverse=True)[:MOST_ENTRIES]


def describe(connection: sqlite3.Connection, number: int, last_use: float) -> PlanItem:
    """Describe an image.

    :param number: its content id.
    :param last_use: Unix seconds; 0 where that is not known.
    """
    (key,) = connection.execute("SELECT digest FROM contents WHERE id = ?", (number,)).fetchone()
    holders = connection.execute(_HOLDERS, (number, MOST_NAMES)).fetchall()
    tags: list[Any] = []
    if holders:
        tags = connection.execute(
            "SELECT tag FROM tags WHERE digest = ? AND repository_id = ? LIMIT ?",
            (key, holders[0][1], MOST_TAGS),
        ).fetchall()
    reached = connection.execute(_REACHED, {"image": number}).fetchall()
    others = dict.fromkeys([name for name, _ in holders[1:]])
    for other in dict.fromkeys(other for _, other in reached if other is not None):
        if len(others) >= MOST_NAMES:
            break
        others.update((name, None) for name, _ in connection.execute(_HOLDERS, (other, 1)))
    return PlanItem(
        holders[0][0] if holders else "",
        digest_from_key(key),
        tags=tuple(tag for (tag,) in tags),
        size=sum(in_blocks(size) for size, _ in reached),
        frees=sum(in_blocks(size) for size, other in reached if other is None),
        last_use=last_use or None,
        shared_with=tuple(others)[:MOST_NAMES],
    )


def image(connection: sqlite3.Connection, key: bytes) -> PlanItem | None:
    """Describe an image by its digest; None if the index does not know it."""
    row = connection.execute(
        "SELECT id, ifnull((SELECT max(last_use) FROM uses WHERE content_id = id), 0)"
        " FROM contents WHERE digest = ?",
        (key,),
    ).fetchone()
    return None if row is None else describe(connection, *row)


def describe_entries(
    connection: sqlite3.Connection, entries: Sequence[PlanEntry]
) -> list[PlanItem]:
    """Describe images of a sweep as they are now, without those that were forgotten since."""
    known = "SELECT 1 FROM contents WHERE id = ?"
    return [
        _described(connection, each)
        for each in entries
        if connection.execute(known, (each.number,)).fetchone()
    ]


def pinned_tags(connection: sqlite3.Connection) -> tuple[list[PlanSkipped], int]:
    """Some of the tags that pins cover, and how many more there are."""
    rows = connection.execute(_PINNED_TAGS, (MOST_PINNED,)).fetchall()
    named = [PlanSkipped(name, tag, "pinned") for name, tag in rows[:MOST_SKIPPED]]
    return named, len(rows) - len(named)


def stayed(
    connection: sqlite3.Connection, entries: Sequence[PlanEntry]
) -> list[tuple[Digest, str]]:
    """The images of a sweep that are still stored, and why: ``pinned`` or ``used``."""
    found = [connection.execute(_STORED, (each.number,)).fetchone() for each in entries]
    return [
        (digest_from_key(row[0]), "pinned" if row[1] else "used")
        for row in found
        if row is not None
    ]


def name_of(connection: sqlite3.Connection, key: bytes) -> str:
    """The name of a repository that has the content; "" if none has."""
    row = connection.execute(_NAMES, {"key": key}).fetchone()
    return "" if row is None else str(row[0])


@dataclass(slots=True)
class OrderWork:
    """A search for how far eviction must go in its order to free so many bytes.

    :ivar wanted: bytes that are still missing, in whole blocks.
    :ivar selection: the contents that count.
    :ivar position: the last content so far that has to go; None: nothing has to.
    """

    wanted: int
    selection: Selection
    position: Position | None = None
    over: bool = False

    @property
    def compares(self) -> bool:
        """Whether only some of the stored contents count."""
        return bool(self.selection.upstream) or isfinite(self.selection.unused_since)


def find_end(connection: sqlite3.Connection, work: OrderWork) -> None:
    """Do one step of the search."""
    end = time.perf_counter() + STEP
    while not work.over:
        if work.compares or not _go_over(connection, work):
            _look_for_end(connection, work)
        if time.perf_counter() >= end:
            break


def _go_over(connection: sqlite3.Connection, work: OrderWork) -> bool:
    """Skip a stretch of the order by one sum; False if the search ends within it."""
    after = work.position or FIRST
    count, freed = connection.execute(_SUM_IN_ORDER, (*after, MOST_LOOKED_AT)).fetchone()
    if count < MOST_LOOKED_AT or freed >= work.wanted:
        return False
    work.wanted -= freed
    row = connection.execute(_ONE_IN_ORDER, (*after, 1, MOST_LOOKED_AT - 1)).fetchone()
    work.position = row[:3]
    return True


def _look_for_end(connection: sqlite3.Connection, work: OrderWork) -> None:
    after = work.position or FIRST
    most = MOST_COMPARED if work.compares else MOST_LOOKED_AT
    rows = connection.execute(IN_ORDER, (*after, most)).fetchall()
    (has_pins,) = connection.execute("SELECT EXISTS (SELECT 1 FROM pinned)").fetchone()
    for needed, worth, number, size, _ in rows:
        if work.wanted <= 0:
            break
        work.position = (needed, worth, number)
        if _counts(connection, work, number, has_pins):
            work.wanted -= in_blocks(size)
    work.over = work.wanted <= 0 or len(rows) < most


def _counts(connection: sqlite3.Connection, work: OrderWork, number: int, has_pins: bool) -> bool:
    if work.compares:
        names = selection_parameters(work.selection, number - 1, number)
        return connection.execute(IS_SELECTED, names).fetchone() is not None
    return not has_pins or connection.execute(_IS_PINNED, (number,)).fetchone() is None


def look(
    connection: sqlite3.Connection,
    targets: Sequence[RemovalTarget],
    by_pattern: Callable[[Repository, str], bool],
) -> list[RemovalEffect]:
    """The effects that the first steps of removals would have, one after the other.

    Nothing is changed.

    :param by_pattern: whether a pattern pins a tag.
    :returns: of so many of them as one step has time for, of one at least.
    """
    begin(connection)  # before it, or the rollback would drop these temporary tables each time
    begin_blobs(connection)
    end = time.perf_counter() + STEP
    effects: list[RemovalEffect] = []
    with undone(connection):
        for target in targets:
            pinned = partial(by_pattern, target.repository)
            effects.append(remove(connection, target, 0, pinned))
            if time.perf_counter() >= end:
                break
    return effects
