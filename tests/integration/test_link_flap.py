"""A link that goes away and comes back, over a real one between two network name spaces."""

from concurrent.futures import ThreadPoolExecutor

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.link import BODY, Link
from tests.support.processes import wait_until
from tests.support.servers import Regcache

#: Connections that are idle when the link goes away.
IDLE = 8
#: A time-out that is never waited for (seconds).
PATIENCE = "60s"


class LinkTests(PullThroughCase):
    """A daemon with idle connections to an upstream behind a link."""

    def setUp(self) -> None:
        """Lay the link."""
        self.link = Link()
        self.addCleanup(self.link.close)

    def start(self, first_byte_timeout: str) -> None:
        """Start the daemon, and have it open connections."""
        times = {"connect_timeout": "5s", "first_byte_timeout": first_byte_timeout}
        daemon: Regcache = self.regcache(upstream_config(self.link.url, **times))
        self.client = daemon.client(timeout=90)
        with ThreadPoolExecutor(IDLE) as pool:
            for body in pool.map(lambda n: self.get(f"slow/{n}"), range(IDLE)):
                self.assertEqual(body, (200, BODY))
        wait_until(lambda: len(self.link.connections()) >= 3, "idle connections")

    def get(self, repository: str) -> tuple[int, bytes]:
        """A manifest that was not asked for yet: its status and body."""
        answer = self.client.get(f"/v2/{repository}/manifests/1")
        return answer.status, answer.body

    def test_connections_that_died(self) -> None:
        """After a flap one request is lost at most: none meets a second dead connection."""
        self.start("2s")
        self.link.forget()
        self.link.cut()
        self.assertEqual(self.get("during/flap")[0], 504)
        self.link.mend()
        for number in range(2 * IDLE):
            self.assertEqual(self.get(f"after/flap{number}"), (200, BODY))

    def test_the_kernel_gives_them_up(self) -> None:
        """A request over a dead connection is repeated over a new one before clients give up."""
        self.start(PATIENCE)
        self.link.forget()
        self.assertEqual(self.get("after/silence"), (200, BODY))
        for number in range(2 * IDLE):
            self.assertEqual(self.get(f"after/flap{number}"), (200, BODY))
