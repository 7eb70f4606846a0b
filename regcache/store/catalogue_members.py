"""Statements that record what is known of platforms.

An index names the platforms of its manifests. A manifest that no index lists says nothing of its
platform: its configuration does. That of an index from an earlier version is not recorded either.
Both are read later, once they are asked for (:func:`find_undescribed`).
"""

import sqlite3
from collections.abc import Sequence

from regcache.digests import Digest
from regcache.facts import Descriptor
from regcache.images import ATTESTATION, CONFIG_TYPES, UNKNOWN_PLATFORM, Undescribed
from regcache.media_types import INDEX_TYPES
from regcache.store.index_contents import content_id
from regcache.store.index_schema import digest_from_key, digest_key

_ADD = """
INSERT OR REPLACE INTO members (manifest_id, digest, position, platform, attests)
VALUES (?, ?, ?, ?, ?)
"""

_DESCRIBE = "INSERT OR REPLACE INTO described (manifest_id, platform) VALUES (?, ?)"

# What was recorded in part, an index, or a manifest whose configuration is here; what has none
# needs not be looked at.
_UNDESCRIBED = f"""
SELECT c.digest, c.media_type, p.size, (
    SELECT m.digest FROM mentions m JOIN contents k ON k.digest = m.digest
    JOIN places kp ON kp.content_id = k.id AND kp.place = 'disk'
    WHERE m.manifest_id = c.id AND m.media_type IN ({",".join("?" * len(CONFIG_TYPES))}) LIMIT 1
) AS config, EXISTS (SELECT 1 FROM partly_known k WHERE k.manifest_id = c.id) AS partly
FROM links l
JOIN contents c ON c.id = l.content_id AND c.media_type != ''
JOIN places p ON p.content_id = c.id AND p.place = 'disk'
WHERE l.repository_id = ? AND (
    partly OR NOT EXISTS (SELECT 1 FROM described d WHERE d.manifest_id = c.id)
    AND (config IS NOT NULL OR c.media_type IN ({",".join("?" * len(INDEX_TYPES))}))
)
LIMIT ?
"""


def note_members(
    connection: sqlite3.Connection, number: int, media_type: str, descriptors: Sequence[Descriptor]
) -> None:
    """Record the manifests of an index; those of any other manifest are none."""
    if media_type not in INDEX_TYPES:
        return
    rows = [
        (number, digest_key(each.digest), position, each.platform, _attests(each))
        for position, each in enumerate(descriptors)
    ]
    connection.executemany(_ADD, rows)
    connection.execute(_DESCRIBE, (number, ""))


def describe_index(
    connection: sqlite3.Connection, digest: Digest, descriptors: Sequence[Descriptor]
) -> None:
    """Record what an index says that an earlier version stored."""
    found = find_stored(connection, digest)
    if found is not None:
        note_members(connection, *found, descriptors)


def describe_image(connection: sqlite3.Connection, digest: Digest, platform: str) -> None:
    """Record the platform of an image; "" where its configuration says none."""
    found = find_stored(connection, digest)
    if found is not None:
        connection.execute(_DESCRIBE, (found[0], platform))


def find_undescribed(
    connection: sqlite3.Connection, repository: int, limit: int
) -> list[Undescribed]:
    """Stored manifests of a repository of which more can be known than is."""
    arguments = (*CONFIG_TYPES, repository, *INDEX_TYPES, limit)
    return [
        Undescribed(
            digest_from_key(key),
            media_type,
            size,
            None if config is None else digest_from_key(config),
            partly=bool(partly),
        )
        for key, media_type, size, config, partly in connection.execute(_UNDESCRIBED, arguments)
    ]


def find_stored(connection: sqlite3.Connection, digest: Digest) -> tuple[int, str] | None:
    """Number and type of a stored manifest; None where it was removed meanwhile."""
    number = content_id(connection, digest)
    row = connection.execute(
        "SELECT c.id, c.media_type FROM contents c"
        " JOIN places p ON p.content_id = c.id AND p.place = 'disk'"
        " WHERE c.id = ? AND c.media_type != ''",
        (number,),
    ).fetchone()
    return None if row is None else (int(row[0]), str(row[1]))


def _attests(descriptor: Descriptor) -> bool:
    """Whether a manifest is an attestation of BuildKit's and no image."""
    return ATTESTATION in descriptor.annotations or descriptor.platform == UNKNOWN_PLATFORM
