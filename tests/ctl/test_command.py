"""Tests for what all commands that ask the daemon have in common."""

import argparse
import io
import os
import sys
from contextlib import redirect_stderr
from typing import Any, TextIO
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.asking import supervise
from regcache.ctl.client import RefusedError
from regcache.ctl.command import FAILED
from regcache.ctl.main import main
from regcache.ctl.printer import Printer
from regcache.ctl.standard_streams import prepare_streams


def supervised(stream: TextIO, work: Any, errors: TextIO | None = None, json: bool = False) -> int:
    """The exit status of a command that prints there."""
    client: Any = None
    options = argparse.Namespace(link=None)
    running = supervise(options, client, Printer(json, stream, errors), work)
    return SynchronousTestCase().successResultOf(Deferred.fromCoroutine(running))


async def refuse(_options: Any, _client: Any, _printer: Printer) -> int:
    """Work that the daemon refuses."""
    raise RefusedError({"code": "NOT_CACHED", "detail": "it is not here"})


class BrokenPipeTests(SynchronousTestCase):
    """Output that goes to a program which ends before it has read all, as ``head`` does."""

    def end(self, count: int) -> int:
        """The exit status of a command that prints so many lines for nobody."""
        ours, its = os.pipe()
        os.close(ours)
        stream = os.fdopen(its, "w")

        async def work(_options: Any, _client: Any, printer: Printer) -> int:
            for number in range(count):
                printer.line(f"line {number}")
            return 0

        status = supervised(stream, work)
        stream.close()
        return status

    def test_pipe(self) -> None:
        """It ends without a traceback, however much was left to be printed."""
        for count in (1, 100_000):
            self.assertEqual(self.end(count), FAILED)

    def test_refused(self) -> None:
        """So does one that the daemon refuses, with --json."""
        ours, its = os.pipe()
        os.close(ours)
        with os.fdopen(its, "w", buffering=1) as stream:
            self.assertEqual(supervised(stream, refuse, io.StringIO(), json=True), FAILED)


class OutputTests(SynchronousTestCase):
    """Output that cannot be written, or has not all characters."""

    def test_full_disk(self) -> None:
        """It ends with one line that says so."""

        async def work(_options: Any, _client: Any, printer: Printer) -> int:
            printer.line("x" * 100_000)
            return 0

        for each in (work, refuse):
            errors = io.StringIO()
            with open("/dev/full", "w") as stream:
                self.assertEqual(supervised(stream, each, errors, json=True), FAILED)
            last = errors.getvalue().splitlines()[-1]
            self.assertEqual(last, "the output cannot be written: No space left on device")

    def test_full_disk_without_daemon(self) -> None:
        """So does what asks no daemon."""
        for more in ((), ("--json",)):
            errors = io.StringIO()
            full = open("/dev/full", "w")  # noqa: SIM115
            self.addCleanup(full.close)
            with patch("sys.stdout", full), redirect_stderr(errors):
                self.assertEqual(main(["check-config", *more, "/dev/null"]), FAILED)
            last = errors.getvalue().splitlines()[-1]
            self.assertEqual(last, "the output cannot be written: No space left on device")

    def test_closed(self) -> None:
        """A stream that was closed before the start is one that leads nowhere."""
        with patch("sys.stdin", None), patch("sys.stdout", None), patch("sys.stderr", None):
            prepare_streams()
            made = (sys.stdin, sys.stdout, sys.stderr)
        for each in made:
            self.assertEqual(each.name, os.devnull)
            each.close()

    def test_encoding(self) -> None:
        """A character that the output has not is printed by its number."""
        raw = io.BytesIO()
        with patch("sys.stdout", io.TextIOWrapper(raw, encoding="ascii")):
            prepare_streams()
            Printer(False).line("é")
            sys.stdout.flush()
            self.assertEqual(raw.getvalue(), b"\\xe9\n")
