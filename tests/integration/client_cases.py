"""What tests that pull with real clients and accounts share: one class for each kind of client."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.integration.access_base import AccessCase
from tests.integration.base import catalog, certificates
from tests.support.clients import PLAIN, Buildah, Oras, Podman, Pulled, Skopeo, Trust
from tests.support.engines import Dockerd
from tests.support.registry_client import basic
from tests.support.servers import Regcache

Account = tuple[str, str]


class ClientCase(AccessCase):
    """Pulls with one kind of client."""

    tls = False
    whole = False
    #: What clients say who may not.
    refusals: tuple[str, ...] = (
        *("unauthorized", "401", "authentication required", "access denied", "denied"),
        *("no basic auth credentials", "basic credential not found", "invalid username/password"),
    )

    @property
    def trust(self) -> Trust:
        """How the client reaches the daemon."""
        return certificates().trust if self.tls else PLAIN

    def address(self, daemon: Regcache) -> str:
        """Where the client reaches a daemon."""
        return daemon.tls_address if self.tls else daemon.address

    def pull(self, address: str, repository: str, account: Account | None) -> Pulled:
        """Pull from nothing."""
        raise NotImplementedError

    def login(self, address: str, account: Account) -> None:
        """Log in."""
        raise NotImplementedError

    def assert_pulls(self, address: str, repository: str, account: Account | None = None) -> None:
        """What was pushed arrives."""
        pulled = self.pull(address, repository, account)
        self.assert_arrived(catalog().images[repository], pulled, self.whole)

    def assert_refused(self, address: str, repository: str, account: Account | None = None) -> None:
        """The client fails, and says that it may not."""
        self.assert_fails(partial(self.pull, address, repository, account))

    def assert_fails(self, act: Callable[[], Any]) -> None:
        """A client says that it may not."""
        said = str(self.assertRaises(AssertionError, act)).lower()
        self.assertTrue(any(one in said for one in self.refusals), said)


class LibraryClient(ClientCase):
    """Clients that keep logins in a file that can be named."""

    client: type[Skopeo] | type[Podman] | type[Buildah] | type[Oras]

    def made(self, authfile: Path | None = None) -> Any:
        """A client, with or without logins."""
        return self.client(trust=self.trust, authfile=authfile)

    def pull(self, address: str, repository: str, account: Account | None) -> Pulled:
        """Pull with a file that has the login."""
        pulled: Pulled = self.made(self.logins(address, account)).pull(f"{address}/{repository}:1")
        return pulled

    def logins(self, address: str, account: Account | None) -> Path:
        """A file with one login, or none."""
        logins = {}
        if account is not None:
            logins[address] = {"auth": basic(*account).removeprefix("Basic ")}
        return self.workspace().file("auth.json", json.dumps({"auths": logins}))

    def pull_from_mirror(self, location: str, repository: str, account: Account | None) -> Pulled:
        """Pull what another registry should have, by a mirror that may be a host and a path."""
        client = self.made(self.logins(location.partition("/")[0], account))
        client.mirrors = {"upstream.invalid": location}
        pulled: Pulled = client.pull(f"upstream.invalid/{repository}:1")
        return pulled

    def login(self, address: str, account: Account) -> None:
        """Have the client log in."""
        self.made(self.workspace().path / "auth.json").login(address, account)


class SkopeoClient(LibraryClient):
    """skopeo."""

    client, whole = Skopeo, True


class DockerClient(ClientCase):
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
