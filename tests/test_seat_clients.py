"""The seats in force, as guides for clients need them."""

from regcache.admin.api.call_problems import InvalidProblem, NotSetProblem, UnknownSeatProblem
from regcache.client_setup.seat_guide import SeatClient
from regcache.seat_clients import find_seat_client
from regcache.watched_file import INTERVAL
from tests.test_in_force import InForceCase
from tests.test_seat_access import LABEL, SeatDaemonCase, seats_text


class SeatClientTests(SeatDaemonCase):
    """A file with one seat."""

    def find(self, name: str = "alice") -> SeatClient:
        """What it can show now."""
        return find_seat_client(self.current, self.network.seconds(), name)

    def test_found(self) -> None:
        """What stands in the file by now."""
        self.assertEqual(self.find(), SeatClient(LABEL, has_link=True))
        self.write(seats_text(upstreams="[old.test]", certificates=f'["sha256:{"1" * 64}"]'))
        self.network.advance(INTERVAL)
        wanted = SeatClient(LABEL, has_certificate=True, has_link=True, upstreams=("old.test",))
        self.assertEqual(self.find(), wanted)

    def test_nobody(self) -> None:
        """Who is no seat, or is one no more, has nothing to show; it is said what to type."""
        self.assertRaises(UnknownSeatProblem, self.find, "bob")
        self.write(seats_text(ended="2020-11-30T10:00:00Z"))
        self.network.advance(INTERVAL)
        problem = self.assertRaises(InvalidProblem, self.find)
        self.assertIn("seat change alice --reopen", str(problem))


class NoSeatsTests(InForceCase):
    """A configuration without a file of seats."""

    def test_not_set(self) -> None:
        """It is said which key is to be set."""
        self.start(self.build("urls: ['http://old.test']"))
        problem = self.assertRaises(NotSetProblem, find_seat_client, self.current, 0.0, "alice")
        self.assertEqual(problem.params, {"key": "access.seats"})
