"""Statements about pins: what was pinned by hand, and all that this and the patterns cover.

The table ``pinned`` has every digest that a pin covers: the manifest that a tag names, and all
that it lists, stored or not. What comes to be covered is put in at once, within the transaction
that makes it so; what is covered no more is found by a round, which notes anew all that is
covered and then drops the rest. Until then it stays, which does no harm. Functions take the
connection first, and run in the index's thread.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import KW_ONLY, replace

from regcache.digests import Digest, InvalidDigestError, is_digest
from regcache.globs import glob_matches
from regcache.identity import Repository
from regcache.light_dataclass import dataclass
from regcache.pins import Pin
from regcache.store.identities import find_names, note_names
from regcache.store.index_contents import repository_id
from regcache.store.index_schema import digest_from_key, digest_key

STEP = 0.01
"""Seconds after which a step of a round ends, once what it has begun is done."""

MOST_COVERED = 50_000
"""Contents that one pin covers: ten images of the largest that there may be. Real ones have some
dozens, and indexes some hundreds."""

PAGE = 500
"""Rows that are looked at between two looks at the clock."""

_COVER = f"""
INSERT OR REPLACE INTO pinned (digest, round)
WITH RECURSIVE covered (digest) AS (
    VALUES (:digest)
    UNION
    SELECT m.digest FROM covered v
    JOIN contents c ON c.digest = v.digest
    JOIN mentions m ON m.manifest_id = c.id
    LIMIT {MOST_COVERED}
)
SELECT digest, :round FROM covered
"""

_IS_PINNED_TAG = "SELECT 1 FROM pins WHERE repository_id = ? AND reference = ?"

_BY_HAND = """
SELECT p.repository_id, p.reference, t.digest
FROM pins p LEFT JOIN tags t ON t.repository_id = p.repository_id AND t.tag = p.reference
WHERE (p.repository_id, p.reference) > (?, ?) ORDER BY p.repository_id, p.reference LIMIT ?
"""

_TAGS = """
SELECT t.repository_id, t.tag, t.digest, u.name, r.name
FROM tags t
JOIN repositories r ON r.id = t.repository_id
JOIN upstreams u ON u.key = r.upstream
WHERE (t.repository_id, t.tag) > (?, ?) ORDER BY t.repository_id, t.tag LIMIT ?
"""

_LIST = """
SELECT u.name, r.name, p.reference, t.digest, p.by, p.since
FROM pins p
JOIN repositories r ON r.id = p.repository_id
JOIN upstreams u ON u.key = r.upstream
LEFT JOIN tags t ON t.repository_id = p.repository_id AND t.tag = p.reference
WHERE (u.name, r.name, p.reference) > (?, ?, ?) ORDER BY u.name, r.name, p.reference LIMIT ?
"""

_DROP = """
DELETE FROM pinned WHERE digest IN (SELECT digest FROM pinned WHERE round < ? LIMIT ?)
"""


@dataclass(frozen=True, slots=True)
class PinRound:
    """A round in progress.

    :ivar number: of the round; 0 before its first step.
    :ivar by_hand: behind which pin it goes on; None: with the tags that patterns match.
    :ivar tags: behind which tag it goes on; None: with dropping what is covered no more.
    """

    patterns: Sequence[str]
    _: KW_ONLY
    number: int = 0
    by_hand: tuple[int, str] | None = (0, "")
    tags: tuple[int, str] | None = (0, "")
    over: bool = False


def pin(connection: sqlite3.Connection, repository: Repository, reference: str, pin: Pin) -> None:
    """Pin a tag, or the digest of a manifest."""
    number = repository_id(connection, note_names(connection, repository))
    connection.execute(
        "INSERT OR IGNORE INTO pins (repository_id, reference, by, since) VALUES (?, ?, ?, ?)",
        (number, reference, pin.by, pin.since),
    )
    key = _named(connection, number, reference)
    if key is not None:
        cover(connection, key)


def unpin(connection: sqlite3.Connection, repository: Repository, reference: str) -> None:
    """Take a pin back. What it covered is found by the next round."""
    connection.execute(
        "DELETE FROM pins WHERE reference = ? AND repository_id ="
        " (SELECT id FROM repositories WHERE upstream = ? AND name = ?)",
        (reference, *find_names(connection, repository)),
    )


def is_pinned(connection: sqlite3.Connection, repository: Repository, reference: str) -> bool:
    """Whether a tag or digest was pinned by hand."""
    row = connection.execute(
        "SELECT 1 FROM pins WHERE reference = ? AND repository_id ="
        " (SELECT id FROM repositories WHERE upstream = ? AND name = ?)",
        (reference, *find_names(connection, repository)),
    ).fetchone()
    return row is not None


def tag_noted(
    connection: sqlite3.Connection, repository: int, tag: str, key: bytes, by_pattern: bool
) -> None:
    """A tag names a manifest; if it is pinned, so is that.

    :param by_pattern: a pattern matches it.
    """
    by_hand = connection.execute(_IS_PINNED_TAG, (repository, tag)).fetchone() is not None
    if by_pattern or by_hand:
        cover(connection, key)


def manifest_noted(connection: sqlite3.Connection, key: bytes) -> None:
    """What a manifest lists is known; if it is covered, so is all that."""
    if connection.execute("SELECT 1 FROM pinned WHERE digest = ?", (key,)).fetchone():
        cover(connection, key)


def cover(connection: sqlite3.Connection, key: bytes, number: int | None = None) -> None:
    """Note that a manifest is covered, with all that it lists.

    :param number: of the round; None: of the next one, so that none that runs drops it.
    """
    if number is None:
        number = _last_round(connection) + 1
    connection.execute(_COVER, {"digest": key, "round": number})


def step(connection: sqlite3.Connection, work: PinRound) -> PinRound:
    """Do a part of a round. Returns how far it is then; where it is not committed it is not."""
    end = time.perf_counter() + STEP
    work = replace(work, number=work.number or _last_round(connection) + 1)
    while not work.over and time.perf_counter() < end:
        if work.by_hand is not None:
            work = replace(work, by_hand=_cover_by_hand(connection, work.number, work.by_hand))
        elif work.tags is not None and work.patterns:
            work = replace(work, tags=_cover_matches(connection, work, work.tags))
        else:
            dropped = connection.execute(_DROP, (work.number, PAGE)).rowcount
            work = replace(work, over=dropped < PAGE)
    return work


def _cover_by_hand(
    connection: sqlite3.Connection, number: int, after: tuple[int, str]
) -> tuple[int, str] | None:
    rows = connection.execute(_BY_HAND, (*after, PAGE)).fetchall()
    for _, reference, key in rows:
        covered = key if key is not None else _key_of(reference)
        if covered is not None:
            cover(connection, covered, number)
    return rows[-1][:2] if len(rows) == PAGE else None


def _cover_matches(
    connection: sqlite3.Connection, work: PinRound, after: tuple[int, str]
) -> tuple[int, str] | None:
    rows = connection.execute(_TAGS, (*after, PAGE)).fetchall()
    for _, tag, key, upstream, name in rows:
        if matches(work.patterns, upstream, name, tag):
            cover(connection, key, work.number)
    return rows[-1][:2] if len(rows) == PAGE else None


def matches(patterns: Sequence[str], upstream: str, name: str, tag: str) -> bool:
    """Whether a pattern pins a tag."""
    text = f"{upstream}/{name}:{tag}"
    return any(glob_matches(pattern, text) for pattern in patterns)


def list_pins(connection: sqlite3.Connection, after: tuple[str, str, str], limit: int) -> list[Pin]:
    """Pins that were set by hand, sorted, behind one (upstream, repository, reference)."""
    return [
        Pin(
            by,
            since,
            upstream=upstream,
            repository=name,
            reference=reference,
            digest=_digest(key, reference),
        )
        for upstream, name, reference, key, by, since in connection.execute(_LIST, (*after, limit))
    ]


def _digest(key: bytes | None, reference: str) -> Digest | None:
    key = key if key is not None else _key_of(reference)
    return None if key is None else digest_from_key(key)


def _named(connection: sqlite3.Connection, repository: int, reference: str) -> bytes | None:
    """The key of the digest that a reference means now."""
    if is_digest(reference):
        return _key_of(reference)
    row = connection.execute(
        "SELECT digest FROM tags WHERE repository_id = ? AND tag = ?", (repository, reference)
    ).fetchone()
    return None if row is None else bytes(row[0])


def _key_of(reference: str) -> bytes | None:
    try:
        return digest_key(Digest.parse(reference))
    except InvalidDigestError:
        return None


def _last_round(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("SELECT ifnull(max(round), 0) FROM pinned").fetchone()
    return int(number)
