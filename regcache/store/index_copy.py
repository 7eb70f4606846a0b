"""Index files as files: copied whole from a live one, verified page by page, moved aside.

To copy a large file takes seconds, so that runs in a thread that nobody waits for, on a
connection of its own: a snapshot of a database in WAL mode holds up no writer.
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
    """The copy was called off."""


def remove_database(path: str) -> None:
    """Remove a database that nobody uses, with what is beside it."""
    for suffix in ("", *SIDE_FILES):
        with suppress(FileNotFoundError):
            os.unlink(path + suffix)


def sync_directory(path: str) -> None:
    """Make the renames in the directory of ``path`` outlast a power failure."""
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move_aside(path: str) -> str:
    """Rename a damaged database that nobody uses, for whoever wants to look at it; gives where.

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
    """Read the whole of a database that nobody uses.

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
    """Copy a live index to ``target``, which is replaced only by a copy that is whole.

    :param stopped: asked after every few MiB; True calls the copy off.
    :raises CopyStoppedError: if it was called off.
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
            # The read transaction pins one snapshot: else each write would begin the copy anew.
            original.execute("BEGIN")
            original.execute("SELECT 1 FROM totals").fetchone()
            original.backup(copy, pages=_STEP_PAGES, progress=progress)
        original.execute("ROLLBACK")
