"""Real clients that are known by certificates, and have no other credentials."""

import shutil
from collections.abc import Callable
from typing import Any

from tests.access.accounts import hashed
from tests.integration.base import (
    UPSTREAM,
    certificates,
    public_upstream,
    shared,
)
from tests.integration.identity_base import REPOSITORY, IdentityCase
from tests.integration.test_containerd import containerd
from tests.support.certificates import Authority, Certificate
from tests.support.clients import Buildah, Client, Podman, Pulled, Skopeo, Trust
from tests.support.engines import Dockerd
from tests.support.network_namespace import NetworkNamespace
from tests.support.processes import Workspace, free_port, wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache


class Issuers:
    """The authority of client_ca, and another one; alice has a certificate of each."""

    def __init__(self) -> None:
        self._workspace = Workspace()
        path = self._workspace.path
        self.listed = Authority(path / "listed", "clients")
        self.alice = self.listed.issue("alice")
        self.nobody = self.listed.issue("nobody")
        self.other = Authority(path / "other", "others").issue("alice")
        self.close = self._workspace.remove


issuers = shared(Issuers)
network = shared(NetworkNamespace)


class Protected:
    """A daemon that only alice may pull from; on loopback, and at another address."""

    def __init__(self) -> None:
        self._workspace = Workspace()
        self.accounts = self._workspace.path / "htpasswd"
        self.admit("alice")
        upstreams = {
            "docker.io": {"urls": [public_upstream().url]},
            UPSTREAM: {"urls": [public_upstream().url]},
        }
        config = {"upstreams": upstreams, "access": {"htpasswd": str(self.accounts)}}
        self.daemon = Regcache(config, certificates().certificate)
        self.daemon.config["listeners"][1]["tls"]["client_ca"] = str(issuers().listed.file)

    def admit(self, *names: str) -> None:
        """Let these accounts in, and no others."""
        following = self._workspace.path / "following"
        following.write_text("".join(f"{each}:{hashed('secret').decode()}\n" for each in names))
        following.rename(self.accounts)

    def dismiss(self) -> None:
        """Have nobody left, and wait until the daemon knows it."""
        self.admit()
        client = RegistryClient(f"http://{self.daemon.address}", ("alice", "secret"))
        wait_until(lambda: client.get("/v2/").status == 401, "alice is gone")

    def close(self) -> None:
        """Stop it."""
        self.daemon.close()
        self._workspace.remove()


class CertificateCase(IdentityCase):
    """A daemon for each test."""

    def setUp(self) -> None:
        self.protected = Protected()
        self.addCleanup(self.protected.close)
        self.daemon = self.protected.daemon

    def assert_only_alice(self, pull: Callable[[Certificate | None], Pulled]) -> None:
        """alice pulls until her account is removed; with anything else the client fails."""
        self.assert_arrives(lambda: pull(issuers().alice))
        for shown in (issuers().nobody, issuers().other, None):
            self.assertRaises(AssertionError, pull, shown)
        self.protected.dismiss()
        self.assertRaises(AssertionError, pull, issuers().alice)


class LibraryTests(CertificateCase):
    """Clients that are named a folder."""

    def pull_with(self, kind: type[Client]) -> None:
        """The case, with one of them."""
        self.daemon.start()

        def pull(shown: Certificate | None) -> Pulled:
            folder = self.folder(shown)
            client: Any = kind(Trust(folder, folder / "ca.crt"))
            pulled: Pulled = client.pull(f"{self.daemon.tls_address}/{UPSTREAM}/{REPOSITORY}:1")
            return pulled

        self.assert_only_alice(pull)

    def test_skopeo(self) -> None:
        """skopeo."""
        self.pull_with(Skopeo)

    def test_podman(self) -> None:
        """podman."""
        self.pull_with(Podman)

    def test_buildah(self) -> None:
        """buildah."""
        self.pull_with(Buildah)


class ContainerdTests(CertificateCase):
    """``client`` in hosts.toml."""

    def test_containerd(self) -> None:
        """As a mirror that is asked with ``?ns=``."""
        self.daemon.start()

        def pull(shown: Certificate | None) -> Pulled:
            hosts = containerd().hosts_directory(
                UPSTREAM, self.daemon.tls_address, certificates().trust, client=shown
            )
            return containerd().pull(f"{UPSTREAM}/{REPOSITORY}:1", f"--hosts-dir={hosts}")

        self.assert_only_alice(pull)


class _DockerTests:
    """dockerd in a network of its own: it reads no certs.d for 127.0.0.0/8."""

    containerd_store: bool

    def test_mirror_and_directly(self: Any) -> None:
        """As a registry mirror, where it has no other identity, and by the name of the cache."""
        place, port = network(), free_port()
        address = f"{place.outside}:{port}"
        certificate = certificates().authority.issue(place.outside)
        pair = {"chain": str(certificate.chain), "key": str(certificate.key)}
        tls = {"certificates": [pair], "client_ca": str(issuers().listed.file)}
        endpoint = f"tcp:{port}:interface={place.outside}"
        self.daemon.config["listeners"].append({"endpoint": endpoint, "tls": tls})
        self.daemon.start()
        settings = self.workspace().path
        docker = Dockerd(
            self.containerd_store,
            certificates().authority.file,
            mirror=f"https://{address}",
            settings=settings,
            prefix=place.prefix,
        )
        self.addCleanup(docker.close)

        def show(shown: Certificate | None) -> None:
            folder = settings / "certs.d" / address
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(self.folder(shown), folder)

        def pull_directly(shown: Certificate | None) -> Pulled:
            show(shown)
            return docker.pull(f"{address}/{UPSTREAM}/{REPOSITORY}:1")

        show(issuers().alice)
        self.assert_arrives(lambda: docker.pull(f"{REPOSITORY}:1"))
        self.assert_only_alice(pull_directly)
        self.assertRaises(AssertionError, docker.pull, f"{REPOSITORY}:1")


class GraphDriverStoreTests(_DockerTests, CertificateCase):
    """The classic image store."""

    containerd_store = False


class ContainerdStoreTests(_DockerTests, CertificateCase):
    """The containerd image store."""

    containerd_store = True
