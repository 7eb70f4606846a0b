"""Calls that threads share, with real threads; every wait for one has a limit."""

import os
import socket
import threading
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.web.send_threads import (
    LEAST_SHARED,
    MOST_THREADS,
    FileCall,
    SendThreads,
    threads_for,
)

#: No test waits for longer, and only one that fails waits at all (seconds).
LIMIT = 10.0


class NotingCall:
    """A call that notes where it was made.

    :ivar made: the threads that made it.
    """

    def __init__(self, count: int, work: Callable[[], object] = lambda: None) -> None:
        self.count = count
        self.work = work
        self.made: list[int] = []

    def make(self) -> None:
        """Note it."""
        self.made.append(threading.get_ident())
        self.work()


class LateThread:
    """A thread that gets no core, so it never comes."""

    def __init__(self, **_: Any) -> None:
        self.joined = False

    def start(self) -> None:
        """Not yet."""

    def join(self) -> None:
        """Note it."""
        self.joined = True


def no_thread(**_: Any) -> Any:
    """What a system does that has no threads left."""
    thread = LateThread()

    def start() -> None:
        raise RuntimeError("can't start new thread")

    thread.start = start  # type: ignore[method-assign]
    return thread


class SendThreadsTests(SynchronousTestCase):
    """Who makes which call."""

    def threads(self, count: int, thread: Any = threading.Thread) -> SendThreads:
        """Threads that run until the end of the test."""
        made = SendThreads(count, thread)
        made.startService()
        self.addCleanup(made.stopService)
        return made

    def assert_made_here(self, threads: SendThreads, calls: list[NotingCall]) -> None:
        """This thread makes each of the calls, once."""
        threads.make(calls)
        self.assertEqual([call.made for call in calls], [[threading.get_ident()]] * len(calls))

    def test_number(self) -> None:
        """There is a thread for each core but one, up to a few."""
        self.assertEqual([threads_for(cores) for cores in (1, 2, 64)], [0, 1, MOST_THREADS])

    def test_side_by_side(self) -> None:
        """Calls are under way at the same time, one in each thread."""
        threads = self.threads(2)
        self.assertTrue(threads.present)
        together = threading.Barrier(3, timeout=LIMIT)
        calls = [NotingCall(LEAST_SHARED, together.wait) for _ in range(3)]
        threads.make(calls)
        self.assertEqual(len({thread for call in calls for thread in call.made}), 3)

    def test_all_are_made(self) -> None:
        """When it returns each call has been made once, in every one of many rounds."""
        threads = self.threads(3)
        for _ in range(200):
            calls = [NotingCall(LEAST_SHARED) for _ in range(20)]
            threads.make(calls)
            self.assertEqual([len(call.made) for call in calls], [1] * 20)

    def test_waits_for_what_is_under_way(self) -> None:
        """It returns when the call that another thread makes has ended, not before."""
        threads = self.threads(1)
        taken, ended = threading.Event(), threading.Event()
        here = threading.get_ident()

        def work() -> None:
            if threading.get_ident() == here:
                taken.wait(LIMIT)
            else:
                taken.set()
                ended.set()

        threads.make([NotingCall(LEAST_SHARED, work), NotingCall(LEAST_SHARED, work)])
        self.assertTrue(ended.is_set())

    def test_little(self) -> None:
        """For one call, or for few bytes, nobody is woken."""
        threads = self.threads(1)
        self.assert_made_here(threads, [NotingCall(LEAST_SHARED)])
        self.assert_made_here(threads, [NotingCall(LEAST_SHARED // 2 - 1) for _ in range(2)])
        self.assert_made_here(threads, [])

    def test_late_thread(self) -> None:
        """What a thread does not come for is done without it, and nothing piles up for it."""
        threads = self.threads(1, LateThread)
        for _ in range(3):
            self.assert_made_here(threads, [NotingCall(LEAST_SHARED) for _ in range(2)])
        self.assertEqual(threads._wake.qsize(), 1)

    def test_no_threads(self) -> None:
        """With no thread, or none that the system gives, this one does everything."""
        for threads in (self.threads(0), self.threads(2, no_thread)):
            self.assertFalse(threads.present)
            self.assert_made_here(threads, [NotingCall(LEAST_SHARED) for _ in range(2)])

    def test_not_running(self) -> None:
        """Before the start and after the stop this thread does everything; threads end."""
        begun: list[threading.Thread] = []

        def begin(**options: Any) -> threading.Thread:
            begun.append(threading.Thread(**options))
            return begun[-1]

        threads = SendThreads(2, begin)
        self.assert_made_here(threads, [NotingCall(LEAST_SHARED) for _ in range(2)])
        threads.startService()
        threads.stopService()
        self.assertEqual([thread.is_alive() for thread in begun], [False, False])
        self.assertFalse(threads.present)
        self.assert_made_here(threads, [NotingCall(LEAST_SHARED) for _ in range(2)])


class FileCallTests(SynchronousTestCase):
    """One call of sendfile."""

    def setUp(self) -> None:
        self.ours, self.peer = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.peer.close)
        self.ours.setblocking(False)
        path = self.mktemp()
        with open(path, "wb") as writing:
            writing.write(b"0123456789")
        self.file = open(path, "rb")  # noqa: SIM115 - closed at the end of the test
        self.addCleanup(self.file.close)

    def call(self, socket_: int, file: int, count: int = 5) -> int | BaseException:
        """The outcome of a call."""
        made = FileCall(socket_, file, 2, count)
        made.make()
        return made.outcome

    def test_sent(self) -> None:
        """The outcome is how many bytes are on their way."""
        self.assertEqual(self.call(self.ours.fileno(), self.file.fileno()), 5)
        self.assertEqual(self.peer.recv(100), b"23456")

    def test_full(self) -> None:
        """A socket that takes nothing is an outcome, too: no thread waits for it."""
        while True:
            try:
                self.ours.send(bytes(100_000))
            except BlockingIOError:
                break
        outcome = self.call(self.ours.fileno(), self.file.fileno())
        self.assertIsInstance(outcome, BlockingIOError)

    def test_faults(self) -> None:
        """Any error is the outcome, and is not raised."""
        closed = os.dup(0)
        os.close(closed)
        self.assertIsInstance(self.call(closed, self.file.fileno()), OSError)
        self.assertIsInstance(self.call(self.ours.fileno(), 2**40), OverflowError)
