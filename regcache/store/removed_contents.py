"""Removes content from a repository, and what goes with it, in short steps.

An ordinary image is removed in one step. An index of thousands of images, or an image of thousands
of layers, would keep the index's thread busy for seconds, so it takes several steps. Each step is
a transaction, and the index is consistent between two steps:

=============================  =================================================================
between two steps              what happens
=============================  =================================================================
kill -9, or the index is       the rest is removed behind the next start, while requests are
closed                         answered: nobody was told that it is gone. Until then what is said
                               here holds, and other removals wait
the disk is full               the step fails, and with it the removal; the rest is removed after
                               some seconds, before the next removal, or behind the next start
the named content is pulled    it is there again: what it lists stays if it is still there; the rest
again                          is fetched anew
content that goes with it is   it stays if a tag names it, or if content that stays lists it; else
pulled                         it is removed, as if it had been pulled before
another repository pulls it    it stays for that one, but this one loses the right to it
it is pinned here              it stays
it is evicted                  only the right to it is left, and is removed
something else is removed      the other removal waits for the end of this one
it is removed once more, when  what was pulled meanwhile is removed again, and the rest of both
this one has failed
=============================  =================================================================

So the right to the named content ends with the first step, and no client is shown the content after
that. A blob stays until none of the manifests that are removed lists it any more.
"""

import sqlite3
from collections import deque
from collections.abc import Collection, Iterable

from regcache.store.index_contents import forget_content
from regcache.store.index_schema import digest_from_key
from regcache.store.removal_conditions import ContentConditions
from regcache.store.removal_queue import MOST_BLOBS, RemovalPart, RemovalQueue
from regcache.store.removed_blobs import RemovedBlobs

MOST_WORK = 24
"""At most so many manifests are removed in one step, if each lists little."""

LISTED_AS_ONE = 50
"""A manifest counts once more for each so many contents that it lists."""

# Content of which no media type, no list and no subject is known counts as a blob.
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

STORED = """
SELECT c.id, p.size, c.media_type
FROM contents c LEFT JOIN places p ON p.content_id = c.id AND p.place = 'disk'
WHERE c.digest = ?
"""
"""Selects the number of content, its size (NULL: the bytes are not here) and its media type."""


class RemovedContents:
    """Does one step of a removal.

    :param queue: what is left of the removal.
    :param generation: the number of the removal, or of this step of it.
    :ivar withdrawn: the contents to which the repository loses its right.
    :ivar gone: the contents that are removed from the disk, with their sizes.
    :ivar going: the contents that are removed from the disk in a step of their own.
    :ivar unfinished: whether something is left for another step, of this removal or an earlier one.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        queue: RemovalQueue,
        generation: int,
        conditions: ContentConditions,
    ) -> None:
        self._connection = connection
        self._queue = queue
        self._repository = queue.repository
        self._generation = generation
        self._conditions = conditions
        self._work = 0
        self._removed: list[bytes] = []
        self.withdrawn: dict[bytes, None] = {}
        self.gone: dict[bytes, int] = {}
        self.going: list[bytes] = []
        self.unfinished = False

    def remove(self, digest: bytes, named: bool) -> None:
        """Do the first step: remove content, and what it lists unless something else needs it.

        :param named: True if the target is this content; False if it goes with a tag.
        """
        self._queue.begin()
        waiting: deque[bytes] = deque()
        blobs: dict[bytes, None] = {}
        self._drop_one(digest, named, waiting, blobs)
        self._go_through(waiting, blobs)
        if self._is_enough or len(blobs) > MOST_BLOBS:
            self._queue.add(RemovalPart.MANIFEST, waiting)
            self._leave(blobs)
        else:
            self._drop_blobs(blobs)

    def go_on(self) -> None:
        """Do a further step."""
        if not self._conditions.is_linked_here(self._queue.named):
            self._drop_list(self._queue.named)
        part, digests = self._queue.next()
        if part is RemovalPart.MANIFEST:
            self._go_on_with(digests)
        elif part is RemovalPart.BLOB:
            manifests = self._queue.known_manifests(digests[-1])
            self._queue.drop(part, digests[-1])
            self._queue.add(RemovalPart.MANIFEST, manifests)
            self._drop_blobs([each for each in digests if each not in manifests])
        elif part is not RemovalPart.DONE:
            self._queue.drop(part, digests[0])
            self._erase_later(digests[0], named=part is RemovalPart.NAMED)
        self.unfinished = self._queue.close()

    def _go_on_with(self, digests: list[bytes]) -> None:
        waiting, blobs = deque(digests), dict[bytes, None]()
        count = self._go_through(waiting, blobs)
        self._queue.drop(RemovalPart.MANIFEST, digests[:count][-1])
        self._queue.add(RemovalPart.MANIFEST, list(waiting)[max(0, len(digests) - count) :])
        self._leave(blobs)

    def _leave(self, blobs: Iterable[bytes]) -> None:
        """Put the rest into the queue for further steps."""
        self._queue.add(RemovalPart.BLOB, blobs)
        self._queue.add(RemovalPart.DONE, self._removed)
        self.unfinished = True

    def _go_through(self, waiting: deque[bytes], blobs: dict[bytes, None]) -> int:
        """Remove manifests that go with the named content, as many as one step may.

        :param waiting: the manifests. What they list is added to it and to the blobs.
        :returns: how many were looked at.
        """
        count = 0
        while waiting and not self._is_enough:
            digest = waiting.popleft()
            count += 1
            self._work += 1
            if not self._is_kept_here(digest):
                self._drop_one(digest, False, waiting, blobs)
        return count

    @property
    def _is_enough(self) -> bool:
        """Return whether this step has done as much as it may."""
        return self._work >= MOST_WORK

    def _drop_blobs(self, blobs: Collection[bytes]) -> None:
        """Remove blobs, all at once. Call it after the removal of the manifests that list them."""
        pinned = self._conditions.pins.digests()
        left = [each for each in blobs if each not in pinned and each not in self.withdrawn]
        removed = RemovedBlobs(self._connection, self._repository, self._generation)
        for digest, size in removed.remove(left) if left else ():
            self.withdrawn[digest] = None
            if size is not None:
                self.gone[digest] = size

    def _drop_one(
        self, digest: bytes, named: bool, waiting: deque[bytes], blobs: dict[bytes, None]
    ) -> None:
        """Remove one content, without what it lists.

        :param waiting: the manifests that it lists are added to it.
        :param blobs: the blobs that it lists are added to it.
        """
        # Content that is just being fetched may have no row yet. It needs one for its generation.
        self._connection.execute("INSERT OR IGNORE INTO contents (digest) VALUES (?)", (digest,))
        number, size, media_type = self._connection.execute(STORED, (digest,)).fetchone()
        listed = self._listed_by(number, digest) if media_type else []
        is_theirs = not named and self._conditions.is_of_others(digest, number)
        self._withdraw(digest, number)
        self._work += len(listed) // LISTED_AS_ONE
        if not (is_theirs or self._conditions.is_needed(digest, bool(media_type), named)):
            if len(listed) < MOST_WORK * LISTED_AS_ONE:
                self._erase(digest, number, size)
            else:
                self._queue.add(RemovalPart.NAMED if named else RemovalPart.BYTES, [digest])
                self.going.append(digest)
        for following, is_blob in listed:
            if is_blob:
                blobs[following] = None
            else:
                waiting.append(following)

    def _listed_by(self, number: int, digest: bytes) -> list[tuple[bytes, bool]]:
        """Find what a manifest lists, and what refers to it in this repository."""
        names = {"manifest": number, "repository": self._repository, "digest": digest}
        rows = self._connection.execute(_LISTS, names)
        return [(key, bool(is_blob)) for key, is_blob in rows]

    def _is_kept_here(self, digest: bytes) -> bool:
        """Return whether to skip content: something else needs it, or it was removed already."""
        if digest in self.withdrawn or self._queue.was_removed(digest):
            return True  # an earlier step or this one has removed it
        return self._conditions.is_kept_here(digest)

    def _withdraw(self, digest: bytes, number: int) -> None:
        """Remove the repository's right to content, and the facts that gave this right."""
        connection, ids = self._connection, (self._repository, number)
        self._drop_list(digest)
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
        self.withdrawn[digest] = None
        self._removed.append(digest)

    def _drop_list(self, digest: bytes) -> None:
        """Ignore in this step what the content lists."""
        self._connection.execute("INSERT OR IGNORE INTO temp.dropped VALUES (?)", (digest,))

    def _erase_later(self, digest: bytes, named: bool) -> None:
        """Forget content in a step of its own, unless a client has pulled it meanwhile."""
        row = self._connection.execute(STORED, (digest,)).fetchone()
        if (
            row is None
            or self._conditions.is_linked_here(digest)
            or self._conditions.is_tagged_here(digest)
        ):
            return
        number, size, media_type = row
        if not self._conditions.is_needed(digest, bool(media_type), named):
            self.withdrawn[digest] = None
            self._erase(digest, number, size)

    def _erase(self, digest: bytes, number: int, size: int | None) -> None:
        """Forget content whose file will be removed; keep only its generation."""
        connection = self._connection
        forget_content(connection, digest_from_key(digest))
        for table in ("links", "withdrawn", "uses", "ghosts"):
            connection.execute(f"DELETE FROM {table} WHERE content_id = ?", (number,))
        connection.execute(
            "UPDATE contents SET public = 0, generation = ? WHERE id = ?",
            (self._generation, number),
        )
        connection.execute("INSERT OR IGNORE INTO leaving VALUES (?)", (digest,))
        self.gone[digest] = size or 0
