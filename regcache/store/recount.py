"""Counts in the background how much disk the files under blobs/ take.

The ledger begins with the total in the index. After a kill -9 that may be wrong: a file gets its
name before the index knows of it, and loses it before the index has forgotten it. And an index that
was replaced by its copy knows less. So all files are counted, one folder after the other, and the
ledger takes over their count.

=========  ================================  ==================================================
state      event                             what holds afterwards
=========  ================================  ==================================================
waiting    the time has come                 counting the first folder
waiting    stored content was found gone     waiting, half a minute; 15 minutes from the last count
counting   the folder's files are counted    its count is added; the next folder, after a pause
counting   something changed in the folder   the same folder again, after a pause
           meanwhile, or is about to
counting   a change in another folder        added to the count if that one was counted before
counting   the last folder was counted       the ledger has the count; waiting
counting   the disk fails                    nothing is changed; waiting
any        the daemon stops                  over
=========  ================================  ==================================================
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

import os
import stat
from collections import deque
from collections.abc import Callable
from itertools import product

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.interfaces import IWorkPool
from regcache.store.paths import ALGORITHMS, StorePaths
from regcache.store.space import SpaceLedger

FIRST = 30.0
"""Seconds from the start to the first count."""

AGAIN = 24 * 3600.0
"""Seconds from the end of one count to the next."""

LEAST_BETWEEN = 900.0
"""Seconds from the end of one count to a next one because content was found gone."""

PAUSE = 0.05
"""Seconds between two folders, so that others have the disk in between."""

Folder = tuple[str, str]
"""An algorithm, and the first two digits of the digests in the folder."""


def folder_of(digest: Digest) -> Folder:
    """The folder in which content is stored."""
    return digest.algorithm, digest.hex[:2]


class CountStoppedError(Exception):
    """The count was stopped."""


class Recount(Service):
    """Counts soon after the start, once a day, and soon after content was found gone.

    :param is_changing: whether a file in a folder is about to get or lose its name.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        pool: IWorkPool,
        paths: StorePaths,
        *,
        ledger: SpaceLedger,
        is_changing: Callable[[Folder], bool],
    ) -> None:
        self._clock = clock
        self._pool = pool
        self._paths = paths
        self._ledger = ledger
        self._is_changing = is_changing
        self._timer: IDelayedCall | None = None
        self._waiting: deque[Folder] = deque()
        self._counted = 0
        self._disturbed = False
        self._counted_at = float("-inf")

    def startService(self) -> None:
        """Schedule the first count."""
        super().startService()
        self._timer = self._clock.callLater(FIRST, self._begin)

    def stopService(self) -> None:
        """Count no more."""
        super().stopService()
        self._waiting.clear()
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def soon(self) -> None:
        """Count soon, since stored content was found gone; not much sooner than after the last."""
        timer, now = self._timer, self._clock.seconds()
        if self._waiting or timer is None or not timer.active():
            return
        due = max(now + FIRST, self._counted_at + LEAST_BETWEEN)
        if due < timer.getTime():
            timer.reset(due - now)

    def changed(self, digest: Digest, difference: int, unclaimed: bool) -> None:
        """Content was stored or removed: so many more bytes are used; negative: fewer.

        :param unclaimed: see :meth:`SpaceLedger.change_contents`.
        """
        self._ledger.change_contents(difference, unclaimed=unclaimed)
        folder = folder_of(digest)
        if self._waiting and folder == self._waiting[0]:
            self._disturbed = True
        elif folder not in self._waiting:
            self._counted += difference

    def _begin(self) -> None:
        self._counted = 0
        digits = [f"{number:02x}" for number in range(256)]
        self._waiting.extend(product(ALGORITHMS, digits))
        self._look()

    def _look(self) -> None:
        """Count the next folder, unless it is being changed."""
        folder = self._waiting[0]
        if self._is_changing(folder):
            self._rotate()
            return
        self._disturbed = False
        path = os.path.join(self._paths.blobs, *folder)
        counting = self._pool.run(count_folder, path, lambda: not self.running)
        counting.addCallbacks(self._looked, self._failed)

    def _looked(self, count: int) -> None:
        if not self.running:
            return
        if self._disturbed or self._is_changing(self._waiting[0]):
            self._rotate()
            return
        self._counted += count
        self._waiting.popleft()
        if self._waiting:
            self._timer = self._clock.callLater(PAUSE, self._look)
        else:
            self._finish()

    def _rotate(self) -> None:
        """Put a folder at the end of the queue."""
        self._waiting.rotate(-1)
        self._timer = self._clock.callLater(PAUSE, self._look)

    def _finish(self) -> None:
        self._counted_at = self._clock.seconds()
        believed, self._ledger.contents = self._ledger.contents, self._counted
        if believed != self._counted:
            self.log.info(
                "the files under blobs/ take {counted} bytes, and not {believed}",
                counted=self._counted,
                believed=believed,
            )
        self._timer = self._clock.callLater(AGAIN, self._begin)

    def _failed(self, failure: Failure) -> None:
        self._waiting.clear()
        if not self.running:
            return
        self.log.warn("stored files cannot be counted: {why}", why=failure.getErrorMessage())
        self._timer = self._clock.callLater(AGAIN, self._begin)


def count_folder(path: str, stopped: Callable[[], bool]) -> int:
    """How much disk the files in a folder take, in bytes of whole blocks. Blocks.

    :param stopped: called after every file; if it returns True the count is stopped.
    :raises OSError: if the disk fails.
    :raises CountStoppedError: if it was stopped.
    """
    total = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if stopped():
                    raise CountStoppedError
                total += _size(entry)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return total


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    return in_blocks(status.st_size) if stat.S_ISREG(status.st_mode) else 0
