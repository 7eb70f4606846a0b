"""Many clients of one cold blob, and how much memory it takes to pass one through."""

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.images import MIB
from tests.support.processes import wait_until

GIB = 1 << 30
MEMORY_LIMIT = 150 * 10**6


class SharingTests(PullThroughCase):
    """One upstream transfer, however many ask."""

    def test_fifty_clients_of_a_cold_blob_cost_one_upstream_request(self) -> None:
        """Fifty clients ask at once for a cold 100 MiB blob: one GET, right bytes for all."""
        upstream = self.faulty_upstream(rate=100e6)
        blob = upstream.add_generated_blob("team/big", 100 * MIB)
        daemon = self.regcache(upstream_config(upstream.url))
        target = f"/v2/team/big/blobs/{blob.digest}"
        downloads = [Download(daemon.client(), target) for _ in range(50)]
        for one in downloads:
            one.wait()
            self.assertIsNone(one.error)
            self.assertEqual((one.status, one.received, one.digest), (200, blob.size, blob.digest))
        self.assertEqual(len(upstream.asked("blobs")), 1)
        self.assertEqual(upstream.sent_bytes(), blob.size)
        outcomes = [one.headers["cache-status"] for one in downloads]
        self.assertEqual(len([one for one in outcomes if "collapsed" in one]), 49, outcomes)

    def test_bytes_flow_before_the_blob_is_whole(self) -> None:
        """A client has its first bytes long before the upstream has sent the last."""
        upstream = self.faulty_upstream()
        blob = upstream.add_generated_blob("team/paced", 20 * MIB)
        held = Fault(hold_at=MIB)
        upstream.faults.then("*/blobs/*", held)
        daemon = self.regcache(upstream_config(upstream.url))
        one = Download(daemon.client(), f"/v2/team/paced/blobs/{blob.digest}")
        wait_until(lambda: one.received > 0, "the first bytes")
        held.release.set()
        self.assertEqual(one.wait().digest, blob.digest)

    def test_a_client_that_leaves_stops_nothing(self) -> None:
        """The download goes on when its only client leaves; the next one is a hit."""
        upstream = self.faulty_upstream(rate=20e6)
        blob = upstream.add_generated_blob("team/left", 20 * MIB)
        daemon = self.regcache(upstream_config(upstream.url))
        target = f"/v2/team/left/blobs/{blob.digest}"
        connection = daemon.client().connect()
        connection.request("GET", target)
        connection.getresponse().read(1000)
        connection.close()
        self.assertEqual(Download(daemon.client(), target).wait().digest, blob.digest)
        self.assertEqual(len(upstream.asked("blobs")), 1)


class ListTests(PullThroughCase):
    """Many clients of one list."""

    def test_twenty_clients_of_a_list_in_five_pages_cost_five_requests(self) -> None:
        """At once and a little later; what there is not is asked for once as well."""
        upstream = self.faulty_upstream()
        upstream.tags_per_page = 3
        for number in range(15):
            upstream.add_manifest("team/app", "", b"{}", f"{number:02}")
        held = Fault(held=True)
        upstream.faults.then("*/tags/list", held)
        daemon = self.regcache(upstream_config(upstream.url))
        client = daemon.client()
        with ThreadPoolExecutor(20) as pool:
            asking = [pool.submit(client.get, "/v2/team/app/tags/list") for _ in range(20)]
            held.release.set()
            answers = [each.result() for each in asking]
        answers.append(client.get("/v2/team/app/tags/list"))
        for answer in answers:
            self.assertEqual(answer.json()["tags"], [f"{number:02}" for number in range(15)])
        self.assertEqual(len(upstream.requests), 5)
        for _ in range(3):
            self.assertEqual(client.get("/v2/team/none/tags/list").status, 404)
        self.assertEqual(len(upstream.requests), 6)


class MemoryTests(PullThroughCase):
    """A blob of any size passes through bounded memory."""

    def test_two_gibibytes_pass_to_a_fast_and_a_slow_client_in_bounded_memory(self) -> None:
        """The daemon stays below 150 MB while one client races and one dawdles."""
        upstream = self.faulty_upstream()
        blob = upstream.add_generated_blob("team/huge", 2 * GIB)
        daemon = self.regcache(upstream_config(upstream.url))
        target = f"/v2/team/huge/blobs/{blob.digest}"
        fast_is_done = threading.Event()

        def dawdle(done: int) -> None:
            if not fast_is_done.is_set():
                fast_is_done.wait(0.05)  # about 5 MB/s

        slow = Download(daemon.client(), target, dawdle, receive_buffer=1 << 16)
        fast = Download(daemon.client(), target).wait()
        behind = blob.size - slow.received
        fast_is_done.set()
        slow.wait()
        for one in (fast, slow):
            self.assertEqual((one.error, one.received, one.digest), (None, blob.size, blob.digest))
        self.assertGreater(behind, blob.size // 2, "the slow client was not slow")
        self.assertEqual(len(upstream.asked("blobs")), 1)
        self.assertLess(daemon.process.resident_bytes(peak=True), MEMORY_LIMIT)
