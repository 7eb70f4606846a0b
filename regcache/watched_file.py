"""A file that is read again when it was replaced or written, while the daemon runs."""

import os
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.file_events import NO_FILE_EVENTS, IFileEvents
from regcache.interfaces import IWorkPool
from regcache.looks import Looks
from regcache.whole_file import read_whole

#: How often its state is looked at (seconds).
INTERVAL = 1.0

#: Device, inode, size, and both times of a change; None where the file is missing.
State = tuple[int, int, int, int, int] | None
#: It cannot be told, as where its folder may not be searched. No file has it: what was found with
#: it is looked for again as soon as the state can be told.
_NO_STATE: State = (-1, -1, -1, -1, -1)
#: They hold until the file changes. Others, as where no descriptor is left, may pass by themselves.
_OF_THE_FILE = (PermissionError, IsADirectoryError)


class FileUnusableError(Exception):
    """What a file holds cannot be used; the text says why, with the file's name."""


class _MissingError(ValueError):
    """There is no file."""


class WatchedFile(Service):
    """Looks at one file each second, in a thread, and reads it when it is another one.

    What cannot be read or used leaves in force what was read last, and is said once. So does a
    file that is gone, unless ``gone`` says what then holds.

    :param read: of its content, in a thread; raises ValueError with what to say.
    :param apply: gets what was read, in the reactor's thread.
    :param gone: gives what to apply where the file was removed.
    :param events: tell when a look is worth while before a second has passed.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        read: Callable[[bytes], Any],
        apply: Callable[[Any], None],
        *,
        pool: IWorkPool,
        clock: IReactorTime,
        gone: Callable[[], Any] | None = None,
        events: IFileEvents = NO_FILE_EVENTS,
    ) -> None:
        self._path = path
        self._gone = gone
        self._read = read
        self._apply = apply
        self._pool = pool
        self._state: State = None
        self._said: tuple[State, str] | None = None
        self._begun = self._taken = 0
        self._looks = Looks(self.look, INTERVAL, clock=clock, what=f"looking at {path}")
        self._events = events
        self._unsubscribe: Callable[[], None] = lambda: None

    def load(self) -> None:
        """Read it now, before the daemon runs.

        :raises FileUnusableError: if it cannot be read or used.
        """
        self._state, content = self._look()
        if isinstance(content, Exception):
            raise FileUnusableError(f"{self._path}: {content}")
        self._apply(content)

    def startService(self) -> None:
        """Begin to look."""
        super().startService()  # type: ignore[no-untyped-call]
        self._looks.start()
        self._unsubscribe = self._events.subscribe([self._path], self._looks.soon)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._unsubscribe()
        self._looks.stop()

    async def look(self) -> None:
        """Read the file if it is not the one that was read last.

        Looks may overtake one another: what an earlier one has found counts for nothing then.
        """
        if self.running:
            self._begun += 1
            await self._pool.run(self._look_again).addCallback(self._looked, self._begun)

    def _look_again(self) -> tuple[State, Any] | None:
        if state_of(self._path) == self._state:
            return None
        state, content = self._look()
        if isinstance(content, _MissingError) and self._gone is not None:
            content = self._gone()
        return state, content

    def _look(self) -> tuple[State, Any]:
        """Its state, and what it holds, or the error that prevents its use."""
        state = state_of(self._path)  # before: what changes while it is opened is another one
        try:
            with open(self._path, "rb") as file:
                status = os.fstat(file.fileno())
                state = _state(status)
                content = read_whole(file)
            return state, self._read(content)
        except FileNotFoundError as error:
            return None, _MissingError(error.strerror)
        except OSError as error:
            why = ValueError(error.strerror or type(error).__name__)
            return state if isinstance(error, _OF_THE_FILE) else _NO_STATE, why
        except ValueError as error:
            return state, error

    def _looked(self, found: tuple[State, Any] | None, number: int) -> None:
        """:param number: of the look, in the order in which they began."""
        if found is None or not self.running or number < self._taken:
            return
        self._taken = number
        self._state, content = found
        if isinstance(content, Exception):
            self._say(str(content))
            return
        self._said = None
        self._apply(content)
        if self._state is None:
            self._log.warn("{path} is gone, and so nothing of it is in force", path=self._path)
        else:
            self._log.info("{path} was changed and is in use", path=self._path)

    def _say(self, why: str) -> None:
        said, self._said = self._said, (self._state, why)
        if said != self._said:
            self._log.warn(
                "{path} was changed and is not used; what was read before stays in force: {why}",
                path=self._path,
                why=why,
            )


def state_of(path: str) -> State:
    """By what a file is known again."""
    try:
        return _state(os.stat(path))
    except FileNotFoundError:
        return None
    except OSError:
        return _NO_STATE


def _state(status: os.stat_result) -> State:
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_size, *times)
