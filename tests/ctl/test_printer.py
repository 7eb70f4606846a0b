"""What commands print."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.printer import Printer, harmless, size_text
from tests.ctl.cases import Terminal


class OutputTests(SynchronousTestCase):
    """Lines, tables, sizes."""

    def test_harmless(self) -> None:
        """Nothing steers a terminal, or turns the direction of a text."""
        self.assertEqual(harmless("ä\tb\x1b[1m\x00\u202e\n"), "ä\tb\\x1b[1m\\x00\\u202e\\x0a")

    def test_table(self) -> None:
        """Elsewhere a row is a line with tabs; on a terminal markup of others is only text."""
        rows = [("a\tb", "[bold]x[/bold]\x1b")]
        plain = Terminal(False)
        Printer(False, plain).table(("one", "two"), rows)
        self.assertEqual(plain.getvalue(), "a b\t[bold]x[/bold]\\x1b\n")
        terminal = Terminal(True)
        Printer(False, terminal).table(("one", "two"), rows)
        self.assertIn("[bold]x[/bold]\\x1b", terminal.getvalue())
        self.assertIn("one", terminal.getvalue())

    def test_sizes(self) -> None:
        """Binary units; what is not known is a question mark."""
        for count, text in (
            (None, "?"),
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (5 * 2**40, "5.0 TiB"),
            (2**60, "1024.0 PiB"),
        ):
            self.assertEqual(size_text(count), text)
