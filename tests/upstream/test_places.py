"""Tests for regcache.upstream.places."""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from regcache.upstream.places import CrowdedError, ExchangePlaces, Place


class PlacesTests(SynchronousTestCase):
    """ExchangePlaces that are waited for."""

    def test_order_and_cancelling(self) -> None:
        """Places go to callers in order; one that gives up costs the others nothing."""
        places = ExchangePlaces(1)
        self.successResultOf(places.acquire(0))
        second, third = places.acquire(0), places.acquire(0)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertNoResult(third)
        places.release()
        self.successResultOf(third)
        places.release()
        self.assertEqual(places.free, 1)

    def test_what_was_waited_in_vain(self) -> None:
        """Who gets a place is told for how long the one before got no answer."""
        places = ExchangePlaces(1)
        self.assertEqual(self.successResultOf(places.acquire(0)), 0)
        second, third = places.acquire(1), places.acquire(2)
        places.release(20)
        self.assertEqual(self.successResultOf(second), 20)
        places.release()
        self.assertEqual(self.successResultOf(third), 0)

    def test_dismissing(self) -> None:
        """Who has waited for so long already is sent away; who came later waits on."""
        places = ExchangePlaces(0)
        early, late = [places.acquire(each) for each in (0, 5)], places.acquire(5.5)
        places.dismiss(5, ValueError)
        for each in early:
            self.failureResultOf(each, ValueError)
        self.assertNoResult(late)
        places.release()
        self.successResultOf(late)

    def test_bound(self) -> None:
        """No more than so many wait; who gives up makes room for another."""
        places = ExchangePlaces(0, most_waiting=3)
        waiting = [places.acquire(0) for _ in range(3)]
        self.failureResultOf(places.acquire(0), CrowdedError)
        waiting[1].cancel()
        self.failureResultOf(waiting[1], CancelledError)
        self.assertNoResult(places.acquire(0))
        self.failureResultOf(places.acquire(0), CrowdedError)


class PlaceTests(SynchronousTestCase):
    """One place that somebody has."""

    def test_given_back_once(self) -> None:
        """A second time changes nothing."""
        places = ExchangePlaces(1)
        places.take()
        place = Place(places)
        place.give_back()
        place.give_back()
        self.assertEqual(places.free, 1)

    def test_moved(self) -> None:
        """The old place is free as soon as the new one is taken, and the new one at the end."""
        old, new = ExchangePlaces(1), ExchangePlaces(1)
        old.take()
        place = Place(old)
        waiting = old.acquire(0)
        self.assertTrue(place.move(new))
        self.assertTrue(place.move(new))
        self.successResultOf(waiting)
        self.assertEqual(new.free, 0)
        place.give_back()
        self.assertEqual((old.free, new.free), (0, 1))
        self.assertTrue(place.move(new))
        self.assertEqual(new.free, 1)

    def test_nowhere_to_move(self) -> None:
        """Where no other place is free the old one is kept."""
        old, new = ExchangePlaces(1), ExchangePlaces(0)
        old.take()
        place = Place(old)
        self.assertFalse(place.move(new))
        self.assertEqual(old.free, 0)
        place.give_back()
        self.assertEqual(old.free, 1)
