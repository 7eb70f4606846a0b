"""Statements about the contents of a repository: by link, by tag, or listed by another content."""

import sqlite3

from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.removals import RemovalTarget, RemovedKind, blob_of, manifest_of, tag_of
from regcache.store.identities import find_names
from regcache.store.index_schema import digest_from_key, digest_key

# What needs a digest: the manifests that list it, and the indexes that list those.
ABOVE = """
WITH RECURSIVE above (digest, depth) AS (
    VALUES (:digest, 0)
    UNION
    SELECT c.digest, a.depth + 1
    FROM above a CROSS JOIN mentions m ON m.digest = a.digest
    CROSS JOIN contents c ON c.id = m.manifest_id
    WHERE a.depth < 4 AND c.digest NOT IN (SELECT digest FROM temp.dropped)
)
"""

HAS_CONTENT = (
    ABOVE
    + """
SELECT EXISTS (
    SELECT 1 FROM above a CROSS JOIN tags t ON t.digest = a.digest
    WHERE t.repository_id = :repository
) OR EXISTS (
    SELECT 1 FROM above a CROSS JOIN contents c ON c.digest = a.digest
    CROSS JOIN links l ON l.content_id = c.id AND l.repository_id = :repository
)
"""
)

VANISH = """
DELETE FROM repositories WHERE id = :id
    AND NOT EXISTS (SELECT 1 FROM tags WHERE repository_id = :id)
    AND NOT EXISTS (SELECT 1 FROM links WHERE repository_id = :id)
    AND NOT EXISTS (SELECT 1 FROM withdrawn WHERE repository_id = :id)
    AND NOT EXISTS (SELECT 1 FROM pins WHERE repository_id = :id)
    AND NOT EXISTS (SELECT 1 FROM following WHERE repository_id = :id)
"""

_NEXT_TAG = "SELECT tag FROM tags WHERE repository_id = ? AND tag > ? ORDER BY tag LIMIT 1"

_NEXT_LINKED = """
SELECT c.digest FROM links l JOIN contents c ON c.id = l.content_id
JOIN places p ON p.content_id = c.id
WHERE l.repository_id = ? AND c.media_type {} '' AND c.digest > ?
ORDER BY c.digest LIMIT 1
"""


def begin(connection: sqlite3.Connection) -> None:
    """Make an empty table of what is being dropped: lists in that do not count any more."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS dropped (digest BLOB PRIMARY KEY)")
    connection.execute("DELETE FROM temp.dropped")


def holds(connection: sqlite3.Connection, content: RepositoryContent) -> bool:
    """Whether a repository has content: by a link, by a tag, or by what it has that lists it."""
    number = number_of(connection, content.repository)
    if number is None:
        return False
    begin(connection)
    names = {"repository": number, "digest": digest_key(content.digest)}
    return bool(connection.execute(HAS_CONTENT, names).fetchone()[0])


def number_of(connection: sqlite3.Connection, repository: Repository) -> int | None:
    """The number of a repository; None if nothing is known of it."""
    row = connection.execute(
        "SELECT id FROM repositories WHERE upstream = ? AND name = ?",
        find_names(connection, repository),
    ).fetchone()
    return None if row is None else int(row[0])


def knows(connection: sqlite3.Connection, repository: Repository) -> bool:
    """Whether anything is known of a repository."""
    return number_of(connection, repository) is not None


def left_in(
    connection: sqlite3.Connection, repository: Repository, after: RemovalTarget | None
) -> RemovalTarget | None:
    """What to remove next of a whole repository: first tags, then manifests, then blobs.

    :param after: what was removed last, or could not be removed.
    """
    number = number_of(connection, repository)
    if number is None:
        return None
    if after is None or after.kind is RemovedKind.TAG:
        row = connection.execute(_NEXT_TAG, (number, after.tag if after else "")).fetchone()
        if row is not None:
            return tag_of(repository, row[0])
        after = None
    key = digest_key(after.digest) if after and after.digest else b""
    if after is None or after.kind is RemovedKind.MANIFEST:
        row = connection.execute(_NEXT_LINKED.format("!="), (number, key)).fetchone()
        if row is not None:
            return manifest_of(repository, digest_from_key(row[0]))
        key = b""
    row = connection.execute(_NEXT_LINKED.format("="), (number, key)).fetchone()
    return None if row is None else blob_of(repository, digest_from_key(row[0]))


def clear(connection: sqlite3.Connection, repository: Repository) -> None:
    """Forget a repository's rights to content that is not here; if none is left, the repository.

    What the manifests among that list is not shown there any more, either.
    """
    number = number_of(connection, repository)
    if number is None:
        return
    for table, content in (
        ("shown", "manifest_id"),
        ("referrers", "manifest_id"),
        ("links", "content_id"),
    ):
        connection.execute(
            f"DELETE FROM {table} WHERE repository_id = ?"
            f" AND NOT EXISTS (SELECT 1 FROM places p WHERE p.content_id = {table}.{content})",
            (number,),
        )
    connection.execute(VANISH, {"id": number})


def names_of(
    connection: sqlite3.Connection, upstream: UpstreamIdentity, after: str, limit: int
) -> list[str]:
    """A sorted page of the names of all repositories of an upstream, with content or without."""
    key, after = find_names(connection, Repository(upstream, after))
    rows = connection.execute(
        "SELECT name FROM repositories WHERE upstream = ? AND name > ? ORDER BY name LIMIT ?",
        (key, after, limit),
    )
    return [name for (name,) in rows]
