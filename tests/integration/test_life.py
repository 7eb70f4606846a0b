"""Starting, stopping, and what a listener does with those who speak something else."""

import signal
import socket
import ssl

from regcache.store.paths import SIDECAR_SUFFIX, TEMPORARY_SUFFIX
from tests.integration.base import PullThroughCase, catalog, public_upstream, upstream_config
from tests.support.clients import Skopeo
from tests.support.downloads import Download
from tests.support.images import MIB
from tests.support.processes import CHECKOUT, wait_until
from tests.support.servers import Regcache


def client_hello() -> bytes:
    """The first bytes that a TLS client sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="x.test")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a peer came to an end")


class StoppingTests(PullThroughCase):
    """SIGTERM, SIGKILL, and the start after them."""

    def test_an_idle_daemon_stops_at_once_with_status_0(self) -> None:
        """SIGTERM ends a daemon that has only an idle connection, without waiting for it."""
        waits = {"limits": {"drain": "1h", "idle": "1h"}}
        daemon = self.regcache({**upstream_config(public_upstream().url), **waits})
        with socket.create_connection(("127.0.0.1", daemon.port)) as idle:
            idle.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"200", idle.recv(4096))
            self.assertEqual(daemon.stop(), 0, daemon.log())

    def test_running_answers_are_finished_before_the_end(self) -> None:
        """A client in the middle of a blob gets all of it after SIGTERM; the status is 0."""
        upstream = self.faulty_upstream(rate=10e6)
        blob = upstream.add_generated_blob("team/big", 20 * MIB)
        daemon = self.regcache(upstream_config(upstream.url))
        one = Download(daemon.client(), f"/v2/team/big/blobs/{blob.digest}")
        wait_until(lambda: one.received > 0, "the first bytes")
        daemon.process.signal(signal.SIGTERM)
        one.wait()
        self.assertEqual((one.error, one.digest), (None, blob.digest))
        self.assertEqual(daemon.process.wait(), 0, daemon.log())

    def test_what_was_cached_is_served_after_a_restart_without_the_upstream(self) -> None:
        """A second daemon on the same storage serves the image while the upstream is gone."""
        image = catalog().images["team/multi"]
        upstream = self.faulty_upstream()
        upstream.add_image("team/multi", image, "1")
        daemon = self.regcache(upstream_config(upstream.url))
        reference = f"{daemon.address}/team/multi:1"
        Skopeo().pull(reference)
        self.assertEqual(daemon.stop(), 0, daemon.log())
        upstream.close()
        daemon.start()
        self.assertEqual(set(image.all_blobs()) - Skopeo().pull(reference).digests, set())

    def test_a_download_that_a_kill_broke_is_resumed(self) -> None:
        """kill -9 in the middle of 200 MiB costs at most a tenth of the blob once more."""
        upstream = self.faulty_upstream(rate=2e7)  # a tenth is a second, on a busy machine too
        blob = upstream.add_generated_blob("team/big", 200 * MIB)
        daemon = self.regcache(upstream_config(upstream.url))
        target = f"/v2/team/big/blobs/{blob.digest}"
        broken = Download(daemon.client(), target)
        wait_until(lambda: broken.received > 100 * MIB, "half of the blob")
        daemon.process.kill()
        broken.wait()
        self.assertNotEqual(broken.digest, blob.digest)
        daemon.start()
        self.assertEqual(Download(daemon.client(), target).wait().digest, blob.digest)
        self.assertLessEqual(upstream.sent_bytes(), blob.size * 1.1)

    def test_twelve_kills_in_one_download(self) -> None:
        """Killed after each MiB of a blob that comes slowly, it is fetched once all the same."""
        upstream = self.faulty_upstream(rate=5e5)
        blob = upstream.add_generated_blob("team/big", 60 * MIB)
        daemon = self.regcache(upstream_config(upstream.url))
        target = f"/v2/team/big/blobs/{blob.digest}"
        for number in range(1, 13):
            sent = upstream.sent_bytes()
            broken = Download(daemon.client(), target)
            wait_until(lambda before=sent: upstream.sent_bytes() > before + MIB, "some bytes")
            daemon.process.kill()
            broken.wait(10)
            self.assertNotEqual(broken.digest, blob.digest, f"kill {number} came too late")
            daemon.start()
        upstream.rate = None
        self.assertEqual(Download(daemon.client(), target).wait(60).digest, blob.digest)
        self.assertLessEqual(upstream.sent_bytes(), blob.size * 1.1)

    def test_what_is_counted_after_kills(self) -> None:
        """However often it was killed, before long it knows to the block what is on the disk."""
        upstream = self.faulty_upstream()
        blobs = [upstream.add_generated_blob("team/app", 3000 * n, n) for n in range(1, 90)]
        daemon = Regcache(upstream_config(upstream.url))
        self.addCleanup(daemon.close)
        folder = self.workspace()
        folder.file("sitecustomize.py", _COUNT_SOON)
        daemon.environment = {"PYTHONPATH": f"{folder.path}:{CHECKOUT}"}
        for first in range(0, 90, 30):
            daemon.start()
            pulling = [
                Download(daemon.client(), f"/v2/team/app/blobs/{blob.digest}")
                for blob in blobs[first : first + 30]
            ]
            wait_until(lambda some=pulling: any(one.digest for one in some), "one is pulled")
            daemon.process.kill()
            for one in pulling:
                one.wait(20)
        daemon.start()
        wait_until(
            lambda: daemon.metric("regcache_storage_bytes") == self.stored(daemon),
            "it has counted",
        )
        for blob in blobs:
            one = Download(daemon.client(), f"/v2/team/app/blobs/{blob.digest}").wait(20)
            self.assertEqual(one.digest, blob.digest)
        wait_until(
            lambda: daemon.metric("regcache_storage_bytes") == self.stored(daemon),
            "all is stored and counted",
        )

    def stored(self, daemon: Regcache) -> int:
        """What the files under blobs/ and partial/ take."""
        blobs = [path for path in (daemon.directory / "blobs").rglob("*") if path.is_file()]
        partials = [
            path
            for path in (daemon.directory / "partial").iterdir()
            if not path.name.endswith((SIDECAR_SUFFIX, TEMPORARY_SUFFIX))
        ]
        in_blocks = sum(-(-path.stat().st_size // 4096) * 4096 for path in blobs)
        return in_blocks + sum(path.stat().st_blocks * 512 for path in partials)


#: Has the files under blobs/ counted at once, and again and again.
_COUNT_SOON = """
import sys

if any("twistd" in one for one in sys.orig_argv):
    import regcache.store.recount as recount

    recount.FIRST = recount.AGAIN = 0.2
    recount.PAUSE = 0.0005
"""


class StartingTests(PullThroughCase):
    """A start that cannot be says why in one line, with status 1."""

    def _refused(self, daemon: Regcache) -> str:
        self.addCleanup(daemon.close)
        with self.assertRaises(AssertionError):
            daemon.start()
        self.assertEqual(daemon.process.wait(), 1, daemon.log())
        self.assertNotIn("Traceback", daemon.log())
        return daemon.log()

    def test_a_port_in_use_is_named(self) -> None:
        """The listener whose port is taken is named with its address."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            daemon = Regcache(upstream_config("http://127.0.0.1:1"))
            daemon.config["listeners"] = [{"endpoint": f"tcp:{port}:interface=127.0.0.1"}]
            self.assertIn(str(port), self._refused(daemon))

    def test_a_storage_in_use_is_refused_with_the_pid_of_its_daemon(self) -> None:
        """Two daemons never share a directory."""
        first = self.regcache(upstream_config("http://127.0.0.1:1"))
        second = Regcache(upstream_config("http://127.0.0.1:1"))
        second.config["storage"] = first.config["storage"]
        self.assertIn(str(first.process.pid), self._refused(second))

    def test_a_wrong_configuration_is_refused_with_all_its_errors(self) -> None:
        """An unknown key and a wrong value are both shown, with their places."""
        daemon = Regcache({**upstream_config("http://127.0.0.1:1"), "storge": {}, "dns": 5})
        log = self._refused(daemon)
        self.assertIn("storge", log)
        self.assertIn("dns", log)


class PlainPortTests(PullThroughCase):
    """What dockerd does first on a plain port."""

    def test_a_tls_client_hello_gets_400_at_once(self) -> None:
        """A ClientHello is answered with a real status line, and the rest of it not waited for."""
        waits = {"limits": {"header_timeout": "1h", "idle": "1h"}}
        daemon = self.regcache({**upstream_config("http://127.0.0.1:1"), **waits})
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=60) as connection:
            connection.sendall(client_hello())
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer)
