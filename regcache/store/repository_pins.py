"""Tells what the pins of one repository protect from removal.

A pin protects content in its own repository only. The same content may be removed from another
repository; its bytes stay on the disk. Functions run in the index's thread.
"""

import sqlite3
from collections.abc import Callable

from regcache.digests import Digest
from regcache.removals import RemovalTarget, RemovedKind
from regcache.store.index_holdings import ABOVE
from regcache.store.index_schema import digest_key

_COVERED = "SELECT EXISTS (SELECT 1 FROM pinned WHERE digest = ?)"

_PIN = "SELECT EXISTS (SELECT 1 FROM pins WHERE repository_id = ? AND reference = ?)"

_DIGEST_PINS = "SELECT reference FROM pins WHERE repository_id = ? AND reference LIKE '%:%'"

_TAGS_ABOVE = (
    ABOVE
    + """
SELECT t.tag FROM above a CROSS JOIN tags t ON t.digest = a.digest
WHERE t.repository_id = :repository
"""
)

_IS_ABOVE = ABOVE + "SELECT EXISTS (SELECT 1 FROM above WHERE digest = :pinned)"

PinnedTag = Callable[[str], bool]
"""Whether a pattern pins a tag of the repository."""


class RepositoryPins:
    """The pins of a repository, by hand and by pattern.

    :param repository: its id.
    """

    def __init__(
        self, connection: sqlite3.Connection, repository: int, by_pattern: PinnedTag
    ) -> None:
        self._connection = connection
        self._repository = repository
        self._by_pattern = by_pattern

    def refuse(self, target: RemovalTarget, digest: bytes) -> bool:
        """Whether a target is protected: it is a pinned tag, or content of a pinned image.

        :param digest: of the content that the target names.
        """
        if target.kind is RemovedKind.TAG:
            return self._is_pinned_tag(target.tag)
        return self.hold(digest)

    def cover(self, digest: bytes) -> bool:
        """Whether a pin in any repository needs the bytes."""
        return self._is(_COVERED, digest)

    def has(self, reference: str) -> bool:
        """Whether a tag or digest was pinned by hand."""
        return self._is(_PIN, self._repository, reference)

    def digests(self) -> set[bytes]:
        """The digests that were pinned by hand."""
        pins = self._connection.execute(_DIGEST_PINS, (self._repository,)).fetchall()
        return {digest_key(Digest.parse(reference)) for (reference,) in pins}

    def hold(self, digest: bytes) -> bool:
        """Whether a pin of this repository covers the content, or a manifest that lists it."""
        if not self.cover(digest):
            return False
        names = {"repository": self._repository, "digest": digest}
        rows = self._connection.execute(_TAGS_ABOVE, names).fetchall()
        if any(self._is_pinned_tag(tag) for (tag,) in rows):
            return True
        return any(self._is_above(digest, key) for key in self.digests())

    def _is_pinned_tag(self, tag: str) -> bool:
        return self._by_pattern(tag) or self.has(tag)

    def _is_above(self, digest: bytes, pinned: bytes) -> bool:
        """Whether a pinned manifest is this content, or lists it."""
        names = {"digest": digest, "pinned": pinned}
        return bool(self._connection.execute(_IS_ABOVE, names).fetchone()[0])

    def _is(self, statement: str, *values: object) -> bool:
        return bool(self._connection.execute(statement, values).fetchone()[0])
