"""What one repository has of images, read from the index for those who look at it.

Content is here for a repository if its bytes are stored, and either anybody may have them or the
repository has a right to them: so what is complete can be pulled without its upstream.
"""

import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regcache.images import UNKNOWN_PLATFORM
from regcache.media_types import INDEX_TYPES

MOST_DEEP = 4
"""Indexes within indexes that are looked into. Real ones have none."""

MOST_ABOVE = 64
"""Manifests above another that are looked at, to find out whether another repository needs it."""

_RIGHT = "((c.public AND w.content_id IS NULL) OR l.content_id IS NOT NULL)"

_STATE = f"""
    p.size, p.size IS NOT NULL AND {_RIGHT}, p.since,
    (SELECT max(last_use) FROM uses WHERE content_id = c.id)
"""
_JOINS = """
LEFT JOIN places p ON p.content_id = c.id AND p.place = 'disk'
LEFT JOIN links l
    ON l.content_id = c.id AND l.upstream = :upstream AND l.repository_id = :repository
LEFT JOIN withdrawn w ON w.content_id = c.id AND w.repository_id = :repository
"""

_CONTENT = f"""
SELECT c.id, c.media_type, {_STATE},
    ifnull((SELECT platform FROM described WHERE manifest_id = c.id), '')
FROM contents c {_JOINS} WHERE c.digest = :digest
"""

_LISTED = f"""
SELECT m.digest, m.size, m.media_type, c.media_type, p.size, p.size IS NOT NULL AND {_RIGHT}
FROM mentions m LEFT JOIN contents c ON c.digest = m.digest {_JOINS} WHERE m.manifest_id = :manifest
"""

_MEMBERS = """
SELECT m.digest, m.platform, m.attests FROM members m WHERE m.manifest_id = ? ORDER BY m.position
"""

_TAGS = "SELECT tag, digest, validated_at FROM tags WHERE repository_id = ?"

_LINKED = """
SELECT c.digest
FROM links l JOIN contents c ON c.id = l.content_id AND c.media_type != ''
JOIN places p ON p.content_id = c.id AND p.place = 'disk'
WHERE l.repository_id = :repository
"""

_UNTAGGED = (
    _LINKED
    + """
AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.digest = c.digest AND t.repository_id = :repository)
AND NOT EXISTS (SELECT 1 FROM shown s WHERE s.repository_id = :repository AND s.digest = c.digest)
AND NOT EXISTS (SELECT 1 FROM subjects WHERE manifest_id = c.id)
"""
)

_LAST_USES = """
SELECT c.digest, max(u.last_use) FROM links l
JOIN contents c ON c.id = l.content_id AND c.media_type != ''
JOIN uses u ON u.content_id = c.id
WHERE l.repository_id = :repository GROUP BY c.id
"""

_LOOSE = """
SELECT c.digest, c.id, p.size FROM links l JOIN contents c ON c.id = l.content_id
JOIN places p ON p.content_id = c.id AND p.place = 'disk'
WHERE l.repository_id = ? AND c.media_type = ''
"""

_LISTERS = """
SELECT m.manifest_id FROM mentions m
JOIN places p ON p.content_id = m.manifest_id AND p.place = 'disk' WHERE m.digest = ?
"""

_SHOWN_BY = "SELECT manifest_id FROM shown WHERE repository_id = ? AND digest = ?"

_OTHERS_TAG = "SELECT 1 FROM tags WHERE digest = ? AND repository_id != ? LIMIT 1"
_TAGGED_HERE = "SELECT 1 FROM tags WHERE digest = ? AND repository_id = ? LIMIT 1"
_OTHERS_LINK = "SELECT 1 FROM links WHERE content_id = ? AND repository_id != ? LIMIT 1"

_ABOVE = """
SELECT c.digest, c.id FROM mentions m JOIN contents c ON c.id = m.manifest_id
WHERE m.digest = ? LIMIT ?
"""


@dataclass(slots=True)
class Listed:
    """What a manifest lists.

    :ivar said: its size by the manifest; ``stored`` what the disk has, None for nothing.
    :ivar media_type: by the manifest; ``known_type`` that of a manifest that was stored.
    :ivar here: whether the repository has it.
    """

    key: bytes
    said: int
    media_type: str
    known_type: str | None
    stored: int | None
    here: bool

    @property
    def size(self) -> int:
        """What is stored of it, else what it is said to have."""
        return self.said if self.stored is None else self.stored


@dataclass(slots=True)
class IndexMember:
    """A manifest in an index."""

    key: bytes
    platform: str
    attests: bool


@dataclass(slots=True)
class KnownManifest:
    """A manifest that was stored at some time; see :class:`Listed`.

    :ivar platform: that it says itself.
    """

    key: bytes
    number: int
    media_type: str
    stored: int | None
    here: bool
    since: float | None
    last_use: float | None
    platform: str
    listed: list[Listed] = field(default_factory=list)
    members: list[IndexMember] = field(default_factory=list)

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests."""
        return self.media_type in INDEX_TYPES


def _listed(row: Sequence[Any]) -> Listed:
    key, said, media_type, known_type, stored, here = row
    return Listed(key, said, media_type, known_type, stored, bool(here))


class RepositoryContents:
    """What one repository has. It is read as it is asked for, within one transaction.

    :param number: of the repository.
    :param upstream: the key of its upstream.
    """

    def __init__(self, connection: sqlite3.Connection, number: int, upstream: str) -> None:
        self.connection = self._connection = connection
        self.number = number
        self._names = {"repository": number, "upstream": upstream}
        self._known: dict[bytes, KnownManifest | None] = {}

    def tags(self) -> list[tuple[str, bytes, float]]:
        """All tags, with what they name and when that was confirmed."""
        return self._connection.execute(_TAGS, (self.number,)).fetchall()

    def manifest(self, key: bytes) -> KnownManifest | None:
        """What is known of a manifest; None if it is none that was ever stored."""
        if key not in self._known:
            self._known[key] = self._read(key)
        return self._known[key]

    def known(self, key: bytes) -> KnownManifest | None:
        """The same, if it was read already."""
        return self._known.get(key)

    def _read(self, key: bytes) -> KnownManifest | None:
        connection = self._connection
        row = connection.execute(_CONTENT, {**self._names, "digest": key}).fetchone()
        if row is None or not row[1]:
            return None
        number, media_type, stored, here, since, last_use, platform = row
        found = KnownManifest(
            key, number, media_type, stored, bool(here), since, last_use, platform
        )
        rows = connection.execute(_LISTED, {**self._names, "manifest": number})
        found.listed = [_listed(each) for each in rows]
        if found.is_index:
            members = connection.execute(_MEMBERS, (number,))
            found.members = [
                IndexMember(each, platform, bool(attests)) for each, platform, attests in members
            ]
        return found

    def untagged(self) -> list[bytes]:
        """Stored images of the repository that no tag names, and no index of it lists."""
        return [key for (key,) in self._connection.execute(_UNTAGGED, self._names)]

    def last_uses(self) -> dict[bytes, float]:
        """When manifests of the repository were used last (Unix seconds)."""
        return dict(self._connection.execute(_LAST_USES, self._names).fetchall())

    def all_manifests(self) -> list[bytes]:
        """All stored manifests that the repository has a right to."""
        return [key for (key,) in self._connection.execute(_LINKED, self._names)]

    def loose(self) -> list[tuple[bytes, int, int]]:
        """All stored blobs that the repository has a right to: key, number, size."""
        return self._connection.execute(_LOOSE, (self.number,)).fetchall()

    def images(self, key: bytes, deep: int = 0) -> Iterator[IndexMember]:
        """The images in what a digest names: those of an index, or it itself."""
        found = self.manifest(key)
        if found is None or not found.is_index:
            yield IndexMember(key, found.platform if found else "", False)
            return
        for each in found.members:
            inner = self.manifest(each.key)
            if each.attests or each.platform == UNKNOWN_PLATFORM:
                continue
            if inner is not None and inner.is_index:
                if deep < MOST_DEEP:
                    yield from self.images(each.key, deep + 1)
                continue
            said = inner.platform if inner else ""
            yield IndexMember(each.key, each.platform or said, False)

    def contents(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        """The sizes of manifests and of all that they list, as far as it is here."""
        found: dict[bytes, int] = {}
        waiting, seen = deque(keys), set()
        while waiting:
            key = waiting.popleft()
            manifest = self.manifest(key) if key not in seen else None
            seen.add(key)
            if manifest is None:
                continue
            if manifest.here:
                found[key] = manifest.stored or 0
            for each in manifest.listed:
                if each.here:
                    found[each.key] = each.stored or 0
                if each.known_type:
                    waiting.append(each.key)
        return found

    def goes(self, roots: Collection[bytes], tagged: Collection[bytes] = ()) -> dict[bytes, int]:
        """What leaves the disk with the removal of manifests from the repository, and its sizes.

        :param tagged: those of them that go with their tags.

        It follows the tables of :mod:`regcache.store.index_removal`.
        """
        dropped = self._dropped(roots)
        with_tags = {key for key in tagged if not self._asks(_SHOWN_BY, self.number, key)}
        gone = self._erased(dropped, {*roots} - with_tags)
        erased = {each.number for each in dropped.values() if each.key in gone}
        for found in dropped.values():
            for each in found.listed:
                if each.known_type or each.stored is None or each.key in gone:
                    continue
                kept = self._is_kept(each.key, roots, dropped)
                if not kept and not self._is_listed(each.key, erased):
                    gone[each.key] = each.stored
        return gone

    def _dropped(self, roots: Collection[bytes]) -> dict[int, KnownManifest]:
        """The manifests to which the repository loses its right, by number."""
        dropped: dict[int, KnownManifest] = {}
        waiting = deque(roots)
        while waiting:
            key = waiting.popleft()
            found = self.manifest(key)
            if found and found.number not in dropped and not self._is_kept(key, roots, dropped):
                dropped[found.number] = found
                waiting.extend(each.key for each in found.listed if each.known_type)
        return dropped

    def _erased(
        self, dropped: Mapping[int, KnownManifest], named: Collection[bytes]
    ) -> dict[bytes, int]:
        """Those of them that nothing else needs, and their sizes."""
        gone: dict[bytes, int] = {}
        erased: set[int] = set()
        before = -1
        while len(erased) > before:  # what an index kept goes with it
            before = len(erased)
            for number, found in dropped.items():
                if number not in erased and not self._is_needed(found, named, erased):
                    erased.add(number)
                    gone[found.key] = found.stored or 0
        return gone

    def _is_kept(
        self, key: bytes, roots: Collection[bytes], dropped: Collection[int], deep: int = 0
    ) -> bool:
        """Whether something else in the repository keeps it there."""
        if key in roots and not deep:
            return False
        if key not in roots and self._asks(_TAGGED_HERE, key, self.number):
            return True
        shown = self._connection.execute(_SHOWN_BY, (self.number, key))
        if any(number not in dropped for (number,) in shown):
            return True
        if deep == MOST_DEEP:
            return False
        above = self._connection.execute(_ABOVE, (key, MOST_ABOVE)).fetchall()
        return any(
            number not in dropped and self._is_kept(each, roots, dropped, deep + 1)
            for each, number in above
        )

    def _is_needed(
        self, found: KnownManifest, named: Collection[bytes], erased: Collection[int]
    ) -> bool:
        """Whether something outside of the repository needs the bytes of a manifest."""
        if found.key in named:
            return self._others_have(found.key, found.number)
        held = self._held_by_others(found.key, found.number)
        return held or self._is_listed(found.key, erased)

    def _is_listed(self, key: bytes, erased: Collection[int]) -> bool:
        """Whether a stored manifest that stays lists it."""
        rows = self._connection.execute(_LISTERS, (key,))
        return any(number not in erased for (number,) in rows)

    def _held_by_others(self, key: bytes, number: int) -> bool:
        return self._asks(_OTHERS_TAG, key, self.number) or self._asks(
            _OTHERS_LINK, number, self.number
        )

    def _others_have(self, key: bytes, number: int) -> bool:
        """Whether another repository has it, or something that lists it."""
        level = {key: number}
        for _ in range(MOST_DEEP + 1):
            if any(self._held_by_others(*each) for each in level.items()):
                return True
            above: dict[bytes, int] = {}
            for each in level:
                above.update(self._connection.execute(_ABOVE, (each, MOST_ABOVE)).fetchall())
            level = above
        return False

    def is_alone(self, key: bytes, number: int) -> bool:
        """Whether no other repository has some content, or anything that lists it."""
        return not self._others_have(key, number)

    def _asks(self, statement: str, *arguments: object) -> bool:
        return self._connection.execute(statement, arguments).fetchone() is not None
