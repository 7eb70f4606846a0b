"""The unix socket: what is left over of another process, and who is at the other end."""

import contextlib
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.web.binding import remove_left_over_socket
from regcache.web.peer_user import peer_user


class LeftOverTests(SynchronousTestCase):
    """The file of a socket."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        # The path of a socket has 107 bytes at most (unix(7)), so it is a relative one.
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)

    def listen(self, backlog: int = 1) -> socket.socket:
        """Somebody who answers."""
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind("s")
        server.listen(backlog)
        return server

    def test_nothing(self) -> None:
        """Where nothing is there is nothing to do."""
        remove_left_over_socket("s")

    def test_left_over(self) -> None:
        """The socket of a process that is gone is removed."""
        self.listen().close()
        remove_left_over_socket("s")
        self.assertFalse(os.path.lexists("s"))

    def test_live(self) -> None:
        """One at which somebody answers stays, also where its queue is full."""
        self.listen(0)
        for _ in range(3):
            error = self.assertRaises(OSError, remove_left_over_socket, "s")
            self.assertIn("another daemon may run", str(error))
            self.assertTrue(os.path.lexists("s"))
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):  # the queue is full
                client.connect("s")

    def test_no_socket(self) -> None:
        """A file or link of somebody is never removed."""
        Path("s").write_text("mine")
        error = self.assertRaises(OSError, remove_left_over_socket, "s")
        self.assertIn("is no socket", str(error))
        self.assertEqual(Path("s").read_text(), "mine")
        os.symlink("s", "link")
        self.assertRaises(OSError, remove_left_over_socket, "link")
        self.assertTrue(os.path.islink("link"))


class PeerTests(SynchronousTestCase):
    """Who is at the other end."""

    def user(self, connection: Any) -> int | None:
        """The user of a connection."""
        transport = SimpleNamespace(socket=connection)
        request: Any = SimpleNamespace(channel=SimpleNamespace(transport=transport))
        return peer_user(request)

    def test_user(self) -> None:
        """The kernel says who connected to a unix socket."""
        here, there = socket.socketpair(socket.AF_UNIX)
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        self.assertEqual(self.user(here), os.geteuid())

    def test_none(self) -> None:
        """It says nothing of other connections, nor of one that is gone."""
        with socket.socket(socket.AF_INET) as other:
            self.assertIsNone(self.user(other))
        gone = socket.socket(socket.AF_UNIX)
        gone.close()
        self.assertIsNone(self.user(gone))
        self.assertIsNone(self.user(None))
        nothing: Any = SimpleNamespace(channel=None)
        self.assertIsNone(peer_user(nothing))
