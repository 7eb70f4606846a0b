"""Statements that remove what a repository has: tags, manifests with what they list, blobs.

What goes with what:

================  ==========================================================================
removed           goes with it
================  ==========================================================================
a tag             its manifest, unless another tag of the repository names it, or a manifest
                  that the repository keeps lists it
a manifest        its tags; the right to it, and to what it lists and the repository has by
                  nothing else: blobs, the manifests of an index, and what refers to it
a blob            the right to it
================  ==========================================================================

Bytes stay as long as something else needs them. The named content stays while another repository
has it: by a link, a tag, or something that lists it. A manifest that is removed with it stays
likewise, and for any manifest that lists it; a blob, for a stored manifest that lists it. But the
repository loses its right in any case, even to public bytes (``withdrawn``), until that is proved
again. Bytes that go along, and that the repository has no right to any more, stay for others.

Content whose file is removed loses all rights; only its generation is kept. It is marked
(``leaving``) until the file is gone. If the daemon is killed before that, it removes the file
at its next start:

============================  ==============================================================
killed                        what holds at the next start
============================  ==============================================================
before the transaction        nothing was removed
after it                      the index does not have the content, nor a right to it; since it
                              is marked the file is removed before anything is served
after the removal of files    the mark is removed, or stays without a file
the content was stored again  recording it has removed the mark: the file stays
============================  ==============================================================
"""

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from regcache.digests import Digest
from regcache.removals import (
    GoneContent,
    RemovalEffect,
    RemovalTarget,
    RemovedKind,
)
from regcache.store.index_contents import forget_content
from regcache.store.index_holdings import HELD, VANISH, begin, number_of
from regcache.store.index_schema import digest_from_key, digest_key
from regcache.store.removal_conditions import (
    HELD_ELSEWHERE,
    IS_OF_OTHERS,
    LINKED_OR_TAGGED_ELSEWHERE,
    LISTED,
    LISTED_HERE,
    SHOWN_BY_OTHERS,
    TAGGED_HERE,
)
from regcache.store.removed_blobs import RemovedBlobs, begin_blobs
from regcache.store.repository_pins import PinnedTag, RepositoryPins

MOST_LEAVING = 1000
"""Contents whose files are looked for at once."""

MOST_WITHDRAWN = 20_000
"""Contents that go with one removal. What is left of an image that lists more is evicted first."""

# What says nothing itself is a blob.
_LISTS = """
SELECT l.digest, ifnull(c.media_type, '') = ''
    AND NOT EXISTS (SELECT 1 FROM mentions WHERE manifest_id = c.id)
    AND NOT EXISTS (SELECT 1 FROM subjects WHERE manifest_id = c.id)
FROM (
    SELECT digest FROM mentions WHERE manifest_id = :manifest
    UNION SELECT c.digest FROM referrers r JOIN contents c ON c.id = r.manifest_id
    WHERE r.repository_id = :repository AND r.subject = :digest
) l LEFT JOIN contents c ON c.digest = l.digest
"""

_STORED = """
SELECT c.id, p.size, c.media_type
FROM contents c LEFT JOIN places p ON p.content_id = c.id AND p.place = 'disk'
WHERE c.digest = ?
"""


def look(
    connection: sqlite3.Connection, target: RemovalTarget, by_pattern: PinnedTag
) -> RemovalEffect:
    """What a removal would do. Nothing is changed."""
    begin(connection)  # outside, since what is rolled back would have to be made again
    begin_blobs(connection)
    with undone(connection):
        return remove(connection, target, 0, by_pattern)


@contextmanager
def undone(connection: sqlite3.Connection) -> Iterator[None]:
    """Take back what is changed inside, which is in no transaction.

    Nothing is written, so that there is an answer on a full disk. To release a savepoint would
    write the pages that were changed and changed back.
    """
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:  # SQLite ends it by itself for some errors
            connection.execute("ROLLBACK")


def remove(
    connection: sqlite3.Connection,
    target: RemovalTarget,
    generation: int,
    by_pattern: PinnedTag,
) -> RemovalEffect:
    """Remove it, unless it is pinned or not here. Within a transaction.

    :param generation: the number of the removal; results of earlier work must not be recorded.
    """
    number = number_of(connection, target.repository)
    if number is None:
        return RemovalEffect()
    begin(connection)
    return _Removing(connection, number, generation, by_pattern).run(target)


def leaving(connection: sqlite3.Connection) -> list[Digest]:
    """The removed contents whose files may still be there."""
    rows = connection.execute("SELECT digest FROM leaving LIMIT ?", (MOST_LEAVING,))
    return [digest_from_key(key) for (key,) in rows]


def still_leaving(connection: sqlite3.Connection, digests: Iterable[Digest]) -> list[Digest]:
    """Which of them were not stored again meanwhile."""
    return [
        each
        for each in digests
        if connection.execute(
            "SELECT 1 FROM leaving WHERE digest = ?", (digest_key(each),)
        ).fetchone()
    ]


def have_left(connection: sqlite3.Connection, digests: Iterable[Digest]) -> None:
    """Remove the marks of contents whose files are gone."""
    connection.executemany(
        "DELETE FROM leaving WHERE digest = ?", [(digest_key(each),) for each in digests]
    )


def last_generation(connection: sqlite3.Connection) -> int:
    """The number of the last removal in the index."""
    (last,) = connection.execute(
        "SELECT max(ifnull((SELECT max(generation) FROM contents WHERE generation > 0), 0),"
        " ifnull((SELECT max(generation) FROM withdrawn), 0))"
    ).fetchone()
    return int(last)


class _Removing:
    """One removal from one repository.

    :param repository: its number.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        repository: int,
        generation: int,
        by_pattern: PinnedTag,
    ) -> None:
        self._pins = RepositoryPins(connection, repository, by_pattern)
        self._connection = connection
        self._repository = repository
        self._generation = generation
        self._tags: list[str] = []
        self._withdrawn: dict[bytes, None] = {}
        self._gone: dict[bytes, int] = {}

    def run(self, target: RemovalTarget) -> RemovalEffect:
        """Remove everything that has to go."""
        tags, digest = self._named(target)
        if digest is None:
            return RemovalEffect()
        if self._pins.refuse(target, digest):
            return RemovalEffect(found=True, pinned=True)
        for tag in tags:
            self._drop_tag(tag)
        if target.kind is not RemovedKind.TAG:
            self._drop(digest, named=True)
        elif not (self._is_kept_here(digest) or self._pins.hold(digest)):
            self._drop(digest, named=False)
        self._vanish()
        return RemovalEffect(
            found=True,
            named=digest_from_key(digest),
            tags=tuple(self._tags),
            withdrawn=tuple(map(digest_from_key, self._withdrawn)),
            gone=tuple(GoneContent(digest_from_key(key), size) for key, size in self._gone.items()),
        )

    def _named(self, target: RemovalTarget) -> tuple[list[str], bytes | None]:
        """The tags to remove, and the digest that is meant; None if it is not here."""
        if target.digest is None:
            row = self._row(
                "SELECT digest FROM tags WHERE repository_id = ? AND tag = ?",
                self._repository,
                target.tag,
            )
            return ([target.tag], row[0]) if row else ([], None)
        digest = digest_key(target.digest)
        tags = []
        if target.kind is RemovedKind.MANIFEST:
            rows = self._connection.execute(
                "SELECT tag FROM tags WHERE repository_id = ? AND digest = ?",
                (self._repository, digest),
            )
            tags = [tag for (tag,) in rows]
        arrives = target.arriving and self._is_held(digest)
        return tags, digest if tags or arrives or self._has(digest, target.kind) else None

    def _has(self, digest: bytes, kind: RemovedKind) -> bool:
        """Whether the repository has content of a kind, and the bytes are here."""
        row = self._row(_STORED, digest)
        if row is None or row[1] is None:
            return False
        is_manifest = row[2] != ""
        return is_manifest == (kind is RemovedKind.MANIFEST) and self._is_held(digest)

    def _drop_tag(self, tag: str) -> None:
        self._connection.execute(
            "DELETE FROM tags WHERE repository_id = ? AND tag = ?", (self._repository, tag)
        )
        self._tags.append(tag)

    def _drop(self, digest: bytes, named: bool) -> None:
        """Remove content from the repository, and what it lists if nothing else keeps that there.

        :param named: by who removes it; all else goes along.
        """
        waiting = deque(self._drop_one(digest, named))
        blobs: dict[bytes, None] = {}
        while waiting and len(self._withdrawn) + len(blobs) < MOST_WITHDRAWN:
            following, is_blob = waiting.popleft()
            if is_blob:
                blobs[following] = None
            elif not self._is_kept_here(following):
                waiting.extend(self._drop_one(following, named=False))
        self._drop_blobs(blobs)

    def _drop_blobs(self, blobs: Iterable[bytes]) -> None:
        """The same for what lists nothing: all at once, behind what lists it."""
        pinned = self._pins.digests()
        left = [each for each in blobs if each not in pinned and each not in self._withdrawn]
        removed = RemovedBlobs(self._connection, self._repository, self._generation)
        for digest, size in removed.remove(left) if left else ():
            self._withdrawn[digest] = None
            if size is not None:
                self._gone[digest] = size

    def _drop_one(self, digest: bytes, named: bool) -> list[tuple[bytes, bool]]:
        """The same for one content alone. Returns what it lists, and which of that are blobs."""
        # What is only being fetched is not known yet: it is from now on, by its generation.
        self._connection.execute("INSERT OR IGNORE INTO contents (digest) VALUES (?)", (digest,))
        number, size, media_type = self._row(_STORED, digest)
        listed = self._listed_by(number, digest) if media_type else []
        is_theirs = not named and self._is_of_others(digest, number)
        self._withdraw(digest, number)
        if not (is_theirs or self._is_needed(digest, bool(media_type), named)):
            self._erase(digest, number, size)
        return listed

    def _listed_by(self, number: int, digest: bytes) -> list[tuple[bytes, bool]]:
        """What a manifest lists, and what refers to it in this repository."""
        names = {"manifest": number, "repository": self._repository, "digest": digest}
        rows = self._connection.execute(_LISTS, names)
        return [(key, bool(is_blob)) for key, is_blob in rows]

    def _is_kept_here(self, digest: bytes) -> bool:
        """Whether something else in the repository keeps the content there."""
        if digest in self._withdrawn:
            return True  # it has been seen to
        if self._asks(TAGGED_HERE, digest) or self._asks(SHOWN_BY_OTHERS, digest):
            return True
        if self._pins.has(str(digest_from_key(digest))):
            return True
        return self._asks(LISTED_HERE, digest)

    def _withdraw(self, digest: bytes, number: int) -> None:
        """Remove the repository's right to content, and the facts that it was shown by that."""
        connection, ids = self._connection, (self._repository, number)
        connection.execute("INSERT OR IGNORE INTO temp.dropped VALUES (?)", (digest,))
        unlinked = connection.execute(
            "DELETE FROM links WHERE repository_id = ? AND content_id = ?", ids
        )
        connection.execute("DELETE FROM shown WHERE repository_id = ? AND manifest_id = ?", ids)
        connection.execute("DELETE FROM referrers WHERE repository_id = ? AND manifest_id = ?", ids)
        connection.execute(
            "INSERT OR REPLACE INTO withdrawn (repository_id, content_id, linked, generation)"
            " VALUES (?, ?, ?, ?)",
            (*ids, unlinked.rowcount > 0, self._generation),
        )
        self._withdrawn[digest] = None

    def _is_of_others(self, digest: bytes, number: int) -> bool:
        """Whether others have content, or what lists it, and this one has no right to it."""
        names = {"repository": self._repository, "content": number, "digest": digest}
        return bool(self._connection.execute(f"SELECT {IS_OF_OTHERS}", names).fetchone()[0])

    def _is_needed(self, digest: bytes, is_manifest: bool, named: bool) -> bool:
        """Whether something else needs the bytes."""
        if self._pins.cover(digest):
            return True
        if named:
            return self._asks(HELD_ELSEWHERE, digest)
        if self._asks(LISTED, digest):
            return True
        return is_manifest and self._asks(LINKED_OR_TAGGED_ELSEWHERE, digest)

    def _erase(self, digest: bytes, number: int, size: int | None) -> None:
        """Forget content whose file will be removed, except for its generation."""
        connection = self._connection
        forget_content(connection, digest_from_key(digest))
        for table in ("links", "withdrawn", "uses", "ghosts"):
            connection.execute(f"DELETE FROM {table} WHERE content_id = ?", (number,))
        connection.execute(
            "UPDATE contents SET public = 0, generation = ? WHERE id = ?",
            (self._generation, number),
        )
        connection.execute("INSERT OR IGNORE INTO leaving VALUES (?)", (digest,))
        self._gone[digest] = size or 0

    def _vanish(self) -> None:
        """Forget the repository if nothing of it is left."""
        self._connection.execute(VANISH, {"id": self._repository})

    def _row(self, statement: str, *arguments: object) -> Any:
        return self._connection.execute(statement, arguments).fetchone()

    def _is_held(self, digest: bytes) -> bool:
        names = {"repository": self._repository, "digest": digest}
        return bool(self._connection.execute(HELD, names).fetchone()[0])

    def _asks(self, condition: str, digest: bytes) -> bool:
        names = {"repository": self._repository, "digest": digest}
        return bool(self._connection.execute(f"SELECT {condition}", names).fetchone()[0])
