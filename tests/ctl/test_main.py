"""Tests for the command line as a whole."""

import argparse
import io
import shlex
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl import command as command_module
from regcache.ctl.command import Work, supervise
from regcache.ctl.main import parser
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
        """No command ends with a traceback, whatever comes."""
        self.daemon: FakeDaemon

        def run(options: argparse.Namespace, work: Work) -> int:
            streams = (io.StringIO(), io.StringIO(), io.StringIO())
            printer = Printer(options.json, *streams)
            running: Any = supervise(options, self.daemon, printer, work)  # type: ignore[arg-type]
            return int(self.successResultOf(Deferred.fromCoroutine(running)))

        self.patch(command_module, "run", run)
        for name, made in commands().items():
            if name in ("check-config", "passwd", "prove"):
                continue
            words = shlex.split((made.epilog or "").partition(": ")[2])[1:]
            for more in ((), ("--json",)):
                for answer in STRANGE:
                    self.daemon = StrangeDaemon(answer)
                    options = parser().parse_args([*words, *more])
                    with patch("sys.stdin", io.StringIO("secret\n")):
                        self.assertIn(options.run(options), (0, 1, 2), (name, answer))
                    self.assertTrue(self.daemon.asked, name)
