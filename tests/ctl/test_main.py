"""Tests for the command line as a whole."""

import argparse
import io
import json
import shlex
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.asking import supervise
from regcache.ctl.main import main, parser
from regcache.ctl.printer import Printer
from tests.ctl.cases import FakeDaemon

_ITEM = {"items": [None], "next": None, "total": -1}
#: Answers that no daemon gives.
STRANGE = (None, [], {}, "x", -1, float("inf"), [[]], {"items": 5}, _ITEM, {"steps": [{}]})


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
        """Each command shows an example, which is right; passwd has several."""
        root = parser()
        for name, command in commands().items():
            if name == "passwd":
                continue
            first, _, example = (command.epilog or "").partition(": ")
            self.assertEqual(first, "example", name)
            program, *arguments = shlex.split(example)
            self.assertEqual(program, "regcachectl")
            self.assertEqual(arguments[: len(name.split())], name.split())
            root.parse_args(arguments)

    def test_json(self) -> None:
        """Each that asks the daemon takes --json, and says where that is."""
        for name, command in commands().items():
            if name not in ("check-config", "passwd", "prove"):
                text = command.format_help()
                for option in ("--json", "--socket", "--url"):
                    self.assertIn(option, text, name)

    def test_early_options(self) -> None:
        """Options before the command are refused where it cannot have them, and count else."""
        for words in (
            ("--socket", "/x", "prove", "127.0.0.1"),
            ("--socket", "/x", "check-config", "file"),
            ("-c", "/x", "check-config", "file"),
            ("--json", "passwd", "file", "alice"),
        ):
            told = io.StringIO()
            with redirect_stderr(told), self.assertRaises(SystemExit) as ended:
                main(words)
            self.assertEqual(ended.exception.code, 2, words)
            self.assertIn("for commands that ask the daemon", told.getvalue())
        with redirect_stdout(io.StringIO()) as shown:
            self.assertEqual(main(["--json", "check-config", "/nowhere/regcache.yml"]), 1)
        self.assertFalse(json.loads(shown.getvalue())["ok"])

    def test_help(self) -> None:
        """All of them are listed."""
        shown = io.StringIO()
        with redirect_stdout(shown):
            self.assertRaises(SystemExit, parser().parse_args, ["--help"])
        for name in _within(parser()):
            self.assertIn(f"    {name} ", shown.getvalue().replace("\n", " \n"))


class StrangeDaemon(FakeDaemon):
    """Answers everything with one thing, for a bounded number of times."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self._answer = answer

    def _take(self, method: str, call: str, values: Mapping[str, Any]) -> Any:
        self.asked.append((method, call, values))
        if len(self.asked) > 100:
            raise AssertionError(f"{call} is asked again and again")
        return self._answer


class StrangeAnswerTests(SynchronousTestCase):
    """What answers to ``--url`` is something else."""

    def test_all(self) -> None:
        """No command ends with a traceback, after any error."""
        root = parser()
        for name, made in commands().items():
            if name in ("check-config", "passwd", "prove"):
                continue
            words = shlex.split((made.epilog or "").partition(": ")[2])[1:]
            for more in ((), ("--json",)):
                for answer in STRANGE:
                    daemon = StrangeDaemon(answer)
                    with patch("sys.stdin", io.StringIO("secret\n")):
                        status = self._status(root.parse_args([*words, *more]), daemon)
                    self.assertIn(status, (0, 1, 2), (name, answer))
                    self.assertTrue(daemon.asked, name)

    def _status(self, options: argparse.Namespace, daemon: FakeDaemon) -> int:
        printer = Printer(options.json, io.StringIO(), io.StringIO(), io.StringIO())
        running: Any = supervise(options, daemon, printer, options.work)  # type: ignore[arg-type]
        return int(self.successResultOf(Deferred.fromCoroutine(running)))
