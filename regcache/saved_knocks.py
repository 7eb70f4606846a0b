"""Keeps the addresses that are seats on the disk, so that a restart forgets none."""

import json
from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.access.knocks import Knock, Knocks
from regcache.interfaces import IWorkPool
from regcache.whole_file import replace_whole

#: Name of the file in the storage directory.
FILE_NAME = "knocks.json"
#: Seconds after which a change is written, with what changed meanwhile.
DELAY = 1.0
#: A larger file is not read (bytes).
_MOST_BYTES = 8 * 1024 * 1024


class SavedKnocks(Service):
    """Writes the addresses a moment after they changed, and at the stop.

    What cannot be written is said once, and tried again with the next change.
    """

    _log = Logger()

    def __init__(self, path: str, knocks: Knocks, pool: IWorkPool, clock: IReactorTime) -> None:
        self._path = path
        self._knocks = knocks
        self._pool = pool
        self._clock = clock
        self._turn = DeferredLock()
        self._due: IDelayedCall | None = None
        self._is_failing = False

    def load(self) -> None:
        """Take what was saved. Blocks. A file that cannot be read is passed over."""
        try:
            with open(self._path, "rb") as file:
                content = file.read(_MOST_BYTES)
            self._knocks.restore(_parsed(content))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._log.warn("{path}: is not used: {why}", path=self._path, why=str(error))
        self._knocks.changed = self._changed

    def _changed(self) -> None:
        if self.running and self._due is None:
            self._due = self._clock.callLater(DELAY, self._write_now)

    def _write_now(self) -> None:
        self._due = None
        self.write()

    def write(self) -> "Deferred[Any]":
        """Write what is there now."""
        content = _encoded(self._knocks.all())
        writing: Deferred[Any] = self._turn.run(self._pool.run, replace_whole, self._path, content)
        return writing.addCallbacks(self._wrote, self._not_written)

    def stopService(self) -> "Deferred[Any] | None":
        """Write what changed last."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._due is None:
            return None
        self._due.cancel()
        self._due = None
        return self.write()

    def _wrote(self, _: object) -> None:
        self._is_failing = False

    def _not_written(self, failure: Failure) -> None:
        failure.trap(OSError)
        if not self._is_failing:
            self._log.warn("{path} cannot be written: {why}", path=self._path, why=failure.value)
        self._is_failing = True


def _parsed(content: bytes) -> Sequence[Knock]:
    return [
        Knock(str(each["place"]), str(each["account"]), str(each["mark"]), float(each["until"]))
        for each in json.loads(content)
    ]


def _encoded(knocks: Sequence[Knock]) -> bytes:
    fields = ("place", "account", "mark", "until")
    rows = [{name: getattr(each, name) for name in fields} for each in knocks]
    return json.dumps(rows).encode("ascii")
