"""containerd's own client pulls through the daemon: ``hosts.toml``, ``?ns=``, and directly."""

from tests.integration.base import (
    UPSTREAM,
    UPSTREAM_HOST,
    PullThroughCase,
    certificates,
    named_config,
    public_upstream,
    shared,
    upstream_config,
)
from tests.integration.test_clients import REPOSITORIES
from tests.support.clients import PLAIN, Trust
from tests.support.engines import Containerd
from tests.support.servers import Regcache

containerd = shared(Containerd)


class ContainerdTests(PullThroughCase):
    """``ctr images pull``, with one containerd for all tests."""

    def _pull_by_namespace(self, daemon: Regcache, repository: str, trust: Trust = PLAIN) -> None:
        address = daemon.tls_address if trust.tls else daemon.address
        hosts = containerd().hosts_directory(UPSTREAM, address, trust)
        reference, option = f"{UPSTREAM}/{repository}:1", f"--hosts-dir={hosts}"
        self.pull_twice(repository, lambda: containerd().pull(reference, option), whole=False)

    def test_by_namespace(self) -> None:
        """``?ns=`` chooses the upstream, for every form of image."""
        daemon = self.regcache(named_config(public_upstream().url))
        for repository in REPOSITORIES:
            self._pull_by_namespace(daemon, repository)

    def test_by_namespace_over_tls(self) -> None:
        """The same over TLS, with a certificate that containerd verifies."""
        daemon = self.regcache(named_config(public_upstream().url), tls=True)
        self._pull_by_namespace(daemon, "team/multi", certificates().trust)

    def test_an_unknown_namespace_is_refused(self) -> None:
        """An ns that names no upstream gets nothing, though there is a default upstream."""
        daemon = self.regcache(upstream_config(public_upstream().url))
        hosts = containerd().hosts_directory("unknown.test", daemon.address)
        before = len(public_upstream().requests())
        with self.assertRaises(AssertionError):
            containerd().pull("unknown.test/team/multi:1", f"--hosts-dir={hosts}")
        self.assertEqual(public_upstream().requests()[before:], [])

    def test_by_path_prefix(self) -> None:
        """``override_path`` puts the upstream's name into the path, beside the same ns."""
        daemon = self.regcache(named_config(public_upstream().url))
        hosts = containerd().hosts_directory(UPSTREAM, daemon.address, prefix=UPSTREAM)
        reference, option = f"{UPSTREAM}/team/multi:1", f"--hosts-dir={hosts}"
        self.pull_twice("team/multi", lambda: containerd().pull(reference, option), whole=False)

    def test_by_host_name(self) -> None:
        """The name in the Host header chooses the upstream."""
        names = self.hosts_file(UPSTREAM_HOST)
        daemon = self.regcache(named_config(public_upstream().url))
        reference = f"{UPSTREAM_HOST}:{daemon.port}/team/multi:1"
        self.pull_twice(
            "team/multi",
            lambda: containerd().pull(reference, "--plain-http", hosts_file=names),
            whole=False,
        )

    def test_from_the_default_upstream(self) -> None:
        """An image arrives where nothing is named."""
        daemon = self.regcache(upstream_config(public_upstream().url))
        reference = f"{daemon.address}/library/mixed:1"
        self.pull_twice(
            "library/mixed", lambda: containerd().pull(reference, "--plain-http"), whole=False
        )
