"""A file that is opened only when it is needed."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regcache.gate import Gate
from regcache.store.partial import PartialFile

T = TypeVar("T")
Opening = Callable[[], Coroutine[Any, Any, PartialFile]]
"""Opens and fills a file; called once."""


class LateFile:
    """A partial file that is opened, and filled, when something first needs it to be there.

    It is given how to open it whenever it may have to be: to keep that would be a circle of the
    file and its owner, which only Python's collector finds.

    :ivar begun: whether it is there, or being opened, or could not be.
    :ivar file: None as long as it is not there.
    :ivar failed: whether it could not be opened or filled, and so never will be there.
    """

    def __init__(self) -> None:
        self._opened: Gate | None = None
        self.begun = False
        self.file: PartialFile | None = None
        self.failed = False

    def wait(self, opening: Opening) -> "Deferred[None]":
        """Open it unless that has begun; fires when it is there. Fails with OSError."""
        if self._opened is None:
            self._opened, self.begun = Gate(), True
            opened = Deferred.fromCoroutine(opening())
            opened.addCallbacks(self._succeeded, self._refused)
        return self._opened.wait()

    def run(self, opening: Opening, step: Callable[[PartialFile], "Deferred[T]"]) -> "Deferred[T]":
        """Do something with the file as soon as it is there. Fails with OSError."""

        def opened(_: None) -> "Deferred[T]":
            assert self.file is not None
            return step(self.file)

        return self.wait(opening).addCallback(opened)

    def _succeeded(self, file: PartialFile) -> None:
        assert self._opened is not None
        self.file = file
        self._opened.succeed()

    def _refused(self, failure: Failure) -> None:
        assert self._opened is not None
        self.failed = True
        self._opened.fail(failure)
