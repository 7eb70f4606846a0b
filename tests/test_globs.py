"""Tests for regcache.globs."""

from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regcache.globs import glob_matches

TEXT = st.text("ab/", max_size=12)


class GlobTests(SynchronousTestCase):
    """Tests for :func:`glob_matches`."""

    def test_table(self) -> None:
        """Stars stand for anything, slashes too; a question mark for one character."""
        for pattern, text, expected in [
            ("*", "library/alpine", True),
            ("library/*", "library/alpine", True),
            ("library/*", "org/library/alpine", False),
            ("*-rc*", "1.0-rc1", True),
            ("1.?", "1.2", True),
            ("1.?", "1.22", False),
            ("", "a", False),
            ("a", "a", True),
            ("a*a", "a", False),
        ]:
            self.assertEqual(glob_matches(pattern, text), expected, (pattern, text))

    @given(st.text("ab/*?", max_size=8), TEXT)
    def test_same_as_the_library(self, pattern: str, text: str) -> None:
        """It agrees with the standard library's matcher on every pattern without brackets."""
        self.assertEqual(glob_matches(pattern, text), fnmatchcase(text, pattern))
