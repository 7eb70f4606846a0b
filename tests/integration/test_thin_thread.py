"""The thin thread: one real image, one real client, the whole way."""

from tests.integration.base import PullThroughCase, public_upstream, upstream_config
from tests.support.clients import Skopeo


class ThinThreadTests(PullThroughCase):
    """skopeo pulls one image through the daemon from docker-registry."""

    def test_skopeo_pulls_an_image_and_the_upstream_is_asked_once(self) -> None:
        """What arrives equals what was pushed, the second pull costs the upstream no body."""
        daemon = self.regcache(upstream_config(public_upstream().url))
        client = Skopeo()
        reference = f"{daemon.address}/library/mixed:1"
        self.pull_twice("library/mixed", lambda: client.pull(reference), whole=True)
        self.assertEqual(daemon.stop(), 0, daemon.log())
