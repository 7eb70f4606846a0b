"""``regcachectl passwd`` as people run it, beside Debian's htpasswd and a running daemon."""

import os
import pty
import shlex
import subprocess
import sys

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.processes import find_program, require, run, wait_until
from tests.support.registry_client import RegistryClient

COMMAND = [sys.executable, "-m", "regcache.ctl", "passwd"]


class PasswdTests(PullThroughCase):
    """The command in a process of its own."""

    def setUp(self) -> None:
        self.file = self.workspace().path / "htpasswd"

    def passwd(self, *arguments: str, password: str = "") -> "subprocess.CompletedProcess[str]":
        """Run it, with a password on its standard input."""
        command = [*COMMAND, str(self.file), *arguments]
        return subprocess.run(command, input=password, capture_output=True, text=True, timeout=60)

    def verified(self, name: str, password: str) -> bool:
        """Whether Debian's htpasswd finds the password right."""
        require("htpasswd")
        program = find_program("htpasswd") or "htpasswd"
        done = run([program, "-vb", str(self.file), name, password], check=False)
        return done.returncode == 0

    def test_htpasswd_takes_it(self) -> None:
        """Debian's htpasswd verifies what was written, and a changed password as well."""
        self.assertEqual(self.passwd("alice", password="first one\n").returncode, 0)
        self.assertTrue(self.verified("alice", "first one"))
        self.assertFalse(self.verified("alice", "first"))
        self.assertEqual(self.passwd("alice", password="the second\n").returncode, 0)
        self.assertTrue(self.verified("alice", "the second"))
        self.assertFalse(self.verified("alice", "first one"))

    def test_beside_htpasswd(self) -> None:
        """What htpasswd -B wrote stays, byte for byte, and both are accounts."""
        require("htpasswd")
        run([find_program("htpasswd") or "", "-Bbc", str(self.file), "bob", "of bob"])
        before = self.file.read_bytes()
        self.assertEqual(self.passwd("alice", password="of alice").returncode, 0)
        self.assertTrue(self.file.read_bytes().startswith(before))
        self.assertTrue(self.verified("bob", "of bob"))
        self.assertTrue(self.verified("alice", "of alice"))

    def _on_pipe(self, *lines: bytes) -> tuple[int, str]:
        """Run it with a pipe that stays open, as ssh without a terminal has it.

        Each line is written once it says that it waits. The exit status, and what it said.
        """
        process = subprocess.Popen(
            [*COMMAND, str(self.file), "alice"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stderr is not None
        said = b""
        for line in lines:
            said += process.stderr.readline()
            process.stdin.write(line)
            process.stdin.flush()
        said += process.stderr.read()
        status = process.wait(60)
        process.stdin.close()
        process.stderr.close()
        return status, said.decode()

    def test_open_pipe(self) -> None:
        """On a pipe it says what it waits for, takes one line, and waits for no end."""
        status, said = self._on_pipe(b"of the pipe\n")
        self.assertEqual(status, 0, said)
        self.assertIn("one line of standard input", said)
        self.assertTrue(self.verified("alice", "of the pipe"))

    def test_nothing(self) -> None:
        """Without any standard input it says what to do, in one line."""
        command = shlex.join([*COMMAND, str(self.file), "alice"])
        for redirection in ("<&-", "</dev/null"):
            done = subprocess.run(
                ["sh", "-c", f"{command} {redirection}"], capture_output=True, text=True, timeout=60
            )
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
            self.assertIn("one line of standard input", done.stderr)
        self.assertFalse(self.file.exists())

    def _on_terminal(self, *answers: str) -> tuple[int, str]:
        """Run it on a terminal of its own, and type; the exit status and what was shown."""
        child, terminal = pty.fork()
        if child == 0:
            os.execv(COMMAND[0], [*COMMAND, str(self.file), "alice"])
        shown = b""
        for prompt, answer in zip((b"New password: ", b"again: "), answers, strict=True):
            while prompt not in shown:
                shown += os.read(terminal, 1024)
            os.write(terminal, answer.encode() + b"\n")
        try:
            while more := os.read(terminal, 1024):
                shown += more
        except OSError:  # the terminal has no other side any more
            pass
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()

    def test_terminal(self) -> None:
        """On a terminal it asks twice, and shows nothing of what is typed."""
        status, shown = self._on_terminal("typed twice", "typed twice")
        self.assertEqual(status, 0, shown)
        self.assertNotIn("typed", shown)
        self.assertTrue(self.verified("alice", "typed twice"))

    def test_terminal_differs(self) -> None:
        """Two that differ make nothing."""
        status, shown = self._on_terminal("typed once", "typed another")
        self.assertEqual(status, 1)
        self.assertIn("the two passwords differ", shown)
        self.assertFalse(self.file.exists())

    def test_many_at_once(self) -> None:
        """Ten that run together each get their account in."""
        names = [f"user{number}" for number in range(10)]
        running = [
            subprocess.Popen(
                [*COMMAND, str(self.file), name], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
            )
            for name in names
        ]
        for each in running:
            each.communicate(b"secret\n", timeout=60)
        lines = self.file.read_text().splitlines()
        self.assertEqual(sorted(line.partition(":")[0] for line in lines), names)
        self.assertEqual(os.listdir(self.file.parent), ["htpasswd"])

    def test_daemon(self) -> None:
        """A running daemon takes an account, another password, and its end."""
        self.passwd("alice", password="first")
        config = upstream_config("http://127.0.0.1:1")
        daemon = self.regcache({**config, "access": {"htpasswd": str(self.file)}})

        def status(password: str) -> int:
            client = RegistryClient(f"http://{daemon.address}", ("alice", password))
            return client.get("/v2/").status

        self.assertEqual(status("first"), 200)
        self.passwd("alice", password="second")
        wait_until(lambda: status("second") == 200, "the new password is right", 10)
        self.assertEqual(status("first"), 401)
        self.passwd("alice", "--remove")
        wait_until(lambda: status("second") == 401, "the account is out", 10)
        self.assertIn("is in use", daemon.log())
