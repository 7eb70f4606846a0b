"""Pulls of a node: by CRI, as the kubelet asks for them, with what client-config writes."""

from pathlib import Path
from typing import Any

from tests.integration.access_base import ALICE, WRONG, AccountsFile
from tests.integration.base import PullThroughCase, catalog, public_upstream
from tests.integration.test_client_setup import MULTI, write_setup
from tests.integration.test_private import ACCOUNT, basic_upstream
from tests.support.node import Node, PullError
from tests.support.registry_client import basic
from tests.support.servers import Regcache

MIXED, DOCKER = "library/mixed", "team/docker"


class NodeTests(PullThroughCase):
    """containerd's CRI plugin. The registry itself is there too, under its own name."""

    def setUp(self) -> None:
        """The name of an image begins with the address of the registry itself."""
        self.registry = public_upstream().address

    def begin(self, **access: Any) -> Regcache:
        """A daemon."""
        upstreams = {self.registry: {"urls": [public_upstream().url]}}
        return self.regcache({"upstreams": upstreams, **access})

    def node(self, daemon: Regcache, *words: str, **environment: str) -> Node:
        """A node that was set up for a daemon."""

        def configure(root: Path) -> None:
            options = ("--host", daemon.address, *words)
            self.said = write_setup(daemon, "kubelet", root, *options, **environment)

        node = Node(configure)
        self.addCleanup(node.close)
        return node

    def pull(self, node: Node, repository: str, *account: tuple[str, str]) -> None:
        """What arrives is what was pushed."""
        pulled = node.pull(f"{self.registry}/{repository}:1", *account)
        self.assert_arrived(catalog().images[repository], pulled, whole=False)

    def test_mirror(self) -> None:
        """A miss, then a hit; with the cache away the registry itself is asked."""
        daemon = self.begin()
        node = self.node(daemon)
        reference = f"{self.registry}/{MULTI}:1"
        self.pull_twice(MULTI, lambda: node.pull(reference), whole=False)
        self.assert_logged(daemon, "kind=blob", "outcome=miss")
        self.assert_logged(daemon, "kind=blob", "outcome=hit")
        daemon.stop()
        before = len(public_upstream().requests())
        self.pull(node, MULTI)
        self.assertGreater(len(public_upstream().requests()), before)

    def test_account(self) -> None:
        """The header of hosts.toml is the node's account; who has none is passed by."""
        accounts = AccountsFile(ALICE)
        self.addCleanup(accounts.close)
        daemon = self.begin(access={"htpasswd": str(accounts.path)})
        words = ("--account", ALICE[0])
        node = self.node(daemon, *words, REGCACHE_CLIENT_PASSWORD=ALICE[1])
        self.pull(node, MIXED)
        self.assert_logged(daemon, f"account={ALICE[0]}", "kind=blob", "outcome=miss")
        accounts.remove(ALICE[0])
        self.assert_logged(daemon, "htpasswd")
        self.pull(node, DOCKER)
        self.assert_logged(daemon, "status=401")
        self.assert_not_served(daemon, DOCKER)

    def test_pull_secret(self) -> None:
        """A pull secret of the registry reaches the mirror: it is neither minded nor kept."""
        daemon = self.begin()
        node = self.node(daemon)
        for _ in range(2):
            self.pull(node, MULTI, WRONG)
        self.assert_logged(daemon, "kind=blob", "outcome=hit")
        self.assertNotIn(WRONG[1], daemon.log())
        self.assertNotIn(basic(*WRONG), daemon.log())

    def test_private_image(self) -> None:
        """By the secret of a pod a private image comes from the registry itself."""
        private = basic_upstream()
        self.registry = private.address
        upstreams = {self.registry: {"urls": [private.url]}}
        daemon = self.regcache({"upstreams": upstreams})
        node = self.node(daemon)
        self.pull(node, MULTI, ACCOUNT)
        self.assert_not_served(daemon, MULTI)
        with self.assertRaises(PullError):
            node.pull(f"{self.registry}/{MULTI}:1")
        self.assert_logged(
            daemon, "status=403", f'error="upstream {self.registry} refuses', times=2
        )

    def assert_not_served(self, daemon: Regcache, repository: str) -> None:
        """The daemon has given nothing of an image."""
        words = ("status=200", f"repository={repository}")
        given = [one for one in daemon.log().splitlines() if all(word in one for word in words)]
        self.assertEqual(given, [])
