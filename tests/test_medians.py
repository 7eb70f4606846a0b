"""Medians of what is only counted."""

from statistics import median as median_of

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regcache.medians import BOUNDS, added_up, median, place_of


class MedianTests(SynchronousTestCase):
    """They are right to a quarter."""

    @given(
        st.lists(st.floats(0.0002, BOUNDS[-1]), min_size=1, max_size=41).filter(
            lambda x: len(x) % 2
        )
    )
    def test_median(self, durations: list[float]) -> None:
        """However many there are, counted apart and added up."""
        places = added_up({place_of(each): 1} for each in durations)
        found = median(places)
        assert found is not None
        self.assertTrue(median_of(durations) <= found <= median_of(durations) * 1.2501)

    def test_bounds(self) -> None:
        """Without any there is none; what is longer than all bounds is the last of them."""
        self.assertIsNone(median({}))
        self.assertEqual(median({place_of(1e9): 1}), BOUNDS[-1])
