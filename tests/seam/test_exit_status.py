"""How a process ends."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from regcache.seam.exit_status import FAILED

_PROGRAM = """
import sys
from regcache.seam.exit_status import exit_in_failure
exit_in_failure()
sys.stdout.write("written")
"""


class ExitTests(SynchronousTestCase):
    """A process of its own."""

    def test_status(self) -> None:
        """The status is another one, and what was written before is written."""
        done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (FAILED, "written", ""))
