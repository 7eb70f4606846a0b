"""The file of the index, for its thread: opening, reading, writing, and recovery from damage.

==========  =====================================  ==========================================
state       event                                  what holds afterwards
==========  =====================================  ==========================================
closed      it can be opened                       open
closed      it is damaged                          moved aside; open: the last copy, or empty
closed      the disk is full, or may not be        substitute: the file, without SQLite's files
            written                                beside it; else an empty index in memory
closed      a newer program wrote it               closed
open        damage is found                        moved aside, as above; then the statement is
                                                   tried again
open        the disk is full                       open; the change is tried again in the place of
                                                   what the log had
open        a change cannot be written             open; the change fails
open        another program holds the lock to      open; the change and all behind it fail, with
            write for longer than ``BUSY_WAIT``    IndexLockedError
substitute  something is asked for ``RETRY``       open, if that is possible by now; the facts in
            seconds later                          memory are lost
==========  =====================================  ==========================================

All of this blocks, and must not run in the reactor's thread.
"""

import errno
import os
import shlex
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger

from regcache.interfaces import IndexInUseError
from regcache.store.aside import Aside
from regcache.store.index_copy import (
    SIDE_FILES,
    move_aside,
    remove_database,
    verify_copy,
)
from regcache.store.index_opening import (
    BUSY_WAIT,
    OPENING_WAIT,
    UNOPENED,
    UNUSABLE,
    begin_in_memory,
    empty_log,
    is_damage,
    open_index,
    open_substitute,
)
from regcache.store.index_schema import MIGRATIONS, IndexDamagedError, IndexVersionError

Operation = Callable[[sqlite3.Connection], Any]
"""One change, to be made within a transaction."""

FULL_FOR = 1.0
"""Seconds for which no room is looked for again after there was none: it costs a few writes."""

ROOM = 64 * 1024
"""Bytes for which there has to be room, or the disk is full for the index."""

RETRY = 10.0
"""Seconds until a file that could not be opened is tried again, when something is asked for."""

_UNUSABLE = (sqlite3.Error, IndexDamagedError, OSError, OverflowError, ValueError)


class IndexUnavailableError(OSError):
    """The index cannot be read: it is closed, or the disk fails."""


class IndexWriteError(IndexUnavailableError):
    """A fact could not be written: the disk is full, or fails."""


class IndexLockedError(IndexWriteError, IndexInUseError):
    """Another program has locked the file; nothing was changed."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EIO, f"cannot write the index: {why}")


class IndexFile:
    """One SQLite file, used by one thread at a time.

    :param path: of the database. ``<path>.backup`` is the copy that replaces a damaged one; that is
        renamed to ``<path>.damaged-<Unix seconds>``.
    :ivar problem: why a substitute is in use; "" if none is.
    """

    log = Logger()

    def __init__(
        self,
        path: str,
        migrations: Sequence[str] = MIGRATIONS,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.backup_path = f"{path}.backup"
        self._aside = Aside(os.path.dirname(path))
        self._migrations = migrations
        self._seconds = seconds
        self._connection: sqlite3.Connection | None = None
        self._in_memory = False
        self._retry_at = self._full_till = 0.0
        self.problem = ""

    def open(self) -> None:
        """Open the file, or what replaces it.

        :raises IndexVersionError: if a newer program wrote it.
        """
        try:
            self._usable()
        except IndexVersionError as error:
            path = shlex.quote(self.path)
            raise IndexVersionError(
                f"{self.path}: {error}: run the newer program, or begin anew and type:"
                f" mv {path} {path}.newer"
            ) from error

    def close(self) -> None:
        """Close the file. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def read(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call ``function(connection, *arguments)``. If the file is damaged, replace it first.

        :raises IndexUnavailableError: if the disk fails; if it makes changes, also for a lock.
        """
        try:
            return self._attempt(lambda connection: function(connection, *arguments))
        except _UNUSABLE as error:
            raise _read_error(error) from error

    def write(self, operations: Sequence[Operation]) -> list[IndexWriteError | None]:
        """Make changes in one transaction. If that fails, make each in one of its own.

        So one that cannot be made does not affect the others. Behind a lock none is tried.

        :returns: for each change, None or the error.
        """
        failure = self._transact(operations)
        if failure is None or len(operations) == 1:
            return [failure] * len(operations)
        return _one_by_one(operations, self._transact, failure)

    def recover(self, reason: str) -> None:
        """Move a damaged file aside, and go on with its last copy, or with a new file.

        :raises sqlite3.Error, OSError: if not even a new file can be made.
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
            self._connection = open_index(self.path, self._migrations)

    def _usable(self) -> sqlite3.Connection:
        """The open connection. If there is none, try to open it."""
        if self._connection is None or (self.problem and self._seconds() >= self._retry_at):
            self._open_something()
        assert self._connection is not None
        return self._connection

    def _open_something(self) -> None:
        memory = self._connection if self._in_memory else None
        if memory is None:
            self.close()  # it may have locked the file for itself
        self._connection = None
        try:
            self._open_or_recover()
        except UNOPENED as error:
            self._substitute(error, memory)
            return
        if memory is not None:
            memory.close()
        if self.problem:
            self.log.info("the index {path} is in use again", path=self.path)
        self.problem, self._in_memory = "", False

    def _substitute(self, error: Exception, memory: sqlite3.Connection | None) -> None:
        """Go on with a substitute, which needs no space on the disk.

        :param memory: the present substitute in memory, if there is one.
        """
        self._retry_at = self._seconds() + RETRY
        self._connection = memory or open_substitute(self.path, self._migrations)
        self._in_memory = self._connection is None or memory is not None
        if self._connection is None:
            self._connection = begin_in_memory(self._migrations)
        use = "nothing of it is known" if self._in_memory else "it is only read"
        problem = f"the index cannot be opened, and {use}: {error}"
        if problem != self.problem:
            self.log.error("{path}: {problem}", path=self.path, problem=problem)
        self.problem = problem

    def _clear_names(self) -> None:
        """Move aside what has the name of one of our files, but is no regular file."""
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
            wait = BUSY_WAIT if self.problem else OPENING_WAIT
            self._connection = open_index(self.path, self._migrations, wait)
        except (sqlite3.DatabaseError, IndexDamagedError) as error:
            if not is_damage(error):
                raise
            self.recover(str(error))

    def _attempt(self, operation: Operation) -> Any:
        """Run an operation; again, if the file had to be replaced."""
        try:
            return operation(self._usable())
        except (sqlite3.DatabaseError, IndexDamagedError) as error:
            if not is_damage(error):
                raise
            self.recover(str(error))
        return operation(self._usable())

    def _transact(self, operations: Sequence[Operation]) -> IndexWriteError | None:
        try:
            self._attempt_twice(lambda connection: _in_transaction(connection, operations))
        except _UNUSABLE as error:
            return _write_error(error, self.path)
        return None

    def _attempt_twice(self, change: Operation) -> None:
        """Make a change; where there is no room for it, in the place of former ones in the log."""
        try:
            self._attempt(change)
        except sqlite3.Error as error:
            if self._seconds() < self._full_till or not _is_full(error, self.path):
                raise
            self._full_till = self._seconds() + FULL_FOR
            empty_log(self._usable())
            self._attempt(change)
            self._full_till = 0.0

    def _restored(self) -> bool:
        """Put the last copy into the file's place, if there is one and it is not damaged."""
        if not os.path.exists(self.backup_path):
            return False
        temporary = f"{self.path}.restored"
        try:
            remove_database(temporary)
            shutil.copyfile(self.backup_path, temporary)
            verify_copy(temporary)
            remove_database(self.path)
            os.rename(temporary, self.path)
            self._connection = open_index(self.path, self._migrations)
        except UNUSABLE as error:
            self.log.error(
                "the copy {path} of the index is of no use: {error}",
                path=self.backup_path,
                error=str(error),
            )
            remove_database(temporary)
            remove_database(self.path)
            return False
        return True


def _one_by_one(
    operations: Sequence[Operation],
    make: Callable[[Sequence[Operation]], IndexWriteError | None],
    failure: IndexWriteError,
) -> list[IndexWriteError | None]:
    """Make each change in a transaction of its own, until one finds a lock.

    :param failure: what all of them together failed with.
    """
    outcomes: list[IndexWriteError | None] = []
    last: IndexWriteError | None = failure
    for each in operations:
        if not isinstance(last, IndexLockedError):
            last = make([each])
        outcomes.append(last)
    return outcomes


def _is_locked(error: BaseException) -> bool:
    """Whether another program has locked the file."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF == sqlite3.SQLITE_BUSY


def _read_error(error: BaseException) -> IndexUnavailableError:
    if _is_locked(error):
        return IndexLockedError(str(error))
    return IndexUnavailableError(errno.EIO, f"cannot read the index: {error}")


def _write_error(error: BaseException, path: str) -> IndexWriteError:
    if _is_locked(error):
        return IndexLockedError(str(error))
    return IndexWriteError(_reason(error, path), f"cannot write the index: {error}")


def _reason(error: BaseException, path: str) -> int:
    """What the system would say of a change that failed."""
    if (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF == sqlite3.SQLITE_READONLY:
        return errno.EROFS
    return errno.ENOSPC if _is_full(error, path) else errno.EIO


def _is_full(error: BaseException, path: str) -> bool:
    """Whether there is no room on the disk, or none in a quota."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return True
    return _has_no_room(error, os.path.dirname(path))


def _has_no_room(error: BaseException, folder: str) -> bool:
    """Whether a fault of the disk is a quota that is used up, of which SQLite tells as of any.

    It does not give the system's error, so that is asked for by a file of a few blocks.
    """
    if (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF != sqlite3.SQLITE_IOERR:
        return False
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, ROOM)
    except OSError as fault:
        return fault.errno in (errno.ENOSPC, errno.EDQUOT)
    return False


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
