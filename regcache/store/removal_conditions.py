"""What removals ask of content in a repository: conditions in SQL.

They name ``:repository``, the number of the repository that something is removed from, ``:digest``,
and ``:content``, the number of the content. What is being removed already is in ``temp.dropped``
(:func:`regcache.store.index_holdings.begin`): lists in that do not count any more.
"""

import sqlite3

from regcache.store.index_holdings import ABOVE
from regcache.store.index_schema import digest_from_key
from regcache.store.repository_pins import RepositoryPins

OTHERS_HAVE = f"""
EXISTS (
    {ABOVE}
    SELECT 1 FROM above a WHERE EXISTS (
        SELECT 1 FROM tags t WHERE t.digest = a.digest AND +t.repository_id != :repository
    ) OR EXISTS (
        SELECT 1 FROM contents c CROSS JOIN links l ON l.content_id = c.id
        WHERE c.digest = a.digest AND +l.repository_id != :repository
    )
)
"""
"""Another repository has the content: by a link, by a tag, or by something that lists it."""

TAGGED_HERE = """
EXISTS (SELECT 1 FROM tags WHERE repository_id = :repository AND digest = :digest)
"""
"""A tag of the repository names it."""

SHOWN_BY_OTHERS = """
EXISTS (
    SELECT 1 FROM shown s JOIN contents c ON c.id = s.manifest_id
    WHERE s.repository_id = :repository AND s.digest = :digest
        AND c.digest NOT IN (SELECT digest FROM temp.dropped)
)
"""
"""A manifest that the repository has lists it."""

LISTED_HERE = """
EXISTS (
    SELECT 1 FROM mentions m JOIN contents c ON c.id = m.manifest_id
    WHERE m.digest = :digest AND c.digest NOT IN (SELECT digest FROM temp.dropped)
    AND (
        EXISTS (SELECT 1 FROM tags WHERE repository_id = :repository AND digest = c.digest)
        OR EXISTS (
            SELECT 1 FROM shown s JOIN contents i ON i.id = s.manifest_id
            WHERE s.repository_id = :repository AND s.digest = c.digest
                AND i.digest NOT IN (SELECT digest FROM temp.dropped)
        )
    )
)
"""
"""A manifest lists it that a tag of the repository names, or that another one of it lists."""

LISTED = """
EXISTS (
    SELECT 1 FROM mentions m JOIN places p ON p.content_id = m.manifest_id
    WHERE m.digest = :digest
)
"""
"""A stored manifest lists it."""

LINKED_OR_TAGGED_ELSEWHERE = """
(
    EXISTS (SELECT 1 FROM tags WHERE digest = :digest)
    OR EXISTS (
        SELECT 1 FROM contents c JOIN links l ON l.content_id = c.id
        WHERE c.digest = :digest AND +l.repository_id != :repository
    )
)
"""
"""A tag names it, or another repository has a right to it."""

HAS_RIGHT = """
(
    EXISTS (SELECT 1 FROM links WHERE content_id = :content AND repository_id = :repository)
    OR (SELECT public FROM contents WHERE id = :content) AND NOT EXISTS (
        SELECT 1 FROM withdrawn WHERE content_id = :content AND repository_id = :repository)
)
"""
"""The repository has a right to it."""

# What the repository drops of lists is what others may have still.
IS_OF_OTHERS = f"""
(
    NOT {HAS_RIGHT} AND EXISTS (
        WITH RECURSIVE above (digest, depth) AS (
            VALUES (:digest, 0)
            UNION
            SELECT c.digest, a.depth + 1
            FROM above a CROSS JOIN mentions m ON m.digest = a.digest
            CROSS JOIN contents c ON c.id = m.manifest_id WHERE a.depth < 4
        )
        SELECT 1 FROM above a
        WHERE EXISTS (
            SELECT 1 FROM tags t WHERE t.digest = a.digest AND +t.repository_id != :repository
        ) OR EXISTS (
            SELECT 1 FROM contents c JOIN links l ON l.content_id = c.id
            WHERE c.digest = a.digest AND +l.repository_id != :repository
        )
    )
)
"""
"""Others have it, or what lists it, and the repository has no right to it."""


def of_each(condition: str, digest: str, content: str = "NULL") -> str:
    """The same condition for each row of a statement.

    :param digest: the expression for the digest of a row.
    :param content: the one for the number of its content.
    """
    return condition.replace(":digest", digest).replace(":content", content)


_LINKED_HERE = """
SELECT 1 FROM links WHERE repository_id = ?
    AND content_id = (SELECT id FROM contents WHERE digest = ?)
"""


class ContentConditions:
    """What is asked of content in one repository.

    :param repository: its number.
    :ivar pins: of the repository.
    """

    def __init__(
        self, connection: sqlite3.Connection, repository: int, pins: RepositoryPins
    ) -> None:
        self._connection = connection
        self._repository = repository
        self.pins = pins

    def is_kept_here(self, digest: bytes) -> bool:
        """Whether something in the repository keeps content there that is not named itself."""
        if self._asks(TAGGED_HERE, digest) or self._asks(SHOWN_BY_OTHERS, digest):
            return True
        if self.pins.has(str(digest_from_key(digest))):
            return True
        return self._asks(LISTED_HERE, digest)

    def is_tagged_here(self, digest: bytes) -> bool:
        """Whether a tag of the repository names it."""
        return self._asks(TAGGED_HERE, digest)

    def is_linked_here(self, digest: bytes) -> bool:
        """Whether the repository has got its right to content again."""
        row = self._connection.execute(_LINKED_HERE, (self._repository, digest)).fetchone()
        return row is not None

    def is_of_others(self, digest: bytes, number: int) -> bool:
        """Whether others have content, or what lists it, and this one has no right to it."""
        names = {"repository": self._repository, "content": number, "digest": digest}
        return bool(self._connection.execute(f"SELECT {IS_OF_OTHERS}", names).fetchone()[0])

    def is_needed(self, digest: bytes, is_manifest: bool, named: bool) -> bool:
        """Whether something else needs the bytes."""
        if self.pins.cover(digest):
            return True
        if named:
            return self._asks(OTHERS_HAVE, digest)
        if self._asks(LISTED, digest):
            return True
        return is_manifest and self._asks(LINKED_OR_TAGGED_ELSEWHERE, digest)

    def _asks(self, condition: str, digest: bytes) -> bool:
        names = {"repository": self._repository, "digest": digest}
        return bool(self._connection.execute(f"SELECT {condition}", names).fetchone()[0])
