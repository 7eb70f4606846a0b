"""Reloads, one after the other: the states in the module's table."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regcache.reloading import (
    INTERVAL,
    Reloaded,
    Reloader,
    ReloadRefusedError,
    WrongConfigurationError,
)


class Steps:
    """Steps that end when the test wants.

    :ivar checks: the jobs that are under way or were.
    :ivar applied: what was put in force.
    """

    def __init__(self) -> None:
        self.closing = False
        self.text = "first"
        self.wrong: list[str] = []
        self.fault: Exception | None = None
        self.applied: list[str] = []

    def check(self) -> str:
        """Read it."""
        if self.fault is not None:
            raise self.fault
        if self.wrong:
            raise WrongConfigurationError(self.wrong)
        return self.text

    async def apply(self, candidate: str) -> Reloaded:
        """Put it in force."""
        self.applied.append(candidate)
        return Reloaded(["ui.title"], ["storage.directory"], ["f:1: ui: a warning"])


class File:
    """A file that is replaced when the test wants."""

    path = "/nowhere/regcache.yml"

    def __init__(self) -> None:
        self.identity = (1, 1)
        self.held: tuple[int, int] | None = None

    def hold(self) -> tuple[int, int] | None:
        """Take it for the one that is read."""
        self.held = self.identity
        return self.held

    def is_replaced(self) -> bool:
        """Whether it is another one."""
        return self.identity != self.held

    def close(self) -> None:
        """Hold it no more."""
        self.held = None


class SlowPool:
    """A pool whose jobs are done when the test wants."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Any, Any]] = []

    def run(self, job: Any, *args: Any) -> "Deferred[Any]":
        """Take a job."""
        done: Deferred[Any] = Deferred()
        self.waiting.append((done, job, args))
        return done

    def work(self) -> None:
        """Do what waits, once."""
        waiting, self.waiting = self.waiting, []
        for done, job, args in waiting:
            try:
                result = job(*args)
            except Exception as error:  # noqa: BLE001 - as a thread gives it back
                done.errback(error)
            else:
                done.callback(result)


class ReloadingTests(SynchronousTestCase):
    """What a reload comes to, and when."""

    def setUp(self) -> None:
        self.steps, self.file, self.pool, self.clock = Steps(), File(), SlowPool(), Clock()
        any_file: Any = self.file
        any_pool: Any = self.pool
        self.clock.advance(1000)
        self.told: list[str] = []
        self.reloader = Reloader(
            self.steps,
            any_file,
            (1, 1),
            pool=any_pool,
            clock=self.clock,
            asked=lambda: self.told.append("asked"),
            done=lambda: self.told.append("done"),
        )

    def start(self) -> None:
        """Start, with the file as it was read."""
        self.reloader.startService()
        self.addCleanup(self.stop)
        self.pool.work()

    def stop(self) -> None:
        """Stop it."""
        if self.reloader.running:
            self.reloader.stopService()

    def lines(self, work: Any) -> list[str]:
        """What is logged meanwhile."""
        with capturedLogs() as events:
            work()
        return [f"{each['log_level'].name} {formatEvent(each)}" for each in events]

    def test_right(self) -> None:
        """What is right is in force, and one line names each key that changed."""
        self.start()
        asked = self.reloader.ask()
        self.clock.advance(5)
        lines = self.lines(self.pool.work)
        self.assertEqual(self.successResultOf(asked).changed, ["ui.title"])
        self.assertEqual(
            lines,
            [
                "warn f:1: ui: a warning",
                "warn storage.directory: takes a restart; until then the old value stays",
                "info the configuration was reloaded; changed: ui.title",
            ],
        )
        self.assertEqual((self.reloader.loaded, self.reloader.last_error), (1005, None))

    def test_told(self) -> None:
        """Who wants to know is told of each reload, and once when all of them are done."""
        self.start()
        for wrong in ([], ["f:1: uj: unknown key"]):
            self.steps.wrong = wrong
            self.told.clear()
            self.reloader.ask_and_forget()
            self.reloader.ask_and_forget()
            self.assertEqual(self.told, ["asked", "asked"])
            self.pool.work()
            self.assertEqual(self.told, ["asked", "asked"], "the second one is still due")
            self.pool.work()
            self.assertEqual(self.told, ["asked", "asked", "done"])

    def test_wrong(self) -> None:
        """What is wrong changes nothing, and each of its errors is a line; then a right one is."""
        self.start()
        self.steps.wrong = ["f:1: uj: unknown key", "f:2: x: missing"]
        asked = self.reloader.ask()
        lines = self.lines(self.pool.work)
        self.assertEqual(
            self.failureResultOf(asked, WrongConfigurationError).value.lines, self.steps.wrong
        )
        self.assertEqual(lines[:2], [f"error {each}" for each in self.steps.wrong])
        self.assertEqual(self.steps.applied, [])
        self.assertEqual(self.reloader.last_error, (1000, self.steps.wrong))
        self.assertEqual(self.reloader.loaded, 1000)
        self.steps.wrong = []
        self.reloader.ask_and_forget()
        self.pool.work()
        self.assertEqual(self.steps.applied, ["first"])
        self.assertIsNone(self.reloader.last_error)

    def test_fault(self) -> None:
        """A fault of the program keeps the old one in force, and the next reload is done."""
        self.start()
        self.steps.fault = RuntimeError("unforeseen")
        asked = self.reloader.ask()
        self.pool.work()
        self.failureResultOf(asked, WrongConfigurationError)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.steps.fault = None
        again = self.reloader.ask()
        self.pool.work()
        self.successResultOf(again)

    def test_serialised(self) -> None:
        """Who asks while a file is being checked gets what is read after that."""
        self.start()
        first = self.reloader.ask()
        later = [self.reloader.ask(), self.reloader.ask()]
        self.assertEqual(len(self.pool.waiting), 1)
        self.pool.work()
        self.successResultOf(first)
        self.steps.text = "last"
        for each in later:
            self.assertNoResult(each)
        self.pool.work()
        for each in later:
            self.successResultOf(each)
        self.assertEqual(self.steps.applied, ["first", "last"])
        self.assertEqual(self.pool.waiting, [])

    def test_asker_leaves(self) -> None:
        """Who asked and left keeps nobody from the configuration."""
        self.start()
        asked = self.reloader.ask()
        asked.addErrback(lambda failure: None)
        asked.cancel()
        self.pool.work()
        self.assertEqual(self.steps.applied, ["first"])

    def test_before_start(self) -> None:
        """What is asked for before the daemon has started is done then."""
        self.reloader.ask_and_forget()
        self.assertEqual(self.pool.waiting, [])
        self.start()
        self.pool.work()
        self.assertEqual(self.steps.applied, ["first"])

    def test_draining(self) -> None:
        """A daemon that is stopping reads nothing, and drops what it was reading."""
        self.start()
        before = self.reloader.ask()
        self.steps.closing = True
        after = self.reloader.ask()
        self.failureResultOf(after, ReloadRefusedError)
        self.pool.work()
        self.failureResultOf(before, ReloadRefusedError)
        self.assertEqual(self.steps.applied, [])

    def test_stopped(self) -> None:
        """Who waits when it stops is refused."""
        self.start()
        first, second = self.reloader.ask(), self.reloader.ask()
        self.reloader.stopService()
        self.failureResultOf(second, ReloadRefusedError)
        self.pool.work()
        self.failureResultOf(first, ReloadRefusedError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_replaced(self) -> None:
        """Another file in its place is read without being asked for, once."""
        self.start()
        self.file.identity = (1, 2)
        self.clock.advance(INTERVAL)
        self.pool.work()
        self.pool.work()
        self.assertEqual(self.steps.applied, ["first"])
        for _ in range(3):
            self.clock.advance(INTERVAL)
            self.pool.work()
        self.assertEqual(self.steps.applied, ["first"])

    def test_replaced_meanwhile(self) -> None:
        """A file that was replaced before anybody looked at it is read at the start."""
        self.file.identity = (1, 2)
        self.start()
        self.pool.work()
        self.assertEqual(self.steps.applied, ["first"])
