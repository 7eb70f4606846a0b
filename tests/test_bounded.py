"""Tables in memory that are keyed by what the network says."""

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
