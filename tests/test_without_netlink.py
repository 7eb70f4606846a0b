"""Programs that hear nothing of the machine's networks."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.support.without_netlink import undisturbed

ASK = """
import socket
for family in (socket.AF_INET, socket.AF_UNIX, socket.AF_NETLINK):
    try:
        socket.socket(family).close()
        print("given")
    except OSError as error:
        print(error.strerror)
"""


class WithoutNetlinkTests(SynchronousTestCase):
    """The filter of system calls."""

    def test_refused(self) -> None:
        """Only sockets of netlink are refused."""
        command = undisturbed([sys.executable, "-c", ASK])
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        refused = "Address family not supported by protocol"
        self.assertEqual(done.stdout.splitlines(), ["given", "given", refused])
