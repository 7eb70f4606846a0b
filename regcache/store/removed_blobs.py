"""Removes the blobs that go with what a removal names, all at once.

A blob lists nothing, so what happens to one of them is no matter for another. A few statements do
for all of them what :mod:`regcache.store.index_removal` does for manifests one by one: with
thousands of layers, which a manifest may list, each statement for each layer kept the
index's thread busy for most of a second. Of very many, that is done without triggers, too.
"""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from regcache.store.catalogue_schema import MARK_DUE, MOST_MARKED
from regcache.store.index_triggers import MANY, without_triggers
from regcache.store.removal_conditions import (
    IS_OF_OTHERS,
    LISTED,
    LISTED_HERE,
    SHOWN_BY_OTHERS,
    TAGGED_HERE,
    of_each,
)

_TABLE = """
CREATE TEMP TABLE IF NOT EXISTS falling (
    digest BLOB PRIMARY KEY,
    number INTEGER,                     -- of the content
    size INTEGER,                       -- NULL: its bytes are not here
    linked INTEGER,                     -- the repository has a link to it
    goes INTEGER                        -- nothing else needs the bytes
) WITHOUT ROWID
"""

_IS_KEPT = " OR ".join(
    of_each(each, "falling.digest") for each in (TAGGED_HERE, SHOWN_BY_OTHERS, LISTED_HERE)
)
_KEEP = f"DELETE FROM temp.falling WHERE {_IS_KEPT}"
# What is only being fetched is not known yet: it is from now on, by its generation.
_KNOW = "INSERT OR IGNORE INTO contents (digest) SELECT digest FROM temp.falling"
_NUMBER = """
UPDATE temp.falling SET number = (SELECT id FROM contents c WHERE c.digest = falling.digest)
"""
_LOOK = f"""
UPDATE temp.falling SET
    size = (SELECT size FROM places WHERE content_id = number AND place = 'disk'),
    linked = EXISTS (
        SELECT 1 FROM links WHERE content_id = number AND repository_id = :repository),
    goes = NOT (
        EXISTS (SELECT 1 FROM pinned p WHERE p.digest = falling.digest)
        OR {of_each(LISTED, "falling.digest")}
        OR {of_each(IS_OF_OTHERS, "falling.digest", "falling.number")}
    )
"""

_WITHDRAW = """
INSERT OR REPLACE INTO withdrawn (repository_id, content_id, linked, generation)
SELECT :repository, number, linked, :generation FROM temp.falling WHERE NOT goes
"""
_UNLINK = """
DELETE FROM links WHERE repository_id = :repository
    AND content_id IN (SELECT number FROM temp.falling WHERE linked)
"""
_GOING = "IN (SELECT number FROM temp.falling WHERE goes)"
_FORGET = """
UPDATE contents SET public = 0, generation = :generation
WHERE id IN (SELECT number FROM temp.falling WHERE goes)
"""
_LEAVE = "INSERT OR IGNORE INTO leaving SELECT digest FROM temp.falling WHERE goes"

_TRIGGERS = (
    *("links_removed", "links_unseen", "rights_withdrawn"),
    *("places_dropped", "places_unseen", "images_dropped", "contents_published"),
)
# What those do. No blob is an image, or makes one of something else: nothing is left to
# "images_dropped".
_COUNT_STORED = """
UPDATE repositories SET stored = stored - f.n FROM (
    SELECT l.repository_id AS id, count(*) AS n
    FROM temp.falling b CROSS JOIN links l ON l.content_id = b.number
    WHERE b.size IS NOT NULL AND (b.goes OR l.repository_id = :repository) GROUP BY l.repository_id
) f WHERE repositories.id = f.id
"""
_COUNT_BLOCKS = """
UPDATE totals SET blocks = blocks
    - (SELECT ifnull(sum((size + 4095) / 4096), 0) FROM temp.falling WHERE goes)
"""
_LISTERS = "temp.falling b CROSS JOIN mentions m ON m.digest = b.digest"
_ABOVE = (
    f"{_LISTERS} CROSS JOIN contents k ON k.id = m.manifest_id"
    " CROSS JOIN mentions n ON n.digest = k.digest"
)
_MARK = MARK_DUE.format(
    f"""
SELECT id FROM (
    SELECT :repository AS id
    UNION
    SELECT r.id FROM temp.falling b CROSS JOIN repositories r ON r.id IN (
        SELECT repository_id FROM links WHERE content_id = b.number LIMIT 4)
    UNION
    SELECT l.repository_id FROM temp.falling b CROSS JOIN links l ON l.content_id = b.number
    WHERE b.goes
    UNION
    SELECT l.repository_id FROM {_LISTERS} CROSS JOIN links l ON l.content_id = m.manifest_id
    WHERE b.goes
    UNION
    SELECT l.repository_id FROM {_ABOVE} CROSS JOIN links l ON l.content_id = n.manifest_id
    WHERE b.goes
    UNION
    SELECT t.repository_id FROM {_LISTERS} CROSS JOIN contents k ON k.id = m.manifest_id
    CROSS JOIN tags t ON t.digest = k.digest WHERE b.goes
    LIMIT {MOST_MARKED}
) WHERE true"""
)


class RemovedBlobs:
    """Blobs that one removal from one repository takes along.

    :param repository: its number.
    :param generation: the number of the removal.
    """

    def __init__(self, connection: sqlite3.Connection, repository: int, generation: int) -> None:
        self._connection = connection
        self._names = {"repository": repository, "generation": generation}

    def remove(self, digests: Collection[bytes]) -> list[tuple[bytes, int | None]]:
        """Remove those that nothing else in the repository keeps there.

        :param digests: of blobs; none of them is pinned in the repository by its digest.
        :returns: the digests of what the repository has no right to any more, with the size of
            what leaves the disk; None where it stays.
        """
        begin_blobs(self._connection)
        self._connection.executemany(
            "INSERT OR IGNORE INTO temp.falling (digest) VALUES (?)", [(each,) for each in digests]
        )
        for statement in (_KEEP, _KNOW, _NUMBER, _LOOK):
            self._run(statement)
        rows = self._connection.execute(
            "SELECT digest, iif(goes, ifnull(size, 0), NULL) FROM temp.falling"
        ).fetchall()
        with self._noted(len(rows)):
            self._drop()
        return rows

    def _drop(self) -> None:
        for statement in (_UNLINK, _WITHDRAW):
            self._run(statement)
        for table in ("places", "links", "withdrawn", "uses", "ghosts"):
            self._run(f"DELETE FROM {table} WHERE content_id {_GOING}")
        for statement in (_FORGET, _LEAVE):
            self._run(statement)

    @contextmanager
    def _noted(self, count: int) -> Iterator[None]:
        """Keep sums and marks right: for each by triggers, or for very many by themselves."""
        if count < MANY:
            yield
            return
        for statement in (_COUNT_STORED, _COUNT_BLOCKS, _MARK):
            self._run(statement)
        with without_triggers(self._connection, _TRIGGERS):
            yield

    def _run(self, statement: str) -> None:
        # SQLite takes no names that a statement has not.
        names = {key: value for key, value in self._names.items() if f":{key}" in statement}
        self._connection.execute(statement, names)


def begin_blobs(connection: sqlite3.Connection) -> None:
    """Make an empty table of the blobs that fall."""
    connection.execute(_TABLE)
    connection.execute("DELETE FROM temp.falling")
