"""Real clients as a seat, by each identity that they can send, until it is taken away."""

import json
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.integration.base import (
    UPSTREAM,
    certificates,
    public_upstream,
)
from tests.integration.identity_base import REPOSITORY, IdentityCase
from tests.integration.test_certificate_clients import network
from tests.integration.test_containerd import containerd
from tests.support.certificates import Certificate
from tests.support.clients import Podman, Pulled, Trust
from tests.support.ctl import run_ctl
from tests.support.engines import Dockerd
from tests.support.processes import free_port, require, run
from tests.support.registry_client import RegistryClient, basic
from tests.support.servers import Regcache

HUB_HOST, HOST = "hub.proxy.example", "up.proxy.example"
MAKE = ("--key", "--certificate", "--host", "--knock")


class SeatCase(IdentityCase):
    """A daemon that only seats may pull from, and the seat of alice."""

    def setUp(self) -> None:
        folder = self.workspace().path
        self.socket = folder / "admin.sock"
        upstreams = {
            "docker.io": {"urls": [public_upstream().url], "hosts": [HUB_HOST]},
            UPSTREAM: {"urls": [public_upstream().url], "hosts": [HOST]},
        }
        access = {"seats": str(folder / "seats.yml"), "knock": "24h"}
        config = {"upstreams": upstreams, "access": access}
        self.daemon = Regcache(config, certificates().certificate)
        self.daemon.config["admin"]["socket"] = str(self.socket)
        self.addCleanup(self.daemon.close)
        self.secrets: list[str] = []
        self.addCleanup(self.assert_no_secrets)

    def start(self) -> None:
        """Start it, and add the seat."""
        self.daemon.start()
        self.made = self.seat("add", "alice", *MAKE)
        self.label = self.made["host"]["label"]

    def seat(self, *arguments: str) -> Any:
        """What ``regcachectl seat`` says; its secrets are looked for in the log afterwards."""
        ran = run_ctl("seat", *arguments, "--json", "--socket", str(self.socket))
        assert ran.returncode == 0, (ran.stdout, ran.stderr)
        told = json.loads(ran.stdout)
        link = told["link"] and told["link"]["urls"][0].rpartition("/")[2]
        label = told["host"] and told["host"]["label"]
        self.secrets += [each for each in (told["password"], told["key"], link, label) if each]
        return told

    def assert_no_secrets(self) -> None:
        """No secret of the seat is in the log of the daemon."""
        written = self.daemon.log()
        self.assertIn("account=alice", written)
        for secret in self.secrets:
            self.assertNotIn(secret, written)

    def at_seat(self, host: str) -> str:
        """A host of the cache as that of the seat."""
        first, _, rest = host.partition(".")
        return f"{first}-{self.label}.{rest}"

    @property
    def link(self) -> str:
        """The path of the seat's link."""
        return "/knock/" + self.made["link"]["urls"][0].rpartition("/")[2]

    def written(self, tool: str, host: str, **environment: str) -> tuple[Path, list[str]]:
        """What client-config writes for the seat: its root, and what is to be typed next."""
        root = self.workspace().path
        words = ("client-config", tool, "--seat", "alice", "--host", host, "--write")
        options = ("--root", str(root), "--json", "--socket", str(self.socket))
        ran = run_ctl(*words, *options, **environment)
        assert ran.returncode == 0, (ran.stdout, ran.stderr)
        commands: list[str] = json.loads(ran.stdout)["commands"]
        return root, commands

    def certificate(self) -> Certificate:
        """The seat's certificate, as files."""
        folder, made = self.workspace().path, self.made["certificate"]
        shown = Certificate(folder / "client.cert", folder / "client.key")
        shown.chain.write_text(made["certificate"])
        shown.key.write_text(made["key"])
        return shown

    def assert_each(
        self, pulls: Mapping[str, Callable[[], Pulled]], nobody: Callable[[], Pulled]
    ) -> None:
        """Each identity pulls, and the address that knocked; none when the seat has ended.

        With another password the former one does not.

        :param nobody: pulls without an identity.
        """
        for pull in pulls.values():
            self.assert_arrives(pull)
        self.assertRaises(AssertionError, nobody)
        self.seat("change", "alice", "--password")
        self.assertRaises(AssertionError, pulls["password"])
        self.assert_arrives(pulls["key"])
        client = RegistryClient(f"http://{self.daemon.address}")
        self.assertEqual(client.ask("POST", self.link).status, 200)
        self.assert_arrives(nobody)
        self.seat("end", "alice")
        for pull in (*pulls.values(), nobody):
            self.assertRaises(AssertionError, pull)


class LibraryTests(SeatCase):
    """Clients that log in, too."""

    def test_podman(self) -> None:
        """podman: a login by password or key, a certificate, a host, and an address."""
        self.start()
        names = self.hosts_file(HOST, self.at_seat(HOST))
        port = self.daemon.tls_port

        def podman(host: str, shown: Certificate | None = None, login: str = "") -> Pulled:
            folder = self.folder(shown)
            address = f"{host}:{port}"
            client = Podman(Trust(folder, folder / "ca.crt"), names, mirrors={UPSTREAM: address})
            if login:
                auths = {address: {"auth": basic("alice", login).removeprefix("Basic ")}}
                client.authfile = folder.parent / f"{folder.name}.json"
                client.authfile.write_text(json.dumps({"auths": auths}))
                self.addCleanup(client.authfile.unlink)
            return client.pull(f"{UPSTREAM}/{REPOSITORY}:1")

        shown = self.certificate()
        pulls = {
            "password": lambda: podman(HOST, login=self.made["password"]),
            "key": lambda: podman(HOST, login=self.made["key"]),
            "certificate": lambda: podman(HOST, shown),
            "host": lambda: podman(self.at_seat(HOST)),
        }
        self.assert_each(pulls, lambda: podman(HOST))

    def test_containerd(self) -> None:
        """containerd: a header, a certificate, a host, and an address."""
        self.start()
        names = self.hosts_file(HOST, self.at_seat(HOST))
        port = self.daemon.tls_port

        def pull(host: str, **options: Any) -> Pulled:
            hosts = containerd().hosts_directory(
                UPSTREAM, f"{host}:{port}", certificates().trust, **options
            )
            return containerd().pull(
                f"{UPSTREAM}/{REPOSITORY}:1", f"--hosts-dir={hosts}", hosts_file=names
            )

        def login(secret: str) -> Pulled:
            return pull(HOST, headers={"Authorization": basic("alice", self.made[secret])})

        shown = self.certificate()
        pulls = {
            "password": lambda: login("password"),
            "key": lambda: login("key"),
            "certificate": lambda: pull(HOST, client=shown),
            "host": lambda: pull(self.at_seat(HOST)),
        }
        self.assert_each(pulls, lambda: pull(HOST))

    def test_written(self) -> None:
        """client-config writes the first proof that the seat has, until it is taken away."""
        self.start()
        names = self.hosts_file(HOST, self.at_seat(HOST))
        address = f"{HOST}:{self.daemon.tls_port}"
        folder = "/etc/containerd/certs.d"

        def pull(secret: str = "") -> Pulled:
            root, commands = self.written("containerd", address, REGCACHE_CLIENT_PASSWORD=secret)
            for words in map(shlex.split, commands):
                if words[0] == "install":
                    file = shown.key if words[-2] == "client.key" else shown.chain
                    shutil.copy(file, f"{root}{words[-1]}")
            file = root / f"{folder[1:]}/{UPSTREAM}/hosts.toml"
            file.write_text(file.read_text().replace(folder, f"{root}{folder}"))
            option = f"--hosts-dir={root}{folder}"
            return containerd().pull(f"{UPSTREAM}/{REPOSITORY}:1", option, hosts_file=names)

        shown = self.certificate()
        place = f"https://{self.daemon.tls_address}/{UPSTREAM}"
        trust = ("prove", "--ca", str(certificates().authority.file))
        pair = ("--cert", str(shown.chain), "--key", str(shown.key))
        image = f"{UPSTREAM}/{REPOSITORY}:1"
        self.assert_arrives(pull)
        self.assertEqual(run_ctl(*trust, *pair, place, image).returncode, 0)
        gone = ("--remove-certificate", self.made["certificate"]["fingerprint"])
        self.seat("change", "alice", *gone)
        self.assertIn("401", run_ctl(*trust, *pair, place, image).stdout)
        self.assert_arrives(pull)
        self.seat("change", "alice", "--remove-host")
        self.assert_arrives(lambda: pull(self.made["key"]))


class _DockerTests:
    """dockerd as a mirror's client in a network of its own: it sends no login."""

    containerd_store: bool

    def mirrors(self: Any, address: str) -> Any:
        """Those that client-config writes for the seat."""
        root, _ = self.written("docker", address)
        return json.loads((root / "etc/docker/daemon.json").read_text())["registry-mirrors"]

    def test_mirror(self: Any) -> None:
        """A host, a certificate and an address, each until it is taken away."""
        require("curl")
        place, port = network(), free_port()
        remove = ("change", "alice", "--remove-certificate")
        authority = certificates().authority
        pair = authority.issue("*.proxy.example")
        tls = {"certificates": [{"chain": str(pair.chain), "key": str(pair.key)}]}
        endpoint = f"tcp:{port}:interface={place.outside}"
        self.daemon.config["listeners"].append({"endpoint": endpoint, "tls": tls})
        self.start()
        address, at_seat = f"{HUB_HOST}:{port}", f"{self.at_seat(HUB_HOST)}:{port}"
        by_certificate = self.mirrors(address)
        self.seat(*remove, self.made["certificate"]["fingerprint"])
        by_host = self.mirrors(address)
        self.assertEqual(
            (by_certificate, by_host), ([f"https://{address}"], [f"https://{at_seat}"])
        )
        self.made["certificate"] = self.seat("certificate", "alice")["certificate"]
        settings = self.workspace().path
        docker = Dockerd(
            self.containerd_store,
            authority.file,
            settings=settings,
            prefix=place.prefix,
            names={place.outside: [HUB_HOST, self.at_seat(HUB_HOST)]},
            configure=lambda path: _use_mirrors(path, *by_host, *by_certificate),
        )
        self.addCleanup(docker.close)

        def pull() -> Pulled:
            return docker.pull(f"{REPOSITORY}:1")

        self.assert_arrives(pull)
        self.seat("change", "alice", "--remove-host")
        self.assertRaises(AssertionError, pull)
        shutil.copytree(self.folder(self.certificate()), settings / "certs.d" / address)
        self.assert_arrives(pull)
        self.seat(*remove, self.made["certificate"]["fingerprint"])
        self.assertRaises(AssertionError, pull)
        there = f"{address}:{place.outside}"
        knock = ["curl", "-fsS", "-X", "POST", "--cacert", str(authority.file), "--resolve", there]
        run([*place.prefix, *knock, f"https://{address}{self.link}"])
        self.assert_arrives(pull)
        self.seat("end", "alice")
        self.assertRaises(AssertionError, pull)


def _use_mirrors(path: Path, *urls: str) -> None:
    """Name them in the daemon.json below a folder."""
    file = path / "etc/docker/daemon.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "registry-mirrors": urls}))


class GraphDriverStoreTests(_DockerTests, SeatCase):
    """The classic image store."""

    containerd_store = False


class ContainerdStoreTests(_DockerTests, SeatCase):
    """The containerd image store."""

    containerd_store = True
