"""regcachectl client-config."""

import json
import os
from pathlib import Path
from unittest.mock import patch

from regcache.admin.api.client_config_call import GET_CLIENT_CONFIG
from regcache.client_setup.guide import guide_for
from regcache.client_setup.steps import SetUp
from regcache.client_setup.told import told_guide
from regcache.ctl.client import NoDaemonError
from regcache.ctl.client_config_command import PASSWORD_VARIABLE, client_config
from tests.client_setup.cases import PLAIN, located
from tests.ctl.cases import CommandCase

_GONE = NoDaemonError("no daemon answers")
_PASSWORD = {PASSWORD_VARIABLE: "secret"}
_CONTAINERD = "etc/containerd/certs.d/docker.io/hosts.toml"


class ClientConfigTests(CommandCase):
    """With a daemon, and without."""

    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()
        self.file = self.root / "regcache.yml"
        self.file.write_text(PLAIN)

    def command(self, *words: str) -> tuple[int, str, str]:
        """Run it."""
        return self.run_work(client_config, "client-config", *words)

    def serve(self, tool: str, with_login: bool = False) -> None:
        """The daemon answers for one program."""
        guide = guide_for(tool, SetUp(located(PLAIN, "a.test"), with_login))
        self.daemon.answer(GET_CLIENT_CONFIG, told_guide(guide))

    def test_printed(self) -> None:
        """Words, files with their paths, and commands; the wishes reach the daemon."""
        self.serve("docker")
        words = ("docker", "--host", "a.test", "--upstream", "docker.io", "--upstream", "ghcr.io")
        status, out, errors = self.command(*words)
        self.assertEqual((status, errors), (0, ""))
        for line in ("# Use it as Docker Hub's mirror", "# /etc/docker/daemon.json:", "# type:"):
            self.assertIn(f"{line}\n", out)
        self.assertIn("regcachectl prove --as docker http://a.test:5000", out)
        self.assertNotIn("\\x", out)
        asked = {
            "tool": "docker",
            "host": "a.test",
            "upstreams": "docker.io,ghcr.io",
            "login": None,
        }
        self.assertEqual(self.daemon.asked, [("GET", "client-config", asked)])

    def test_json(self) -> None:
        """The answer of the API."""
        self.serve("podman")
        _, out, _ = self.command("podman", "--json")
        self.assertEqual(json.loads(out), self.daemon.answers["GET", "client-config"])

    def test_account(self) -> None:
        """The password of an account goes into the files, and nowhere else."""
        self.serve("containerd", with_login=True)
        with patch.dict(os.environ, _PASSWORD):
            status, out, errors = self.command(
                *("containerd", "--account", "alice", "--write", "--root", str(self.root))
            )
        self.assertEqual((status, errors), (0, ""))
        written = (self.root / _CONTAINERD).read_text()
        self.assertIn('Authorization = "Basic YWxpY2U6c2VjcmV0"', written)
        self.assertNotIn("YWxpY2U6c2VjcmV0", out)
        self.assertIn("prove --as containerd --account alice", out)
        self.assertEqual(self.daemon.asked[0][2]["login"], True)

    def test_account_is_missing(self) -> None:
        """Nothing is written without the account that the cache wants, or its password."""
        self.serve("containerd", with_login=True)
        status, _, errors = self.command("containerd", "--write", "--root", str(self.root))
        self.assertEqual(status, 2)
        self.assertIn("--account NAME", errors)
        self.assertFalse((self.root / "etc").exists())
        status, _, errors = self.command("containerd", "--account", "alice")
        self.assertEqual(status, 2)
        self.assertIn(PASSWORD_VARIABLE, errors)

    def test_written(self) -> None:
        """It is said what was written, what is kept of it, and what to type next."""
        self.serve("podman")
        words = ("podman", "--write", "--root", str(self.root))
        _, out, _ = self.command(*words)
        path = self.root / "etc/containers/registries.conf.d/50-regcache.conf"
        self.assertIn(f"written: {path}\ntype next:\n  podman pull ", out)
        path.write_text(path.read_text() + "# mine\n")
        self.assertIn(f"  what it was is in {path}.bak\n", self.command(*words)[1])
        _, out, _ = self.command(*words, "--json")
        told = json.loads(out)
        self.assertEqual(told["files"], [{"path": str(path), "action": "keep", "kept": None}])
        path.write_text("foreign")
        status, _, errors = self.command(*words)
        self.assertEqual(status, 1)
        self.assertIn("written by others", errors)

    def test_hostile(self) -> None:
        """An answer with a file that is not of this guide is refused, and nothing is written."""
        for tool, path, text in (
            ("docker", "/etc/cron.d/x", "x"),
            ("docker", "/etc/docker/daemon.json", '{"hosts": ["tcp://0.0.0.0:2375"]}'),
            ("podman", "/etc/containers/certs.d/../../x/ca.crt", "x"),
        ):
            self.serve(tool)
            answer = self.daemon.answers["GET", "client-config"]
            assert isinstance(answer, dict)
            more = {"kind": "file", "path": path, "text": text, "part": False, "secret": False}
            answer["steps"][-1]["blocks"].append(more)
            status, out, errors = self.command(tool, "--write", "--root", str(self.root))
            self.assertEqual((status, out), (1, ""), path)
            self.assertIn("nothing is written", errors)
            self.assertFalse((self.root / "etc").exists())

    def test_secret(self) -> None:
        """A file that an account was put into is a secret, whatever the answer says of it."""
        self.serve("containerd", with_login=True)
        answer = self.daemon.answers["GET", "client-config"]
        assert isinstance(answer, dict)
        for each in answer["steps"][0]["blocks"]:
            each["secret"] = False
        with patch.dict(os.environ, _PASSWORD):
            words = ("--account", "alice", "--write", "--root", str(self.root))
            self.command("containerd", *words)
        self.assertEqual((self.root / _CONTAINERD).stat().st_mode & 0o777, 0o600)

    def test_without_daemon(self) -> None:
        """The configuration file is enough."""
        self.daemon.answers["GET", "client-config"] = _GONE
        status, out, errors = self.command("k3s", "-c", str(self.file), "--host", "a.test")
        self.assertEqual(status, 0)
        self.assertIn(f"{self.file} is read instead", errors)
        self.assertIn('endpoint: ["http://a.test:5000"]', out)

    def test_wrong_file(self) -> None:
        """What is wrong with it, or with the host, is said."""
        self.daemon.answers["GET", "client-config"] = _GONE
        words = ("k3s", "-c", str(self.file))
        status, _, errors = self.command(*words, "--host", "a/b")
        self.assertEqual(status, 1)
        self.assertIn("is no host", errors)
        self.file.write_text("nonsense: 1\n")
        status, _, errors = self.command(*words)
        self.assertEqual(status, 1)
        self.assertIn("nonsense", errors)

    def test_another_daemon(self) -> None:
        """Where another daemon was meant, no file of this machine stands for it."""
        self.daemon.answers["GET", "client-config"] = _GONE
        status, _, errors = self.command("k3s", "--url", "https://registry.example.com")
        self.assertEqual(status, 3)
        self.assertIn("no daemon answers", errors)
