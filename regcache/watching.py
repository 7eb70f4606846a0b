"""Looks at password files now and then, since they are replaced while the daemon runs."""

from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.interfaces import IWorkPool
from regcache.upstream.credentials import FileCredentials

#: How often the files are read (seconds).
INTERVAL = 10.0


class PasswordWatcher(Service):
    """Reads password files in the pool; what cannot be read leaves the last password."""

    _log = Logger()

    def __init__(
        self, credentials: Sequence[FileCredentials], pool: IWorkPool, clock: IReactorTime
    ) -> None:
        self._credentials = credentials
        self._pool = pool
        self._loop = LoopingCall(self.check)
        self._loop.clock = clock

    def startService(self) -> None:
        """Begin to look."""
        super().startService()  # type: ignore[no-untyped-call]
        self._loop.start(INTERVAL, now=False).addErrback(
            lambda failure: self._log.failure("password files are no longer watched", failure)
        )

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop.running:
            self._loop.stop()

    async def check(self) -> None:
        """Read every file again."""
        for each in self._credentials:
            if not self.running:
                return  # the pool may stop at any time now
            await self._pool.run(each.load).addCallbacks(self._loaded, self._unreadable)

    def _loaded(self, changed: Any) -> None:
        if changed:
            self._log.info("a password file was replaced and is in use")

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
