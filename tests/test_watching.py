"""Password files that are replaced while the daemon runs."""

from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from regcache.upstream.credentials import FileCredentials
from regcache.watching import INTERVAL, PasswordWatcher
from tests.support.pools import HeldPool, ImmediatePool


class WatcherTests(SynchronousTestCase):
    """Looking at files by the clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.files = [Path(self.mktemp()), Path(self.mktemp())]
        self.credentials = [FileCredentials("me", str(path)) for path in self.files]
        for path, each in zip(self.files, self.credentials, strict=True):
            path.write_text("old\n")
            each.load()
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def passwords(self) -> list[str]:
        """The passwords in use."""
        return [each()[1] for each in self.credentials]  # type: ignore[index]

    def log(self) -> list[str]:
        """What the watcher said."""
        return [
            event["log_format"].format(**event)
            for event in self.events
            if event["log_namespace"].startswith("regcache.watching")
        ]

    def watch(self) -> PasswordWatcher:
        """A watcher that runs."""
        watcher = PasswordWatcher(self.credentials, ImmediatePool(), self.clock)
        watcher.startService()
        self.addCleanup(watcher.stopService)
        return watcher

    def test_replaced(self) -> None:
        """A new password is in use after one look, with a line that does not show it."""
        self.watch()
        self.files[1].write_text("geheim")
        self.clock.advance(INTERVAL - 1)
        self.assertEqual(self.passwords(), ["old", "old"])
        self.clock.advance(1)
        self.assertEqual(self.passwords(), ["old", "geheim"])
        self.assertEqual(self.log(), [f"{self.files[1]} was changed and is in use"])
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.log()), 1)

    def test_unreadable(self) -> None:
        """A file that cannot be read keeps the last password, and none of it is logged."""
        self.watch()
        self.files[0].unlink()
        self.files[1].write_bytes(b"\xffgeheim")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.passwords(), ["old", "old"])
        first, second = self.log()
        self.assertIn(f"{self.files[0]}: the password cannot be read", first)
        self.assertIn("No such file", first)
        self.assertIn("it is not UTF-8", second)
        self.assertNotIn("geheim", first + second)
        self.assertNotIn("xff", second)
        self.files[1].write_text("new")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.passwords(), ["old", "new"])

    def test_stopped(self) -> None:
        """After a stop nothing is read, and no timer runs."""
        watcher = PasswordWatcher(self.credentials, ImmediatePool(), self.clock)
        watcher.startService()
        watcher.stopService()
        watcher.stopService()
        self.files[0].write_text("new")
        self.clock.advance(INTERVAL * 2)
        self.assertEqual(self.passwords(), ["old", "old"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_while_it_looks(self) -> None:
        """A stop in the middle of a look begins no further read: the pool stops next."""
        pool = HeldPool()
        watcher = PasswordWatcher(self.credentials, pool, self.clock)
        watcher.startService()
        self.clock.advance(INTERVAL)
        watcher.stopService()
        pool.release()
        self.assertEqual(pool.jobs, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
