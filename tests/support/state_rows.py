"""What each row of the table of states in regcache/cache/download/download.py is asked."""

import os
import random
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from regcache.errors import UpstreamUnreachable
from tests.support.pipeline import Daemon
from tests.support.pullers import Puller

KIB = 1024


class Row(SynchronousTestCase):
    """A row, and the five questions to it.

    :cvar outcomes: what becomes of the client, in the order of the questions.
    """

    size: ClassVar[int] = 300 * KIB
    finish: ClassVar[int | None] = None
    outcomes: ClassVar[str] = ""

    def setUp(self) -> None:
        """A blob, in chunks of 10 KiB, on a disk that takes a millisecond."""
        content = random.Random(7).randbytes(self.size)
        self.directory = os.path.abspath(self.mktemp())
        self.daemon = Daemon(self.directory, [content], self.finish)
        self.addCleanup(self.daemon.close)
        self.registry = self.daemon.registries[0]
        self.registry.chunk, self.registry.stall_timeout = 10 * KIB, 30.0
        self.client: Any = None
        self.reach()

    def reach(self) -> None:
        """Come to the row."""
        raise NotImplementedError

    def pull(self, slow: bool = False) -> Puller:
        """A client that wants the whole blob."""
        client = Puller(self.daemon, 0, "org/app", [])
        client.slow = slow
        return client

    def until(self, reached: Any, pace: float = 0.001) -> None:
        """Let time pass, so many seconds at once, until something is so."""
        for _ in range(2000):
            if reached():
                return
            self.daemon.clock.advance(pace)
        raise AssertionError("the row is not reached")

    @property
    def download(self) -> Any:
        """The download, while it runs."""
        return self.daemon._download(0)

    def state(self) -> str:
        """Its state; "" where there is none."""
        return "" if self.download is None else self.download._state.value

    def prepare(self, size: int, data: bytes) -> None:
        """A partial file from an earlier day."""
        caches = self.daemon.caches
        upstream = caches.upstreams["up0.test"].identity
        opening = caches.store.open_partial(self.daemon.digests[0], upstream)
        self.daemon.settle()
        partial = self.successResultOf(opening)
        partial.set_size(size)
        for doing in (partial.write(0, [data]), partial.save()):
            self.daemon.settle()
            self.successResultOf(doing)
        partial.close()
        self.daemon.settle()

    def assert_not_kept(self) -> None:
        """Nothing is left of the content."""
        daemon = self.daemon
        content = daemon.caches.served("org/app", "up0.test").content(daemon.digests[0])
        self.assertIsNone(self.successResultOf(daemon.index.content(content)).size)
        names = [name for _, _, names in os.walk(self.directory) for name in names]
        self.assertEqual([name for name in names if daemon.digests[0].hex in name], [])

    def conclude(self, question: int, removed: list[object] | None = None) -> None:
        """Everything ends as expected, nothing wrong is kept, and the next pull is right.

        :param removed: has something in it when the content was removed.
        """
        daemon = self.daemon
        if not self.client.begun:
            self.client.begin()
        self.client.resume()
        daemon.settle()
        self.assertEqual(daemon.problems, [])
        self.assertEqual(daemon.faults, [])
        self.assertEqual(self.client.outcome, self.outcomes.split()[question])
        self.assertEqual(len(daemon.caches.downloads), 0)
        if removed is not None:
            self.assertEqual(removed, [None])
            self.assert_not_kept()
        daemon.disk.failing, daemon.spaces[-1].limit = 0, 2**60
        self.registry.faults, self.registry.failure = [], None
        vars(self.registry).pop("_get_blob", None)
        vars(self.registry).pop("_head_blob", None)
        daemon.clock.advance(60.0)
        for _ in range(2):
            last = self.pull()
            daemon.settle()
            if last.outcome == "complete":
                break
        self.assertEqual(last.outcome, "complete")
        self.assertEqual(daemon.problems, [])
        daemon.stop()
        daemon.assert_nothing_left()
        daemon.assert_only_verified()

    def test_client_leaves(self) -> None:
        """The client leaves meanwhile."""
        self.client.leave()
        self.conclude(0)

    def test_upstream_dies(self) -> None:
        """The upstream dies meanwhile, and stays away."""
        failure = UpstreamUnreachable("up0.test", "connection refused")

        def refuse(*_: object) -> None:
            raise failure

        self.registry.failure = failure
        for question in ("_get_blob", "_head_blob"):  # those under way, too
            setattr(self.registry, question, refuse)
        for body in self.registry.bodies:
            if body.open and body.delivered:
                body.pause()
                body._fail(UpstreamUnreachable("up0.test", "the connection broke"))
            elif body.open:
                body._fault.cut = 0
        self.conclude(1)

    def test_disk_fills_up(self) -> None:
        """The disk refuses everything from now on."""
        self.daemon.disk.failing = 1_000_000
        self.conclude(2)

    def test_blob_is_evicted(self) -> None:
        """What is stored of it is removed meanwhile."""
        self.daemon.caches.store.remove(self.daemon.digests[0])
        self.conclude(3)

    def test_content_is_removed(self) -> None:
        """An operator removes the content meanwhile: readers have it, and nothing is kept."""
        done = self.daemon.remove(0)
        self.conclude(3, done)

    def test_daemon_stops(self) -> None:
        """The daemon is told to stop meanwhile, and started again."""
        self.daemon.stop()
        self.client.resume()
        self.daemon.settle()
        if self.client.outcome is None:
            self.client.leave()
        self.daemon.settle()
        self.daemon.assert_nothing_left()
        self.daemon.start()
        self.conclude(4)
