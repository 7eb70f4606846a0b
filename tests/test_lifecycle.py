"""The order of starting and stopping, and what a stop waits for."""

import gc
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regcache.lifecycle import Daemon, Parts
from regcache.plans import PartialSums
from regcache.store.index_schema import IndexVersionError
from regcache.web.http1.channel import LAST_REQUEST
from regcache.web.listener_spec import ListenError
from regcache.web.request import Request
from regcache.web.respond import send_text
from tests.support.web_client import MemoryClient, make_site

DRAIN = 30.0
PARTS = (
    *(
        "lock",
        "index_pool",
        "looking_pool",
        "disk_pool",
        "password_pool",
        "idle_pool",
        "senders",
        "index",
        "store",
        "downloads",
    ),
    *("removal", "ledger", "space", "watcher", "listeners", "upstreams", "reports"),
)


class Part(Service):
    """Is any part: a service that notes all calls of its methods under its name.

    :ivar answers: what a call gives, by its name; by default None, at once.
    """

    def __init__(self, name: str, events: list[str]) -> None:
        self.part = name
        self.events = events
        self.answers: dict[str, Callable[[], Any]] = {}

    def privilegedStartService(self) -> None:
        """Note it."""
        self.events.append(f"{self.part} bound")

    def startService(self) -> None:
        """Note it."""
        super().startService()
        self.events.append(f"{self.part} started")

    def stopService(self) -> Any:
        """Note it."""
        super().stopService()
        self.events.append(f"{self.part} stopped")
        return self.answers.get("stopService", lambda: None)()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: object) -> Any:
            self.events.append(f"{self.part} {name}")
            return self.answers.get(name, lambda: succeed(None))()

        return call


class DaemonCase(SynchronousTestCase):
    """A daemon of parts that note what is done to them, and one or two real sites."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[str] = []
        self.failures: list[str] = []
        self.requests: list[Request] = []
        self.sites = [make_site(self.requests.append, self.clock) for _ in range(2)]
        self.part = {name: Part(name, self.events) for name in PARTS}
        self.part["listeners"].answers["stopService"] = lambda: succeed(None)
        self.part["index"].answers["occupied_bytes"] = lambda: succeed(5)
        self.part["store"].answers["old_partials"] = lambda: succeed(PartialSums())
        self.part["store"].answers["occupied"] = lambda: succeed(0)
        self.part["store"].answers["sweep_partials"] = lambda: succeed(0)
        self.daemon = Daemon(
            self.parts(), self.clock, drain=lambda: DRAIN, failed=self.failures.append
        )

    def parts(self) -> Parts:
        """The parts, as the composition root hands them over."""
        part: dict[str, Any] = self.part
        return Parts(
            lock=part["lock"],
            index_pool=part["index_pool"],
            looking_pool=part["looking_pool"],
            disk_pool=part["disk_pool"],
            password_pool=part["password_pool"],
            idle_pool=part["idle_pool"],
            senders=part["senders"],
            index=part["index"],
            store=part["store"],
            downloads=part["downloads"],
            removal=part["removal"],
            ledger=part["ledger"],
            space=part["space"],
            watchers=[part["watcher"]],
            listeners=part["listeners"],
            sites=self.sites,
            hang_up=part["upstreams"].hang_up,
            reports=part["reports"],
        )

    def start(self) -> None:
        """As twistd does."""
        self.daemon.privilegedStartService()
        self.daemon.startService()

    def stop(self) -> "Deferred[None]":
        """As twistd does; what was noted until then is forgotten."""
        self.events.clear()
        return self.daemon.stopService()

    def client(self, site: int = 0) -> MemoryClient:
        """A client that has asked for something."""
        return MemoryClient(self.sites[site]).request("GET", "/")


class StartTests(DaemonCase):
    """Opening."""

    def test_order(self) -> None:
        """Addresses are taken first; clients are let in when the storage is known."""
        self.start()
        self.assertEqual(
            self.events,
            [
                "listeners bound",
                "lock tell",
                "reports started",
                "index_pool started",
                "looking_pool started",
                "disk_pool started",
                "password_pool started",
                "idle_pool started",
                "senders started",
                "index open",
                "removal begin",
                "index occupied_bytes",
                "store occupied",
                "ledger change_contents",
                "store old_partials",
                "ledger change_parked",
                "space refresh",
                "space started",
                "watcher started",
                "listeners started",
                "reports ready",
                "removal resume",
                "store sweep_partials",
            ],
        )
        self.assertEqual(self.failures, [])

    def test_slow_storage(self) -> None:
        """Nobody is let in before the storage is open."""
        opening: Deferred[None] = Deferred()
        self.part["index"].answers["open"] = lambda: opening
        self.start()
        self.assertNotIn("listeners started", self.events)
        opening.callback(None)
        self.assertIn("listeners started", self.events)

    def test_cannot_listen(self) -> None:
        """An address that somebody else has by then ends the process with its line."""

        def refuse() -> None:
            raise ListenError("listener tcp:80: address already in use (*:80)")

        self.part["listeners"].startService = refuse  # type: ignore[method-assign]
        self.start()
        self.assertEqual(self.failures, ["listener tcp:80: address already in use (*:80)"])
        self.successResultOf(self.stop())
        self.assertEqual(self.events[-1], "lock release")

    def test_newer_index(self) -> None:
        """An index of a newer program ends the process with a line, and no traceback."""
        error = IndexVersionError("it is of version 9: type: mv")
        self.part["index"].answers["open"] = lambda: fail(error)
        self.start()
        self.assertEqual(self.failures, ["it is of version 9: type: mv"])
        self.successResultOf(self.stop())
        self.assertNotIn("listeners started", self.events)
        self.assertNotIn("index close", self.events)
        self.assertEqual(self.events[-1], "lock release")

    def test_uncountable(self) -> None:
        """A disk that does not say what is on it is served from all the same."""
        calls = {
            "removal": "begin",
            "index": "occupied_bytes",
            "store": "old_partials",
            "space": "refresh",
        }
        for name, call in calls.items():
            self.setUp()
            self.part[name].answers[call] = lambda: fail(OSError(5, "Input/output error"))
            with capturedLogs() as logged:
                self.start()
            self.assertEqual(len(logged), 1)
            self.assertIn("listeners started", self.events)
            self.assertEqual(self.failures, [])

    def test_unexpected_fault(self) -> None:
        """A fault that nobody expected has its traceback in the log."""
        self.part["store"].answers["old_partials"] = lambda: fail(RuntimeError("odd"))
        self.start()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(self.failures), 1)
        self.successResultOf(self.stop())
        self.assertIn("index close", self.events)

    def test_earlier_removal(self) -> None:
        """Clients do not wait until what an earlier process had begun to remove is gone."""
        resuming: Deferred[None] = Deferred()
        self.part["removal"].answers["resume"] = lambda: resuming
        self.start()
        self.assertIn("listeners started", self.events)
        self.assertIn("store sweep_partials", self.events)
        with capturedLogs() as logged:
            resuming.errback(OSError(5, "Input/output error"))
        self.assertIn("Input/output error", formatEvent(logged[0]))

    def test_stopped_earlier_removal(self) -> None:
        """A stop ends it, and nothing is said of that: the next start goes on with it."""
        resuming: Deferred[None] = Deferred()
        self.part["removal"].answers["resume"] = lambda: resuming
        self.start()
        self.successResultOf(self.stop())
        with capturedLogs() as logged:
            resuming.errback(OSError(5, "the index is not open"))
        self.assertEqual(logged, [])

    def test_faulty_removal(self) -> None:
        """A fault in it that nobody expected has its traceback in the log, and stops nobody."""
        self.part["removal"].answers["resume"] = lambda: fail(RuntimeError("odd"))
        self.start()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.failures, [])

    def test_removed_files_count(self) -> None:
        """Files that still have to be removed count as used until they are gone."""
        counted: list[int] = []
        self.part["store"].answers["occupied"] = lambda: succeed(7)
        self.part["ledger"].change_contents = counted.append  # type: ignore[method-assign]
        self.start()
        self.assertEqual(counted, [5 + 7])

    def test_sweep_fails(self) -> None:
        """Old partial files that cannot be removed stop nobody."""
        self.part["store"].answers["sweep_partials"] = lambda: fail(OSError(30, "Read-only"))
        self.start()
        self.assertIn("listeners started", self.events)
        self.assertEqual(self.failures, [])


class StopTests(DaemonCase):
    """Draining and closing."""

    def test_order(self) -> None:
        """Nothing is accepted, answers end, then everything is saved and closed."""
        self.start()
        stopping = self.stop()
        self.successResultOf(stopping)
        self.assertEqual(
            self.events,
            [
                "reports stopping",
                "listeners stopped",
                "downloads stop_unread",
                "downloads stop",
                "upstreams hang_up",
                "removal stop",
                "watcher stopped",
                "space stopped",
                "store close",
                "index close",
                "senders stopped",
                "password_pool stopped",
                "idle_pool stopped",
                "disk_pool stopped",
                "looking_pool stopped",
                "index_pool stopped",
                "reports stopped",
                "lock release",
            ],
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow_answer(self) -> None:
        """An answer under way may end, on any site; an idle connection holds nothing up."""
        self.start()
        idle = MemoryClient(self.sites[0])
        slow = self.client(1)
        stopping = self.stop()
        self.clock.advance(LAST_REQUEST)
        self.assertTrue(idle.transport.disconnecting)
        idle.leave()
        self.clock.advance(DRAIN - LAST_REQUEST - 1)
        self.assertNoResult(stopping)
        self.assertNotIn("downloads stop", self.events)
        send_text(self.requests[0], "at last")
        self.assertEqual(slow.answer().body, b"at last")
        slow.leave()
        self.successResultOf(stopping)
        self.assertFalse(slow.transport.aborted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_slow(self) -> None:
        """What has not ended by then is cut, and leaves no error behind."""
        self.start()
        slow, other = self.client(0), self.client(1)
        stopping = self.stop()
        self.clock.advance(DRAIN - 0.1)
        self.assertNoResult(stopping)
        self.clock.advance(0.1)
        self.successResultOf(stopping)
        self.assertEqual([slow.transport.aborted, other.transport.aborted], [True, True])
        slow.leave()
        other.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        del stopping
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_twice(self) -> None:
        """A second stop waits for the first."""
        self.start()
        slow = self.client()
        first, second = self.stop(), self.daemon.stopService()
        self.assertNoResult(second)
        send_text(self.requests[0], "ok")
        slow.leave()
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(self.daemon.stopService())
        self.assertEqual(self.events.count("lock release"), 1)

    def test_while_opening(self) -> None:
        """A stop that comes early lets the opening end, and starts nothing."""
        opening: Deferred[None] = Deferred()
        self.part["index"].answers["open"] = lambda: opening
        self.start()
        stopping = self.stop()
        self.assertNoResult(stopping)
        self.assertNotIn("index_pool stopped", self.events)
        opening.callback(None)
        self.successResultOf(stopping)
        for name in ("watcher started", "listeners started", "store sweep_partials"):
            self.assertNotIn(name, self.events)
        self.assertIn("index close", self.events)
        self.assertEqual(self.failures, [])

    def test_hurry(self) -> None:
        """In a hurry answers are cut at once, downloads saved, and nothing is synced."""
        for before in (True, False):
            self.setUp()
            self.start()
            slow = self.client()
            if before:
                self.daemon.hurry()
            stopping = self.stop()
            if before:
                self.clock.advance(0)
            else:
                self.assertNoResult(stopping)
                self.daemon.hurry()
            self.successResultOf(stopping)
            self.assertTrue(slow.transport.aborted)
            self.assertIn("downloads stop", self.events)
            self.assertIn("index close", self.events)
            self.assertNotIn("store close", self.events)
            slow.leave()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_never_started(self) -> None:
        """A daemon whose listeners could not be bound stops at once."""
        self.successResultOf(self.stop())
        self.assertEqual(self.events[-1], "lock release")

    def test_faults(self) -> None:
        """After any failure the following steps are taken, and the log has each fault."""
        self.start()
        for name, step in (("downloads", "stop"), ("upstreams", "hang_up"), ("store", "close")):
            self.part[name].answers[step] = lambda: fail(RuntimeError("odd"))
        self.successResultOf(self.stop())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 3)
        self.assertEqual(
            self.events[-9:],
            [
                "index close",
                "senders stopped",
                "password_pool stopped",
                "idle_pool stopped",
                "disk_pool stopped",
                "looking_pool stopped",
                "index_pool stopped",
                "reports stopped",
                "lock release",
            ],
        )
