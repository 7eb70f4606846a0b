"""Ways to open the index: normally, and the substitutes if that is not possible."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import quote

from regcache.store.index_schema import (
    SAME_TABLES,
    IndexDamagedError,
    IndexVersionError,
    check,
    migrate,
    schema_version,
)

UNOPENED = (sqlite3.Error, IndexDamagedError, OSError)
"""What a file that cannot be opened raises."""

UNUSABLE = (*UNOPENED, IndexVersionError)
"""The same, or the file is a newer program's."""

MODE = 0o600
"""Of the file of an index, and of those that SQLite puts beside it."""

MOST_MEMORY_PAGES = 16_384
"""Pages of 4 KiB that an index in memory may have."""

BUSY_WAIT = 0.05
"""Seconds that a change waits for the lock of another program; readings wait behind it. So long
waits an opening, too, while there is a substitute."""

OPENING_WAIT = 5.0
"""Seconds that the first opening waits for one: nothing is served from a substitute until then."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -8192",
    "PRAGMA journal_size_limit = 16777216",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = MEMORY",
)
_ALONE = "PRAGMA locking_mode = EXCLUSIVE"
_DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_damage(error: BaseException) -> bool:
    """Whether an error means that the file is damaged, and not that a disk is full, for example."""
    if isinstance(error, IndexDamagedError):
        return True
    code = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF in _DAMAGE_CODES or code == sqlite3.SQLITE_IOERR_SHORT_READ


def connect(
    path: str, create: bool, immutable: bool = False, wait: float = OPENING_WAIT
) -> sqlite3.Connection:
    """Open a database without Python's implicit transactions.

    One thread at a time may use it, not always the same one.

    A new file is for its owner alone: it names accounts. What SQLite puts beside it gets its mode.

    :param immutable: read it without locks, and without the files that SQLite keeps beside it.
    :param wait: for so many seconds for the lock of another program.
    :raises OSError: if it cannot be begun.
    """
    # One that is there may be on a file system that cannot be written: it is read then.
    if create and not os.path.exists(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE))
    mode = "ro&immutable=1" if immutable else "rwc" if create else "rw"
    return _connect(f"file:{quote(os.path.abspath(path))}?mode={mode}", wait)


def empty_log(connection: sqlite3.Connection) -> None:
    """Put what was written into the file itself, as far as can be, so that the log begins anew.

    On a full disk changes have room then: where former ones were in the log. It waits for no
    reader of the index.
    """
    with suppress(sqlite3.Error):  # the file may need more room; then all is as before
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def connect_memory() -> sqlite3.Connection:
    """Begin a database in memory."""
    return _connect("file::memory:", 0.0)


def _connect(uri: str, wait: float) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, timeout=wait, isolation_level=None, check_same_thread=False
    )


def open_index(
    path: str, migrations: Sequence[str], wait: float = OPENING_WAIT
) -> sqlite3.Connection:
    """Open an index, or begin one.

    :param wait: for so many seconds for the lock of another program.
    :raises IndexVersionError: if a newer program wrote it.
    :raises sqlite3.Error, IndexDamagedError, OSError: if it cannot be used.
    """
    _restrict(path)
    connection = _prepared(connect(path, create=True, wait=wait), migrations, _PRAGMAS)
    empty_log(connection)
    return connection


def _restrict(path: str) -> None:
    """Let no other user read what an earlier version has begun."""
    for each in (path, f"{path}-wal", f"{path}-shm", f"{path}-journal", f"{path}.backup"):
        with suppress(OSError):
            if os.stat(each).st_mode & 0o077:
                os.chmod(each, MODE)


def open_substitute(path: str, migrations: Sequence[str]) -> sqlite3.Connection | None:
    """Open an index although the disk is full, or nothing may be written; None if not possible.

    First with an exclusive lock: then SQLite needs no shared memory in a file beside it. Else as
    immutable, if no file beside it has a part of its content. There may be no room for migrations:
    an older version is left as it is, if it can be read.
    """
    with suppress(*UNUSABLE):
        alone = connect(path, create=False, wait=BUSY_WAIT)
        return _prepared(alone, migrations, (_ALONE, *_PRAGMAS), keeps_version=True)
    with suppress(*UNUSABLE):
        if not any(map(os.path.exists, (f"{path}-wal", f"{path}-journal"))):
            unchanged = connect(path, create=False, immutable=True)
            return _prepared(unchanged, migrations, (), keeps_version=True)
    return None


def begin_in_memory(migrations: Sequence[str]) -> sqlite3.Connection:
    """Begin an index in memory, of bounded size. It ends with the process."""
    bound = f"PRAGMA max_page_count = {MOST_MEMORY_PAGES}"
    return _prepared(connect_memory(), migrations, (bound,))


def _prepared(
    connection: sqlite3.Connection,
    migrations: Sequence[str],
    pragmas: Sequence[str],
    *,
    keeps_version: bool = False,
) -> sqlite3.Connection:
    """Open it for use.

    :param keeps_version: leave an older version as it is, where it can be read.
    """
    try:
        for pragma in pragmas:
            connection.execute(pragma).fetchall()
        versions = (schema_version(connection), len(migrations))
        if not (keeps_version and versions in SAME_TABLES):
            migrate(connection, migrations)
        check(connection)
        connection.execute(f"PRAGMA busy_timeout = {round(BUSY_WAIT * 1000)}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection
