"""Tests that Ctrl-C at a terminal ends every command, and leaves the terminal as it was."""

import contextlib
import os
import pty
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.support.processes import CHECKOUT

DEADLINE = 60.0
#: A command whose work is the end of this script.
SCRIPT = """
import argparse, fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # as that of a shell: it sends the signals
from twisted.internet.defer import Deferred
from regcache.ctl.asking import run
async def work(options, client, printer):
{work}
options = argparse.Namespace(
    json=False, socket={socket!r}, url={url!r}, file=None, user={user!r}, link=None,
    follow={follow!r},
)
sys.exit(run(options, work))
"""
SHOWS = """
    await client.pause(0.01)  # the reactor runs, and has its own handler of signals
    with printer.progress("waiting") as show:
        show(1, 2, ())
        await Deferred()
"""
FOLLOWS = """
    await client.pause(0.01)
    printer.line_now("one request")
    await Deferred()
"""
ASKS = """
    await client.pause(0.01)
    return 0 if printer.ask("Remove this?") else 1
"""


class InterruptTests(SynchronousTestCase):
    """A command in a process of its own."""

    def parts(self, terminal: int) -> Iterator[str]:
        """What is shown there, until nobody has it open."""
        with contextlib.suppress(OSError):
            while shown := os.read(terminal, 65_536):
                yield shown.decode()

    def interrupted(
        self,
        work: str,
        shown: str,
        *,
        url: str | None = None,
        user: str | None = None,
        follow: bool = False,
    ) -> tuple[int, str]:
        """Press Ctrl-C once something is shown; its exit status, and all that was shown."""
        socket = None if url else "/nowhere"
        script = SCRIPT.format(work=work, socket=socket, url=url, user=user, follow=follow)
        environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(CHECKOUT)}
        environment.pop("REGCACHE_PASSWORD", None)
        ours, its = pty.openpty()
        self.addCleanup(os.close, ours)
        before = termios.tcgetattr(ours)
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=its,
            stdout=its,
            stderr=its,
            env=environment,
            start_new_session=True,
        )
        os.close(its)
        timer = threading.Timer(DEADLINE, process.kill)
        timer.start()
        text = ""
        for part in self.parts(ours):
            is_shown, text = shown in text, text + part
            if shown in text and not is_shown:
                os.write(ours, b"\x03")
        status = process.wait()
        timer.cancel()
        self.assertEqual(termios.tcgetattr(ours)[:4], before[:4])
        return status, text.replace("\r\n", "\n")

    def test_progress(self) -> None:
        """A bar goes, and the cursor is shown again."""
        status, text = self.interrupted(SHOWS, "waiting")
        self.assertEqual(status, 1)
        self.assertGreater(text.rfind("\x1b[?25h"), text.rfind("\x1b[?25l"))
        self.assertIn("interrupted", text.splitlines()[-1], text)

    def test_follow(self) -> None:
        """What goes on without end ends as it should, without a word."""
        status, text = self.interrupted(FOLLOWS, "one request\r\n", follow=True)
        self.assertEqual((status, text), (0, "one request\n^C"))

    def test_question(self) -> None:
        """It is no."""
        status, text = self.interrupted(ASKS, "[y/N] ")
        self.assertEqual((status, text[-1:]), (1, "\n"))
        self.assertNotIn("Traceback", text)

    def test_password(self) -> None:
        """It is none."""
        url = "http://127.0.0.1:1"
        status, text = self.interrupted(ASKS, "Password of ", url=url, user="admin")
        self.assertEqual((status, text.splitlines()[-1]), (1, "no password was given"))
