"""The upstream that does wrong on demand does the wrong that it is asked for, and no other."""

import http.client
import time

from tests.integration.base import PullThroughCase
from tests.support.faults import Fault
from tests.support.registry_client import Answer, RegistryClient

DATA = bytes(range(256)) * 400


class FaultyUpstreamTests(PullThroughCase):
    """A plain client without a cache in between sees each fault."""

    def setUp(self) -> None:
        """Hold one blob."""
        self.upstream = self.faulty_upstream()
        self.path = f"/v2/a/b/blobs/{self.upstream.add_blob('a/b', DATA)}"
        self.client = RegistryClient(self.upstream.url, timeout=60)

    def _get(self, fault: Fault, **headers: str) -> Answer:
        self.upstream.faults.then(self.path, fault)
        return self.client.get(self.path, **headers)

    def test_without_a_fault_it_is_a_registry(self) -> None:
        """Whole bodies, ranges, HEAD and 404 are as they should be, and recorded."""
        self.assertEqual(self.client.get(self.path).body, DATA)
        part = self.client.get(self.path, Range="bytes=3-12")
        self.assertEqual((part.status, part.body), (206, DATA[3:13]))
        self.assertEqual(part.headers["content-range"], f"bytes 3-12/{len(DATA)}")
        self.assertEqual(self.client.get(self.path, Range="bytes=-4").body, DATA[-4:])
        self.assertEqual(self.client.get(self.path, Range=f"bytes={len(DATA)}-").status, 416)
        self.assertEqual(self.client.head(self.path).headers["content-length"], str(len(DATA)))
        self.assertEqual(self.client.get("/v2/a/b/manifests/x").errors, ["MANIFEST_UNKNOWN"])
        self.assertEqual([one.sent for one in self.upstream.asked()], [len(DATA), 10, 4, 0])

    def test_broken_bodies(self) -> None:
        """A cut is a short body, a reset a reset, a wrong byte one bit in its place."""
        with self.assertRaises(http.client.IncompleteRead):
            self._get(Fault(cut_at=50))
        for fault in (Fault(reset=True), Fault(reset_at=10)):
            with self.assertRaises(ConnectionResetError):
                self._get(fault)
        wrong = self._get(Fault(wrong_byte_at=7), Range="bytes=100-").body
        self.assertEqual([at for at in range(len(wrong)) if wrong[at] != DATA[100 + at]], [7])

    def test_framing_and_headers(self) -> None:
        """Chunked, without a length, with a false length, range and validator."""
        for framing in ("chunked", "close"):
            answer = self._get(Fault(framing=framing))
            self.assertEqual(answer.body, DATA)
            self.assertNotIn("content-length", answer.headers)
        self.assertEqual(len(self._get(Fault(declared_length=7)).body), 7)
        self.assertEqual(self._get(Fault(ignore_range=True), Range="bytes=5-").status, 200)
        answer = self._get(Fault(content_range="bytes 0-1/2", etag='"new"'), Range="bytes=5-")
        self.assertEqual(answer.headers["content-range"], "bytes 0-1/2")
        self.assertEqual(answer.headers["etag"], '"new"')

    def test_statuses_come_in_the_order_asked_for(self) -> None:
        """429, then 503, then health again."""
        limited = Fault(status=429, retry_after=7)
        self.upstream.faults.then(self.path, limited, Fault(status=503))
        answers = [self.client.get(self.path) for _ in range(3)]
        self.assertEqual([one.status for one in answers], [429, 503, 200])
        self.assertEqual(answers[0].headers["retry-after"], "7")

    def test_slowness(self) -> None:
        """A late first byte, a paced body, and a stall that outlasts the client's patience."""
        started = time.monotonic()
        self._get(Fault(first_byte_delay=0.2))
        self.assertGreater(time.monotonic() - started, 0.2)
        started = time.monotonic()
        self._get(Fault(rate=len(DATA) / 0.3))
        self.assertGreater(time.monotonic() - started, 0.25)
        impatient = RegistryClient(self.upstream.url, timeout=0.2)
        for fault in (Fault(silent=True), Fault(stall_at=10)):
            self.upstream.faults.then(self.path, fault)
            with self.assertRaises(TimeoutError):
                impatient.get(self.path)

    def test_a_signature_is_good_once(self) -> None:
        """The second origin answers a signed location once and refuses it the second time."""
        location = self._get(Fault(redirect=True)).headers["location"]
        storage = RegistryClient(self.upstream.storage_url, timeout=60)
        target = location.removeprefix(self.upstream.storage_url)
        self.assertEqual([storage.get(target).status for _ in range(2)], [200, 403])

    def test_tokens(self) -> None:
        """A challenge names the realm and the scope; its token opens, until it is revoked."""
        self.upstream.require_token(("me", "secret"))
        challenge = self.client.get(self.path).headers["www-authenticate"]
        self.assertIn(f'realm="{self.upstream.url}/token"', challenge)
        self.assertIn('scope="repository:a/b:pull"', challenge)
        self.assertEqual(self.client.get("/token").status, 401)
        token = RegistryClient(self.upstream.url, ("me", "secret")).get("/token").json()["token"]
        bearer = f"Bearer {token}"
        self.assertEqual(self.client.get(self.path, Authorization=bearer).status, 200)
        self.upstream.revoke_tokens()
        self.assertEqual(self.client.get(self.path, Authorization=bearer).status, 401)

    def test_generated_content_is_the_same_by_any_offset(self) -> None:
        """A part of a generated blob equals the same part of the whole."""
        blob = self.upstream.add_generated_blob("a/b", 3_000_000, seed="x")
        target = f"/v2/a/b/blobs/{blob.digest}"
        part = self.client.get(target, Range="bytes=1048570-2500000").body
        self.assertEqual(part, self.client.get(target).body[1048570:2500001])
