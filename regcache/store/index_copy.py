"""Copying a live index, verifying a copy, and moving a damaged file aside.

Copying a large file takes seconds. So it is done in a background thread, on a connection of its
own: reading a snapshot of a database in WAL mode delays no writer.
"""

import glob
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress

from regcache.store.index_opening import connect, is_damage
from regcache.store.index_schema import IndexDamagedError, check

SIDE_FILES = ("-wal", "-shm", "-journal")
"""What SQLite may put beside a database. Never leave one beside another database."""

MOST_DAMAGED = 2
"""Damaged files that are kept."""

_STEP_PAGES = 1024


class CopyStoppedError(Exception):
    """The copy was stopped."""


def remove_database(path: str) -> None:
    """Remove a database that is not open, with the files that SQLite keeps beside it."""
    for suffix in ("", *SIDE_FILES):
        with suppress(FileNotFoundError):
            os.unlink(path + suffix)


def sync_directory(path: str) -> None:
    """Sync the directory of ``path``, so that renames in it survive a power failure."""
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move_aside(path: str) -> str:
    """Rename a damaged database that is not open, so that it can be examined. Returns its new path.

    Only the last :data:`MOST_DAMAGED` are kept.
    """
    moment = int(time.time())
    while os.path.exists(f"{path}.damaged-{moment}"):
        moment += 1
    aside = f"{path}.damaged-{moment}"
    for suffix in ("", *SIDE_FILES):
        if os.path.exists(path + suffix):
            os.rename(path + suffix, aside + suffix)
    sync_directory(path)
    for old in sorted(glob.glob(f"{glob.escape(path)}.damaged-*[0-9]"))[:-MOST_DAMAGED]:
        remove_database(old)
    return aside


def verify_copy(path: str) -> None:
    """Read the whole of a database that is not open.

    :raises IndexDamagedError: if it is damaged.
    :raises sqlite3.Error: if it cannot be read.
    """
    try:
        with closing(connect(path, create=False)) as connection:
            check(connection)
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise IndexDamagedError(str(error)) from error
        raise
    if verdict != "ok":
        raise IndexDamagedError(str(verdict))


def copy_index(source: str, target: str, stopped: Callable[[], bool]) -> None:
    """Copy a live index to ``target``, which is only replaced if the copy is whole.

    :param stopped: called after every few MiB; if it returns True the copy is stopped.
    :raises CopyStoppedError: if it was stopped.
    :raises IndexDamagedError: if the copy, and so the source, is damaged.
    :raises sqlite3.Error, OSError: if it cannot be read or written.
    """
    temporary = f"{target}.new"
    remove_database(temporary)
    try:
        _copy_pages(source, temporary, stopped)
        verify_copy(temporary)
        os.replace(temporary, target)
        sync_directory(target)
    finally:
        remove_database(temporary)


def _copy_pages(source: str, target: str, stopped: Callable[[], bool]) -> None:
    def progress(_status: int, _remaining: int, _total: int) -> None:
        if stopped():
            raise CopyStoppedError

    with closing(connect(source, create=False)) as original:
        with closing(connect(target, create=True)) as copy:
            # The read transaction keeps one snapshot. Else each write would restart the copy.
            original.execute("BEGIN")
            original.execute("SELECT 1 FROM totals").fetchone()
            original.backup(copy, pages=_STEP_PAGES, progress=progress)
        original.execute("ROLLBACK")
