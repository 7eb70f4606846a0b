"""Tests for the command line as a whole."""

import argparse
import io
import shlex
from contextlib import redirect_stdout

from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.main import parser


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parsers of all commands, by name; those within another one by both names."""
    found = {}
    for name, command in _within(parser()).items():
        inner = _within(command)
        found.update({f"{name} {each}": made for each, made in inner.items()} or {name: command})
    return found


def _within(command: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    choices = [each.choices for each in command._actions if isinstance(each.choices, dict)]
    return dict(choices[0]) if choices and choices[0] else {}


class CommandLineTests(SynchronousTestCase):
    """What all commands have in common."""

    def test_examples(self) -> None:
        """Each command that asks the daemon shows an example, which is right."""
        for name, command in commands().items():
            if name in ("check-config", "passwd"):
                continue
            first, _, example = (command.epilog or "").partition(": ")
            self.assertEqual(first, "example", name)
            program, *arguments = shlex.split(example)
            self.assertEqual(program, "regcachectl")
            self.assertEqual(arguments[: len(name.split())], name.split())
            parser().parse_args(arguments)

    def test_json(self) -> None:
        """Each of them takes --json, and says where the daemon is."""
        for name, command in commands().items():
            if name not in ("check-config", "passwd", "prove"):
                text = command.format_help()
                for option in ("--json", "--socket", "--url"):
                    self.assertIn(option, text, name)

    def test_help(self) -> None:
        """All of them are listed."""
        shown = io.StringIO()
        with redirect_stdout(shown):
            self.assertRaises(SystemExit, parser().parse_args, ["--help"])
        for name in _within(parser()):
            self.assertIn(f"    {name} ", shown.getvalue().replace("\n", " \n"))
