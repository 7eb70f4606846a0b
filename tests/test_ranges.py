"""Byte ranges."""

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from regcache.ranges import (
    MOST_RANGES,
    RangeSpec,
    UnsatisfiableRangeError,
    parse_range,
    resolve_ranges,
)


class ParseTests(SynchronousTestCase):
    """The Range header."""

    def test_valid(self) -> None:
        """The three forms, lists of them, and what white space RFC 9110 lets be there."""
        for header, specs in (
            ("bytes=0-0", [(0, 0)]),
            ("bytes=5-", [(5, None)]),
            ("bytes=-5", [(None, 5)]),
            ("BYTES=0-1", [(0, 1)]),
            (" bytes=0-1 ", [(0, 1)]),
            ("bytes=0-1,5-6", [(0, 1), (5, 6)]),
            ("bytes=0-1 , ,\t-6,", [(0, 1), (None, 6)]),
            ("bytes=0-18446744073709551615", [(0, 2**64 - 1)]),
        ):
            self.assertEqual(parse_range(header), [RangeSpec(*spec) for spec in specs], header)

    def test_ignored(self) -> None:
        """What cannot be understood counts as no range at all, and nothing of it is taken."""
        for header in (
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=2-1",
            "bytes=0-1,x",
            "bytes=0-1;5-6",
            "bytes=0--1",
            "bytes=+0-1",
            "bytes=0x0-0x1",
            "bytes=\u0661-\u0662",
            "bytes=\xb2-",
            "bytes=0-\xb9",
            "bytes=0-1\xa0",
            "bytes=\x850-1",
            "bytes\xa0=0-1",
            "bytes=0-" + "9" * 5000,
            "items=0-1",
            "bytes 0-1",
            "bytes=" + ",".join("0-0" for _ in range(MOST_RANGES + 1)),
        ):
            self.assertEqual(parse_range(header), [], header)

    @given(some.text())
    def test_any_text(self, text: str) -> None:
        """No header raises anything."""
        parse_range(text)
        parse_range("bytes=" + text)


class ResolveTests(SynchronousTestCase):
    """Ranges of content whose size is known."""

    def test_intervals(self) -> None:
        """Ends are clamped, suffixes count from the end, and the order is kept."""
        for header, size, intervals in (
            ("bytes=0-0", 10, [(0, 1)]),
            ("bytes=0-9", 10, [(0, 10)]),
            ("bytes=5-99", 10, [(5, 10)]),
            ("bytes=5-", 10, [(5, 10)]),
            ("bytes=-3", 10, [(7, 10)]),
            ("bytes=-99", 10, [(0, 10)]),
            ("bytes=8-9,0-1", 10, [(8, 10), (0, 2)]),
            ("bytes=0-1,50-60", 10, [(0, 2)]),
        ):
            self.assertEqual(resolve_ranges(parse_range(header), size), intervals, header)

    def test_more_than_the_content(self) -> None:
        """Ranges that overlap so that they are more than the content stand for all of it."""
        self.assertEqual(resolve_ranges(parse_range("bytes=0-,0-,0-"), 10), [])
        self.assertEqual(resolve_ranges(parse_range("bytes=0-5,4-9"), 10), [])

    def test_unsatisfiable(self) -> None:
        """Ranges of which none touches the content are an error."""
        for header, size in (
            ("bytes=10-", 10),
            ("bytes=10-11,99-", 10),
            ("bytes=-0", 10),
            ("bytes=0-", 0),
            ("bytes=-1", 0),
        ):
            self.assertRaises(UnsatisfiableRangeError, resolve_ranges, parse_range(header), size)

    @given(
        some.lists(some.tuples(some.integers(0, 60), some.integers(0, 60)), min_size=1, max_size=5),
        some.integers(1, 50),
    )
    def test_within(self, pairs: list[tuple[int, int]], size: int) -> None:
        """Every interval lies within the content, and together they are no more than it."""
        header = "bytes=" + ",".join(f"{min(pair)}-{max(pair)}" for pair in pairs)
        try:
            found = resolve_ranges(parse_range(header), size)
        except UnsatisfiableRangeError:
            self.assertTrue(all(min(pair) >= size for pair in pairs))
            return
        self.assertTrue(all(0 <= start < end <= size for start, end in found))
        self.assertLessEqual(sum(end - start for start, end in found), size)
