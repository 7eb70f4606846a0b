"""Tests for regcachectl check-config."""

import contextlib
import io
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.main import main


class CheckConfigTests(SynchronousTestCase):
    """Tests for the command, run in this process."""

    def run_command(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, stdout and stderr."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main(["check-config", *arguments])
            except SystemExit as stop:
                status = int(str(stop.code))
        return status, out.getvalue(), err.getvalue()

    def write(self, text: str) -> str:
        """A configuration file that only its owner may read."""
        path = Path(self.mktemp())
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    def test_good(self) -> None:
        """A good file prints ok and exits with 0."""
        self.assertEqual(self.run_command(self.write("log: {access: false}")), (0, "ok\n", ""))

    def test_warnings(self) -> None:
        """Warnings go to stderr and change nothing else."""
        path = self.write("upstreams: {quay.io: {serve_private: true}}")
        key = "upstreams.quay.io.serve_private"
        warning = f"warning: {path}:1: {key}: has no effect without credentials\n"
        self.assertEqual(self.run_command(path), (0, "ok\n", warning))

    def test_bad(self) -> None:
        """A bad file prints every error to stderr and exits with 1."""
        path = self.write("a: 1\nadmin: {hosts: [a b]}\n")
        lines = [
            f"{path}:1: a: unknown key",
            f"{path}:2: admin.hosts[0]: 'a b' is no host name",
        ]
        self.assertEqual(self.run_command(path), (1, "", "\n".join(lines) + "\n"))

    def test_missing(self) -> None:
        """A file that is not there is one line, not a traceback."""
        status, out, err = self.run_command("/nowhere/x.yml")
        self.assertEqual((status, out, err.count("\n")), (1, "", 1))

    def test_print(self) -> None:
        """The long form that is printed is itself a good file."""
        status, out, _ = self.run_command("--print", self.write("domain: example.com"))
        self.assertEqual(status, 0)
        self.assertIn("docker.example.com", out)
        self.assertEqual(self.run_command(self.write(out))[:2], (0, "ok\n"))
        status, out, _ = self.run_command("--print", self.write("a: 1"))
        self.assertEqual((status, out), (1, ""))

    def test_usage(self) -> None:
        """A missing argument and an unknown command exit with 2, as argparse does."""
        self.assertEqual(self.run_command()[0], 2)
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertRaises(SystemExit, main, ["no-such-command"])
