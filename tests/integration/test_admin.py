"""The API and regcachectl over a real daemon: its unix socket, loopback, an admin host."""

import json
import os
import signal
import socket
import stat
import subprocess

import bcrypt

from regcache.admin.api.callers import Role
from regcache.admin.api.calls import PREFIX
from regcache.admin_api import CALLS
from tests.integration.base import UPSTREAM, PullThroughCase, upstream_config
from tests.support.api import assert_answers
from tests.support.ctl import run_ctl
from tests.support.processes import Workspace
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache

HOST = "ui.example"
NO_UPSTREAM = "http://127.0.0.1:1"


class AdminCase(PullThroughCase):
    """A daemon with everything that operators reach it by."""

    def setUp(self) -> None:
        self.folder: Workspace = self.workspace()
        self.socket = self.folder.path / "admin.sock"
        hashed = bcrypt.hashpw(b"toor", bcrypt.gensalt(4)).decode()
        accounts = self.folder.file("htpasswd", f"root:{hashed}\n")
        accounts.chmod(0o600)
        self.daemon = Regcache(
            upstream_config(NO_UPSTREAM)
            | {
                "access": {
                    "htpasswd": str(accounts),
                    "seats": str(self.folder.path / "seats.yml"),
                    "admins": ["root"],
                    "rules": [{"accounts": ["anonymous"]}],
                }
            }
        )
        self.addCleanup(self.daemon.close)
        self.daemon.config["admin"] |= {"socket": str(self.socket), "hosts": [HOST]}
        self.daemon.start()

    def ctl(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run regcachectl."""
        return run_ctl(*arguments, **environment)

    def over_socket(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it over the socket."""
        return self.ctl(*arguments, "--socket", str(self.socket))

    @property
    def url(self) -> str:
        """The admin endpoint."""
        return f"http://127.0.0.1:{self.daemon.admin_port}"


class CallTests(AdminCase):
    """All calls that need no parameters."""

    def test_schemas(self) -> None:
        """Every GET is answered as it is declared, on loopback and under the admin host."""
        client = RegistryClient(self.url)
        for call in CALLS:
            has_body = call.method == "GET" and call.answer is not None
            if has_body and not any(each.required for each in call.parameters):
                shown = {"Authorization": "Basic cm9vdDp0b29y"} if call.role is Role.ADMIN else {}
                answer = client.get(PREFIX + call.path, **shown)
                self.assertEqual(answer.status, 200, call.path)
                assert_answers(call, json.loads(answer.body))

    def test_admin_host(self) -> None:
        """Under an admin host an account is needed, and nobody else's name leads there."""
        client = self.daemon.client()
        status, login = f"{PREFIX}status", "Basic cm9vdDp0b29y"
        self.assertEqual(client.get(status, Host=HOST).status, 401)
        self.assertEqual(client.get(status, Host=HOST, Authorization=login).status, 200)
        self.assertEqual(client.get(status, Authorization=login).status, 404)


class SocketTests(AdminCase):
    """The file of the socket."""

    def test_file(self) -> None:
        """It is for owner and group, goes with the daemon, and is replaced after a kill."""
        mode = self.socket.lstat().st_mode
        self.assertEqual((stat.S_ISSOCK(mode), stat.S_IMODE(mode)), (True, 0o660))
        os.kill(self.daemon.process.pid, signal.SIGKILL)
        self.daemon.process.kill()
        self.assertTrue(self.socket.exists())
        self.daemon.start()
        self.assertEqual(self.over_socket("status").returncode, 0)
        self.assertEqual(self.daemon.stop(), 0)
        self.assertFalse(self.socket.exists())

    def test_no_folder(self) -> None:
        """Where there is no folder for it the start is refused with what to type."""
        second = Regcache(upstream_config(NO_UPSTREAM))
        self.addCleanup(second.close)
        second.config["admin"] |= {"socket": "/nowhere/regcache/admin.sock"}
        second.launch()
        self.assertEqual(second.process.wait(), 1)
        line = "admin.socket /nowhere/regcache/admin.sock: no such file or directory"
        self.assertIn(line, second.log())
        self.assertIn("type: mkdir -p /nowhere/regcache", second.log())

    def test_live(self) -> None:
        """A socket at which somebody answers is never taken away: the start is refused."""
        path = self.folder.path / "other.sock"
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()
            second = Regcache(upstream_config(NO_UPSTREAM))
            self.addCleanup(second.close)
            second.config["admin"] |= {"socket": str(path)}
            second.launch()
            self.assertEqual(second.process.wait(), 1)
            self.assertIn("another daemon may run", second.log())
            self.assertTrue(path.exists())


class CtlTests(AdminCase):
    """regcachectl."""

    def test_status(self) -> None:
        """It finds the socket by option, environment and configuration."""
        status = json.loads(self.over_socket("status", "--json").stdout)
        self.assertEqual(status["verdict"]["level"], "ok")
        found = self.ctl("status", REGCACHE_SOCKET=str(self.socket))
        self.assertEqual((found.returncode, found.stderr), (0, ""))
        self.assertIn("It works.", found.stdout)
        file = self.folder.file("regcache.yml", f"admin: {{socket: {self.socket}}}\n")
        self.assertEqual(self.ctl("status", "-c", str(file)).returncode, 0)

    def test_url(self) -> None:
        """Over a URL an account is who it is, and a wrong password is refused."""
        right = self.ctl("status", "--url", self.url, "--user", "root", REGCACHE_PASSWORD="toor")
        self.assertEqual((right.returncode, right.stderr), (0, ""))
        wrong = self.ctl("status", "--url", self.url, "--user", "root", REGCACHE_PASSWORD="x")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("the account or the password is wrong", wrong.stderr)

    def test_link(self) -> None:
        """The link of "ui" begins a session, once, and is made over the socket only."""
        link = self.over_socket("ui").stdout.splitlines()[0]
        self.assertTrue(link.startswith(f"{self.url}/#/link/"), link)
        first = self.ctl("status", "--url", self.url, "--link", link)
        self.assertEqual((first.returncode, first.stderr), (0, ""))
        again = self.ctl("status", "--url", self.url, "--link", link)
        self.assertEqual(again.returncode, 1)
        self.assertIn("used already", again.stderr)
        refused = self.ctl("ui", "--url", self.url, "--user", "root", REGCACHE_PASSWORD="toor")
        self.assertEqual(refused.returncode, 1)
        self.assertNotIn(link.rpartition("/")[2], self.daemon.log())

    def test_verify(self) -> None:
        """It names what was damaged, which the status says, too; then all is well."""
        folder = self.daemon.directory / "blobs" / "sha256" / "ab"
        folder.mkdir(parents=True)
        name = "ab" * 32
        (folder / name).write_bytes(b"something else")
        found = self.over_socket("verify")
        self.assertEqual((found.returncode, found.stderr), (1, ""))
        self.assertIn(f"damaged, and removed: sha256:{name}", found.stdout)
        self.assertFalse((folder / name).exists())
        again = self.over_socket("verify", "--upstream", UPSTREAM)
        self.assertEqual((again.returncode, again.stderr), (0, ""))
        self.assertIn("0 damaged", again.stdout)
        unknown = self.over_socket("verify", "--upstream", "no.test")
        self.assertEqual(unknown.returncode, 1)

    def test_no_daemon(self) -> None:
        """3 where nobody answers, 2 for wrong usage."""
        self.assertEqual(self.ctl("status", "--socket", "/nowhere/x").returncode, 3)
        self.assertEqual(self.ctl("status", "--url", NO_UPSTREAM).returncode, 3)
        self.assertEqual(self.ctl("status", "--socket", f"/{'x' * 200}").returncode, 3)
        over_tls = self.ctl("status", "--url", self.url.replace("http:", "https:"))
        self.assertEqual((over_tls.returncode, over_tls.stderr.count("\n")), (3, 1), over_tls)
        self.assertEqual(self.ctl("status", "--url", "localhost").returncode, 2)
        self.assertEqual(self.ctl("status", "--url", self.url, "--user", "root").returncode, 2)
        self.assertEqual(self.ctl("status", "--nonsense").returncode, 2)
        self.assertEqual(self.ctl("status", "--link", "x").returncode, 2)
