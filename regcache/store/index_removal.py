"""Removes tags, manifests with what they list, and blobs from a repository in the index.

This is removed together:

================  ==========================================================================
removed           is removed with it
================  ==========================================================================
a tag             its manifest, unless another tag of the repository names it, or a manifest
                  that the repository keeps lists it
a manifest        its tags; the right to it, and to what only it gives to the repository: the
                  blobs and manifests that it lists, and the manifests that refer to it
a blob            the right to it
================  ==========================================================================

Bytes stay as long as something else needs them. The named content stays while another repository
has it: by a link, a tag, or something that lists it. A manifest that is removed with it stays for
the same reasons, and while any manifest lists it. A blob stays while a stored manifest lists it.
The repository always loses its right, even to public bytes (``withdrawn``), until the right is
proved again. So bytes that are removed with a manifest can stay for other repositories.

Content whose file is removed loses all rights; only its generation is kept. It is marked
(``leaving``) until the file is gone. If the daemon is killed before that, it goes on after its
next start, while requests are answered already:

============================  ==============================================================
killed                        state at the next start
============================  ==============================================================
before the transaction        nothing was removed
after it                      the index has neither the content nor a right to it, so that nobody
                              is given it before the upstream has proved the right anew; the file
                              is removed, since it is marked
between two of many           as :mod:`regcache.store.removed_contents` says
after the removal of files    the mark is removed, or stays without a file
the content was stored again  recording it has removed the mark: the file stays
============================  ==============================================================
"""

import sqlite3
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
from regcache.store.index_holdings import HAS_CONTENT, VANISH, begin, number_of
from regcache.store.index_schema import digest_from_key, digest_key
from regcache.store.removal_conditions import ContentConditions
from regcache.store.removal_queue import RemovalQueue
from regcache.store.removed_blobs import begin_blobs
from regcache.store.removed_contents import STORED, RemovedContents
from regcache.store.repository_pins import PinnedTag, RepositoryPins


def look(
    connection: sqlite3.Connection, target: RemovalTarget, by_pattern: PinnedTag
) -> RemovalEffect:
    """Find out what a removal would do. Change nothing."""
    begin(connection)  # before the transaction: a rollback would undo it
    begin_blobs(connection)
    with undone(connection):
        return remove(connection, target, 0, by_pattern)


def look_further(connection: sqlite3.Connection) -> RemovalEffect:
    """Find out what the next step of a removal that was begun would do. Change nothing."""
    begin(connection)
    begin_blobs(connection)
    with undone(connection):
        return remove_further(connection, 0)


@contextmanager
def undone(connection: sqlite3.Connection) -> Iterator[None]:
    """Undo the changes that are made inside. Do not use it within a transaction.

    Nothing is written, so it also works on a full disk. To release a savepoint would write the
    pages that were changed and changed back.
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
    """Remove the target, unless it is pinned or not here. Call it within a transaction.

    It removes as much of what goes with the target as one step may. :func:`remove_further` removes
    the rest.

    :param generation: the number of the removal. Results of earlier work must not be recorded.
    """
    number = number_of(connection, target.repository)
    if number is None:
        return RemovalEffect()
    begin(connection)
    return _Removing(connection, number, generation, by_pattern).run(target)


def remove_further(connection: sqlite3.Connection, generation: int) -> RemovalEffect:
    """Do the next step of an unfinished removal, if there is one. Call it within a transaction."""
    queue = RemovalQueue.unfinished(connection)
    if queue is None:
        return RemovalEffect()
    begin(connection)
    return _Removing(connection, queue.repository, generation, _no_pattern).go_on(queue)


def _no_pattern(_tag: str) -> bool:
    """Return False: further steps remove no content that has a tag."""
    return False


def leaving(connection: sqlite3.Connection) -> list[Digest]:
    """List removed contents whose files may still be there."""
    rows = connection.execute("SELECT digest FROM leaving")
    return [digest_from_key(key) for (key,) in rows]


def still_leaving(connection: sqlite3.Connection, digests: Iterable[Digest]) -> list[Digest]:
    """List those contents that were not stored again meanwhile."""
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
    """Return the number of the last removal in the index."""
    (last,) = connection.execute(
        "SELECT max(ifnull((SELECT max(generation) FROM contents WHERE generation > 0), 0),"
        " ifnull((SELECT max(generation) FROM withdrawn), 0))"
    ).fetchone()
    return int(last)


class _Removing:
    """Does one removal from one repository.

    :param repository: the number of the repository.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        repository: int,
        generation: int,
        by_pattern: PinnedTag,
    ) -> None:
        self._pins = RepositoryPins(connection, repository, by_pattern)
        self._conditions = ContentConditions(connection, repository, self._pins)
        self._connection = connection
        self._repository = repository
        self._generation = generation
        self._tags: list[str] = []

    def run(self, target: RemovalTarget) -> RemovalEffect:
        """Remove the target, and what has to go with it or a part of that."""
        tags, digest = self._named(target)
        if digest is None:
            return RemovalEffect()
        if self._pins.refuse(target, digest):
            return RemovalEffect(found=True, pinned=True)
        for tag in tags:
            self._drop_tag(tag)
        removed = self._step(RemovalQueue(self._connection, self._repository, digest))
        if target.kind is not RemovedKind.TAG:
            removed.remove(digest, named=True)
        elif not (self._conditions.is_kept_here(digest) or self._pins.hold(digest)):
            removed.remove(digest, named=False)
        return self._effect(removed, digest)

    def go_on(self, queue: RemovalQueue) -> RemovalEffect:
        """Do the next step of a removal."""
        removed = self._step(queue)
        removed.go_on()
        return self._effect(removed, queue.named)

    def _step(self, queue: RemovalQueue) -> RemovedContents:
        return RemovedContents(self._connection, queue, self._generation, self._conditions)

    def _effect(self, removed: RemovedContents, named: bytes) -> RemovalEffect:
        self._connection.execute(VANISH, {"id": self._repository})
        return RemovalEffect(
            found=True,
            named=digest_from_key(named),
            tags=tuple(self._tags),
            withdrawn=tuple(map(digest_from_key, removed.withdrawn)),
            gone=tuple(
                GoneContent(digest_from_key(key), size) for key, size in removed.gone.items()
            ),
            going=tuple(map(digest_from_key, removed.going)),
            unfinished=removed.unfinished,
        )

    def _named(self, target: RemovalTarget) -> tuple[list[str], bytes | None]:
        """Return the tags to remove, and the digest of the target; None if it is not here."""
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
        arrives = target.arriving and self._has_content(digest)
        return tags, digest if tags or arrives or self._has(digest, target.kind) else None

    def _has(self, digest: bytes, kind: RemovedKind) -> bool:
        """Return whether the repository has content of a kind, and the bytes are here."""
        row = self._row(STORED, digest)
        if row is None or row[1] is None:
            return False
        is_manifest = row[2] != ""
        return is_manifest == (kind is RemovedKind.MANIFEST) and self._has_content(digest)

    def _drop_tag(self, tag: str) -> None:
        self._connection.execute(
            "DELETE FROM tags WHERE repository_id = ? AND tag = ?", (self._repository, tag)
        )
        self._tags.append(tag)

    def _row(self, statement: str, *arguments: object) -> Any:
        return self._connection.execute(statement, arguments).fetchone()

    def _has_content(self, digest: bytes) -> bool:
        names = {"repository": self._repository, "digest": digest}
        return bool(self._connection.execute(HAS_CONTENT, names).fetchone()[0])
