"""The readers of one download, and the moment from which their answers may begin."""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regcache.cache.reader import Reader, Source
from regcache.cache.waiters import Gate


class Audience:
    """Readers come and go; the head of their answers is released, or refused, once for all."""

    def __init__(self) -> None:
        self._readers: list[Reader] = []
        self._head = Gate()

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, source: Source) -> Reader:
        """A new reader of the source."""
        reader = Reader(source)
        self._readers.append(reader)
        return reader

    def remove(self, reader: Reader) -> None:
        """Forget a reader that left."""
        if reader in self._readers:
            self._readers.remove(reader)

    def head(self) -> "Deferred[None]":
        """Fires when the head of an answer may go out; fails with what prevents it."""
        return self._head.wait()

    def release_head(self) -> None:
        """Let the answers begin."""
        self._head.succeed()

    def turn_away(self, error: Exception) -> None:
        """Refuse everybody whose answer has not begun, unless it was released before."""
        self._head.fail(Failure(error))

    def wake(self) -> None:
        """Let every reader look at what is there now."""
        for reader in list(self._readers):
            reader.step()

    def break_off(self, reason: str) -> None:
        """Abort the answers that have begun."""
        for reader in list(self._readers):
            if reader.begun:
                reader.abort(reason)
