"""Tells at once that a file may have changed (inotify(7)): a part of the composition root.

Watched files are looked at now and then in any case. These events only make that happen sooner.
What they do not tell (on a network file system, behind a bind mount, in a directory that may not
be read, without inotify) is found later.

Watched are all directories on the way to a file, and the links on it: so a swapped link counts,
of the file or of a folder above it, as ConfigMaps of Kubernetes are changed.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.inotify import (
    IN_ATTRIB,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_ONLYDIR,
    IN_UNMOUNT,
    INotify,
    INotifyError,
)
from twisted.logger import Logger
from twisted.python.filepath import FilePath

from regcache.interfaces import IWorkPool
from regcache.looks import Looks

#: Seconds after which the ways to the files are looked at again: a mount tells nothing.
INTERVAL = 60.0
#: Links on the way to a file, at most (path_resolution(7)).
MOST_LINKS = 40

_ENTRIES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO
_LAST = IN_CLOSE_WRITE | IN_ATTRIB
_LOST = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT

Step = tuple[str, str]
"""A directory without links in its path, and a name in it."""


def steps_to(path: str) -> Iterator[Step]:
    """The entries on the way to a file, links followed. Blocks.

    The way ends where nothing is there; what is missing is told, since it may come.
    """
    rest = os.path.abspath(path).strip("/").split("/")
    here, links = "/", 0
    while rest:
        name = rest.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        yield here, name
        entry = os.path.join(here, name)
        try:
            target = os.readlink(entry)
        except OSError as error:
            if error.errno != errno.EINVAL:  # it is there, and no link
                return
            here = entry
            continue
        links += 1
        if links > MOST_LINKS:
            return
        if target.startswith("/"):
            here = "/"
        rest = target.split("/") + rest


class IFileEvents(Protocol):
    """Tells that files may have changed."""

    def subscribe(self, paths: Sequence[str], changed: Callable[[], object]) -> Callable[[], None]:
        """Have a function called when one of some files may have changed.

        :returns: ends that.
        """


class _NoFileEvents:
    """Tells nothing: who watches a file finds out by looking."""

    def subscribe(self, paths: Sequence[str], changed: Callable[[], object]) -> Callable[[], None]:
        """Nothing is ever told."""
        return lambda: None


NO_FILE_EVENTS: IFileEvents = _NoFileEvents()


class _Subscription:
    """Some files, and who wants to know of them.

    :ivar steps: on the ways to them, as far as is known.
    """

    def __init__(self, paths: Sequence[str], changed: Callable[[], object]) -> None:
        self.paths = tuple(paths)
        self.changed = changed
        self.steps: frozenset[Step] = frozenset()


class FileEvents(Service):
    """Watches the ways to some files.

    :param pool: for following links.
    :param make: makes what listens to the kernel.
    """

    _log = Logger()

    def __init__(self, reactor: Any, pool: IWorkPool, make: Callable[[Any], Any] = INotify) -> None:
        super().__init__()
        self._reactor = reactor
        self._pool = pool
        self._make = make
        self._subscriptions: dict[object, _Subscription] = {}
        self._kernel: Any = None
        self._masks: Mapping[str, int] = {}
        self._told = ""
        self._looks = Looks(
            self._follow, INTERVAL, clock=reactor, what="following the ways to watched files"
        )

    def subscribe(self, paths: Sequence[str], changed: Callable[[], object]) -> Callable[[], None]:
        """See :class:`IFileEvents`."""
        token = object()
        self._subscriptions[token] = _Subscription(paths, changed)
        self._looks.soon()

        def end() -> None:
            self._subscriptions.pop(token, None)
            self._looks.soon()

        return end

    def startService(self) -> None:
        """Begin to watch."""
        super().startService()
        self._looks.start(now=True)

    def stopService(self) -> None:
        """Watch no more."""
        super().stopService()
        self._looks.stop()
        self._close()

    async def _follow(self) -> None:
        """Find the ways anew, and watch them if they are others."""
        asked = list(self._subscriptions.values())
        ways, masks = await self._pool.run(_ways, [each.paths for each in asked])
        if not self.running:
            return
        moved = [each for each, steps in zip(asked, ways, strict=True) if each.steps != steps]
        for each, steps in zip(asked, ways, strict=True):
            each.steps = steps
        if masks != self._masks:
            self._watch(masks)
            moved = asked  # what happened meanwhile is told by neither
        for each in moved:
            each.changed()

    def _watch(self, masks: Mapping[str, int]) -> None:
        """Watch these directories, and no others."""
        self._close()
        try:
            kernel = self._make(self._reactor)
        except (INotifyError, OSError) as error:
            self._tell(f"changed files are found by looking at them: {error}")
            return
        self._kernel, self._masks = kernel, masks
        kernel.startReading()
        for directory, mask in masks.items():
            try:
                kernel.watch(FilePath(directory), mask | IN_ONLYDIR, callbacks=[self._notice])
            except INotifyError as error:
                self._tell(f"changes in {directory} are found by looking there: {error}")

    def _tell(self, message: str) -> None:
        if message != self._told:
            self._told = message
            self._log.info("{message}", message=message)

    def _notice(self, _: object, entry: Any, mask: int) -> None:
        """Something happened to an entry of a watched directory, or to the directory itself."""
        if not self.running:
            return
        path = os.fsdecode(entry.path)
        if mask & _LOST:
            self._masks = {}  # Twisted closes it all when one directory is gone
            self._looks.soon()
            return
        step = (os.path.dirname(path), os.path.basename(path))
        concerned = [each for each in self._subscriptions.values() if step in each.steps]
        for each in concerned:
            each.changed()
        if concerned and not mask & _LAST:
            self._looks.soon()  # an entry came or went: the way may lead elsewhere now

    def _close(self) -> None:
        kernel, self._kernel, self._masks = self._kernel, None, {}
        if kernel is not None:
            kernel.loseConnection()


def _ways(asked: Iterable[Sequence[str]]) -> tuple[list[frozenset[Step]], dict[str, int]]:
    """The steps on the ways to some files each, and what to watch in which directory. Blocks.

    Everywhere it is watched whether entries come and go; where a way ends, also whether they are
    written.
    """
    ways: list[frozenset[Step]] = []
    masks: dict[str, int] = {}
    for paths in asked:
        steps: set[Step] = set()
        for path in paths:
            way = list(steps_to(path))
            for directory, _ in way:
                masks[directory] = masks.get(directory, 0) | _ENTRIES
            if way:
                masks[way[-1][0]] |= _LAST
            steps.update(way)
        ways.append(frozenset(steps))
    return ways, masks
