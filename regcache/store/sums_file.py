"""An SQLite database of sums that lies beside the index, and may be lost without it.

A damaged one, or one of another version, is put out of the way and begun anew: nobody who pulls
waits for it, or misses anything. Writing it never waits for the index.
"""

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import quote

from twisted.logger import Logger

from regcache.store.aside import Aside
from regcache.store.index_opening import empty_log

#: What SQLite puts beside a database.
_BESIDE = ("-wal", "-shm")
#: What a damaged one is called that is kept.
DAMAGED = ".damaged"


class SumsFile:
    """Such a database. Blocks; one thread at a time.

    :param schema: statements that make its tables where they are missing.
    :param version: of these; a file of another one counts as damaged.
    :param pragmas: how it is written.
    :param keeps: a damaged one is kept under another name; the one before it is not.
    """

    _log = Logger()

    def __init__(
        self, path: str, schema: str, version: int, *, pragmas: Iterable[str], keeps: bool
    ) -> None:
        self.path = path
        self._schema = f"PRAGMA user_version = {version};{schema}"
        self._version = version
        self._pragmas = ("PRAGMA journal_mode = WAL", *pragmas)
        self._keeps = keeps
        self._aside = Aside(os.path.dirname(path))
        self._connection: sqlite3.Connection | None = None

    def open(self) -> sqlite3.Connection:
        """The connection. :raises sqlite3.Error: if there can be none."""
        if self._connection is None:
            try:
                self._connection = self._connect()
            except sqlite3.Error as error:
                if not _is_damage(error):
                    raise
                self._begin_anew(str(error))
                self._connection = self._connect()
        return self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All that is written in it, or nothing. :raises OSError: if the disk fails."""
        try:
            with self.open() as connection:
                yield connection
        except sqlite3.Error as error:
            raise self.failed(error) from error

    def read(self, query: str, arguments: Iterable[object] = ()) -> list[Any]:
        """All rows of a query, also where nothing can be written.

        :raises OSError: if the disk fails.
        """
        given = tuple(arguments)
        try:
            return self.open().execute(query, given).fetchall()
        except (sqlite3.Error, OSError) as error:
            fault = self.failed(error) if isinstance(error, sqlite3.Error) else error
            with suppress(sqlite3.Error, OSError):
                return self._only_read(query, given)
            raise fault from error

    def _only_read(self, query: str, arguments: tuple[object, ...]) -> list[Any]:
        """All rows of a file in which there is no room, or that may not be changed."""
        try:
            os.stat(self.path)
        except FileNotFoundError:
            return []  # nothing was ever noted
        # Without a log there is no need for what SQLite would put beside it.
        alone = "" if os.path.exists(f"{self.path}-wal") else "&immutable=1"
        path = f"file:{quote(os.path.abspath(self.path))}?mode=ro{alone}"
        with closing(sqlite3.connect(path, uri=True, timeout=1.0)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, self._version):
                raise sqlite3.DatabaseError(f"it is of version {version}")
            return connection.execute(query, arguments).fetchall() if version else []

    def failed(self, error: sqlite3.Error) -> OSError:
        """The error to raise; a damaged file is out of the way after that.

        On a full disk it stays open: the next change is written over former ones in its log.
        """
        if self._connection is not None and _is_full(error):
            empty_log(self._connection)
            return OSError(errno.ENOSPC, f"{self.path}: {error}")
        self.close()
        if _is_damage(error):
            self._begin_anew(str(error))
        return OSError(errno.EIO, f"{self.path}: {error}")

    def close(self) -> None:
        """Close it. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _connect(self) -> sqlite3.Connection:
        for path in (self.path, *(self.path + end for end in _BESIDE)):
            self._aside.clear(path)
        # It names accounts. What SQLite puts beside it gets the same mode.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, check_same_thread=False, timeout=1.0)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, self._version):
                raise sqlite3.DatabaseError(f"it is of version {version}")
            for pragma in self._pragmas:
                connection.execute(pragma)
            connection.executescript(self._schema)
            empty_log(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin_anew(self, why: str) -> None:
        self._log.warn("{path} is begun anew: {why}", path=self.path, why=why)
        if self._keeps:
            with suppress(FileNotFoundError):
                os.replace(self.path, self.path + DAMAGED)
        for path in (self.path, *(self.path + end for end in _BESIDE)):
            with suppress(FileNotFoundError):
                os.unlink(path)


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether it is of the file itself, and no state of the disk that passes."""
    is_passing = isinstance(error, sqlite3.OperationalError)
    return isinstance(error, sqlite3.DatabaseError) and not is_passing
