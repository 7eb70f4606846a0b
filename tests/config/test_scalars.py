"""Tests for regcache.config.scalars: sizes, durations, schedules, globs."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regcache.config import scalars
from regcache.config.document import Node
from regcache.config.problems import Problems
from regcache.config.reading import INVALID, Context
from regcache.config.scalars import HSTS_DEFAULT
from regcache.config.value_types import Nullable, ValueType
from regcache.config.values import Cron, Size
from regcache.facts import Percentage

KINDS = {str: "text", int: "number", bool: "boolean", type(None): "null", float: "fraction"}


def read(reader: ValueType[Any], value: object) -> Any:
    """What a reader makes of a value; INVALID where it objects."""
    node = Node(KINDS[type(value)], value, 1, ("k",), raw=str(value))  # type: ignore[arg-type]
    return reader.read(node, Context(Problems("f"), {}, "/"))


class DurationTests(SynchronousTestCase):
    """Tests for :func:`duration`."""

    def test_table(self) -> None:
        """Durations are numbers with units, 0 needs none, everything else is refused."""
        table: dict[object, object] = {
            "500ms": 0.5,
            "2s": 2.0,
            "10m": 600.0,
            "1h": 3600.0,
            "30d": 2592000.0,
            "2w": 1209600.0,
            "1h30m": 5400.0,
            "0.5h": 1800.0,
            "0": INVALID,
            "0s": 0.0,
            0: 0.0,
            10: INVALID,
            1.5: INVALID,
            True: INVALID,
            None: INVALID,
            "10": INVALID,
            "10 m": INVALID,
            "-1s": INVALID,
            "1y": INVALID,
            "1M": INVALID,
            "": INVALID,
            "1e3s": INVALID,
            "4000d": INVALID,
            "9" * 400 + "s": INVALID,
        }
        for value, expected in table.items():
            self.assertEqual(read(scalars.duration(), value), expected, value)

    def test_bounds(self) -> None:
        """A duration outside its bounds is refused."""
        reader = Nullable(scalars.duration(1.0, 60.0))
        self.assertEqual(
            [read(reader, x) for x in ("999ms", "1s", "60s", "61s", None)],
            [INVALID, 1.0, 60.0, INVALID, None],
        )

    @given(st.integers(0, 10**11))
    def test_written_as_read(self, milliseconds: int) -> None:
        """Every duration is written in a form that reads back as the same."""
        seconds = milliseconds / 1000
        self.assertEqual(read(scalars.duration(), scalars.format_duration(seconds)), seconds)


class SizeTests(SynchronousTestCase):
    """Tests for :func:`size`."""

    def test_table(self) -> None:
        """Sizes are numbers with units; shares only where they make sense."""
        table: dict[object, object] = {
            "50GiB": 50 * 1024**3,
            "1.5KiB": 1536,
            "10GB": 10**10,
            "1kB": 1000,
            "512 MiB": 512 * 1024**2,
            "7B": 7,
            "80%": Percentage(80.0),
            "12.5%": Percentage(12.5),
            "0%": INVALID,
            "101%": INVALID,
            0: INVALID,
            50: INVALID,
            "50": INVALID,
            "50G": INVALID,
            "50gib": INVALID,
            "-1GiB": INVALID,
            "5000PiB": INVALID,
            True: INVALID,
        }
        for value, expected in table.items():
            self.assertEqual(read(scalars.size_or_share(), value), expected, value)
        self.assertIs(read(scalars.size(), "80%"), INVALID)
        self.assertEqual(read(scalars.size(), 0), 0)

    def test_share(self) -> None:
        """A percentage of a total is rounded down."""
        self.assertEqual(Percentage(12.5).of(1001), 125)

    @given(
        st.one_of(st.integers(0, 2**60), st.integers(1, 10**4).map(lambda x: Percentage(x / 100)))
    )
    def test_written_as_read(self, value: Size) -> None:
        """Every size is written in a form that reads back as the same."""
        kind: Any = scalars.size_or_share() if value else scalars.size()
        self.assertEqual(read(kind, scalars.format_size(value)), value)


class ScheduleTests(SynchronousTestCase):
    """Tests for cron lines."""

    def test_cron(self) -> None:
        """A cron line has five fields and comes at some time."""
        self.assertEqual(read(scalars.cron(), "0  4 */2 * *"), Cron("0 4 */2 * *"))
        bad = ["", "0 4 * *", "0 0 4 * * *", "61 * * * *", "0 0 30 2 *", "a b c d e", "@daily"]
        bad += ["9" * 5000 + " * * * *", "0 0 1/L * *", "*/0 * * * *", "0 0 * * " + "1," * 90]
        for line in bad:
            self.assertIs(read(scalars.cron(), line), INVALID, line)

    def test_schedule(self) -> None:
        """A schedule is a duration or a cron line."""
        reader = scalars.schedule(1.0, 60.0)
        self.assertEqual(read(reader, "30s"), 30.0)
        self.assertEqual(read(reader, "0 4 * * *"), Cron("0 4 * * *"))
        self.assertEqual([read(reader, x) for x in ("2h", "x y", 5)], [INVALID] * 3)

    @given(st.text("0123456789*/,-#L WSUN", max_size=40))
    def test_any_line_is_answered(self, line: str) -> None:
        """No text makes the cron parser fail in an unforeseen way."""
        result = read(scalars.cron(), line)
        self.assertTrue(result is INVALID or isinstance(result, Cron))


class OtherTests(SynchronousTestCase):
    """Tests for the remaining readers."""

    def test_booleans_and_numbers_do_not_mix(self) -> None:
        """A number is no boolean, a boolean no number, and texts are neither."""
        for value in (1, 0, "true", None):
            self.assertIs(read(scalars.boolean(), value), INVALID)
        for value in (True, False, "5", 1.5, None, 0, 11):
            self.assertIs(read(scalars.whole_number(1, 10), value), INVALID)
        self.assertEqual(read(scalars.whole_number(1, 10), 10), 10)

    def test_text(self) -> None:
        """Text is neither empty nor a number, and holds no control characters."""
        for value in ("", "  ", 5, True, "a\nb", "a\x00", "\ud800", "x" * 2000):
            self.assertIs(read(scalars.text(), value), INVALID)

    def test_choice(self) -> None:
        """A choice takes its words only."""
        reader = scalars.choice("gone", "stale")
        self.assertEqual(
            [read(reader, x) for x in ("gone", "Gone", 1, None)], ["gone"] + [INVALID] * 3
        )

    def test_glob(self) -> None:
        """Globs know * and ? and nothing else."""
        for value in ("*", "library/*", "a?b", "v1.*-RC_2"):
            self.assertEqual(read(scalars.glob(), value), value)
        for value in ("", "[a]", "a b", "a{b}", "!x", 5):
            self.assertIs(read(scalars.glob(), value), INVALID)

    def test_hsts(self) -> None:
        """HSTS is a switch or a header value with max-age."""
        table = {
            True: HSTS_DEFAULT,
            False: None,
            None: None,
            "max-age=60; preload": "max-age=60; preload",
        }
        for value, expected in table.items():
            self.assertEqual(read(scalars.hsts(), value), expected)
        for value in ("includeSubDomains", 60, "max-age=1; é", "max-age=1\r\nX: y"):
            self.assertIs(read(scalars.hsts(), value), INVALID)
