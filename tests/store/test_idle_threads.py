"""Threads of the lowest priority."""

import os
import threading

from twisted.trial.unittest import SynchronousTestCase

from regcache.store.idle_threads import IdlePool
from tests.support.pools import ImmediatePool


class IdlePoolTests(SynchronousTestCase):
    """What such a thread is."""

    def test_priority(self) -> None:
        """It asks once for SCHED_IDLE for itself alone, and works after a refusal too."""
        asked: list[int] = []
        self.patch(os, "sched_setscheduler", lambda pid, policy, _: asked.append(policy))
        results: list[int] = []

        def work() -> None:
            pool = IdlePool(ImmediatePool())
            for _ in range(2):
                pool.run(lambda: 7).addCallback(results.append)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual((asked, results), ([os.SCHED_IDLE], [7, 7]))

    def test_really(self) -> None:
        """The system gives it, and this thread keeps what it has."""
        mine = os.sched_getscheduler(0)
        found: list[int] = []

        def work() -> None:
            IdlePool(ImmediatePool()).run(os.sched_getscheduler, 0).addCallback(found.append)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(os.sched_getscheduler(0), mine)
        self.assertIn(found[0], (os.SCHED_IDLE, mine))

    def test_refused(self) -> None:
        """Where the system refuses the work is done all the same."""

        def refuse(*_: object) -> None:
            raise PermissionError

        self.patch(os, "sched_setscheduler", refuse)
        results: list[int] = []

        def work() -> None:
            IdlePool(ImmediatePool()).run(lambda: 7).addCallback(results.append)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(results, [7])
