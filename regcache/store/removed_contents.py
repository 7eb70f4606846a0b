"""Removes content from a repository with what goes along, in steps that hold the index briefly.

What an ordinary image has goes in one step. An index of thousands of images, or an image of
thousands of layers, held the index's thread for seconds. Each step is a transaction, and the
index is consistent between two of them:

=============================  =================================================================
between two steps              what holds
=============================  =================================================================
kill -9, or the index is       at the next start the rest is removed before anything is asked for
closed
the disk is full               the step fails, and with it the removal; the rest is removed before
                               the next removal, or at the next start
what was named is pulled       it is there again: what it lists and is still there stays, the rest
again                          is fetched anew
what goes along is pulled      it stays if a tag names it, or if something lists it that stays; else
                               it goes, as if it had been pulled before
another repository pulls it    it stays for that one, and the right to it ends here
it is pinned here              it stays
it is evicted                  nothing is left of it but the right, which ends
something else is removed      that waits for the end of this one
=============================  =================================================================

So what has lost its name has no right to it any more from the first step on: nobody is shown it, as
complete or otherwise. A blob stays until no manifest that goes lists it.
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
"""Manifests that go in one step, where each lists little."""

LISTED_AS_ONE = 50
"""So much that a manifest lists is as much work as another manifest."""

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

STORED = """
SELECT c.id, p.size, c.media_type
FROM contents c LEFT JOIN places p ON p.content_id = c.id AND p.place = 'disk'
WHERE c.digest = ?
"""
"""The number of content, the size of its bytes (NULL: they are not here) and its media type."""


class RemovedContents:
    """One step of a removal.

    :param queue: of the removal.
    :param generation: the number of the removal, or of this step of it.
    :ivar withdrawn: what the repository loses its right to.
    :ivar gone: what leaves the disk, and its sizes.
    :ivar going: what does so in a step of its own.
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
        """The first step: remove content, and what it lists if nothing else keeps that there.

        :param named: by who removes it; all else goes along.
        """
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
        """A further step."""
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
        """Leave the rest for further steps."""
        self._queue.add(RemovalPart.BLOB, blobs)
        self._queue.add(RemovalPart.DONE, self._removed)
        self.unfinished = True

    def _go_through(self, waiting: deque[bytes], blobs: dict[bytes, None]) -> int:
        """Remove manifests that go along, until it is enough for one step.

        :param waiting: they are taken from it, and what they list is added to it and to the blobs.
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
        """Whether one step has done as much as it may."""
        return self._work >= MOST_WORK

    def _drop_blobs(self, blobs: Collection[bytes]) -> None:
        """The same for what lists nothing: all at once, behind what lists it."""
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
        """The same for one content alone.

        :param waiting: the manifests that it lists are added to it ...
        :param blobs: ... and the blobs to these.
        """
        # What is only being fetched is not known yet: it is from now on, by its generation.
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
        """What a manifest lists, and what refers to it in this repository."""
        names = {"manifest": number, "repository": self._repository, "digest": digest}
        rows = self._connection.execute(_LISTS, names)
        return [(key, bool(is_blob)) for key, is_blob in rows]

    def _is_kept_here(self, digest: bytes) -> bool:
        """Whether something else in the repository keeps the content there."""
        if digest in self.withdrawn or self._queue.was_removed(digest):
            return True  # it has been seen to
        return self._conditions.is_kept_here(digest)

    def _withdraw(self, digest: bytes, number: int) -> None:
        """Remove the repository's right to content, and the facts that it was shown by that."""
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
        """What content lists does not count any more in this step."""
        self._connection.execute("INSERT OR IGNORE INTO temp.dropped VALUES (?)", (digest,))

    def _erase_later(self, digest: bytes, named: bool) -> None:
        """Forget content in a step of its own, unless somebody has got it meanwhile."""
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
        self.gone[digest] = size or 0
