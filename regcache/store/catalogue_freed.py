"""What the removal of images from a repository frees.

It follows the tables of :mod:`regcache.store.index_removal`, for many images at once and without
changing anything.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping

from regcache.store.catalogue_contents import MOST_DEEP, KnownManifest, RepositoryContents

MOST_ABOVE = 64
"""Manifests above another that are looked at, to find out whether another repository needs it."""

_LISTERS = """
SELECT m.manifest_id FROM mentions m
JOIN places p ON p.content_id = m.manifest_id AND p.place = 'disk' WHERE m.digest = ?
"""

_UNLINKED = """
SELECT c.digest FROM tags t JOIN contents c ON c.digest = t.digest AND c.media_type != ''
WHERE t.repository_id = :repository AND NOT EXISTS (SELECT 1 FROM links l
    WHERE l.content_id = c.id AND l.upstream = :upstream AND l.repository_id = :repository)
UNION
SELECT c.digest FROM shown s JOIN contents c ON c.digest = s.digest AND c.media_type != ''
WHERE s.repository_id = :repository AND NOT EXISTS (SELECT 1 FROM links l
    WHERE l.content_id = c.id AND l.upstream = :upstream AND l.repository_id = :repository)
"""

_SHOWN_BY = "SELECT manifest_id FROM shown WHERE repository_id = ? AND digest = ?"

_OTHERS_TAG = "SELECT 1 FROM tags WHERE digest = ? AND repository_id != ? LIMIT 1"

_TAGGED_HERE = "SELECT 1 FROM tags WHERE digest = ? AND repository_id = ? LIMIT 1"

_OTHERS_LINK = "SELECT 1 FROM links WHERE content_id = ? AND repository_id != ? LIMIT 1"

_ABOVE = """
SELECT c.digest, c.id FROM mentions m JOIN contents c ON c.id = m.manifest_id
WHERE m.digest = ? LIMIT ?
"""


class FreedContents:
    """What goes from the disk with something of one repository."""

    def __init__(self, contents: RepositoryContents) -> None:
        self._contents = contents
        self._connection = contents.connection
        self._number = contents.number
        self._unlinked: dict[bytes, list[int]] | None = None

    def goes(self, roots: Collection[bytes]) -> dict[bytes, int]:
        """What leaves the disk with the removal of manifests from the repository, and its sizes.

        It follows the tables of :mod:`regcache.store.index_removal`.
        """
        return self._freed(self._dropped(roots), roots)

    def goes_whole(self, tagged: Collection[bytes], left: Collection[bytes]) -> dict[bytes, int]:
        """The same of all that the repository has.

        Its tags go first, and what only they kept goes with them, and so do images with an index.
        What is left is removed one by one, in the order of its digests.

        :param tagged: what its tags name.
        :param left: its stored manifests.
        """
        dropped: dict[int, KnownManifest] = {}
        self._go_along(tagged, dropped)
        named: set[bytes] = set()
        for key in sorted(left):
            found = self._contents.manifest(key)
            if found is not None and found.number not in dropped:
                named.add(key)
                dropped[found.number] = found
                self._go_along([each.key for each in found.listed], dropped)
        return self._freed(dropped, named)

    def _freed(
        self, dropped: Mapping[int, KnownManifest], named: Collection[bytes]
    ) -> dict[bytes, int]:
        """What leaves the disk with manifests to which the repository loses its right.

        :param named: those that are removed by their digests.
        """
        gone = self._erased(dropped, named)
        erased = {each.number for each in dropped.values() if each.key in gone}
        for found in dropped.values():
            for each in found.listed:
                if each.known_type or not each.here or each.key in gone:
                    continue
                if not each.shared:
                    goes = found.stored is None or found.number in erased
                else:
                    kept = self._is_kept(each.key, (), dropped)
                    goes = not kept and not self._is_listed(each.key, erased)
                if goes:
                    gone[each.key] = each.stored or 0
        return gone

    def _dropped(self, roots: Collection[bytes]) -> dict[int, KnownManifest]:
        """The manifests to which the repository loses its right, by number."""
        dropped: dict[int, KnownManifest] = {}
        waiting = deque(roots)
        while waiting:
            key = waiting.popleft()
            found = self._contents.manifest(key)
            if found and found.number not in dropped and not self._is_kept(key, roots, dropped):
                dropped[found.number] = found
                waiting.extend(each.key for each in found.listed if each.known_type)
        return dropped

    def _go_along(self, keys: Iterable[bytes], dropped: dict[int, KnownManifest]) -> None:
        """What goes of these, and with them, since nothing that is left keeps it.

        :param dropped: manifests by their numbers; what goes is added.
        """
        waiting = list(keys)
        before = -1
        while len(dropped) > before:  # what stayed for something goes with that
            before = len(dropped)
            for key in waiting:
                found = self._contents.manifest(key)
                if found is None or found.number in dropped or self._is_listed_here(key, dropped):
                    continue
                dropped[found.number] = found
                waiting += [each.key for each in found.listed if each.known_type]

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

    def _is_kept(self, key: bytes, roots: Collection[bytes], dropped: Collection[int]) -> bool:
        """Whether something else in the repository keeps it there."""
        if key in roots:
            return False
        if self._asks(_TAGGED_HERE, key, self._number):
            return True
        return self._is_listed_here(key, dropped)

    def _is_listed_here(self, key: bytes, dropped: Collection[int]) -> bool:
        """Whether a manifest that the repository keeps lists it."""
        shown = self._connection.execute(_SHOWN_BY, (self._number, key))
        if any(number not in dropped for (number,) in shown):
            return True
        return any(number not in dropped for number in self._unlinked_listers().get(key, ()))

    def _unlinked_listers(self) -> dict[bytes, list[int]]:
        """What is listed by manifests that the repository has by a tag or an index alone."""
        if self._unlinked is None:
            found: dict[bytes, list[int]] = {}
            for (key,) in self._connection.execute(_UNLINKED, self._contents.names).fetchall():
                manifest = self._contents.manifest(key)
                for each in manifest.listed if manifest else ():
                    found.setdefault(each.key, []).append(manifest.number if manifest else 0)
            self._unlinked = found
        return self._unlinked

    def _is_needed(
        self, found: KnownManifest, named: Collection[bytes], erased: Collection[int]
    ) -> bool:
        """Whether something outside of the repository needs the bytes of a manifest."""
        if found.key in named:
            return self._others_have(found.key, found.number)
        referred = self._others_refer_to(found.key, found.number)
        return referred or self._is_listed(found.key, erased)

    def _is_listed(self, key: bytes, erased: Collection[int]) -> bool:
        """Whether a stored manifest that stays lists it."""
        rows = self._connection.execute(_LISTERS, (key,))
        return any(number not in erased for (number,) in rows)

    def _others_refer_to(self, key: bytes, number: int) -> bool:
        return self._asks(_OTHERS_TAG, key, self._number) or self._asks(
            _OTHERS_LINK, number, self._number
        )

    def _others_have(self, key: bytes, number: int) -> bool:
        """Whether another repository has it, or something that lists it."""
        level = {key: number}
        for _ in range(MOST_DEEP + 1):
            if any(self._others_refer_to(*each) for each in level.items()):
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
