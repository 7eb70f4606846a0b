"""The daemon as a process: how it starts, refuses to start, and ends."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from regcache import __version__
from tests.support.processes import CHECKOUT, Server, Workspace, free_port, wait_until

TWISTD = str(Path(sys.executable).with_name("twistd"))
#: Waits for a process that is about to end (seconds).
SOON = 30.0


class DaemonCase(SynchronousTestCase):
    """A configuration in a folder of its own, and daemons that are started with it."""

    def setUp(self) -> None:
        self.workspace = Workspace()
        self.addCleanup(self.workspace.remove)
        self.port = free_port()
        self.pid_file = self.workspace.path / "twistd.pid"
        self.cache = self.workspace.path / "cache"
        self.config: dict[str, Any] = {
            "listeners": [{"endpoint": f"tcp:{self.port}:interface=127.0.0.1"}],
            "admin": {"endpoint": None},
            "storage": {"directory": str(self.cache)},
            "upstreams": {"up.test": {"urls": ["http://127.0.0.1:1"]}},
        }

    def command(self) -> list[str]:
        """What starts the daemon."""
        file = self.workspace.file("regcache.yml", yaml.safe_dump(self.config))
        return [TWISTD, "-n", f"--pidfile={self.pid_file}", "regcache", "-c", str(file)]

    def refused(self) -> list[str]:
        """Start a daemon that must not start; the lines that it says on standard error."""
        done = subprocess.run(
            self.command(),
            cwd=self.workspace.path,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SOON,
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        self.assertFalse(self.pid_file.exists(), "a pid file was left behind")
        return done.stderr.splitlines()

    def started(self) -> Server:
        """A daemon that listens."""
        server = Server(
            self.command(),
            self.workspace.path / "log",
            environment={"PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"},
            cwd=self.workspace.path,
        )
        self.addCleanup(server.kill)
        server.wait_ready(self.listens)
        return server

    def listens(self) -> bool:
        """Whether something accepts connections on the port."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


class RefusalTests(DaemonCase):
    """A start that cannot be: what there is to say, exit status 1, nothing left behind."""

    def test_port_in_use(self) -> None:
        """One line names the listener and the address."""
        with socket.create_server(("127.0.0.1", self.port)):
            (line,) = self.refused()
        self.assertEqual(
            line,
            f"listener tcp:{self.port}:interface=127.0.0.1: "
            f"address already in use (127.0.0.1:{self.port}): "
            f"see who listens there with: ss -ltnp sport = :{self.port}",
        )

    def test_wrong_configuration(self) -> None:
        """Every error has its line; nothing listens, and no directory is made."""
        self.config["storge"] = {}
        self.config["storage"]["max_size"] = "lots"
        lines = self.refused()
        self.assertEqual(len(lines), 2, lines)
        for line, key in zip(sorted(lines), ("storage.max_size", "storge"), strict=True):
            self.assertRegex(line, rf"^\S+/regcache\.yml:\d+: {key}: .+")
        self.assertFalse(self.cache.exists())

    def test_no_configuration(self) -> None:
        """A file that is not there is named."""
        self.config = {}
        command = [*self.command()[:-1], "absent.yml"]
        self.patch(self, "command", lambda: command)
        (line,) = self.refused()
        self.assertIn("absent.yml", line)

    def test_unusable_directory(self) -> None:
        """A storage directory that cannot be made or written is named, with the reason."""
        self.workspace.file("file", "")
        self.config["storage"]["directory"] = str(self.workspace.path / "file" / "cache")
        (line,) = self.refused()
        self.assertTrue(line.startswith("storage.directory: "), line)
        self.assertIn(str(self.workspace.path / "file"), line)
        self.assertIn("cannot be made: Not a directory: name another one, or type: mkdir", line)

    def test_newer_index(self) -> None:
        """An index that a newer version wrote is left alone."""
        self.cache.mkdir()
        index = self.cache / "index.sqlite"
        with closing(sqlite3.connect(index)) as connection:
            connection.execute("PRAGMA user_version=999")
        (line,) = self.refused()
        self.assertIn("999", line)
        with closing(sqlite3.connect(index)) as connection:
            self.assertEqual(connection.execute("PRAGMA user_version").fetchone(), (999,))
            self.assertEqual(connection.execute("SELECT * FROM sqlite_master").fetchall(), [])


class RunningTests(DaemonCase):
    """A daemon that runs."""

    def test_second_daemon(self) -> None:
        """A second one on the same directory names the first, which goes on; SIGTERM is 0."""
        server = self.started()
        pid = self.pid_file.read_text()
        first_file, self.pid_file = self.pid_file, self.workspace.path / "second.pid"
        taken, self.port = self.port, free_port()
        self.config["listeners"] = [{"endpoint": f"tcp:{self.port}:interface=127.0.0.1"}]
        (line,) = self.refused()
        self.assertEqual(
            line,
            f"storage.directory: {self.cache} is in use by process {pid}: "
            f"name another one, or type: kill {pid}",
        )
        self.port = taken
        self.assertTrue(self.listens())
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(SOON), 0, server.log())
        self.assertFalse(first_file.exists())
        self.assertNotIn("Traceback", server.log())

    def test_signals(self) -> None:
        """SIGHUP reloads, SIGUSR1 and 2 do nothing, and a second SIGTERM is no harm."""
        server = self.started()
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            server.signal(number)
        with socket.create_connection(("127.0.0.1", self.port), SOON) as client:
            client.sendall(b"GET /v2/up.test/a/manifests/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"HTTP/1.1 5", client.recv(65536))
            wait_until(lambda: "was reloaded" in server.log(), "a reload", SOON)
            server.signal(signal.SIGTERM)
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait(SOON), 0, server.log())
        self.assertNotIn("Traceback", server.log())
        self.assertNotIn("Unhandled", server.log())

    def test_version(self) -> None:
        """The version is that of regcache, and not of twistd."""
        asked = [TWISTD, "regcache", "--version"]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        done = subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=SOON)
        self.assertEqual((done.returncode, done.stdout), (0, f"regcache {__version__}\n"))

    def test_interrupt(self) -> None:
        """Ctrl-C ends it as SIGTERM does."""
        server = self.started()
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(SOON), 0, server.log())
