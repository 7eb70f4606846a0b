"""What the tests of the daemon's way to its upstreams share."""

import os
from typing import Any

from tests.integration.base import PullThroughCase, catalog, public_upstream
from tests.support.registry_client import Answer
from tests.support.servers import Regcache

REPOSITORY = "team/docker"


class NetworkCase(PullThroughCase):
    """Pulls one image and looks at how the upstream was reached."""

    def setUp(self) -> None:
        """Forget the proxies in the environment of the tests."""
        self.environment()

    def closing(self, made: Any) -> Any:
        """Close something at the end of the test."""
        self.addCleanup(made.close)
        return made

    def environment(self, **variables: str) -> None:
        """Set variables for the daemons of this test, and unset every other proxy variable."""
        names = {f"{kind}_proxy" for kind in ("http", "https", "no", "all")}
        known = {*names, *(name.upper() for name in names)}
        before = {name: os.environ.pop(name, None) for name in known}
        os.environ.update(variables)

        def restore() -> None:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

        self.addCleanup(restore)

    def get(self, daemon: Regcache, path: str = "manifests/1") -> Answer:
        """Ask for a manifest."""
        return daemon.client().get(f"/v2/{REPOSITORY}/{path}")

    def assert_pulls(self, daemon: Regcache) -> None:
        """A manifest and a blob of it arrive as they were pushed."""
        image = catalog().images[REPOSITORY]
        answer = self.get(daemon)
        self.assertEqual((answer.status, answer.body), (200, image.data), daemon.log())
        [digest, blob] = next(iter(image.all_blobs().items()))
        self.assertEqual(self.get(daemon, f"blobs/{digest}").body, blob.data)

    def assert_unreachable(self, daemon: Regcache, *words: str) -> None:
        """The answer is 502, and says why."""
        answer = self.get(daemon)
        self.assertEqual(answer.status, 502, answer)
        for word in words:
            self.assertIn(word.encode(), answer.body)


def public_port() -> str:
    """The port of the public upstream."""
    return public_upstream().address.rpartition(":")[2]
