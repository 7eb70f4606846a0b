"""Manifests, and how an upstream says no."""

from zope.interface.verify import verifyObject

from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamServerError,
)
from regcache.interfaces import IRegistry
from regcache.upstream.build import UpstreamUrl
from regcache.upstream.manifest_requests import LARGEST_HASHED, LARGEST_MANIFEST
from tests.upstream.cases import (
    DIGEST,
    MANIFEST,
    MANIFEST_TYPE,
    URL,
    UpstreamTestCase,
    manifest_server,
)
from tests.upstream.network import response


class ManifestTests(UpstreamTestCase):
    """GET and HEAD of manifests."""

    def test_interface(self) -> None:
        """A Registry is what the cache expects."""
        self.assertTrue(verifyObject(IRegistry, self.registry()))

    def test_get(self) -> None:
        """The body, its type and the digest that the header claims."""
        digest = Digest.of(MANIFEST)
        self.serve(
            lambda _: response(
                200,
                MANIFEST,
                Content_Type=f"{MANIFEST_TYPE}; x=y",
                Docker_Content_Digest=str(digest),
            )
        )
        answer = self.outcome(self.registry().get_manifest("library/x", "latest"))
        self.assertEqual(
            (answer.content, answer.media_type, answer.claimed, answer.credentials),
            (MANIFEST, MANIFEST_TYPE, digest, ""),
        )
        [seen] = self.network.requests
        self.assertEqual(f"{seen.method} {seen.target}", "GET /v2/library/x/manifests/latest")
        self.assertEqual(seen.headers["accept-encoding"], "identity")
        self.assertEqual(seen.headers["accept"].count("+json"), 4)
        self.assertEqual((self.meter.requests, self.meter.sent), (1, len(MANIFEST)))
        self.assertEqual(self.meter.states, [True])

    def test_head(self) -> None:
        """Digest, size and type come from the headers."""
        self.serve(
            lambda _: response(
                200,
                b"x" * 77,
                Content_Type=MANIFEST_TYPE,
                Docker_Content_Digest=str(DIGEST),
            )
        )
        head = self.outcome(self.registry().head_manifest("x", "latest"))
        self.assertEqual((head.digest, head.size, head.media_type), (DIGEST, 77, MANIFEST_TYPE))

    def test_head_without_digest(self) -> None:
        """What a HEAD does not tell is None."""
        self.serve(lambda _: response(200, Content_Length="absent"))
        head = self.outcome(self.registry().head_manifest("x", "latest"))
        self.assertEqual((head.digest, head.size, head.media_type), (None, None, ""))

    def test_no_head(self) -> None:
        """Where HEAD is refused as such GET tells, and the body that was paid for is kept."""
        for status in (405, 501):
            digest = Digest.of(MANIFEST)
            self.serve(
                lambda seen, status=status: (
                    response(status) if seen.method == "HEAD" else manifest_server(seen)
                )
            )
            registry = self.registry()
            head = self.outcome(registry.head_manifest("x", "latest", anonymous=True))
            self.assertEqual((head.digest, head.size), (digest, len(MANIFEST)))
            self.assertEqual(head.media_type, MANIFEST_TYPE)
            self.assertEqual(head.body.content, MANIFEST)
            self.outcome(registry.head_manifest("y", "1"))
            methods = [seen.method for seen in self.network.requests]
            self.assertEqual(methods, ["HEAD", "GET", "GET"])
            self.network.requests.clear()
            for _ in range(5):
                self.outcome(registry.head_manifest("x", "latest"))
            self.network.pass_time(3600, 10)
            self.outcome(registry.head_manifest("x", "latest"))
            methods = [seen.method for seen in self.network.requests]
            self.assertEqual(methods, 5 * ["GET"] + ["HEAD", "GET"])
            self.network.requests.clear()

    def test_no_head_of_large_manifests(self) -> None:
        """The digest of a large one is what its header says, and its size has the same bound."""
        large, claimed = b" " * (LARGEST_HASHED + 1), str(DIGEST)
        bodies = [large, b" " * (LARGEST_MANIFEST + 1)]
        self.serve(
            lambda seen: (
                response(405)
                if seen.method == "HEAD"
                else response(200, bodies.pop(0), Docker_Content_Digest=claimed)
            )
        )
        registry = self.registry()
        head = self.outcome(registry.head_manifest("x", "latest"))
        self.assertEqual((head.digest, head.body.content), (DIGEST, large))
        self.failure(registry.head_manifest("x", "latest"), UpstreamBadAnswer)

    def test_refusals_of_head_that_are_none_of_head(self) -> None:
        """404, 403 and an ill upstream are the same to HEAD as to GET."""
        refusals = {404: UpstreamNotFound, 403: UpstreamDenied, 500: UpstreamServerError}
        for status, kind in refusals.items():
            self.serve(lambda _, status=status: response(status))
            self.failure(self.registry().head_manifest("x", "latest"), kind)
        self.assertEqual({seen.method for seen in self.network.requests}, {"HEAD"})

    def test_path_and_namespace(self) -> None:
        """A path of the URL goes before the repository, ns is added where it is wanted."""
        self.serve(manifest_server)
        url = UpstreamUrl(f"{URL}/a/prefix/", namespace=True)
        self.outcome(self.registry(url).get_manifest("library/x", "latest"))
        self.assertEqual(self.targets(), ["GET /v2/a/prefix/library/x/manifests/latest?ns=test.io"])

    def test_connection_is_used_again(self) -> None:
        """Calls one after another share a connection; close() ends it."""
        self.serve(manifest_server)
        registry = self.registry()
        for _ in range(3):
            self.outcome(registry.get_manifest("x", "latest"))
        self.assertEqual(len(self.network.lines), 1)
        self.outcome(registry.close())
        self.assertTrue(self.network.lines[0].closed_by_client)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_injection(self) -> None:
        """Names that no grammar allows never become a request (path traversal, CRLF)."""
        registry = self.registry()
        for repository, reference in (
            ("../x", "latest"),
            ("a/../b", "latest"),
            ("a//b", "latest"),
            ("a\r\nX: y", "latest"),
            ("a%2e", "latest"),
            ("a\x00", "latest"),
            ("A", "latest"),
            ("", "latest"),
            ("a", "latest\r\nX: y"),
            ("a", "../b"),
            ("a", "x?y"),
            ("a", ""),
        ):
            self.assertRaises(ValueError, registry.get_manifest, repository, reference)
        self.assertEqual(self.network.dialled, [])

    def test_referrers(self) -> None:
        """The index as it came; statuses of registries without the API mean not found."""
        self.serve(lambda _: response(200, b"{}", Content_Type="application/json"))
        answer = self.outcome(self.registry().get_referrers("x", DIGEST))
        self.assertEqual((answer.content, answer.media_type), (b"{}", "application/json"))
        for status in (404, 400, 405, 406):
            self.serve(lambda _, status=status: response(status))
            self.failure(self.registry().get_referrers("x", DIGEST), UpstreamNotFound)


class StatusTests(UpstreamTestCase):
    """How an upstream says no."""

    def fail_with(self, kind: type[Exception], status: int, **headers: str) -> Exception:
        """Have a manifest answered so."""
        self.serve(lambda _: response(status, b'{"errors":[{"message":"why"}]}', **headers))
        return self.failure(self.registry().get_manifest("x", "latest"), kind)

    def test_not_found(self) -> None:
        """404."""
        self.fail_with(UpstreamNotFound, 404)

    def test_denied(self) -> None:
        """401 and 403, with the upstream's message."""
        for status in (401, 403):
            failure = self.fail_with(UpstreamDenied, status)
            self.assertEqual((failure.status, failure.detail), (status, "why"))

    def test_server_error(self) -> None:
        """5xx, however large its page."""
        for status in (500, 502, 503, 504):
            self.assertEqual(self.fail_with(UpstreamServerError, status).status, status)
        self.serve(lambda _: response(500, b"x" * 1_000_000))
        self.failure(self.registry().get_manifest("x", "latest"), UpstreamServerError)
        self.assertTrue(self.network.lines[-1].closed_by_client)

    def test_rate_limited(self) -> None:
        """429 with its Retry-After, which is honoured without a further request."""
        self.serve(lambda _: response(429, Retry_After="7", ratelimit_remaining="0;w=21600"))
        registry = self.registry()
        failure = self.failure(registry.get_manifest("x", "latest"), UpstreamRateLimited)
        self.assertEqual(failure.retry_after, 7)
        self.assertEqual(self.meter.remaining, [0])
        self.network.pass_time(5)
        failure = self.failure(registry.head_manifest("x", "latest"), UpstreamRateLimited)
        self.assertEqual(failure.retry_after, 2)
        self.assertEqual(len(self.network.requests), 1)
        self.network.pass_time(3)
        self.serve(manifest_server)
        self.network.lines[0].handler = manifest_server
        self.outcome(registry.get_manifest("x", "latest"))

    def test_rate_limit_is_per_kind(self) -> None:
        """A 429 for a manifest holds for manifests and lists, and not for blobs, nor back."""
        for limited, others in (("/manifests/", "/blobs/"), ("/blobs/", "/manifests/")):
            self.serve(
                lambda seen, limited=limited: (
                    response(429, Retry_After="3600")
                    if limited in seen.path
                    else response(200, MANIFEST)
                )
            )
            registry = self.registry()
            asks = {
                "/manifests/": lambda of=registry: of.get_manifest("x", "latest"),
                "/blobs/": lambda of=registry: of.get_blob("x", DIGEST),
            }
            for _ in range(2):
                self.failure(asks[limited](), UpstreamRateLimited)
                self.outcome(asks[others]())
            heads = {
                "/manifests/": lambda of=registry: of.head_manifest("x", "other"),
                "/blobs/": lambda of=registry: of.head_blob("y", DIGEST),
            }
            self.failure(heads[limited](), UpstreamRateLimited)
            self.outcome(heads[others]())
        self.network.pass_time(60, 5)

    def test_rate_limit_is_per_credentials(self) -> None:
        """Somebody else's quota may still have something left."""
        self.serve(lambda _: response(429, Retry_After="60"))
        registry = self.registry(UpstreamUrl(URL, lambda: ("me", "secret")))
        self.failure(registry.get_manifest("x", "latest"), UpstreamRateLimited)
        self.network.lines[0].handler = manifest_server
        self.outcome(registry.head_manifest("x", "latest", anonymous=True))

    def test_remaining(self) -> None:
        """What is left of the quota is read from ordinary answers."""
        self.serve(lambda _: response(200, MANIFEST, RateLimit_Remaining="98;w=21600"))
        self.outcome(self.registry().get_manifest("x", "latest"))
        self.assertEqual(self.meter.remaining, [98])

    def test_nothing_secret_in_failures(self) -> None:
        """No failure repeats a signed URL or a header of ours."""
        location = "http://registry.test/x?X-Amz-Signature=abc&sig=def"
        for status in (307, 404, 401, 429, 500, 418):
            self.serve(
                lambda seen, status=status: response(
                    307 if "sig=" not in seen.target else status, Location=location
                )
            )
            waiting = self.registry().get_manifest("x", "latest")
            self.network.settle()
            failure = self.failureResultOf(waiting).value
            told = f"{failure} {failure!r} {vars(failure)}"
            for secret in ("abc", "def", "http:", "Amz"):
                self.assertNotIn(secret, told)
