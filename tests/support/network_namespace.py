"""A network of its own for a client, which reaches this machine at an address beyond loopback."""

import itertools
import os
from collections.abc import Sequence

from tests.support.processes import Server, Workspace, require, require_root, run, wait_until

_numbers = itertools.count()


class NetworkNamespace:
    """A network name space with a cable to this machine. Both go with the process that holds it.

    :ivar outside: the address of this machine, for who is in it.
    """

    def __init__(self) -> None:
        require("ip", "unshare", "nsenter")
        require_root("a network name space")
        self._workspace = Workspace()
        holder = ["unshare", "-n", "sleep", "infinity"]
        self._holder = Server(holder, self._workspace.path / "log")
        try:
            wait_until(lambda: self._net() != os.readlink("/proc/self/ns/net"), "a name space")
            self._connect()
        except BaseException:
            self.close()
            raise

    def _net(self) -> str:
        return os.readlink(f"/proc/{self._holder.pid}/ns/net")

    def _connect(self) -> None:
        """A pair of interfaces; each test process takes other addresses."""
        number = os.getpid() * 16 + next(_numbers)
        near, far = f"rc{number % 10**8}a", f"rc{number % 10**8}b"
        network = f"10.213.{number // 64 % 256}.{number % 64 * 4}".rsplit(".", 1)
        first = int(network[1])
        self.outside, inside = (f"{network[0]}.{first + each}" for each in (1, 2))
        peer = ["type", "veth", "peer", "name", far, "netns", str(self._holder.pid)]
        run(["ip", "link", "add", near, *peer])
        run(["ip", "address", "add", f"{self.outside}/30", "dev", near])
        run(["ip", "link", "set", near, "up"])
        for command in (
            ["link", "set", "lo", "up"],
            ["address", "add", f"{inside}/30", "dev", far],
            ["link", "set", far, "up"],
        ):
            run([*self.prefix, "ip", *command])

    @property
    def prefix(self) -> Sequence[str]:
        """Before a command that is to run in it."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", "--"]

    def close(self) -> None:
        """Remove it."""
        self._holder.kill()
        self._workspace.remove()
