"""Reads the contents of one repository from the index, for the admin API.

A repository has content here if the bytes are stored and it has a right to them, or they are
public. So a complete image can be pulled without its upstream.
"""

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import Any

from regcache.images import UNKNOWN_PLATFORM
from regcache.light_dataclass import dataclass
from regcache.media_types import INDEX_TYPES

MOST_DEEP = 4
"""How deep nested indexes are read. Real indexes are not nested."""

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
    ifnull((SELECT platform FROM described WHERE manifest_id = c.id), ''), ifnull(p.fetched_by, ''),
    NOT EXISTS (SELECT 1 FROM partly_known WHERE manifest_id = c.id)
FROM contents c {_JOINS} WHERE c.digest = :digest
"""

_LISTED = f"""
SELECT m.digest, m.size, m.media_type, c.media_type, p.size, p.size IS NOT NULL AND {_RIGHT},
    EXISTS (
        SELECT 1 FROM mentions o WHERE o.digest = m.digest AND o.manifest_id != m.manifest_id)
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


@dataclass(slots=True, kw_only=True)
class Listed:
    """Content that a manifest lists.

    :ivar said: its size by the manifest.
    :ivar media_type: its type by the manifest.
    :ivar known_type: its type in the index: "" for a blob, None if it was never stored.
    :ivar stored: its size on the disk; None if it is not stored.
    :ivar here: whether the repository has it here.
    :ivar shared: whether another manifest lists it, too.
    """

    key: bytes
    said: int
    media_type: str
    known_type: str | None
    stored: int | None
    here: bool
    shared: bool

    @property
    def size(self) -> int:
        """Its size on the disk; if it is not stored, the size by the manifest."""
        return self.said if self.stored is None else self.stored


@dataclass(slots=True)
class IndexMember:
    """A manifest that an index lists."""

    key: bytes
    platform: str
    attests: bool


@dataclass(slots=True, kw_only=True)
class KnownManifest:
    """A manifest that was stored at some time; see :class:`Listed`.

    :ivar platform: as its config states it.
    :ivar whole: whether the index knows everything that it lists.
    """

    key: bytes
    number: int
    media_type: str
    stored: int | None
    here: bool
    since: float | None
    last_use: float | None
    platform: str
    fetched_by: str = ""
    whole: bool = True
    listed: list[Listed] = field(default_factory=list)
    members: list[IndexMember] = field(default_factory=list)

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests."""
        return self.media_type in INDEX_TYPES


def _listed(row: Sequence[Any]) -> Listed:
    key, said, media_type, known_type, stored, here, shared = row
    return Listed(
        key=key,
        said=said,
        media_type=media_type,
        known_type=known_type,
        stored=stored,
        here=bool(here),
        shared=bool(shared),
    )


class RepositoryContents:
    """The contents of one repository. They are read on demand, within one transaction.

    :param number: the id of the repository.
    :param upstream: the key of its upstream.
    """

    def __init__(self, connection: sqlite3.Connection, number: int, upstream: str) -> None:
        self.connection = self._connection = connection
        self.number = number
        self.names = self._names = {"repository": number, "upstream": upstream}
        self._known: dict[bytes, KnownManifest | None] = {}

    def tags(self) -> list[tuple[str, bytes, float]]:
        """All tags, each with its digest and when that was confirmed."""
        return self._connection.execute(_TAGS, (self.number,)).fetchall()

    def manifest(self, key: bytes) -> KnownManifest | None:
        """Give what the index knows of a manifest; None if it was never stored."""
        if key not in self._known:
            self._known[key] = self._read(key)
        return self._known[key]

    def known(self, key: bytes) -> KnownManifest | None:
        """Give the same, if it was read already; else None."""
        return self._known.get(key)

    def _read(self, key: bytes) -> KnownManifest | None:
        connection = self._connection
        row = connection.execute(_CONTENT, {**self._names, "digest": key}).fetchone()
        if row is None or not row[1]:
            return None
        number, media_type, stored, here, since, last_use, platform, fetched_by, whole = row
        found = KnownManifest(
            key=key,
            number=number,
            media_type=media_type,
            stored=stored,
            here=bool(here),
            since=since,
            last_use=last_use,
            platform=platform,
            fetched_by=fetched_by,
            whole=bool(whole),
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
        """Stored images of the repository without a tag, and without an index that lists them."""
        return [key for (key,) in self._connection.execute(_UNTAGGED, self._names)]

    def last_uses(self) -> dict[bytes, float]:
        """When manifests of the repository were used last (Unix seconds)."""
        return dict(self._connection.execute(_LAST_USES, self._names).fetchall())

    def all_manifests(self) -> list[bytes]:
        """All stored manifests that the repository has a right to."""
        return [key for (key,) in self._connection.execute(_LINKED, self._names)]

    def loose(self) -> list[tuple[bytes, int, int]]:
        """All stored blobs that the repository has a right to: key, id and size."""
        return self._connection.execute(_LOOSE, (self.number,)).fetchall()

    def images(self, key: bytes, deep: int = 0) -> Iterator[IndexMember]:
        """Yield the images of an index; for another manifest, the manifest itself."""
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
        """Give the sizes of manifests and of all that they list, as far as they are here."""
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
