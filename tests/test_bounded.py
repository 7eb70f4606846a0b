"""Tables in memory that are keyed by what the network says."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.bounded import BoundedTable


class BoundedTableTests(SynchronousTestCase):
    """The table forgets what was not used for longest."""

    def test_entries(self) -> None:
        """Without weights the number of entries is bounded."""
        table: BoundedTable[int, str] = BoundedTable(3)
        for number in range(1000):
            table.put(number, "x")
        self.assertEqual((len(table), table.weight), (3, 3))
        self.assertEqual([table.get(number) for number in (996, 997, 999)], [None, "x", "x"])

    def test_weights(self) -> None:
        """With weights their sum is bounded, and a heavy value pushes several out."""
        table: BoundedTable[str, str] = BoundedTable(10)
        for name in "abc":
            table.put(name, name, 3)
        table.put("d", "d", 6)
        self.assertEqual([table.get(name) for name in "abcd"], [None, None, "c", "d"])
        self.assertEqual(table.weight, 9)

    def test_use_keeps(self) -> None:
        """What was read just now is forgotten last."""
        table: BoundedTable[str, int] = BoundedTable(2)
        table.put("a", 1)
        table.put("b", 2)
        table.get("a")
        table.put("c", 3)
        self.assertEqual([table.get(name) for name in "abc"], [1, None, 3])

    def test_replaced(self) -> None:
        """A value set again counts once."""
        table: BoundedTable[str, int] = BoundedTable(5)
        table.put("a", 1, 5)
        table.put("a", 2, 4)
        self.assertEqual((table.get("a"), table.weight), (2, 4))

    def test_too_heavy(self) -> None:
        """What is heavier than the table is not kept, nor is what it would have replaced."""
        table: BoundedTable[str, int] = BoundedTable(5)
        table.put("a", 1)
        table.put("b", 2)
        table.put("a", 3, 6)
        self.assertEqual((table.get("a"), table.get("b"), table.weight), (None, 2, 1))

    def test_drop(self) -> None:
        """A dropped value weighs nothing; to drop what is not there does nothing."""
        table: BoundedTable[str, int] = BoundedTable(5)
        table.put("a", 1, 5)
        table.drop("a")
        table.drop("a")
        self.assertEqual((len(table), table.weight), (0, 0))

    def test_clear(self) -> None:
        """A table that was cleared has all of its room again."""
        table: BoundedTable[str, int] = BoundedTable(5)
        table.put("a", 1, 5)
        table.clear()
        table.put("b", 2, 5)
        self.assertEqual((table.get("a"), table.get("b"), table.weight), (None, 2, 5))

    def test_what_had_to_go(self) -> None:
        """Who sets a value learns what had to go for it, be it the value itself."""
        table: BoundedTable[str, int] = BoundedTable(2)
        gone = [table.put("a", 1), table.put("b", 2), table.put("c", 3, 2), table.put("d", 4, 3)]
        self.assertEqual([list(each) for each in gone], [[], [], [1, 2], [4]])


class ExpiryTests(SynchronousTestCase):
    """Values that are kept for some time."""

    def setUp(self) -> None:
        """A table with one value that is kept for ten seconds."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.table: BoundedTable[str, int] = BoundedTable(5, self.clock)
        self.table.put("a", 1, 2, seconds=10)

    def test_its_time(self) -> None:
        """A value is there for its time, and then weighs nothing."""
        self.clock.advance(9.9)
        self.assertEqual(self.table.get("a"), 1)
        self.clock.advance(0.1)
        self.assertIsNone(self.table.get("a"))
        self.assertEqual((len(self.table), self.table.weight), (0, 0))

    def test_use_does_not_prolong(self) -> None:
        """That a value is used does not give it more time; that it is set again does."""
        self.clock.advance(6)
        self.table.get("a")
        self.table.put("b", 2, seconds=10)
        self.clock.advance(6)
        self.assertEqual([self.table.get(name) for name in "ab"], [None, 2])

    def test_clock_set_back(self) -> None:
        """What was set at a time that is yet to come is not kept."""
        self.clock.rightNow -= 1
        self.assertIsNone(self.table.get("a"))

    def test_without_end(self) -> None:
        """A value that was set without an end stays."""
        self.table.put("b", 2)
        self.clock.advance(1e9)
        self.assertEqual(self.table.get("b"), 2)

    def test_overfilled(self) -> None:
        """Values whose time is not over make room as all others do."""
        for number in range(1000):
            self.table.put(str(number), number, seconds=1e6)
        self.assertEqual((len(self.table), self.table.weight), (5, 5))
