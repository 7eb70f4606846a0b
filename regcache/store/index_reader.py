"""Reads the index in another thread than its own, so that long lists do not delay pulls.

It has a thread and a connection of its own; a reading sees one state of the file, and no writer
waits for it (SQLite, "Write-Ahead Logging"). While the file cannot be read so, since the index
has a substitute for it, readings are done by the index's thread.
"""

import os
import sqlite3
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from regcache.interfaces import IWorkPool
from regcache.store.index_file import IndexUnavailableError
from regcache.store.index_opening import connect
from regcache.store.index_thread import IndexThread

MOST_WAITING = 64
"""How many readings may wait. Further ones are refused, and may be tried again."""

_CACHE = "PRAGMA cache_size = -8192"
_ONLY = "PRAGMA query_only = ON"


class IndexBusyError(IndexUnavailableError):
    """So many readings wait that a further one would wait too long."""


class _UnreadError(Exception):
    """The file cannot be read in this way."""


class IndexReader:
    """Readings of the index's file.

    :param path: of the file.
    :param pool: of exactly one thread, and for nothing else.
    :param thread: the index's own; it reads instead where the file cannot be read.
    :param problem: says why the index has a substitute; "" while it has none.
    """

    def __init__(
        self, path: str, pool: IWorkPool, thread: IndexThread, problem: Callable[[], str]
    ) -> None:
        self._path = path
        self._pool = pool
        self._thread = thread
        self._problem = problem
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._waiting = 0

    def read(self, function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
        """Call ``function(connection, *arguments)`` in the thread.

        Fails with IndexBusyError if too many wait.
        """
        if self._waiting >= MOST_WAITING:
            return fail(IndexBusyError("too many wait for the index"))
        if self._problem():
            return self._thread.read(function, *arguments)
        self._waiting += 1
        done = self._pool.run(self._read, function, arguments)
        done.addBoth(self._has_read)

        def by_thread(failure: Failure) -> "Deferred[Any]":
            failure.trap(_UnreadError)
            return self._thread.read(function, *arguments)

        return done.addErrback(by_thread)

    def close(self) -> "Deferred[None]":
        """Close the file behind all readings."""
        done: Deferred[None] = self._pool.run(self._close)
        return done

    def _has_read(self, outcome: Any) -> Any:
        self._waiting -= 1
        return outcome

    def _read(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        try:
            connection = self._opened()
            connection.execute("BEGIN")
        except (sqlite3.Error, OSError) as error:
            self._close()
            raise _UnreadError from error
        try:
            return function(connection, *arguments)
        except sqlite3.Error as error:
            self._close()
            raise _UnreadError from error
        finally:
            if self._connection is not None and connection.in_transaction:
                connection.execute("ROLLBACK")

    def _opened(self) -> sqlite3.Connection:
        """The connection; a new one if another file has taken the place of the first."""
        state = os.stat(self._path)
        file = (state.st_dev, state.st_ino)
        if self._connection is None or file != self._file:
            self._close()
            self._connection = connect(self._path, create=False)
            for pragma in (_CACHE, _ONLY):
                self._connection.execute(pragma)
            self._file = file
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
