"""``limits.rate`` over real sockets: plain, TLS, HTTP/2, and two clients who share it."""

import hashlib
import http.client
import ssl
import time
from typing import Any

from h2 import events

from regcache.web.pacing.bucket import SAVED
from tests.access.accounts import htpasswd
from tests.integration.base import PullThroughCase, certificates, upstream_config
from tests.support.downloads import Download
from tests.support.generated import GeneratedContent
from tests.support.http2_socket import SocketHttp2
from tests.support.images import MIB
from tests.support.processes import wait_until
from tests.support.registry_client import RegistryClient, basic
from tests.support.servers import Regcache

REPOSITORY = "team/app"
RATE = 8 * MIB
#: What a body counts besides: small answers that were sent on account (bytes).
ON_ACCOUNT = 64 * 1024
#: How long one download takes (seconds).
LONG = 5
#: More connections than would be fair.
MANY = 10
ACCOUNTS = ("alice", "bob")


class Taking(SocketHttp2):
    """A client of HTTP/2 that opens its windows as it takes bytes, and keeps none of them.

    :ivar times: when how many bytes of bodies had come.
    """

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext) -> None:
        self.times: list[tuple[float, int]] = []
        self.found = hashlib.sha256()
        super().__init__(address, context, window=MIB)

    def _note(self, event: events.Event) -> None:
        if isinstance(event, events.DataReceived):
            data, event.data = event.data or b"", b""
            self.found.update(data)
            before = self.times[-1][1] if self.times else 0
            self.times.append((time.monotonic(), before + len(data)))
            self._h2.acknowledge_received_data(
                event.flow_controlled_length or 0, event.stream_id or 0
            )
        super()._note(event)


class Elsewhere(RegistryClient):
    """A client at another address of this machine."""

    address = "127.0.0.1"

    def connect(self) -> http.client.HTTPConnection:
        """A new connection from there."""
        connection = super().connect()
        connection.source_address = (self.address, 0)  # type: ignore[attr-defined]
        return connection


class PacingTests(PullThroughCase):
    """One daemon with a rate."""

    def setUp(self) -> None:
        """Start it, in front of an upstream that is faster. Accounts are not needed."""
        self.upstream = self.faulty_upstream()
        config: dict[str, Any] = {
            **upstream_config(self.upstream.url),
            "limits": {"rate": "8MiB", "drain": "0s"},
            "access": {
                "htpasswd": str(self.workspace().file("htpasswd", htpasswd(*ACCOUNTS))),
                "rules": [{"accounts": ["anonymous"]}],
            },
        }
        self.daemon = Regcache(config, certificates().certificate)
        self.addCleanup(self.daemon.close)
        for listener in self.daemon.config["listeners"]:
            listener["http2"] = "tls" in listener
        self.daemon.start()
        self.began = time.monotonic()

    def blob(self, size: int, seed: object = 0) -> tuple[GeneratedContent, str]:
        """A blob of the upstream, and the path that clients ask for."""
        blob = self.upstream.add_generated_blob(REPOSITORY, size, seed)
        return blob, f"/v2/{REPOSITORY}/blobs/{blob.digest}"

    def assert_within(self, times: list[tuple[float, int]]) -> None:
        """At no time more had come than the rate and what was saved up allow."""
        self.assertGreater(len(times), 1)
        for when, count in times:
            most = RATE * (when - self.began + SAVED) + ON_ACCOUNT
            self.assertLessEqual(count, most, f"after {when - self.began:.3f} s")

    def check_downloads(self, client: RegistryClient) -> None:
        """A cold blob and then the same one have arrived whole, and not too soon."""
        blob, target = self.blob(RATE * LONG // 2)
        times: list[tuple[float, int]] = []
        for count in range(2):

            def note(done: int, before: int = count * blob.size) -> None:
                times.append((time.monotonic(), before + done))

            one = Download(client, target, pace=note).wait()
            self.assertEqual((one.error, one.status, one.digest), (None, 200, blob.digest))
        self.assert_within(times)

    def test_plain(self) -> None:
        """A growing file and a finished one over a plain connection."""
        self.check_downloads(self.daemon.client())

    def test_tls(self) -> None:
        """The same over TLS."""
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        client = RegistryClient(f"https://{self.daemon.tls_address}", context=context)
        self.check_downloads(client)

    def test_http2(self) -> None:
        """A stream of HTTP/2."""
        blob, target = self.blob(RATE * LONG)
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        client = Taking(("127.0.0.1", self.daemon.tls_port), context)
        self.addCleanup(client.close)
        answer = client.get(target)
        self.assertEqual((answer.status, answer.reset), (200, None))
        self.assertEqual("sha256:" + client.found.hexdigest(), blob.digest)
        self.assert_within(client.times)

    def test_addresses(self) -> None:
        """Two addresses with one and with ten downloads have half each."""
        one = Elsewhere(f"http://{self.daemon.address}")
        one.address = "127.0.0.2"
        blob, target = self.blob(16 * RATE)
        others = [Download(self.daemon.client(), target) for _ in range(MANY)]
        self.check_fair(blob, Download(one, target), others)

    def test_accounts(self) -> None:
        """Two accounts at one address do, too."""
        blob, target = self.blob(16 * RATE)
        first, second = ({"Authorization": basic(name, name)} for name in ACCOUNTS)
        client = self.daemon.client()
        others = [Download(client, target, headers=second) for _ in range(MANY)]
        self.check_fair(blob, Download(client, target, headers=first), others)

    def check_fair(self, blob: GeneratedContent, alone: Download, others: list[Download]) -> None:
        """One download has as much as the others together."""

        def received() -> tuple[int, int]:
            return alone.received, sum(other.received for other in others)

        wait_until(lambda: all(each.received for each in (alone, *others)), "a start")
        before = received()
        wait_until(lambda: sum(received()) - sum(before) > 5 * RATE, "some seconds' worth")
        first, second = (now - then for now, then in zip(received(), before, strict=True))
        self.assertLess(abs(first - second), 0.2 * (first + second), f"{first} and {second}")
        self.daemon.stop()
        for each in (alone, *others):
            each.wait()
        self.assertLess(alone.received, blob.size)

    def test_operators(self) -> None:
        """Operators wait for nobody, and small answers pass beside downloads."""
        _, target = self.blob(16 * RATE)
        downloads = [Download(self.daemon.client(), target) for _ in range(MANY)]
        wait_until(lambda: all(each.received for each in downloads), "all have begun")
        self.assertEqual(self.daemon.metric("regcache_readers"), MANY)
        self.assertEqual(self.daemon.client().get("/healthz").status, 200)
        self.daemon.stop()
        for each in downloads:
            each.wait()
