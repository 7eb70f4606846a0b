"""dockerd pulls through the daemon as its registry-mirror, with both image stores."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from tests.integration.base import (
    UPSTREAM,
    PullThroughCase,
    certificates,
    named_config,
    public_upstream,
    shared,
)
from tests.integration.test_clients import REPOSITORIES
from tests.integration.test_quotas import KEY, LAYERED, QuotaCase
from tests.support.engines import Dockerd


@shared
def graph_driver_dockerd() -> Dockerd:
    """The classic image store, on a system that trusts the authority."""
    return Dockerd(False, certificates().authority.file)


@shared
def containerd_dockerd() -> Dockerd:
    """The containerd image store, on a system that trusts the authority."""
    return Dockerd(True, certificates().authority.file)


class _DockerTests:
    """What holds for both stores; one dockerd for all tests of a store."""

    dockerd: Callable[[], Dockerd]

    def test_as_a_registry_mirror(self) -> None:
        """Every form of image arrives; ``library/`` is docker's own doing."""
        docker = type(self).dockerd()
        # The containerd store adds ns=docker.io, so this upstream has to be that one.
        hub = {"upstreams": {"docker.io": {"urls": [public_upstream().url]}}}
        self.regcache(hub, port=docker.mirror_port)
        for repository in REPOSITORIES:
            reference = f"{repository.removeprefix('library/')}:1"
            self.pull_twice(repository, partial(docker.pull, reference), whole=False)

    def test_directly_by_path_prefix(self) -> None:
        """``docker pull HOST:PORT/UPSTREAM/...`` finds plain HTTP behind the TLS it tries first."""
        docker = type(self).dockerd()
        daemon = self.regcache(named_config(public_upstream().url))
        reference = f"{daemon.address}/{UPSTREAM}/team/multi:1"
        self.pull_twice("team/multi", lambda: docker.pull(reference), whole=False)


class GraphDriverStoreTests(_DockerTests, PullThroughCase):
    """The classic image store."""

    dockerd = staticmethod(graph_driver_dockerd)


class ContainerdStoreTests(_DockerTests, PullThroughCase):
    """The containerd image store."""

    dockerd = staticmethod(containerd_dockerd)


class _QuotaTests:
    """dockerd as a seat that reaches its quota.

    With the manifest: the containerd store asks for all layers at once, so that each of them may
    begin before any has sent much.
    """

    limits: ClassVar[dict[str, Any]] = {"daily": "1KiB"}
    dockerd: Callable[[], Dockerd]

    def test_quota(self: Any) -> None:
        """docker says which quota is used up, and pulls when there is more."""
        docker = type(self).dockerd()
        self.upstream.add_image("team/layers", LAYERED, "1")
        address = self.daemon.address
        docker.login(address, ("alice", KEY))
        self.addCleanup(docker.forget_logins)
        with self.assertRaises(AssertionError) as caught:
            docker.pull(f"{address}/team/layers:1")
        spent = "toomanyrequests: the daily quota of 1.0 KiB is used up"
        self.assertIn(spent, str(caught.exception))
        self.check_refused()
        self.give_more()
        pulled = docker.pull(f"{address}/team/layers:1")
        self.assert_arrived(LAYERED, pulled, whole=False)


class GraphDriverQuotaTests(_QuotaTests, QuotaCase):
    """The classic image store."""

    dockerd = staticmethod(graph_driver_dockerd)


class ContainerdQuotaTests(_QuotaTests, QuotaCase):
    """The containerd image store."""

    dockerd = staticmethod(containerd_dockerd)
