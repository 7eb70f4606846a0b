"""Ways to open the index: as it has to be, and where that cannot be, with less."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress

from regcache.store.index_copy import connect, connect_memory
from regcache.store.index_schema import IndexDamagedError, IndexVersionError, check, migrate

UNOPENED = (sqlite3.Error, IndexDamagedError, OSError)
"""What a file that cannot be opened raises."""

UNUSABLE = (*UNOPENED, IndexVersionError)
"""The same, or the file is a newer program's."""

MOST_MEMORY_PAGES = 16_384
"""Pages of 4 KiB that an index in memory may have."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -8192",
    "PRAGMA journal_size_limit = 16777216",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)
_ALONE = "PRAGMA locking_mode = EXCLUSIVE"


def open_index(path: str, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open an index, or begin one.

    :raises IndexVersionError: if a newer program wrote it.
    :raises sqlite3.Error, IndexDamagedError, OSError: if it cannot be used.
    """
    return _prepared(connect(path, create=True), migrations, _PRAGMAS)


def open_substitute(path: str, migrations: Sequence[str]) -> sqlite3.Connection | None:
    """Open an index where there is no room on the disk, or nothing may be written; None if not.

    Alone, in which case SQLite needs no file beside it that several processes share; or as it
    is, if there is nothing beside it that belongs to it.
    """
    with suppress(*UNUSABLE):
        return _prepared(connect(path, create=False), migrations, (_ALONE, *_PRAGMAS))
    with suppress(*UNUSABLE):
        if not any(map(os.path.exists, (f"{path}-wal", f"{path}-journal"))):
            return _prepared(connect(path, create=False, immutable=True), migrations, ())
    return None


def begin_in_memory(migrations: Sequence[str]) -> sqlite3.Connection:
    """Begin an index that is forgotten with the process, and bounded."""
    bound = f"PRAGMA max_page_count = {MOST_MEMORY_PAGES}"
    return _prepared(connect_memory(), migrations, (bound,))


def _prepared(
    connection: sqlite3.Connection, migrations: Sequence[str], pragmas: Sequence[str]
) -> sqlite3.Connection:
    try:
        for pragma in pragmas:
            connection.execute(pragma).fetchall()
        migrate(connection, migrations)
        check(connection)
    except BaseException:
        connection.close()
        raise
    return connection
