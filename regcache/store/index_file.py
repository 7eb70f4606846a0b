"""The index's file as its thread sees it: open, read, write, and what to do about damage.

Nothing here may run in the reactor's thread.
"""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger

from regcache.store.aside import Aside
from regcache.store.index_copy import (
    SIDE_FILES,
    connect,
    is_damage,
    move_aside,
    remove_database,
    verify_copy,
)
from regcache.store.index_schema import (
    MIGRATIONS,
    IndexDamagedError,
    IndexVersionError,
    check,
    migrate,
)

Operation = Callable[[sqlite3.Connection], Any]
"""One change, to be made within a transaction."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -8192",
    "PRAGMA journal_size_limit = 16777216",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)

_UNUSABLE = (sqlite3.Error, IndexDamagedError, OSError, OverflowError, ValueError)
_UNRESTORABLE = (sqlite3.Error, IndexDamagedError, IndexVersionError, OSError)


class IndexUnavailableError(OSError):
    """The index cannot answer: it is closed, or the disk does not let it."""


class IndexWriteError(IndexUnavailableError):
    """A fact could not be written: the disk is full, or fails."""


class IndexFile:
    """One SQLite file, used by one thread at a time.

    :param path: of the database; ``<path>.backup`` is the copy that a damaged one falls back
        to, ``<path>.damaged-<Unix seconds>`` is where that one goes.
    """

    log = Logger()

    def __init__(self, path: str, migrations: Sequence[str] = MIGRATIONS) -> None:
        self.path = path
        self.backup_path = f"{path}.backup"
        self._aside = Aside(os.path.dirname(path))
        self._migrations = migrations
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, or what replaces it.

        :raises IndexVersionError: if a newer program wrote it.
        :raises IndexUnavailableError: if the disk does not let us.
        """
        try:
            self._usable()
        except (sqlite3.Error, OSError) as error:
            raise IndexUnavailableError(errno.EIO, f"cannot open {self.path}: {error}") from error

    def close(self) -> None:
        """Close the file. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def read(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call ``function(connection, *arguments)``; a damaged file is replaced first.

        :raises IndexUnavailableError: if the disk does not let us.
        """
        try:
            return self._attempt(lambda connection: function(connection, *arguments))
        except _UNUSABLE as error:
            raise IndexUnavailableError(errno.EIO, f"cannot read the index: {error}") from error

    def write(self, operations: Sequence[Operation]) -> list[IndexWriteError | None]:
        """Make changes in one transaction, or, if that fails, each in one of its own.

        So one change that cannot be made takes no other with it.

        :returns: for each change, None or why it was not made.
        """
        failure = self._transact(operations)
        if failure is None or len(operations) == 1:
            return [failure] * len(operations)
        return [self._transact([operation]) for operation in operations]

    def recover(self, reason: str) -> None:
        """Move a damaged file aside and go on with the last copy of it, or with none.

        :raises sqlite3.Error, OSError: if no new one can be begun either.
        """
        self.close()
        aside = move_aside(self.path)
        source = "the last copy" if self._restored() else "an empty index"
        self.log.error(
            "the index {path} was damaged ({reason}): it was moved to {aside}, and {source}"
            " took its place; what is missing is learnt anew from the upstreams",
            path=self.path,
            reason=reason,
            aside=aside,
            source=source,
        )
        if self._connection is None:
            self._connection = self._connect()

    def _usable(self) -> sqlite3.Connection:
        """The open connection. One that was lost is opened again, whenever that can be done."""
        if self._connection is None:
            self._open_or_recover()
        assert self._connection is not None
        return self._connection

    def _clear_names(self) -> None:
        """Put aside what is no file, but has the name of one of ours."""
        for name in ("", ".restored", ".backup", ".backup.new"):
            for suffix in ("", *SIDE_FILES):
                self._aside.clear(self.path + name + suffix)

    def _open_or_recover(self) -> None:
        self._clear_names()
        if not os.path.exists(self.path) and self._restored():
            self.log.warn(
                "the index {path} was missing: its last copy took its place", path=self.path
            )
            return
        try:
            if os.path.exists(self.path) and not os.path.getsize(self.path):
                raise IndexDamagedError("it is empty")
            self._connection = self._connect()
        except (sqlite3.DatabaseError, IndexDamagedError) as error:
            if not is_damage(error):
                raise
            self.recover(str(error))

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self.path, create=True)
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma).fetchall()
            migrate(connection, self._migrations)
            check(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _attempt(self, operation: Operation) -> Any:
        """Run an operation, once more if the file had to be replaced."""
        try:
            return operation(self._usable())
        except (sqlite3.DatabaseError, IndexDamagedError) as error:
            if not is_damage(error):
                raise
            self.recover(str(error))
        return operation(self._usable())

    def _transact(self, operations: Sequence[Operation]) -> IndexWriteError | None:
        try:
            self._attempt(lambda connection: _in_transaction(connection, operations))
        except _UNUSABLE as error:
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            code = errno.ENOSPC if full else errno.EIO
            return IndexWriteError(code, f"cannot write the index: {error}")
        return None

    def _restored(self) -> bool:
        """Put the last copy in the file's place, if there is one and it is whole."""
        if not os.path.exists(self.backup_path):
            return False
        temporary = f"{self.path}.restored"
        try:
            remove_database(temporary)
            shutil.copyfile(self.backup_path, temporary)
            verify_copy(temporary)
            remove_database(self.path)
            os.rename(temporary, self.path)
            self._connection = self._connect()
        except _UNRESTORABLE as error:
            self.log.error(
                "the copy {path} of the index is of no use: {error}",
                path=self.backup_path,
                error=str(error),
            )
            remove_database(temporary)
            remove_database(self.path)
            return False
        return True


def _in_transaction(connection: sqlite3.Connection, operations: Sequence[Operation]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for operation in operations:
            operation(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite ends it by itself for some errors
            connection.execute("ROLLBACK")
        raise
