"""Tables of terminals of any width."""

import os
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.printer import Printer
from tests.ctl.cases import Terminal

COLUMNS = ("what", "size", "why")
LONG = "docker.io/library/nginx@sha256:" + "3a" * 32
ROWS = [(LONG, "4.2 KiB", "First time asked for."), ("short", "?", "")]


class TableTests(SynchronousTestCase):
    """The same rows."""

    def printed(self, width: int) -> list[str]:
        """The lines of a terminal that is so wide, without what steers it."""
        terminal = Terminal(True)
        wide = {"COLUMNS": str(width), "TERM": "dumb"}
        with mock.patch.dict(os.environ, wide):
            Printer(False, terminal).table(COLUMNS, ROWS)
        return terminal.getvalue().splitlines()

    def test_wide(self) -> None:
        """There is room: a line for each row."""
        lines = self.printed(140)
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[0].split(), list(COLUMNS))

    def test_folded(self) -> None:
        """What is long is folded, and short words stay whole."""
        lines = self.printed(60)
        self.assertEqual(lines[0].split(), list(COLUMNS))
        self.assertTrue(any("4.2 KiB" in each for each in lines), lines)
        self.assertLessEqual(max(map(len, lines)), 60)

    def test_narrow(self) -> None:
        """Where columns have no room each row is lines of names and values, and none is lost."""
        lines = self.printed(36)
        self.assertEqual([each.split(" ")[0] for each in lines if each[:1].strip()], [
            "what", "size", "why", "what", "size",
        ])  # fmt: skip
        self.assertIn("why   First time asked for.", [each.rstrip() for each in lines])
        self.assertIn(LONG, "".join(each.removeprefix("what").strip() for each in lines))
        self.assertLessEqual(max(map(len, lines)), 36)
