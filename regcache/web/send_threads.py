"""Threads that share the calls of sendfile(2) which are due in one turn of the reactor.

A call never blocks, and runs without the interpreter's lock, so as many run at the same time as
there are cores. The reactor's thread makes calls, too, and goes on when all are made. So nothing
that they use can be closed meanwhile.

========  ==========================  ===================================================
state     event                       what holds afterwards
========  ==========================  ===================================================
stopped   calls are due               the reactor's thread has made all of them
running   little is due               the same: to wake a thread would cost more than that
running   more is due                 all are made, each by a thread that is free
running   a thread wakes up late      the others have made its calls, too
running   a thread finds nothing due  it waits again
running   no thread can be started    the present ones make all calls, or the reactor's alone
running   stopped                     stopped: the threads have ended
========  ==========================  ===================================================
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

from twisted.application.service import Service

#: If less is due in all (bytes), no thread is woken.
LEAST_SHARED = 256 * 1024
#: More threads would wait for memory, or for each other.
MOST_THREADS = 3


def threads_for(cores: int) -> int:
    """How many threads to have besides the reactor's on so many cores."""
    return min(cores - 1, MOST_THREADS)


class Call(Protocol):
    """A call that does not block, and may be made in any thread.

    :ivar count: how many bytes it may send.
    """

    count: int

    def make(self) -> None:
        """Make the call. Raises nothing."""


class FileCall:
    """One call of sendfile(2), to a socket that does not block.

    Both descriptors must stay open until it is made: the number of a closed one may belong to
    another file or client by then.

    :ivar outcome: how many bytes were sent, or the error; set when the call is made.
    """

    __slots__ = ("count", "file", "outcome", "position", "socket")

    def __init__(self, socket: int, file: int, position: int, count: int) -> None:
        self.socket = socket
        self.file = file
        self.position = position
        self.count = count
        self.outcome: int | BaseException = 0

    def make(self) -> None:
        """Send what the socket takes. In any thread."""
        try:
            self.outcome = os.sendfile(self.socket, self.file, self.position, self.count)
        except BaseException as error:  # noqa: BLE001 - the reactor's thread looks at it
            self.outcome = error


class SendThreads(Service):
    """Makes calls side by side while the service runs.

    :param count: of threads besides the reactor's; with 0 that one makes all calls.
    :param thread: makes a thread.
    """

    def __init__(self, count: int, thread: Callable[..., Thread] = Thread) -> None:
        self._count = count
        self._thread = thread
        self._threads: list[Thread] = []
        # Both are empty between rounds.
        self._due: deque[Call] = deque()
        self._made: SimpleQueue[None] = SimpleQueue()
        self._wake: SimpleQueue[bool] = SimpleQueue()

    @property
    def present(self) -> bool:
        """Whether there are any threads now."""
        return bool(self._threads)

    def startService(self) -> None:
        """Start the threads, or as many of them as can be started."""
        super().startService()
        for number in range(self._count):
            # They are daemon threads: they have nothing to finish before the process ends.
            thread = self._thread(target=self._work, name=f"send-{number}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return
            self._threads.append(thread)

    def stopService(self) -> None:
        """End the threads."""
        super().stopService()
        threads, self._threads = self._threads, []
        for _ in threads:
            self._wake.put(False)
        for thread in threads:
            thread.join()

    def make(self, calls: Sequence[Call]) -> None:
        """Make all calls. The reactor's thread waits only for calls that others are making."""
        helpers = min(len(self._threads), len(calls) - 1)
        if sum(call.count for call in calls) < LEAST_SHARED:
            helpers = 0
        self._due.extend(calls)
        # A thread that was woken for an earlier round, and is running only now, takes part, too.
        for _ in range(helpers - self._wake.qsize()):
            self._wake.put(True)
        elsewhere = len(calls)
        while self._make_one():
            elsewhere -= 1
        for _ in range(elsewhere):
            self._made.get()

    def _make_one(self) -> bool:
        """Make the next call, if no other thread has taken it."""
        try:
            call = self._due.popleft()
        except IndexError:
            return False
        call.make()
        return True

    def _work(self) -> None:
        while self._wake.get():
            while self._make_one():
                self._made.put(None)
