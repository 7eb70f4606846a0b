"""Real clients and accounts: who may pull what, over plain HTTP and over TLS.

Anybody may pull ``library/*``, and accounts the rest, on one host: that breaks clients where the
challenge is not the one that they need.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.integration.access_base import (
    ALICE,
    CLOSED,
    LEAVER,
    MIXED_RULES,
    OPEN,
    WRONG,
    Restricted,
    closed_daemon,
    mixed_daemon,
)
from tests.integration.base import UPSTREAM, catalog
from tests.integration.client_cases import (
    Account,
    ClientCase,
    DockerClient,
    LibraryClient,
    SkopeoClient,
)
from tests.integration.test_containerd import containerd
from tests.integration.test_docker import containerd_dockerd, graph_driver_dockerd
from tests.support.clients import Buildah, Oras, Podman, Pulled
from tests.support.registry_client import basic


class _Tests:
    """What holds for every client."""

    def test_without_an_account(self: Any) -> None:
        """What anybody may pull needs no login, and the rest fails clearly."""
        mixed = self.address(self.watched(mixed_daemon()).daemon)
        self.assert_pulls(mixed, OPEN)
        self.assert_refused(mixed, CLOSED)
        self.assert_refused(self.address(self.watched(closed_daemon()).daemon), OPEN)

    def test_with_an_account(self: Any) -> None:
        """After a login everything can be pulled."""
        for restricted in (mixed_daemon(), closed_daemon()):
            address = self.address(self.watched(restricted).daemon)
            self.login(address, ALICE)
            self.assert_pulls(address, CLOSED, ALICE)
        self.assert_pulls(self.address(mixed_daemon().daemon), OPEN, ALICE)

    def test_wrong_password(self: Any) -> None:
        """A login with a wrong password fails, as does a pull."""
        for restricted in (mixed_daemon(), closed_daemon()):
            address = self.address(self.watched(restricted).daemon)
            self.assert_fails(partial(self.login, address, WRONG))
            self.assert_refused(address, CLOSED, WRONG)

    def test_removed(self: Any) -> None:
        """An account that is removed while the daemon runs is out."""
        mixed = self.watched(mixed_daemon())
        address = self.address(mixed.daemon)
        mixed.admit(LEAVER)
        self.assert_pulls(address, CLOSED, LEAVER)
        mixed.dismiss(LEAVER)
        self.assert_refused(address, CLOSED, LEAVER)


class _RegistriesConf(_Tests):
    """Besides: mirrors in registries.conf, for which these clients have logins."""

    def test_mirror(self: Any) -> None:
        """A mirror with the upstream's name as a path, which is a part of the scope then, too."""
        for restricted in (self.watched(mixed_daemon()), self.watched(closed_daemon())):
            address = self.address(restricted.daemon)
            for location in (address, f"{address}/{UPSTREAM}"):
                pulled = self.pull_from_mirror(location, CLOSED, ALICE)
                self.assert_arrived(catalog().images[CLOSED], pulled, self.whole)
                for account in (None, WRONG):
                    pull = partial(self.pull_from_mirror, location, CLOSED, account)
                    self.assertRaises(AssertionError, pull)


class SkopeoTests(_RegistriesConf, SkopeoClient):
    """skopeo over plain HTTP."""


class SkopeoTlsTests(SkopeoTests):
    """skopeo over TLS."""

    tls = True


class PodmanTests(_RegistriesConf, LibraryClient):
    """podman over plain HTTP."""

    client = Podman


class PodmanTlsTests(PodmanTests):
    """podman over TLS."""

    tls = True


class BuildahTests(_Tests, LibraryClient):
    """buildah over plain HTTP."""

    client = Buildah


class BuildahTlsTests(BuildahTests):
    """buildah over TLS."""

    tls = True


class OrasTests(_Tests, LibraryClient):
    """oras over plain HTTP."""

    client, whole = Oras, True


class OrasTlsTests(OrasTests):
    """oras over TLS."""

    tls = True


class ContainerdTests(_Tests, ClientCase):
    """``ctr``, which has no login, over plain HTTP."""

    def pull(self, address: str, repository: str, account: Account | None) -> Pulled:
        """Pull with the login as an option."""
        options = ["--plain-http"] if not self.tls else [f"--tlscacert={self.trust.file}"]
        if account is not None:
            options += ["--user", ":".join(account)]
        return containerd().pull(f"{address}/{repository}:1", *options)

    def login(self, address: str, account: Account) -> None:
        """Nothing can be checked but by a pull."""
        self.pull(address, CLOSED, account)

    def test_header_in_hosts_toml(self) -> None:
        """A mirror whose ``hosts.toml`` has the header is sent it with every request."""
        for restricted in (mixed_daemon(), closed_daemon()):
            self.watched(restricted)
            self.assert_arrived(
                catalog().images[CLOSED], self.pull_from_mirror(restricted, ALICE), False
            )
            self.assert_fails_as_mirror(restricted, WRONG)

    def pull_from_mirror(self, restricted: Restricted, account: Account) -> Pulled:
        """Pull what another registry should have."""
        headers = {"Authorization": basic(*account)}
        hosts = containerd().hosts_directory(
            UPSTREAM, self.address(restricted.daemon), self.trust, headers=headers
        )
        return containerd().pull(f"{UPSTREAM}/{CLOSED}:1", f"--hosts-dir={hosts}")

    def assert_fails_as_mirror(self, restricted: Restricted, account: Account) -> None:
        """containerd goes on to the registry itself, which nothing answers for."""
        self.assertRaises(AssertionError, self.pull_from_mirror, restricted, account)


class ContainerdTlsTests(ContainerdTests):
    """``ctr`` over TLS."""

    tls = True


class _Docker(DockerClient):
    """docker, and daemons that it pulls from."""

    def mirror(self, access: Mapping[str, Any]) -> Restricted:
        """A daemon as dockerd's registry-mirror; the containerd store says whose mirror."""
        return self.restricted(access, name="docker.io", port=self.docker.mirror_port)

    def pull_by_name(self, repository: str, hub_login: Account | None = None) -> None:
        """Pull what Docker Hub should have, which is not there: the mirror has it."""
        docker = self.docker
        if hub_login is not None:
            docker.keep_login("https://index.docker.io/v1/", hub_login)
        pulled = docker.pull(f"{repository.removeprefix('library/')}:1")
        self.assert_arrived(catalog().images[repository], pulled, False)

    def assert_not_by_name(self, repository: str, hub_login: Account | None = None) -> None:
        """The mirror refuses it, and Docker Hub is not there."""
        self.assertRaises(AssertionError, self.pull_by_name, repository, hub_login)


class _DockerTests(_Tests):
    """Besides: what ``docker login`` keeps, a password or a refresh token, is good for pulls."""

    def test_pull_after_login(self: Any) -> None:
        """The case that breaks others: nothing without a login, all after it, none at its end."""
        for restricted in (self.watched(mixed_daemon()), self.watched(closed_daemon())):
            address, docker = self.address(restricted.daemon), self.docker
            reference = f"{address}/{CLOSED}:1"
            restricted.admit(LEAVER)
            self.assert_fails(partial(docker.pull, reference))
            docker.login(address, LEAVER)
            self.assert_arrived(catalog().images[CLOSED], docker.pull(reference), False)
            restricted.dismiss(LEAVER)
            self.assert_fails(partial(docker.pull, reference))


class _MirrorTests(_DockerTests):
    """Besides: a mirror, which dockerd does not log in to."""

    def test_mirror(self: Any) -> None:
        """What anybody may pull comes from the mirror, and nothing else does."""
        self.mirror({"rules": MIXED_RULES})
        self.pull_by_name(OPEN)
        self.assert_not_by_name(CLOSED)

    def test_mirror_with_a_strange_login(self: Any) -> None:
        """A login at Docker Hub, which is nobody's here, does no harm."""
        self.mirror({"rules": MIXED_RULES})
        self.pull_by_name(OPEN, WRONG)
        self.assert_not_by_name(CLOSED, WRONG)

    def test_mirror_by_network(self: Any) -> None:
        """Where a rule lets a network in, dockerd needs no login."""
        self.mirror({"rules": [{"accounts": ["anonymous"], "networks": ["127.0.0.0/8"]}]})
        self.pull_by_name(CLOSED)


class GraphDriverStoreTests(_MirrorTests, _Docker):
    """docker with the classic image store, over plain HTTP."""

    dockerd = staticmethod(graph_driver_dockerd)

    def test_mirror_with_an_account(self) -> None:
        """This store sends its Docker Hub login to mirrors: it may be an account's here."""
        for access in ({"rules": MIXED_RULES}, {}):
            mirror = self.mirror(access)
            self.pull_by_name(CLOSED, ALICE)
            mirror.daemon.stop()


class ContainerdStoreTests(_MirrorTests, _Docker):
    """docker with the containerd image store, over plain HTTP."""

    dockerd = staticmethod(containerd_dockerd)

    def test_mirror_with_an_account(self) -> None:
        """This store sends mirrors no login at all."""
        self.mirror({"rules": MIXED_RULES})
        self.assert_not_by_name(CLOSED, ALICE)


class _DockerTls(_Docker):
    """dockerd takes 127.0.0.0/8 for insecure: refused over TLS it tries plain HTTP there."""

    tls = True
    refusals = (*ClientCase.refusals, "400 bad request")


class GraphDriverStoreTlsTests(_DockerTests, _DockerTls):
    """docker with the classic image store, over TLS."""

    dockerd = staticmethod(graph_driver_dockerd)


class ContainerdStoreTlsTests(_DockerTests, _DockerTls):
    """docker with the containerd image store, over TLS."""

    dockerd = staticmethod(containerd_dockerd)
