"""Tests for regcachectl check-config."""

import contextlib
import io
import json
import os
import shlex
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.file_check import service_errors
from regcache.ctl.main import main
from tests.support.processes import Workspace, require_root


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

    def test_json(self) -> None:
        """--json is one document on stdout: errors, warnings, and with --print the long form."""
        good = self.write("upstreams: {quay.io: {serve_private: true}}")
        wrong = self.write("log: {acces: false}\nlimits: 5")
        status, out, err = self.run_command(good, "--json")
        told = json.loads(out)
        self.assertEqual((status, err, told["ok"], told["errors"]), (0, "", True, []))
        self.assertIn("has no effect without credentials", told["warnings"][0])
        self.assertNotIn("config", told)
        told = json.loads(self.run_command(good, "--json", "--print")[1])
        self.assertEqual(list(told["config"]["upstreams"]), ["quay.io"])
        status, out, err = self.run_command(wrong, "--json", "--print")
        told = json.loads(out)
        self.assertEqual((status, err, told["ok"], len(told["errors"])), (1, "", False, 2))

    def test_service_user(self) -> None:
        """Root, who may read everything, is told what the user of the service may not."""
        require_root("the rights of another user")
        place = Workspace()
        self.addCleanup(place.remove)
        place.path.chmod(0o755)
        accounts = place.file("htpasswd", "")
        accounts.chmod(0o600)
        path = place.file("regcache.yml", f"access: {{htpasswd: {accounts}}}")
        path.chmod(0o644)
        with patch("regcache.ctl.file_check.SERVICE_USER", "nobody"):
            status, out, err = self.run_command(str(path))
            self.assertEqual((status, out), (0, "ok\n"))
            self.assertIn("the service would not start, as its user is nobody: ", err)
            self.assertIn(f"{path}:1: access.htpasswd: {accounts} cannot be read: Permission", err)
            self.assertIn(f"; type: chgrp nogroup {accounts} && chmod g+r {accounts}\n", err)
            self.assertEqual((os.geteuid(), os.getegid()), (0, 0))
            accounts.chmod(0o644)
            self.assertNotIn("would not start", self.run_command(str(path))[2])
        path.chmod(0o600)
        self.assertEqual(service_errors(str(path), "nobody"), [], "it is another's file")
        self.assertEqual(service_errors(str(path), "nobody-at-all"), [])

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

    def test_missing_accounts(self) -> None:
        """Where the file of accounts is missing it is told what makes one, and its folder."""
        place = Workspace()
        self.addCleanup(place.remove)
        for accounts, first in (
            (place.path / "ht passwd", ""),
            (place.path / "new" / "htpasswd", f"mkdir -p {place.path}/new && "),
        ):
            path = place.file("regcache.yml", f"access: {{htpasswd: '{accounts}'}}")
            status, out, err = self.run_command(str(path))
            missing = f"{accounts} cannot be read: No such file or directory; type: {first}"
            makes = f"regcachectl passwd {shlex.quote(str(accounts))} NAME"
            told = f"{path}:1: access.htpasswd: {missing}{makes}\n"
            self.assertEqual((status, out, err), (1, "", told))

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
