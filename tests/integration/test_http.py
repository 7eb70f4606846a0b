"""What a client sees on the wire: headers, ranges, errors, and the admin endpoint."""

import http.client

from tests.integration.base import UPSTREAM, PullThroughCase, upstream_config
from tests.support.faults import Fault
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.images import MIB, mixed_image
from tests.support.processes import wait_until
from tests.support.registry_client import Answer, RegistryClient
from tests.support.servers import Regcache

IMAGE = mixed_image("http", MIB)
LAYER = IMAGE.blobs[1]
MANIFEST_PATH = "/v2/team/app/manifests/1"
LAYER_PATH = f"/v2/team/app/blobs/{LAYER.digest}"


class WireCase(PullThroughCase):
    """One daemon in front of one upstream that records every request."""

    def setUp(self) -> None:
        """Start both."""
        self.upstream: FaultyUpstream = self.faulty_upstream()
        self.upstream.add_image("team/app", IMAGE, "1")
        self.daemon: Regcache = self.regcache(upstream_config(self.upstream.url))
        self.client: RegistryClient = self.daemon.client()

    def assert_refused(self, answer: Answer, status: int, code: str) -> None:
        """An OCI error with this status and code."""
        self.assertEqual((answer.status, answer.errors), (status, [code]), answer)


class ContentTests(WireCase):
    """Manifests and blobs."""

    def test_a_manifest_carries_all_that_clients_rely_on(self) -> None:
        """Type, length, digest and validator; GET and HEAD agree; If-None-Match gives 304."""
        got, head = self.client.get(MANIFEST_PATH), self.client.head(MANIFEST_PATH)
        self.assertEqual((got.status, got.body), (200, IMAGE.data))
        for answer in (got, head):
            self.assertEqual(answer.headers["content-type"], IMAGE.media_type)
            self.assertEqual(answer.headers["content-length"], str(len(IMAGE.data)))
            self.assertEqual(answer.headers["docker-content-digest"], IMAGE.digest)
            self.assertEqual(answer.headers["etag"], f'"{IMAGE.digest}"')
        self.assertEqual(head.body, b"")
        same = self.client.get(MANIFEST_PATH, If_None_Match=f'"{IMAGE.digest}"')
        self.assertEqual((same.status, same.body), (304, b""))

    def test_cache_status_tells_a_miss_from_a_hit(self) -> None:
        """The first answer is ``fwd=uri-miss; stored``, the second ``hit``."""
        for path in (MANIFEST_PATH, LAYER_PATH):
            cold = self.client.get(path).headers["cache-status"]
            self.assertEqual(cold, "regcache; fwd=uri-miss; stored")
            self.assertEqual(self.client.get(path).headers["cache-status"], "regcache; hit")

    def test_a_head_of_a_blob_downloads_nothing(self) -> None:
        """A HEAD of a blob that a manifest mentions is answered from its descriptor."""
        self.client.get(MANIFEST_PATH)
        answer = self.client.head(LAYER_PATH)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-length"], str(len(LAYER.data)))
        self.assertEqual(self.upstream.asked("blobs", "GET"), [])

    def test_ranges_of_a_cached_blob(self) -> None:
        """One range is 206, an impossible one 416, and the upstream hears of none of them."""
        self.client.get(LAYER_PATH)
        part = self.client.get(LAYER_PATH, Range="bytes=1000-1999")
        self.assertEqual((part.status, part.body), (206, LAYER.data[1000:2000]))
        self.assertEqual(part.headers["content-range"], f"bytes 1000-1999/{len(LAYER.data)}")
        self.assertEqual(self.client.get(LAYER_PATH, Range="bytes=-5").body, LAYER.data[-5:])
        beyond = self.client.get(LAYER_PATH, Range=f"bytes={len(LAYER.data)}-")
        self.assertEqual(beyond.status, 416)
        self.assertEqual(beyond.headers["content-range"], f"bytes */{len(LAYER.data)}")
        self.assertEqual(len(self.upstream.asked("blobs")), 1)

    def test_wrong_bytes_never_come_to_a_clean_end(self) -> None:
        """A blob with one wrong bit breaks off before its end, is not kept, and is asked anew."""
        self.upstream.faults.then(LAYER_PATH, Fault(wrong_byte_at=10))
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            self.client.get(LAYER_PATH)
        self.assertEqual(self.client.get(LAYER_PATH).body, LAYER.data)

    def test_a_broken_download_goes_on_where_it_broke(self) -> None:
        """A transfer that breaks half-way costs the client a pause, and no byte twice."""
        self.upstream.faults.then(LAYER_PATH, Fault(cut_at=len(LAYER.data) // 2))
        self.assertEqual(self.client.get(LAYER_PATH).body, LAYER.data)
        self.assertEqual(self.upstream.sent_bytes(), len(LAYER.data))
        self.assertEqual(len(self.upstream.asked("blobs")), 2)

    def test_a_redirect_is_followed_here(self) -> None:
        """The client gets the bytes, and never the address of the object store."""
        self.upstream.faults.then(LAYER_PATH, Fault(redirect=True))
        answer = self.client.get(LAYER_PATH)
        self.assertEqual((answer.status, answer.body), (200, LAYER.data))
        self.assertNotIn("location", answer.headers)
        self.assertNotIn("signature", self.daemon.log())


class ErrorTests(WireCase):
    """Refusals, as the distribution specification words them."""

    def test_what_the_upstream_lacks_is_404(self) -> None:
        """An unknown tag and an unknown blob have a code each."""
        self.assert_refused(self.client.get("/v2/team/app/manifests/none"), 404, "MANIFEST_UNKNOWN")
        absent = f"/v2/team/app/blobs/sha256:{'0' * 64}"
        self.assert_refused(self.client.get(absent), 404, "BLOB_UNKNOWN")

    def test_a_name_of_another_registry_is_never_asked_of_the_default(self) -> None:
        """A dotted first component and an ns that name nothing are 404 NAME_UNKNOWN."""
        before = len(self.upstream.requests)
        for target in ("/v2/ghcr.test/team/app/manifests/1", f"{MANIFEST_PATH}?ns=ghcr.test"):
            self.assert_refused(self.client.get(target), 404, "NAME_UNKNOWN")
        self.assertEqual(len(self.upstream.requests), before)

    def test_the_namespace_is_repeated(self) -> None:
        """OCI-Namespace says the ns as it was asked."""
        answer = self.client.get(f"{MANIFEST_PATH}?ns={UPSTREAM}")
        self.assertEqual((answer.status, answer.headers["oci-namespace"]), (200, UPSTREAM))

    def test_a_push_is_refused(self) -> None:
        """An upload is 405 UNSUPPORTED with the methods that are allowed."""
        answer = self.client.ask("POST", "/v2/team/app/blobs/uploads/", b"")
        self.assert_refused(answer, 405, "UNSUPPORTED")
        self.assertEqual(answer.headers["allow"], "GET, HEAD")

    def test_malformed_requests_are_400(self) -> None:
        """A name, a tag and a digest outside their grammar have a code each."""
        for target, code in (
            ("/v2/Team/app/manifests/1", "NAME_INVALID"),
            ("/v2/team/app/manifests/.1", "TAG_INVALID"),
            ("/v2/team/app/blobs/sha256:xyz", "DIGEST_INVALID"),
        ):
            self.assert_refused(self.client.get(target), 400, code)

    def test_an_upstream_that_is_gone_is_a_bad_gateway_and_the_cache_still_serves(self) -> None:
        """What is cached is served; what is not is 502 or 503 with the upstream's name."""
        self.client.get(MANIFEST_PATH)
        self.client.get(LAYER_PATH)
        self.upstream.close()
        self.assertEqual(self.client.get(LAYER_PATH).body, LAYER.data)
        self.assertEqual(self.client.get(MANIFEST_PATH).body, IMAGE.data)
        answer = self.client.get("/v2/team/other/manifests/1")
        self.assertIn(answer.status, (502, 503))
        self.assertEqual(answer.errors, ["UNAVAILABLE"])
        self.assertIn(UPSTREAM.encode(), answer.body)


class AdminTests(WireCase):
    """The admin endpoint, and the lists."""

    def test_health_and_metrics(self) -> None:
        """/healthz and /readyz say 200, on the listener too; /metrics counts the requests."""
        admin = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}")
        for client in (admin, self.client):
            for path in ("/healthz", "/readyz"):
                self.assertEqual(client.get(path).status, 200)
        self.client.get(LAYER_PATH)
        self.client.get(LAYER_PATH)

        def counted() -> bool:
            text = admin.get("/metrics").body.decode()
            lines = [one for one in text.splitlines() if one.startswith("regcache_requests_total{")]
            blobs = [one for one in lines if 'kind="blob"' in one and UPSTREAM in one]
            return {'outcome="hit"' in one for one in blobs} == {True, False}

        wait_until(counted, "a blob's hit and miss in /metrics")

    def test_tags_and_catalog(self) -> None:
        """The tags are the upstream's; the catalog is what the cache holds."""
        self.assertEqual(
            self.client.get("/v2/team/app/tags/list").json(), {"name": "team/app", "tags": ["1"]}
        )
        self.client.get(MANIFEST_PATH)
        listed = self.client.get("/v2/_catalog").json()["repositories"]
        self.assertEqual(len([one for one in listed if one.endswith("team/app")]), 1, listed)
