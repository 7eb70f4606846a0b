"""Refusals that are not in the file of the index yet."""

from regcache.facts import Verdict
from regcache.store import index_file, index_opening, refusals
from regcache.store.index_file import IndexWriteError
from regcache.store.index_writes import RETRY
from tests.store.test_index_lock import OtherProgram
from tests.support.index_cases import SqliteIndexCase, manifest_of, repository_of

HERE = repository_of("library/here")
THERE = repository_of("library/there")


class RefusalsCase(SqliteIndexCase):
    """An index that knows two repositories as open, and one as public."""

    def setUp(self) -> None:
        self.patch(index_opening, "BUSY_WAIT", 0.0)
        super().setUp()
        for name in ("library/here", "library/there"):
            self.manifest(manifest_of(name=name), repository=name)
        self.successResultOf(self.index.record_verdict(HERE, True, 10.0))

    def lock(self) -> OtherProgram:
        """Another program locks the file."""
        other = OtherProgram(self.path)
        self.addCleanup(other.close)
        other.lock()
        return other

    @property
    def unwritten(self) -> int:
        """How many refusals are remembered."""
        return len(self.index._refusals)

    def verdict(self) -> Verdict | None:
        """The one of the first repository."""
        found: Verdict | None = self.successResultOf(self.index.verdict(HERE))
        return found

    def closed(self) -> float | None:
        """Since when the first repository is closed."""
        found: float | None = self.successResultOf(self.index.closed_since(HERE))
        return found


class LockedTests(RefusalsCase):
    """While another program locks the file."""

    def setUp(self) -> None:
        super().setUp()
        self.other = self.lock()

    def end(self) -> None:
        """End the lock, and let what waits be written."""
        self.other.end()
        self.clock.advance(RETRY)

    def test_private(self) -> None:
        """A verdict that narrows a right counts at once, and is in the file later."""
        self.successResultOf(self.index.record_verdict(HERE, False, 20.0))
        self.assertEqual(self.verdict(), Verdict(False, 20.0))
        self.end()
        self.assertEqual((self.verdict(), self.unwritten), (Verdict(False, 20.0), 0))

    def test_private_again(self) -> None:
        """Of two, the later one is remembered until it is in the file itself."""
        for when in (20.0, 30.0):
            self.successResultOf(self.index.record_verdict(HERE, False, when))
        self.assertEqual((self.verdict(), self.unwritten), (Verdict(False, 30.0), 1))
        self.end()
        self.assertEqual((self.verdict(), self.unwritten), (Verdict(False, 30.0), 0))

    def test_public_again(self) -> None:
        """What is found public after that is remembered as private no longer."""
        for when, public in ((20.0, False), (30.0, True)):
            self.successResultOf(self.index.record_verdict(HERE, public, when))
        self.assertEqual(self.unwritten, 0)
        self.end()
        self.assertEqual(self.verdict(), Verdict(True, 30.0))

    def test_closed(self) -> None:
        """A repository is closed at once, and in the file later."""
        self.successResultOf(self.index.record_closed(HERE, 20.0))
        self.assertEqual(self.closed(), 20.0)
        self.end()
        self.assertEqual((self.closed(), self.unwritten), (20.0, 0))

    def test_opened(self) -> None:
        """What is given again is remembered as closed no longer."""
        for since in (20.0, None):
            self.successResultOf(self.index.record_closed(HERE, since))
        self.assertEqual((self.closed(), self.unwritten), (None, 0))
        self.end()
        self.assertIsNone(self.closed())

    def test_too_many_private(self) -> None:
        """Where one is not remembered, no public verdict from before counts, and later ones do."""
        self.patch(refusals, "MOST_UNWRITTEN", 1)
        self.successResultOf(self.index.record_verdict(THERE, False, 20.0))
        self.assertEqual(self.verdict(), Verdict(True, 10.0))
        self.successResultOf(self.index.record_verdict(HERE, False, 30.0))
        self.assertEqual((self.verdict(), self.unwritten), (None, 1))
        self.successResultOf(self.index.record_verdict(HERE, True, 40.0))
        self.assertIsNone(self.verdict())
        self.end()
        self.assertEqual(self.verdict(), Verdict(True, 40.0))

    def test_too_many_closed(self) -> None:
        """Where one is not remembered, none is known to be open until the file has it."""
        self.patch(refusals, "MOST_UNWRITTEN", 1)
        self.successResultOf(self.index.record_closed(THERE, 20.0))
        self.assertIsNone(self.closed())
        self.successResultOf(self.index.record_closed(HERE, 30.0))
        self.assertEqual((self.closed(), self.unwritten), (30.0, 1))
        for since in (40.0, None):
            self.successResultOf(self.index.record_closed(HERE, since))
        self.assertEqual(self.closed(), 40.0)
        self.end()
        self.assertEqual((self.closed(), self.unwritten), (None, 0))


class UnwritableTests(RefusalsCase):
    """Where the file takes no changes."""

    def setUp(self) -> None:
        super().setUp()

        def fail(connection: object, operations: object) -> None:
            raise index_file.sqlite3.OperationalError("cannot be written")

        self.patch(index_file, "_in_transaction", fail)

    def test_both(self) -> None:
        """What was refused stays refused."""
        for done in (
            self.index.record_verdict(HERE, False, 20.0),
            self.index.record_closed(HERE, 20.0),
        ):
            self.failureResultOf(done, IndexWriteError)
        self.assertEqual((self.verdict(), self.closed()), (Verdict(False, 20.0), 20.0))
