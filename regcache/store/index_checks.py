"""Statements for checking what is on the disk: what should be there, and how far a check came."""

import json
import sqlite3
from typing import Any

from regcache.digests import Digest
from regcache.identity import Repository, UpstreamIdentity
from regcache.store.identities import find_names
from regcache.store.index_contents import store_content
from regcache.store.index_plans import name_of
from regcache.store.index_schema import digest_from_key, digest_key

# CROSS keeps the order: a folder has few digests, and an index has all that is on the disk.
STORED = """
SELECT c.digest, p.size
FROM contents c CROSS JOIN places p ON p.content_id = c.id AND p.place = 'disk'
WHERE c.digest >= :low AND c.digest < :high
"""

_OF_UPSTREAM = """
AND EXISTS (SELECT 1 FROM links WHERE content_id = c.id AND upstream = :upstream)
"""


MOST_IMAGES = 5
"""Names of images that something belongs to."""

# What lists it, and what lists that: the indexes. A base that everything shares has many of them.
_IMAGES = """
WITH RECURSIVE above (digest, depth) AS (
    SELECT :key, 0
    UNION
    SELECT c.digest, depth + 1
    FROM above a JOIN mentions m ON m.digest = a.digest JOIN contents c ON c.id = m.manifest_id
    WHERE depth < 2
    LIMIT 500
)
SELECT u.name || '/' || r.name || ':' || t.tag
FROM (SELECT DISTINCT digest FROM above) a JOIN tags t ON t.digest = a.digest
JOIN repositories r ON r.id = t.repository_id JOIN upstreams u ON u.key = r.upstream
ORDER BY t.validated_at DESC LIMIT :most
"""


def images_with(connection: sqlite3.Connection, digest: Digest) -> list[str]:
    """The names of images that some content belongs to; without a tag, of a repository."""
    key = digest_key(digest)
    rows = connection.execute(_IMAGES, {"key": key, "most": MOST_IMAGES}).fetchall()
    name = "" if rows else name_of(connection, key)
    return [each for (each,) in rows] or ([name] if name else [])


def stored_between(
    connection: sqlite3.Connection, first: Digest, last: Digest, upstream: UpstreamIdentity | None
) -> dict[Digest, int]:
    """The sizes of stored contents from one digest to another.

    :param upstream: only of those that some repository of it has a link to.
    """
    names: dict[str, object] = {"low": digest_key(first), "high": digest_key(last) + b"\0"}
    statement = STORED
    if upstream is not None:
        statement += _OF_UPSTREAM
        names["upstream"] = find_names(connection, Repository(upstream, ""))[0]
    rows = connection.execute(statement, names)
    return {digest_from_key(key): size for key, size in rows}


def leaving_between(connection: sqlite3.Connection, first: Digest, last: Digest) -> set[Digest]:
    """What is about to be removed."""
    rows = connection.execute(
        "SELECT digest FROM leaving WHERE digest >= ? AND digest <= ?",
        (digest_key(first), digest_key(last)),
    )
    return {digest_from_key(key) for (key,) in rows}


def adopt(connection: sqlite3.Connection, digest: Digest, size: int, now: float) -> None:
    """Note verified content that was found; no repository gets a right to it.

    What is known by now stays as it is, and what is about to be removed is none of ours.
    """
    key = digest_key(digest)
    known = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM leaving WHERE digest = :key) OR EXISTS"
        " (SELECT 1 FROM contents c JOIN places p ON p.content_id = c.id WHERE c.digest = :key)",
        {"key": key},
    ).fetchone()[0]
    if not known:
        store_content(connection, digest, size, media_type="", public=False, now=now)


def stored_bytes(connection: sqlite3.Connection, upstream: UpstreamIdentity | None) -> int:
    """The sum of the sizes of all stored contents, or of those of an upstream."""
    names: dict[str, object] = {"low": b"", "high": b"\xff"}
    statement = f"SELECT ifnull(sum(size), 0) FROM ({STORED})"
    if upstream is not None:
        statement = f"SELECT ifnull(sum(size), 0) FROM ({STORED} {_OF_UPSTREAM})"
        names["upstream"] = find_names(connection, Repository(upstream, ""))[0]
    (total,) = connection.execute(statement, names).fetchone()
    return int(total)


def find_progress(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    """How far some work has come; empty if that is not known."""
    row = connection.execute("SELECT value FROM progress WHERE name = ?", (name,)).fetchone()
    try:
        value = json.loads(row[0]) if row else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def note_progress(connection: sqlite3.Connection, name: str, value: dict[str, Any]) -> None:
    """Note it."""
    connection.execute(
        "INSERT OR REPLACE INTO progress (name, value) VALUES (?, ?)", (name, json.dumps(value))
    )
