"""Tests of the contents that further steps of a removal have to look at."""

import sqlite3
from contextlib import closing

from twisted.trial.unittest import SynchronousTestCase

from regcache.store.removal_queue import FOLLOWING, MOST_BLOBS, RemovalPart, RemovalQueue


class QueueTests(SynchronousTestCase):
    """A queue in a database."""

    def test_very_many(self) -> None:
        """All contents of a very large image are looked at, MOST_BLOBS at a time."""
        digests = {number.to_bytes(33, "big") for number in range(20_600)}
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(FOLLOWING)
            queue = RemovalQueue(connection, 1, b"named")
            for start in (0, 500):
                queue.add(RemovalPart.BLOB, sorted(digests)[start : start + 20_100])
            queue.add(RemovalPart.DONE, [b"done"])
            looked_at = set[bytes]()
            part, some = queue.next()
            while part is RemovalPart.BLOB:
                self.assertLessEqual(len(some), MOST_BLOBS)
                looked_at.update(some)
                queue.drop(part, some[-1])
                part, some = queue.next()
            self.assertEqual(len(looked_at), len(digests))
            self.assertTrue(queue.was_removed(b"done"))
