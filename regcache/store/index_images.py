"""Statements about the sizes of images."""

import sqlite3

from regcache.identity import RepositoryContent
from regcache.media_types import INDEX_TYPES
from regcache.store.identities import find_names
from regcache.store.index_schema import digest_key

MOST_IMAGES = 1000
"""Images of one repository that list a blob, among which the smallest is looked for."""

#: An index is no image, since it lists manifests. ``sum`` of integers may overflow and fail;
#: ``total`` does not.
SIZES = f"""
SELECT (SELECT total(m.size) FROM mentions m WHERE m.manifest_id = s.manifest_id)
FROM repositories r
JOIN shown s ON s.repository_id = r.id AND s.digest = ?
JOIN contents c ON c.id = s.manifest_id
JOIN links l
    ON l.content_id = s.manifest_id AND l.upstream = r.upstream AND l.repository_id = r.id
WHERE r.upstream = ? AND r.name = ? AND c.media_type NOT IN ({", ".join("?" * len(INDEX_TYPES))})
LIMIT ?
"""


def image_size(
    connection: sqlite3.Connection, content: RepositoryContent, enough: int
) -> int | None:
    """The size of the smallest known image of a repository that lists a blob.

    :param enough: stop at an image that is not larger than this (bytes).
    """
    names = find_names(connection, content.repository)
    values = (digest_key(content.digest), *names, *sorted(INDEX_TYPES), MOST_IMAGES)
    smallest = None
    for (size,) in connection.execute(SIZES, values):
        smallest = int(size) if smallest is None else min(smallest, int(size))
        if smallest <= enough:
            break
    return smallest
