"""What the tests of rights begin with."""

from typing import Any

from regcache.errors import UpstreamUnreachable
from tests.cache.cases import APP, CacheTestCase
from tests.support.registries import FakeRegistry

EVIL = "evil/app"
SECRET = b"the secret layer " * 1000
AWAY = UpstreamUnreachable("up.test", "connection refused")


class RightsTestCase(CacheTestCase):
    """One upstream that is read with credentials, whose private repository was pulled."""

    credentials = "robot"

    def setUp(self) -> None:
        """A blob of org/app is cached; no other repository holds it."""
        super().setUp()
        self.registry.serve_private = True
        self.blob = self.registry.add(SECRET)
        self.holders = {(APP, self.blob)}
        self.registry.holds = lambda repository, digest: (repository, digest) in self.holders
        self.other = FakeRegistry(self.clock, name="other.test", chunk=100_000)
        self.restart()
        self.result(self.by_digest())
        self.pull(self.blob)
        self.asked()

    def restart(self, policy: Any = None) -> None:
        """Begin anew, with both upstreams."""
        self.caches = self.make_caches(self.registry, self.other, policy=policy)
