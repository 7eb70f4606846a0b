"""Copies of the index: whole, verified, and made by the hour."""

import glob
import os
import sqlite3

from regcache.digests import Digest
from regcache.removals import blob_of
from regcache.store.index_backup import FIRST_AFTER, INTERVAL, SOON
from regcache.store.index_copy import CopyStoppedError, copy_index, verify_copy
from regcache.store.index_schema import IndexDamagedError
from tests.support.index_cases import (
    BLOB,
    OTHER,
    IndexFileCase,
    SqliteIndexCase,
    blob,
    content_of,
)


class CopyTests(IndexFileCase):
    """Copies of a live file."""

    def test_whole(self) -> None:
        """A copy holds what was committed, and passes verification."""
        self.file.open()
        self.file.write([blob()])
        copy_index(self.path, self.file.backup_path, lambda: False)
        verify_copy(self.file.backup_path)
        self.assertEqual(
            sorted(os.listdir(os.path.dirname(self.path))),
            ["index.sqlite", "index.sqlite-shm", "index.sqlite-wal", "index.sqlite.backup"],
        )

    def test_called_off(self) -> None:
        """A copy that is called off leaves the earlier one and no rest."""
        self.filled(backup=True)
        before = os.stat(self.file.backup_path)
        self.assertRaises(
            CopyStoppedError, copy_index, self.path, self.file.backup_path, lambda: True
        )
        self.assertEqual(os.stat(self.file.backup_path), before)
        self.assertFalse(os.path.exists(f"{self.file.backup_path}.new"))

    def test_damaged_source(self) -> None:
        """A damaged source does not replace a good copy."""
        self.filled(backup=True)
        with open(self.path, "r+b") as file:
            file.seek(4096 * 3)
            file.write(b"\xff" * 4096)
        self.assertRaises(
            IndexDamagedError, copy_index, self.path, self.file.backup_path, lambda: False
        )
        verify_copy(self.file.backup_path)

    def test_no_source(self) -> None:
        """Nothing is made of a source that is not there."""
        self.assertRaises(
            sqlite3.Error, copy_index, self.path, self.file.backup_path, lambda: False
        )
        self.assertEqual(os.listdir(os.path.dirname(self.path)), [])


class HourlyTests(SqliteIndexCase):
    """When copies are made."""

    def record(self, digest: Digest = BLOB) -> None:
        """Record a blob."""
        self.successResultOf(
            self.index.record_blob(content_of("a", digest), 5, credentials="", public=True, now=1.0)
        )

    def copied_at(self) -> int | None:
        """The time of the last copy, in the file system's terms."""
        try:
            return os.stat(self.file.backup_path).st_ino
        except FileNotFoundError:
            return None

    def test_first(self) -> None:
        """The first copy is made soon after the start, not at it."""
        self.record()
        self.clock.advance(FIRST_AFTER - 1)
        self.assertIsNone(self.copied_at())
        self.clock.advance(1)
        self.assertIsNotNone(self.copied_at())

    def test_hourly(self) -> None:
        """A further copy is made every hour in which something was written."""
        self.record()
        self.clock.advance(FIRST_AFTER)
        os.unlink(self.file.backup_path)
        self.clock.advance(INTERVAL)
        self.assertIsNone(self.copied_at())
        self.record(OTHER)
        self.clock.advance(INTERVAL)
        self.assertIsNotNone(self.copied_at())

    def test_stopped(self) -> None:
        """A closed index leaves nothing behind in the clock."""
        self.successResultOf(self.index.close())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """A copy that fails is logged and tried again an hour later."""
        os.mkdir(self.file.backup_path)
        self.record()
        self.clock.advance(FIRST_AFTER)
        os.rmdir(self.file.backup_path)
        self.clock.advance(INTERVAL)
        self.assertIsNotNone(self.copied_at())

    def test_damage_found(self) -> None:
        """Damage that the making of a copy shows replaces the live file by the last good copy."""
        self.record()
        self.clock.advance(FIRST_AFTER)
        self.record(OTHER)
        self.successResultOf(self.index.close())
        with sqlite3.connect(self.path) as connection:
            (page,) = connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_verdicts_1'"
            ).fetchone()
        connection.close()
        with open(self.path, "r+b") as file:
            file.seek(4096 * (page - 1))
            file.write(b"\xff" * 4096)
        self.index = self.open()
        self.record(Digest.of(b"third"))
        self.clock.advance(FIRST_AFTER)
        self.assertEqual(len(glob.glob(f"{self.path}.damaged-*[0-9]")), 1)
        self.assertEqual(self.facts("a", BLOB).size, 5)

    def test_removal(self) -> None:
        """A copy is made soon after a removal: what the last one says must not come back."""
        self.clock.advance(FIRST_AFTER)
        for _ in range(2):
            self.record()
            target = blob_of(content_of("a").repository, BLOB)
            self.clock.advance(INTERVAL / 2)
            before = os.stat(self.file.backup_path).st_ino
            self.successResultOf(self.index.removals.remove(target, 1))
            self.clock.advance(SOON - 1)
            self.assertEqual(os.stat(self.file.backup_path).st_ino, before)
            self.clock.advance(2)
            self.assertNotEqual(os.stat(self.file.backup_path).st_ino, before)
