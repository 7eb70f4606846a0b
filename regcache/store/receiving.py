"""What threads receive of a body by themselves: they write and hash it, without the reactor.

A job has two threads. That of the pool calls the source, which receives and decrypts the next piece
of content; another one, which lives as long as the job, writes and hashes the pieces before.
Both let go of the interpreter's lock nearly all the time, so two cores are used.

===================  ==================================================================
event                what holds afterwards
===================  ==================================================================
a piece is put       it waits for the second thread. At most ``PIECES_BEHIND`` do: then
                     the source waits, and no buffer is used again before it was stored
the source ends      the job ends when all that was put is stored
the source raises    the same; what was put before is stored, and the error told
the disk refuses     nothing after that piece is stored; the source ends at its next one
more than asked for  the surplus is refused; what was put before is stored
no thread begins     the first one stores each piece itself
===================  ==================================================================
"""

from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from regcache.interfaces import PIECES_BEHIND, Received
from regcache.store.growing import GrowingContent

Source = Callable[[Callable[[memoryview], None], int], None]
"""Puts at most so many bytes, piece by piece."""


class Receiving:
    """One job that writes what a source puts.

    :param end: it must not put more than that takes.
    """

    def __init__(self, content: GrowingContent, offset: int, end: int) -> None:
        self._content = content
        self._offset = self._put_to = self._stored_to = offset
        self._end = end
        self._pieces: SimpleQueue[memoryview | None] = SimpleQueue()
        self._stored: SimpleQueue[None] = SimpleQueue()
        self._waiting = 0  # pieces that were put and not seen to be stored
        self._thread: Thread | None = None
        self._fault: BaseException | None = None

    def run(self, descriptor: int, source: Source, present_to: int) -> Received:
        """Have everything stored. Blocks.

        :param present_to: as for :meth:`GrowingContent.write`.
        """
        fault: BaseException | None = None
        self._begin(descriptor, present_to)
        try:
            source(self._put, self._end - self._offset)
        except Exception as raised:  # noqa: BLE001 - the caller gets it, and what came before it
            fault = raised.with_traceback(None)
        finally:
            self._finish()
        return Received(self._stored_to - self._offset, self._fault or fault)

    def _begin(self, descriptor: int, present_to: int) -> None:
        def store(piece: memoryview) -> None:
            self._content.write(descriptor, [(self._stored_to, [piece])], present_to)
            self._stored_to += len(piece)

        self._store = store
        thread = Thread(target=self._store_all, name="storing")
        with suppress(RuntimeError):  # there may be no thread any more
            thread.start()
            self._thread = thread

    def _put(self, piece: memoryview) -> None:
        self._put_to += len(piece)
        if self._put_to > self._end:
            raise ValueError("more bytes than were asked for")
        if self._thread is None:
            self._try(piece)
        else:
            while self._waiting >= PIECES_BEHIND:
                self._stored.get()
                self._waiting -= 1
            self._waiting += 1
            self._pieces.put(piece)
        if self._fault is not None:
            raise self._fault

    def _store_all(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._try(piece)
            self._stored.put(None)

    def _try(self, piece: memoryview) -> None:
        """Store a piece, unless one before it could not be stored."""
        try:
            if self._fault is None:
                self._store(piece)
        except BaseException as fault:  # noqa: BLE001 - the caller gets it
            self._fault = fault.with_traceback(None)

    def _finish(self) -> None:
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
