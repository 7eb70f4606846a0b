"""The guides: their files are read by what reads such files."""

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from regcache.client_setup.containers import REGISTRIES
from regcache.client_setup.docker import DAEMON_JSON
from regcache.client_setup.guide import TOOLS, Guide, guide_for
from regcache.client_setup.located import locate_registries
from regcache.client_setup.seat_guide import SeatClient, seat_guide
from regcache.client_setup.served import ServedHere
from regcache.client_setup.steps import ClientLogin, SetUp, fill_in
from regcache.client_setup.words import NOTES, TEXTS, TITLES
from tests.client_setup.cases import NAMED, PLAIN, blocks, commands, files, guide, located
from tests.support.certificates import Authority

_HTPASSWD = "access: {htpasswd: accounts}\n"
_SOME = _HTPASSWD.replace("}", ", rules: [{accounts: [anonymous], networks: [10.0.0.0/8]}]}")
ALICE = ClientLogin("alice", 'p"a:ss $`\\')
#: Accounts with limits: what each can show.
CLIENTS = (
    SeatClient(),
    SeatClient(has_link=True),
    SeatClient("k3j9x2fq7m", has_link=True),
    SeatClient("k3j9x2fq7m", has_certificate=True),
)


class GuideCase(SynchronousTestCase):
    """Configurations with an account and with a certificate."""

    def setUp(self) -> None:
        Path("accounts").write_text("")
        self.addCleanup(Path("accounts").unlink)

        authority = Authority(Path(self.mktemp()))
        self.pair = authority.issue("cache.lan", "*.example.com")
        self.authority = authority.file.read_text()
        self.issue = authority.issue

    def tls(self, *names: str) -> str:
        """Everything over TLS, with a certificate that no system trusts.

        :param names: of the certificate; without it has a name and a wildcard.
        """
        pair = self.issue(*names) if names else self.pair
        names = f"[{{chain: {pair.chain.absolute()}, key: {pair.key.absolute()}}}]"
        return NAMED.replace("endpoint: 5000", f"endpoint: 443, tls: {{certificates: {names}}}")

    def read(self, path: str, text: str) -> Any:
        """The file as its program reads it."""
        if path.endswith(".json"):
            return json.loads(text)
        if path.endswith(".yaml"):
            return yaml.safe_load(text)
        return tomllib.loads(text)

    def each(self) -> list[tuple[str, Guide]]:
        """Each program in each situation."""
        texts = [PLAIN, NAMED, PLAIN + _HTPASSWD, NAMED + _SOME, self.tls(), self.tls() + _HTPASSWD]
        found = [(tool, guide(tool, text)) for text in texts for tool in TOOLS]
        found += [(tool, guide(tool, texts[0], "", True)) for tool in TOOLS]
        for client in CLIENTS:
            found += [(tool, seat_guide(tool, client, located(texts[-1]))) for tool in TOOLS]
        return found


class EveryGuideTests(GuideCase):
    """What holds for all of them."""

    def test_codes(self) -> None:
        """Every code has words, and all words are used."""
        steps = [step for _, made in self.each() for step in made.steps]
        texts = {each.text for each in steps} - {""}
        self.assertEqual({each.title for each in steps} - set(TITLES), set())
        self.assertEqual(texts - set(TEXTS), set())
        only = guide("docker", PLAIN + "default_upstream: ghcr.io").steps[0]
        self.assertEqual(set(TITLES) - {each.title for each in steps}, {only.title})
        self.assertEqual(set(TEXTS) - texts, {only.text})

    def test_files(self) -> None:
        """Every file can be read, and has an absolute path; each path stands once."""
        for tool, made in self.each():
            found = [each for each in blocks(made) if each.kind == "file"]
            paths = [each.path for each in found]
            self.assertEqual(len(set(paths)), len(paths), tool)
            for each in found:
                self.assertTrue(each.path.startswith("/etc/"), each.path)
                if each.path.endswith(".crt"):
                    self.assertEqual(each.text, self.authority)
                else:
                    self.read(each.path, each.text)

    def test_proof(self) -> None:
        """Every guide ends with a command that proves it, as that client."""
        for tool, made in self.each():
            self.assertEqual(made.steps[-1].title, "check", tool)
            words = shlex.split(commands(made)[-1])
            self.assertEqual(words[:4], ["regcachectl", "prove", "--as", tool])
            self.assertEqual(words[-1], "docker.io/library/hello-world:latest")
            self.assertEqual("--account" in words, made.login_needed, tool)

    def test_account(self) -> None:
        """An account is filled in everywhere; what has a password says so, and is a file."""
        for tool in TOOLS:
            for each in blocks(guide(tool, PLAIN, "", True)):
                text = fill_in(each.text, each.kind, ALICE)
                self.assertNotIn("ACCOUNT_", text, (tool, each.path))
                password = json.dumps(ALICE.password)
                shown = ALICE.basic in text or password in text or ALICE.password in text
                self.assertEqual(shown, each.is_secret, (tool, each.path))
                self.assertFalse(shown and each.kind == "shell")
                if each.kind == "file":
                    self.read(each.path, text)
        self.assertNotIn(ALICE.password, repr(ALICE))

    def test_notes(self) -> None:
        """It is said where others cannot connect, and where the name is a guess."""
        loopback = PLAIN.replace("endpoint: 5000", 'endpoint: "tcp:5000:interface=127.0.0.1"')
        self.assertEqual(guide("docker", loopback).notes, ["loopback"])
        self.assertEqual(guide("docker", PLAIN).notes, ["host_guessed"])
        self.assertEqual(guide("docker", PLAIN, "a.test").notes, [])
        self.assertEqual(set(NOTES), {"loopback", "host_guessed", "not_covered"})

    def test_not_covered(self) -> None:
        """It is said where no certificate has the host, since that client passes the cache by."""
        for host, wanted in (
            ("docker.example.com", []),
            ("cache.lan", []),
            ("other.lan", ["not_covered"]),
            ("a.b.example.com", ["not_covered"]),
            ("192.0.2.1", ["not_covered"]),
            ("other.lan:8443", []),  # something in front of it, whose certificate is not known
        ):
            self.assertEqual(guide("docker", self.tls(), host).notes, wanted, host)
        for text, wanted in ((self.tls(), []), (self.tls("docker.example.com"), ["not_covered"])):
            place = located(text, "docker.example.com")
            made = seat_guide("docker", SeatClient("k3j9x2fq7m"), place)
            self.assertEqual(made.notes, wanted)

    def test_nothing_is_served(self) -> None:
        """A client that may see no upstream gets no steps with files."""
        for tool in TOOLS:
            made = guide_for(tool, SetUp(locate_registries(ServedHere([], []))))
            self.assertEqual(
                [each.path for each in blocks(made) if not each.is_part and each.path], []
            )


class DockerTests(GuideCase):
    """dockerd."""

    def settings(self, text: str, host: str = "") -> dict[str, Any]:
        """daemon.json."""
        found: dict[str, Any] = json.loads(files(guide("docker", text, host))[DAEMON_JSON])
        return found

    def test_mirror(self) -> None:
        """Docker Hub's mirror is a root, and what is plain HTTP elsewhere is told."""
        plain = {
            "registry-mirrors": ["http://a.test:5000"],
            "insecure-registries": ["a.test:5000"],
        }
        self.assertEqual(self.settings(PLAIN, "a.test"), plain)
        on_loopback = {"registry-mirrors": ["http://127.0.0.1:5000"]}
        self.assertEqual(self.settings(PLAIN, "127.0.0.1"), on_loopback)
        self.assertEqual(
            self.settings(self.tls())["registry-mirrors"], ["https://docker.example.com"]
        )
        self.assertNotIn("insecure-registries", self.settings(self.tls()))

    def test_no_login_for_mirrors(self) -> None:
        """It is said that a mirror gets no login, as far as one is needed."""
        for access, text in (
            ("", "docker.mirror"),
            (_SOME, "docker.mirror_some"),
            (_HTPASSWD, "docker.mirror_login"),
        ):
            self.assertEqual(guide("docker", PLAIN + access).steps[0].text, text)
        self.assertIn(
            "docker login --username ACCOUNT_NAME box.lan:5000",
            commands(guide("docker", PLAIN + _HTPASSWD)),
        )

    def test_other_registries(self) -> None:
        """All others are named by the cache's own name."""
        found = commands(guide("docker", NAMED))
        self.assertIn("docker pull ghcr.example.com:5000/astral-sh/uv:latest", found)
        self.assertIn("docker pull box.lan:5000/registry.corp/ORG/IMAGE:TAG", found)

    def test_no_mirror(self) -> None:
        """Where Docker Hub does not answer at the root, there is no mirror."""
        made = guide("docker", PLAIN + "default_upstream: ghcr.io\n", "a.test")
        settings = json.loads(files(made)[DAEMON_JSON])
        self.assertEqual(settings, {"insecure-registries": ["a.test:5000"]})
        self.assertIn(
            "docker pull a.test:5000/docker.io/library/hello-world:latest", commands(made)
        )


class ContainerdTests(GuideCase):
    """containerd's folders."""

    def hosts(self, text: str, registry: str = "docker.io", **more: Any) -> dict[str, Any]:
        """hosts.toml of a registry."""
        path = f"/etc/containerd/certs.d/{registry}/hosts.toml"
        return tomllib.loads(files(guide("containerd", text, **more))[path])

    def test_hosts(self) -> None:
        """The cache first, then the registry itself, which is left to containerd if not known."""
        found = self.hosts(NAMED)
        self.assertEqual(found["server"], "https://registry-1.docker.io")
        host = found["host"]["http://docker.example.com:5000"]
        self.assertEqual(host, {"capabilities": ["pull", "resolve"], "dial_timeout": "5s"})
        self.assertNotIn("server", self.hosts(NAMED, "registry.corp"))

    def test_login(self) -> None:
        """The header has the account, or says what has to be there."""
        url = "http://box.lan:5000"
        for found in (self.hosts(PLAIN, with_login=True), self.hosts(PLAIN + _HTPASSWD)):
            header = found["host"][url]["header"]["Authorization"]
            self.assertEqual(fill_in(header, "file", ALICE), ALICE.basic)
        self.assertEqual(guide("containerd", PLAIN + _HTPASSWD).steps[0].text, "containerd.header")

    def test_authority(self) -> None:
        """The file of the authority is the one that hosts.toml names."""
        made = files(guide("containerd", self.tls()))
        found = tomllib.loads(made["/etc/containerd/certs.d/docker.io/hosts.toml"])
        named = found["host"]["https://docker.example.com"]["ca"]
        self.assertEqual(made[named], self.authority)


class OtherTests(GuideCase):
    """podman, CRI-O, k3s and BuildKit."""

    def test_registries_conf(self) -> None:
        """The path names the registry, and plain HTTP is told."""
        found = tomllib.loads(files(guide("podman", PLAIN, "a.test"))[REGISTRIES])["registry"]
        mirror = {"location": "a.test:5000/docker.io", "insecure": True}
        entry = {"prefix": "docker.io", "location": "docker.io", "mirror": [mirror]}
        self.assertEqual(found[0], entry)
        self.assertEqual(found[1]["mirror"][0]["location"], "a.test:5000/ghcr.io")
        named = tomllib.loads(files(guide("podman", self.tls()))[REGISTRIES])["registry"]
        self.assertEqual(named[0]["mirror"], [{"location": "docker.example.com"}])

    def test_crio_login(self) -> None:
        """CRI-O gets a file of logins of its own, which the command fills."""
        made = guide("crio", PLAIN + _HTPASSWD)
        config = tomllib.loads(files(made)["/etc/crio/crio.conf.d/50-regcache.conf"])
        path = config["crio"]["image"]["global_auth_file"]
        self.assertIn(
            f"podman login --authfile {path} --username ACCOUNT_NAME box.lan:5000", commands(made)
        )

    def test_k3s(self) -> None:
        """Endpoints, and the account and authority under the host of the cache."""
        path = "/etc/rancher/k3s/registries.yaml"
        made = files(guide("k3s", self.tls(), "", True))
        found = yaml.safe_load(fill_in(made[path], "file", ALICE))
        self.assertEqual(found["mirrors"]["ghcr.io"], {"endpoint": ["https://ghcr.example.com"]})
        config = found["configs"]["ghcr.example.com"]
        self.assertEqual(config["auth"], {"username": "alice", "password": ALICE.password})
        self.assertEqual(made[config["tls"]["ca_file"]], self.authority)
        self.assertNotIn("configs", yaml.safe_load(files(guide("k3s", PLAIN))[path]))

    def test_buildkit(self) -> None:
        """Mirrors by host, and how to reach it."""
        path = "/etc/buildkit/buildkitd.toml"
        found = tomllib.loads(files(guide("buildkit", PLAIN, "a.test"))[path])["registry"]
        self.assertEqual(found["ghcr.io"], {"mirrors": ["a.test:5000"]})
        self.assertEqual(found["a.test:5000"], {"http": True})
        made = files(guide("buildkit", self.tls()))
        (name,) = tomllib.loads(made[path])["registry"]["docker.example.com"]["ca"]
        self.assertEqual(made[name], self.authority)
