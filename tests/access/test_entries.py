"""The table of entries with an end."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.entries import Entries
from regcache.access.sessions import LIMITS, Sessions


class EntriesTests(SynchronousTestCase):
    """Each word of the table."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.entries = Entries(self.clock, {"a": 3, "b": 3})

    def test_put_if_absent(self) -> None:
        """The first one stays until its end."""
        self.assertTrue(self.entries.put_if_absent("a", "x", 1, seconds=10))
        self.assertFalse(self.entries.put_if_absent("a", "x", 2, seconds=10))
        self.assertEqual(self.entries.get("a", "x"), 1)
        self.clock.advance(10)
        self.assertIsNone(self.entries.get("a", "x"))
        self.assertTrue(self.entries.put_if_absent("a", "x", 2, seconds=10))

    def test_remove(self) -> None:
        """One alone gets what is removed."""
        self.entries.put_if_absent("a", "x", 1, seconds=10)
        self.assertEqual([self.entries.remove("a", "x") for _ in range(2)], [1, None])

    def test_add(self) -> None:
        """Numbers add up until nobody added for so long."""
        self.assertEqual([self.entries.add("a", "x", 2, seconds=5) for _ in range(3)], [2, 4, 6])
        self.clock.advance(5)
        self.assertEqual(self.entries.add("a", "x", 1, seconds=5), 1)

    def test_bounds(self) -> None:
        """A kind that overflows loses what was not used for longest, and no other kind does."""
        self.entries.put_if_absent("b", "x", 0, seconds=10)
        for number in range(100):
            self.entries.add("a", str(number), 1, seconds=10)
            self.entries.get("a", "0")
        self.assertEqual(len(self.entries.values("a")), 3)
        self.assertEqual(self.entries.get("a", "0"), 1)
        self.assertEqual(self.entries.get("b", "x"), 0)

    def test_remove_where(self) -> None:
        """Several go by their value."""
        for number in range(3):
            self.entries.put_if_absent("a", str(number), number, seconds=10)
        self.entries.remove_where("a", lambda value: value > 0)
        self.assertEqual(self.entries.values("a"), [0])


class SessionTableTests(SynchronousTestCase):
    """What is kept of sessions."""

    def test_hashed(self) -> None:
        """No token is kept as it is."""
        clock = Clock()
        entries = Entries(clock, LIMITS)
        sessions = Sessions(entries, clock)
        token, _ = sessions.begin("alice", "mark")
        link, _ = sessions.make_link()
        kept = repr([vars(table) for table in entries._tables.values()])
        self.assertNotIn(token, kept)
        self.assertNotIn(link, kept)
        self.assertIsNotNone(sessions.find(token))

    def test_links(self) -> None:
        """Many links push out old ones, and no session."""
        clock = Clock()
        sessions = Sessions(Entries(clock, LIMITS), clock)
        token, _ = sessions.begin("alice", "mark")
        links = [sessions.make_link()[0] for _ in range(500)]
        self.assertIsNotNone(sessions.find(token))
        self.assertEqual(sum(sessions.take_link(link) for link in links), LIMITS["link"])
