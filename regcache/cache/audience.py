"""The readers of one download: when their answers may begin, and what they may be sent."""

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regcache.cache.origin import WITHHELD
from regcache.cache.reader import Reader
from regcache.cache.waiters import Gate
from regcache.interfaces import IPartialFile


class Host(Protocol):
    """The download that feeds the readers."""

    def wanted(self, position: int) -> bool:
        """A reader waits at a position; False where nothing will come any more."""

    def left(self) -> None:
        """A reader is gone."""


class Audience:
    """Readers come and go; the head of their answers is released, or refused, once for all.

    It is the source that the readers take their bytes from (regcache.cache.reader.Source).

    :ivar file: set before the head is released.
    :ivar verified: size and digest were found right: everything is released.
    """

    file: IPartialFile

    def __init__(self, host: Host) -> None:
        self.verified = False
        self._host = host
        self._readers: dict[Reader, None] = {}
        self._head = Gate()

    def __len__(self) -> int:
        return len(self._readers)

    @property
    def opened(self) -> bool:
        """Whether there is a file."""
        return hasattr(self, "file")

    def join(self) -> Reader:
        """A new reader."""
        reader = Reader(self)
        self._readers[reader] = None
        return reader

    def ready(self) -> "Deferred[None]":
        """Fires when the head of an answer may go out; fails with what prevents it."""
        return self._head.wait()

    def released(self, position: int) -> int:
        """The end of what may be sent from ``position`` on: the last bytes wait for the proof."""
        present = self.file.present
        end = present.end_of(position)
        if self.verified:
            return end
        whole = present.end_of(0) if self.file.size is None else self.file.size
        return min(end, max(position, whole - WITHHELD))

    def reader_waits(self, reader: Reader) -> None:
        """Have brought what the reader waits for."""
        if not self._host.wanted(reader.position):
            reader.abort("the download ended")

    def reader_left(self, reader: Reader) -> None:
        """Forget a reader."""
        self._readers.pop(reader, None)
        self._host.left()

    def release_head(self) -> None:
        """Let the answers begin."""
        self._head.succeed()

    def begin_anew(self) -> None:
        """Let who joins from now on wait for the first answer of another attempt."""
        if self._head.open:
            self._head = Gate()

    def release_all(self) -> None:
        """Let the answers be completed."""
        self.verified = True
        self.release_head()
        self.wake()

    def wake(self) -> None:
        """Let every reader look at what is there now."""
        for reader in list(self._readers):
            reader.step()

    def dismiss(self, error: Exception) -> None:
        """Refuse who has no answer yet; break off who depends on what will not come."""
        self._head.fail(Failure(error))
        if not self.verified:
            self.break_off(str(error))

    def break_off(self, reason: str) -> None:
        """Abort the answers that have begun."""
        for reader in list(self._readers):
            if reader.begun:
                reader.abort(reason)
