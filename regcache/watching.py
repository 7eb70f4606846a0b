"""Looks at password files now and then, since they are replaced while the daemon runs."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.file_events import NO_FILE_EVENTS, IFileEvents
from regcache.interfaces import IWorkPool
from regcache.looks import Looks
from regcache.upstream.credentials import FileCredentials

#: How often the files are read (seconds).
INTERVAL = 10.0


class PasswordWatcher(Service):
    """Reads password files in the pool; what cannot be read leaves the last password."""

    _log = Logger()

    def __init__(
        self,
        credentials: Sequence[FileCredentials],
        pool: IWorkPool,
        clock: IReactorTime,
        events: IFileEvents = NO_FILE_EVENTS,
    ) -> None:
        """
        :param events: tell when a look is worth while before the next one is due.
        """
        self._credentials = credentials
        self._pool = pool
        self._looks = Looks(self.check, INTERVAL, clock=clock, what="looking at password files")
        self._events = events
        self._unsubscribe: Callable[[], None] = lambda: None

    def startService(self) -> None:
        """Begin to look."""
        super().startService()  # type: ignore[no-untyped-call]
        self._looks.start()
        paths = [each.path for each in self._credentials]
        self._unsubscribe = self._events.subscribe(paths, self._looks.soon)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._unsubscribe()
        self._looks.stop()

    async def check(self) -> None:
        """Read every file again."""
        for each in self._credentials:
            if not self.running:
                return  # the pool may stop at any time now
            reading = self._pool.run(each.load)
            await reading.addCallbacks(self._loaded, self._unreadable, callbackArgs=(each.path,))

    def _loaded(self, changed: Any, path: str) -> None:
        if changed:
            self._log.info("{path} was changed and is in use", path=path)

    def _unreadable(self, failure: Failure) -> None:
        failure.trap(OSError, UnicodeDecodeError)
        error: Any = failure.value
        self._log.warn(
            "{file}: the password cannot be read, the last one stays in use: {why}",
            file=getattr(error, "filename", None) or "a password file",
            why=why_unreadable(error),
        )


def why_unreadable(error: OSError | UnicodeDecodeError) -> str:
    """Why a file of secrets cannot be used, without a byte of what is in it."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not UTF-8"
