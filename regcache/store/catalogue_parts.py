"""Statements about which image something belongs to that a client asked for, and as which part.

Several images of a repository may list the same layer. Where it is known which manifests the client
asked for before, those decide; else what was used last does.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from regcache.images import AskedContent, ImagePart
from regcache.media_types import INDEX_TYPES
from regcache.store.identities import find_names
from regcache.store.index_schema import digest_from_key, digest_key

MOST_LISTERS = 64
"""Manifests that list something, and tags of one image, that are looked at."""

_LISTERS = """
SELECT c.id, c.digest, c.media_type, m.position,
    (SELECT max(position) FROM mentions WHERE manifest_id = c.id),
    (SELECT max(last_use) FROM uses WHERE content_id = c.id)
FROM shown s JOIN contents c ON c.id = s.manifest_id AND c.media_type != ''
JOIN mentions m ON m.manifest_id = c.id AND m.digest = s.digest AND m.size = s.size
WHERE s.repository_id = ? AND s.digest = ? LIMIT ?
"""

_MANIFEST = "SELECT id FROM contents WHERE digest = ? AND media_type != ''"

_TAGS = """
SELECT tag FROM tags WHERE repository_id = ? AND digest = ? ORDER BY validated_at DESC LIMIT ?
"""

_MEMBER = "SELECT platform FROM members WHERE manifest_id = ? AND digest = ?"

_DESCRIBED = "SELECT platform FROM described WHERE manifest_id = ?"


class _Lister(NamedTuple):
    """A manifest that lists something: at which place, which is the last, and its last use."""

    number: int
    key: bytes
    media_type: str
    position: int | None
    last: int | None
    last_use: float | None


def find_parts(
    connection: sqlite3.Connection, asked: Sequence[AskedContent | None]
) -> list[ImagePart | None]:
    """What each is a part of; None where that is not known."""
    return [None if each is None else _find(connection, each) for each in asked]


def _find(connection: sqlite3.Connection, asked: AskedContent) -> ImagePart | None:
    row = connection.execute(
        "SELECT id FROM repositories WHERE upstream = ? AND name = ?",
        find_names(connection, asked.content.repository),
    ).fetchone()
    return None if row is None else _Parts(connection, row[0], asked).find()


class _Parts:
    """Looks in one repository."""

    def __init__(self, connection: sqlite3.Connection, number: int, asked: AskedContent) -> None:
        self._connection = connection
        self._number = number
        self._key = digest_key(asked.content.digest)
        self._before = [(reference, digest_key(digest)) for reference, digest in asked.before]

    def find(self) -> ImagePart | None:
        """The image that the content belongs to."""
        lister = self._lister(self._key)
        if lister is None:
            return self._alone()
        if lister.media_type in INDEX_TYPES:
            return ImagePart(self._name(lister.key), self._platform(lister.number, self._key))
        index = self._lister(lister.key)
        if index is None:
            name, platform = self._name(lister.key), self._described(lister.number)
        else:
            name, platform = self._name(index.key), self._platform(index.number, lister.key)
        # The configuration is at the place 0: a part, but none of the layers.
        place = (lister.position, lister.last) if lister.position and lister.last else None
        return ImagePart(name, platform, place)

    def _alone(self) -> ImagePart | None:
        """A manifest that no index lists is an image itself."""
        row = self._connection.execute(_MANIFEST, (self._key,)).fetchone()
        return None if row is None else ImagePart(self._name(self._key), self._described(row[0]))

    def _lister(self, key: bytes) -> _Lister | None:
        """The manifest that lists something: one that was asked for, else the one used last."""
        rows = self._connection.execute(_LISTERS, (self._number, key, MOST_LISTERS))
        found = [_Lister(*row) for row in rows]
        asked_for = [digest for _, digest in self._before]
        chosen = [each for each in found if each.key in asked_for]
        if chosen:
            return min(chosen, key=lambda each: asked_for.index(each.key))
        return max(found, key=lambda each: each.last_use or 0.0, default=None)

    def _name(self, key: bytes) -> str:
        """The tag by which it was asked for, else one that names it, else its digest."""
        for reference, digest in self._before:
            if digest == key and ":" not in reference:
                return reference
        rows = self._connection.execute(_TAGS, (self._number, key, 1)).fetchone()
        return rows[0] if rows else str(digest_from_key(key))

    def _platform(self, index: int, key: bytes) -> str:
        row = self._connection.execute(_MEMBER, (index, key)).fetchone()
        return row[0] if row else ""

    def _described(self, manifest: int) -> str:
        row = self._connection.execute(_DESCRIBED, (manifest,)).fetchone()
        return row[0] if row else ""
