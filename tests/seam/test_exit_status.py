"""How a process ends."""

import os
import subprocess
import sys
import time

from twisted.trial.unittest import SynchronousTestCase

from regcache.seam.exit_status import FAILED

_AT_ITS_END = """
import sys
from regcache.seam.exit_status import exit_in_failure
exit_in_failure()
sys.stdout.write("written")
"""

_HANGING = """
import sys, threading, time
from regcache.seam.exit_status import ExitDeadline

def last_words():
    sys.stderr.write("over")
    return 7

def hang():
    with open(sys.argv[1]):
        pass

deadline = ExitDeadline(last_words)
threading.Thread(target=hang).start()
sys.stdout.write("written")
"""


class ExitTests(SynchronousTestCase):
    """A process of its own."""

    def setUp(self) -> None:
        self.fifo = os.path.abspath(self.mktemp())
        os.mkfifo(self.fifo)

    def run_program(self, program: str) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        command = [sys.executable, "-c", program, self.fifo]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def test_status(self) -> None:
        """The status is another one, and what was written before is written."""
        done = self.run_program(_AT_ITS_END)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (FAILED, "written", ""))

    def test_deadline(self) -> None:
        """A process ends although a thread hangs, also one that the interpreter waits for."""
        for end in ("", "hang()"):
            done = self.run_program(f"{_HANGING}deadline.set(0.1); {end}")
            self.assertEqual((done.returncode, done.stdout, done.stderr), (7, "written", "over"))

    def test_earlier_deadline(self) -> None:
        """Of several ends the earliest counts, whenever it was set."""
        for times in ((0.1, 600), (600, 0.1)):
            sets = "; ".join(f"deadline.set({each})" for each in times)
            self.assertEqual(self.run_program(f"{_HANGING}{sets}; hang()").returncode, 7)

    def test_no_deadline_is_reached(self) -> None:
        """A process that ends before is not held up."""
        program = _HANGING.replace("threading.Thread(target=hang).start()", "")
        done = self.run_program(f"{program}deadline.set(600)")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "written", ""))

    def test_nobody_reads_its_last_words(self) -> None:
        """A pipe that is full takes no words, and keeps no process."""
        silent = _HANGING.replace('sys.stdout.write("written")', "")
        command = [sys.executable, "-c", f"{silent}deadline.set(0.1); hang()", self.fifo]
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, b"x" * 65536)
        except BlockingIOError:
            os.set_blocking(writing, True)
        process = subprocess.Popen(command, stdout=writing, stderr=writing)
        started = time.monotonic()
        self.assertEqual(process.wait(60), FAILED)
        self.assertLess(time.monotonic() - started, 30)
        os.close(reading)
        os.close(writing)
