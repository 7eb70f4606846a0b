"""The readers of one download: when their answers may begin, and which bytes they may send."""

from collections.abc import Callable, Iterator
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from regcache.cache.download.context import WITHHELD
from regcache.cache.download.reader import Reader
from regcache.gate import Gate
from regcache.interfaces import IPartialFile, Wait

#: How many readers are woken in one turn of the reactor; each may take half a millisecond.
WOKEN_AT_ONCE = 16
#: More readers than that are woken at most once in so long (seconds). So each sends enough for the
#: cost of the call, and no client notices the delay.
PAUSE = 0.008


def _ignore() -> None:
    """Do nothing when a reader leaves a download that is over."""


class Readers:
    """The readers of one download. It decides for all of them when answers may begin.

    It is also their source (regcache.cache.download.reader.Source).

    :ivar left: called when a reader has left.
    :ivar file: set before the head is released.
    :ivar bring: called with the position at which a reader waits; set when bytes can be fetched.
    :ivar verified: whether size and digest were found right, so that everything may be sent.
    """

    file: IPartialFile
    wait = Wait.UPSTREAM

    def __init__(self, clock: IReactorTime, left: Callable[[], None]) -> None:
        self._clock = clock
        self.left = left
        self._to_wake: dict[Reader, None] = {}
        self._waking: IDelayedCall | None = None
        self._woken_at = -PAUSE
        self.bring: Callable[[int], None] | None = None
        self.verified = False
        self._dismissed = False
        self._readers: dict[Reader, None] = {}
        self._head = Gate()

    def __len__(self) -> int:
        return len(self._readers)

    def __iter__(self) -> Iterator[Reader]:
        return iter(self._readers)

    @property
    def content(self) -> bytes | None:
        """The whole content, if it is verified and in memory; else None."""
        return self.file.content if self.verified else None

    def join(self) -> Reader:
        """Add a reader."""
        reader = Reader(self)
        self._readers[reader] = None
        return reader

    def ready(self) -> "Deferred[None]":
        """Fires when the head of an answer may go out; fails with what prevents it."""
        return self._head.wait()

    def released(self, position: int) -> int:
        """The end of the bytes that may be sent from ``position`` on. The last are withheld."""
        present = self.file.present
        end = present.end_of(position)
        if self.verified:
            return end
        whole = present.end_of(0) if self.file.size is None else self.file.size
        return min(end, max(position, whole - WITHHELD))

    def reader_waits(self, reader: Reader) -> None:
        """Fetch the bytes for which a reader waits."""
        if self._dismissed and not self.verified:
            reader.abort("the download ended")
        elif self.bring is not None:
            self.bring(reader.position)

    def reader_left(self, reader: Reader) -> None:
        """Forget a reader."""
        self._readers.pop(reader, None)
        self._to_wake.pop(reader, None)
        if not self._to_wake and self._waking is not None:
            self._waking.cancel()
            self._waking = None
        self.left()

    def release_head(self) -> None:
        """Let the answers begin."""
        self._head.succeed()

    def begin_anew(self) -> None:
        """Let readers that join from now on wait for the first answer of another attempt."""
        if self._head.open:
            self._head = Gate()

    def release_all(self) -> None:
        """Let the answers be completed."""
        self.verified = True
        self.release_head()
        self.wake()

    def wake(self) -> None:
        """Wake every reader; if there are many, some in each turn of the reactor."""
        # A reader that waits for its turn keeps its place.
        self._to_wake.update(self._readers)
        if self._waking is not None:
            return
        if len(self._to_wake) <= WOKEN_AT_ONCE or self.verified:
            self._wake_some()
            return
        pause = self._woken_at + PAUSE - self._clock.seconds()
        if pause <= 0:
            self._wake_many()
        else:
            self._waking = self._clock.callLater(pause, self._wake_many)

    def let_go(self) -> None:
        """Drop the references to a download that is over: else only the collector would free it."""
        self.bring, self.left = None, _ignore

    def _wake_many(self) -> None:
        self._woken_at = self._clock.seconds()
        self._wake_some()

    def _wake_some(self) -> None:
        self._waking = None
        try:
            for reader in list(islice(self._to_wake, WOKEN_AT_ONCE)):
                self._to_wake.pop(reader, None)
                reader.step()
        finally:  # an error of one reader must not stop the others
            if self._to_wake and self._waking is None:
                self._waking = self._clock.callLater(0, self._wake_some)

    def dismiss(self, error: Exception) -> None:
        """Fail readers without an answer; abort those that wait for bytes that will not come."""
        self._dismissed = True
        self._head.fail(Failure(error))
        if not self.verified:
            self.break_off(str(error))

    def break_off(self, reason: str) -> None:
        """Abort the answers that have begun."""
        for reader in list(self._readers):
            if reader.begun:
                reader.abort(reason)
