"""What is asked for, and of whom."""

import json

from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.media_types import OCI_MANIFEST
from regcache.web.distribution import MEMORY, Distribution
from tests.support.front import MAIN, OTHER, Front, Setting
from tests.test_manifest_body import image

IMAGE = json.dumps(image()).encode()
DIGEST = Digest.of(IMAGE)
TAG = "/v2/org/app/manifests/1"


class DistributionCase(SynchronousTestCase):
    """One image, at both upstreams."""

    setting = Setting()

    def setUp(self) -> None:
        self.front = Front(self.mktemp(), self.setting)
        self.addCleanup(self.front.stop)
        for upstream in (self.front.main, self.front.other):
            upstream.add_manifest("org/app", "1", IMAGE, OCI_MANIFEST)

    def assert_nobody_asked(self) -> None:
        """No upstream heard of it."""
        self.assertEqual((self.front.main.requests, self.front.other.requests), ([], []))


class PingTests(DistributionCase):
    """``/v2/``."""

    def test_any_host(self) -> None:
        """It is answered under any Host, also the operator's, and with any ns."""
        for host in ("localhost", "no.such.test", "registry.example.com", "main.example.com"):
            for target in ("/v2/", "/v2", "/v2/?ns=no.such.test"):
                for method in ("GET", "HEAD"):
                    answer = self.front.ask(method, target, host=host)
                    self.assertEqual(answer.status, 200, (host, target))
                    self.assertEqual(
                        answer.headers["docker-distribution-api-version"], "registry/2.0"
                    )
        self.assertEqual(self.front.records.last.kind, "ping")
        self.assertNotIn("www-authenticate", answer.headers)


class RoutingTests(DistributionCase):
    """Which upstream answers; the whole table is in test_hosts."""

    def test_ways(self) -> None:
        """Host, ns, prefix and default lead to an upstream; ns is repeated."""
        for target, host, upstream, namespace in (
            (TAG, "localhost", MAIN, None),
            (TAG, "other.example.com:443", OTHER, None),
            (f"{TAG}?ns={OTHER}", "localhost", OTHER, OTHER),
            (f"{TAG}?ns=OTHER.test", "other.example.com", OTHER, "OTHER.test"),
            (f"/v2/{OTHER}/org/app/manifests/1", "localhost", OTHER, None),
            (f"/v2/{OTHER}/org/app/manifests/1?ns={OTHER}", "localhost", OTHER, OTHER),
        ):
            answer = self.front.get(target, host=host)
            self.assertEqual(answer.status, 200, target)
            self.assertEqual(answer.headers.get("oci-namespace"), namespace)
            record = self.front.records.last
            self.assertEqual((record.upstream, record.repository), (upstream, "org/app"))

    def test_nowhere(self) -> None:
        """What names nothing, or two things, is 404 NAME_UNKNOWN, and nobody is asked."""
        for target, host in (
            (TAG, "no.such.test"),
            (f"{TAG}?ns=no.such.test", "localhost"),
            (f"{TAG}?ns={MAIN}", "other.example.com"),
            (f"/v2/{OTHER}/org/app/manifests/1?ns={MAIN}", "localhost"),
            ("/v2/no.such.test/org/app/manifests/1", "localhost"),
            (TAG, "registry.example.com"),
            ("/v2/_catalog", "registry.example.com"),
            ("/", "registry.example.com"),
            ("/", "localhost"),
            ("/v1/", "localhost"),
            ("/v2/org/app", "localhost"),
            ("/v2/org/app/manifests/", "localhost"),
            ("/v2/org/app/manifests/1/", "localhost"),
        ):
            answer = self.front.get(target, host=host)
            self.assertEqual((answer.status, answer.code), (404, "NAME_UNKNOWN"), target)
        self.assert_nobody_asked()

    def test_namespace_of_errors(self) -> None:
        """An answer that there is no such thing repeats the ns, too."""
        answer = self.front.get(f"/v2/org/app/manifests/absent?ns={OTHER}")
        self.assertEqual((answer.status, answer.headers["oci-namespace"]), (404, OTHER))

    def test_grammar_goes_first(self) -> None:
        """What breaks the grammar is 400, even where nothing would answer."""
        unknown = "ns=no.such.test"
        for target, code in (
            (f"/v2/org/app/manifests/.1?{unknown}", "TAG_INVALID"),
            (f"/v2/org/app/blobs/x?{unknown}", "DIGEST_INVALID"),
            (f"/v2/Org/tags/list?{unknown}", "NAME_INVALID"),
            (f"/v2/org/app/tags/list?n=-1&{unknown}", "PAGINATION_NUMBER_INVALID"),
            (f"/v2/_catalog?n=x&{unknown}", "PAGINATION_NUMBER_INVALID"),
            ("/v2/%2e%2e/manifests/1", "NAME_INVALID"),
            (f"/v2/{'x' * 300}/manifests/1", "NAME_INVALID"),
            ("/v2/org/app/manifests/1?ns=%00", "NAME_INVALID"),
        ):
            answer = self.front.get(target, host="no.such.test")
            self.assertEqual((answer.status, answer.code), (400, code), target)

    def test_refusals_are_recorded(self) -> None:
        """The log has what was asked for, also where nothing answers."""
        self.front.get("/v2/no.such.test/org/app/manifests/1")
        record = self.front.records.last
        self.assertEqual(
            (record.kind, record.upstream, record.repository, record.reference, record.outcome),
            ("manifest", "", "no.such.test/org/app", "1", "error"),
        )

    def test_hostile_host(self) -> None:
        """A Host that is none is 400, and comes back in no form."""
        answer = self.front.get(TAG, host="<script>alert(1)</script>")
        self.assertEqual(answer.status, 400)
        self.assertNotIn(b"script", answer.body)


class MethodTests(DistributionCase):
    """A cache that can only be read."""

    TARGETS = (
        "/v2/",
        TAG,
        f"/v2/org/app/manifests/{DIGEST}",
        f"/v2/org/app/blobs/{DIGEST}",
        "/v2/org/app/blobs/uploads/",
        "/v2/org/app/blobs/uploads/0-1",
        "/v2/_catalog",
        f"{TAG}/",
        "/v2/org%2Fapp/manifests/1",
        "/v2/org/app/manifests/%31",
        f"{TAG}?ns=no.such.test",
        "/",
        "/healthz",
    )

    def test_refused(self) -> None:
        """Every other method is 405 UNSUPPORTED with Allow, everywhere, and changes nothing."""
        self.front.get(TAG)
        asked = len(self.front.main.requests)
        for method in ("DELETE", "PUT", "POST", "PATCH", "OPTIONS", "TRACE", "MKCOL", "get"):
            for target in self.TARGETS:
                for host in ("localhost", "registry.example.com"):
                    answer = self.front.ask(method, target, host=host)
                    self.assertEqual(
                        (answer.status, answer.code), (405, "UNSUPPORTED"), (method, target)
                    )
                    self.assertEqual(answer.headers["allow"], "GET, HEAD")
        self.assertEqual(len(self.front.main.requests), asked)
        self.assertEqual(self.front.get(TAG).headers["cache-status"], "regcache; hit")

    def test_override(self) -> None:
        """A header that asks for another method is not looked at."""
        self.front.get(TAG)
        self.front.get(TAG, "X-HTTP-Method-Override: DELETE")
        self.assertEqual(self.front.get(TAG).headers["cache-status"], "regcache; hit")


class MemoryTests(DistributionCase):
    """What targets mean is remembered."""

    def distribution(self) -> Distribution:
        """The dispatcher under test."""
        dispatch = self.front.site.dispatch
        assert isinstance(dispatch, Distribution)
        return dispatch

    def test_same_answer(self) -> None:
        """A target that was resolved before is answered, routed and recorded as the first time."""
        target = f"{TAG}?ns={OTHER}"
        for _ in range(2):
            answer = self.front.get(target)
            self.assertEqual((answer.status, answer.headers["oci-namespace"]), (200, OTHER))
            last = self.front.records.last
            self.assertEqual(
                (last.kind, last.upstream, last.repository, last.reference),
                ("manifest", OTHER, "org/app", "1"),
            )
        self.assertEqual(len(self.distribution().resolved), 1)
        self.assertEqual(self.front.main.requests, [])

    def test_host_counts(self) -> None:
        """Under another host the same target means something else, or nothing."""
        for host, upstream in (("main.example.com", MAIN), ("other.example.com", OTHER)):
            for _ in range(2):
                self.assertEqual(self.front.get(TAG, host=host).status, 200)
                self.assertEqual(self.front.records.last.upstream, upstream)
        self.assertEqual(self.front.get(TAG, host="no.such.test").status, 404)
        self.assertEqual(self.front.get(TAG, host="registry.example.com").status, 404)

    def test_method_counts(self) -> None:
        """A method that is refused is so for what was resolved, too."""
        self.front.get(TAG)
        self.assertEqual(self.front.ask("DELETE", TAG).status, 405)

    def test_refused_pages(self) -> None:
        """What is refused is not remembered as resolved."""
        for target in ("/v2/org/app/tags/list?n=x", "/v2/Org/app/manifests/1", "/v2/_catalog"):
            self.front.get(target)
        self.assertEqual(len(self.distribution().resolved), 0)

    def test_bounded(self) -> None:
        """The memory for what clients send is bounded, with many and long targets."""
        resolved = self.distribution().resolved
        for number in range(600):
            self.front.begin("GET", f"/v2/org/app/manifests/{number}?x=" + "y" * 1000)
        self.assertLessEqual(resolved.weight, MEMORY)
        self.assertLess(len(resolved), 600)
        self.assertGreater(len(resolved), 100)
        self.front.caches.run()
