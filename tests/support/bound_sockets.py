"""Sockets of listeners that take no address of this machine."""

import errno
import os
import socket
from typing import Any


class FakeSocket:
    """A socket that says whether it takes IPv4 too.

    :ivar backlog: what it was told to listen with; None while it does not.
    """

    def __init__(self, interface: str, number: int, v6only: int, fault: int = 0) -> None:
        self.family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        self.address = (interface, number)
        self.backlog: int | None = None
        self.closed = False
        self._v6only = v6only
        self._fault = fault

    def listen(self, backlog: int) -> None:
        """Let clients in, unless somebody else does."""
        if self._fault:
            raise OSError(self._fault, os.strerror(self._fault))
        self.backlog = backlog

    def fileno(self) -> Any:
        """Something to know it by."""
        return self

    def close(self) -> None:
        """Give it up."""
        self.closed = True

    def accept(self) -> None:
        """There is no room for a connection."""
        raise OSError(errno.EMFILE, "Too many open files")

    def setsockopt(self, *_: object) -> None:
        """As it likes."""

    def getsockopt(self, level: int, option: int) -> int:
        """The one option that is asked for."""
        assert (level, option) == (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        return self._v6only
