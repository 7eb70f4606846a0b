"""Real clients and accounts: who may pull what, over plain HTTP and over TLS.

Anybody may pull ``library/*``, and accounts the rest, on one host: that breaks clients where the
challenge is not the one that they need.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.integration.access_base import (
    ALICE,
    CLOSED,
    LEAVER,
    MIXED_RULES,
    OPEN,
    WRONG,
    AccessCase,
    Restricted,
    closed_daemon,
    mixed_daemon,
)
from tests.integration.base import UPSTREAM, catalog, certificates
from tests.integration.test_containerd import containerd
from tests.integration.test_docker import containerd_dockerd, graph_driver_dockerd
from tests.support.clients import PLAIN, Buildah, Oras, Podman, Pulled, Skopeo, Trust
from tests.support.engines import Dockerd
from tests.support.registry_client import basic

Account = tuple[str, str]


class ClientCase(AccessCase):
    """Pulls with one kind of client."""

    tls = False
    whole = False
    #: What clients say who may not.
    refusals: tuple[str, ...] = (
        *("unauthorized", "401", "authentication required", "access denied", "denied"),
        *("no basic auth credentials", "invalid username/password"),
    )

    @property
    def trust(self) -> Trust:
        """How the client reaches the daemon."""
        return certificates().trust if self.tls else PLAIN

    def address(self, restricted: Restricted) -> str:
        """Where the client reaches the daemon."""
        daemon = restricted.daemon
        return daemon.tls_address if self.tls else daemon.address

    def pull(self, address: str, repository: str, account: Account | None) -> Pulled:
        """Pull from nothing."""
        raise NotImplementedError

    def login(self, address: str, account: Account) -> None:
        """Log in."""
        raise NotImplementedError

    def assert_pulls(
        self, restricted: Restricted, repository: str, account: Account | None = None
    ) -> None:
        """What was pushed arrives."""
        pulled = self.pull(self.address(restricted), repository, account)
        self.assert_arrived(catalog().images[repository], pulled, self.whole)

    def assert_refused(
        self, restricted: Restricted, repository: str, account: Account | None = None
    ) -> None:
        """The client fails, and says that it may not."""
        self.assert_fails(partial(self.pull, self.address(restricted), repository, account))

    def assert_fails(self, act: Callable[[], Any]) -> None:
        """A client says that it may not."""
        said = str(self.assertRaises(AssertionError, act)).lower()
        self.assertTrue(any(one in said for one in self.refusals), said)


class _Tests:
    """What holds for every client."""

    def test_without_an_account(self: Any) -> None:
        """What anybody may pull needs no login, and the rest fails clearly."""
        mixed = self.watched(mixed_daemon())
        self.assert_pulls(mixed, OPEN)
        self.assert_refused(mixed, CLOSED)
        self.assert_refused(self.watched(closed_daemon()), OPEN)

    def test_with_an_account(self: Any) -> None:
        """After a login everything can be pulled."""
        for restricted in (mixed_daemon(), closed_daemon()):
            self.watched(restricted)
            self.login(self.address(restricted), ALICE)
            self.assert_pulls(restricted, CLOSED, ALICE)
        self.assert_pulls(mixed_daemon(), OPEN, ALICE)

    def test_wrong_password(self: Any) -> None:
        """A login with a wrong password fails, as does a pull."""
        for restricted in (mixed_daemon(), closed_daemon()):
            self.watched(restricted)
            self.assert_fails(partial(self.login, self.address(restricted), WRONG))
            self.assert_refused(restricted, CLOSED, WRONG)

    def test_removed(self: Any) -> None:
        """An account that is removed while the daemon runs is out."""
        mixed = self.watched(mixed_daemon())
        mixed.admit(LEAVER)
        self.assert_pulls(mixed, CLOSED, LEAVER)
        mixed.dismiss(LEAVER)
        self.assert_refused(mixed, CLOSED, LEAVER)


class _Library(ClientCase):
    """Clients that keep logins in a file that can be named."""

    client: type[Skopeo] | type[Podman] | type[Buildah] | type[Oras]

    def made(self, authfile: Path | None = None) -> Any:
        """A client, with or without logins."""
        return self.client(trust=self.trust, authfile=authfile)

    def pull(self, address: str, repository: str, account: Account | None) -> Pulled:
        """Pull with a file that has the login."""
        logins = {}
        if account is not None:
            logins[address] = {"auth": basic(*account).removeprefix("Basic ")}
        file = self.workspace().file("auth.json", json.dumps({"auths": logins}))
        pulled: Pulled = self.made(file).pull(f"{address}/{repository}:1")
        return pulled

    def login(self, address: str, account: Account) -> None:
        """Have the client log in."""
        self.made(self.workspace().path / "auth.json").login(address, account)


class SkopeoTests(_Tests, _Library):
    """skopeo over plain HTTP."""

    client, whole = Skopeo, True


class SkopeoTlsTests(SkopeoTests):
    """skopeo over TLS."""

    tls = True


class PodmanTests(_Tests, _Library):
    """podman over plain HTTP."""

    client = Podman


class PodmanTlsTests(PodmanTests):
    """podman over TLS."""

    tls = True


class BuildahTests(_Tests, _Library):
    """buildah over plain HTTP."""

    client = Buildah


class BuildahTlsTests(BuildahTests):
    """buildah over TLS."""

    tls = True


class OrasTests(_Tests, _Library):
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
            UPSTREAM, self.address(restricted), self.trust, headers=headers
        )
        return containerd().pull(f"{UPSTREAM}/{CLOSED}:1", f"--hosts-dir={hosts}")

    def assert_fails_as_mirror(self, restricted: Restricted, account: Account) -> None:
        """containerd goes on to the registry itself, which nothing answers for."""
        self.assertRaises(AssertionError, self.pull_from_mirror, restricted, account)


class ContainerdTlsTests(ContainerdTests):
    """``ctr`` over TLS."""

    tls = True


class _Docker(ClientCase):
    """docker, whose logins the client keeps."""

    dockerd: Callable[[], Dockerd]

    @property
    def docker(self) -> Dockerd:
        """The engine of all tests of this store, which has no logins yet."""
        found = type(self).dockerd()
        found.forget_logins()
        self.addCleanup(found.forget_logins)
        return found

    def pull(self, address: str, repository: str, account: Account | None) -> Pulled:
        """Pull with a login that is there already."""
        docker = self.docker
        if account is not None:
            docker.keep_login(address, account)
        return docker.pull(f"{address}/{repository}:1")

    def login(self, address: str, account: Account) -> None:
        """``docker login``."""
        self.docker.login(address, account)

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


class _MirrorTests(_Tests):
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
    refusals = (*ClientCase.refusals, "eof")


class GraphDriverStoreTlsTests(_Tests, _DockerTls):
    """docker with the classic image store, over TLS."""

    dockerd = staticmethod(graph_driver_dockerd)


class ContainerdStoreTlsTests(_Tests, _DockerTls):
    """docker with the containerd image store, over TLS."""

    dockerd = staticmethod(containerd_dockerd)
