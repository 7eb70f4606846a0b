"""Tests for what all commands that ask the daemon have in common."""

import argparse
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.asking import supervise
from regcache.ctl.command import FAILED
from regcache.ctl.printer import Printer


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

        client: Any = None
        options = argparse.Namespace(link=None)
        status = self.successResultOf(
            Deferred.fromCoroutine(supervise(options, client, Printer(False, stream), work))
        )
        stream.close()
        return status

    def test_pipe(self) -> None:
        """It ends without a traceback, however much was left to be printed."""
        for count in (1, 100_000):
            self.assertEqual(self.end(count), FAILED)
