"""Manifests as a client sees them."""

import json

from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.policy import Policy, TagTtl
from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamResting,
    UpstreamServerError,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.support.front import MAIN, Front, Setting
from tests.test_manifest_body import descriptor, image, index

IMAGE = json.dumps(image()).encode()
ARM = json.dumps(image(annotations={"for": "arm"})).encode()
TAG = "/v2/org/app/manifests/1"
MULTI = "/v2/org/app/manifests/multi"
NO_INDEX = ["Accept: " + OCI_MANIFEST, "Accept: " + DOCKER_MANIFEST]
EVERY_TYPE = [f"Accept: {each}" for each in (OCI_MANIFEST, DOCKER_MANIFEST, DOCKER_LIST, OCI_INDEX)]


def of_platform(content: bytes, architecture: str) -> dict[str, object]:
    """A child of an index."""
    return descriptor(
        Digest.of(content),
        len(content),
        mediaType=OCI_MANIFEST,
        platform={"os": "linux", "architecture": architecture},
    )


INDEX = json.dumps(index(of_platform(ARM, "arm64"), of_platform(IMAGE, "amd64"))).encode()


def path_of(content: bytes) -> str:
    """Where a manifest is asked for by its digest."""
    return f"/v2/org/app/manifests/{Digest.of(content)}"


class ManifestCase(SynchronousTestCase):
    """An image and an index at the default upstream."""

    setting = Setting(policy=Policy(tag_ttls=(TagTtl("*", 300.0),), deadline=2.0))

    def setUp(self) -> None:
        self.front = Front(self.mktemp(), self.setting)
        self.addCleanup(self.front.stop)
        main = self.front.main
        main.add_manifest("org/app", "1", IMAGE, OCI_MANIFEST)
        main.add_manifest("org/app", "arm", ARM, OCI_MANIFEST)
        main.add_manifest("org/app", "multi", INDEX, OCI_INDEX)


class TagTests(ManifestCase):
    """Manifests by tag."""

    def test_headers(self) -> None:
        """Everything that clients rely on, with the digest of the very body."""
        answer = self.front.get(TAG)
        self.assertEqual((answer.status, answer.body), (200, IMAGE))
        headers = answer.headers
        self.assertEqual(headers["docker-content-digest"], str(Digest.of(answer.body)))
        self.assertEqual(headers["etag"], f'"{Digest.of(answer.body)}"')
        self.assertEqual(headers["content-type"], OCI_MANIFEST)
        self.assertEqual(headers["content-length"], str(len(IMAGE)))
        self.assertEqual(headers["cache-control"], "no-cache")
        self.assertEqual(headers["vary"], "Accept")
        self.assertEqual(headers["cache-status"], "regcache; fwd=uri-miss; stored")
        self.assertEqual(headers["docker-distribution-api-version"], "registry/2.0")
        self.assertNotIn("transfer-encoding", headers)

    def test_age(self) -> None:
        """A hit says how long ago the upstream confirmed it; a revalidated one is new."""
        self.front.get(TAG)
        self.front.pass_time(100)
        fresh = self.front.get(TAG)
        self.assertEqual(fresh.headers["cache-status"], "regcache; hit")
        self.assertEqual(fresh.headers["age"], "100")
        self.front.pass_time(300)
        revalidated = self.front.get(TAG)
        self.assertEqual(revalidated.headers["cache-status"], "regcache; hit; detail=revalidated")
        self.assertEqual(revalidated.headers["age"], "0")
        self.assertEqual(self.front.main.count("get_manifest"), 1)

    def test_head_equals_get(self) -> None:
        """HEAD has the headers of GET, for what is cached and what is not."""
        for target in (TAG, MULTI):
            for lines in ([], NO_INDEX):
                cold = self.front.head(target, *lines)
                self.front.get(target, *lines)
                warm = self.front.get(target, *lines)
                head = self.front.head(target, *lines)
                del head.headers["age"], warm.headers["age"]
                self.assertEqual((head.status, head.headers), (200, warm.headers))
                for name in set(warm.headers) - {"cache-status"}:
                    self.assertEqual(cold.headers.get(name), warm.headers[name], name)

    def test_cold_head(self) -> None:
        """HEAD of an unknown tag costs one HEAD, which registries do not count."""
        answer = self.front.head(TAG)
        self.assertEqual(answer.headers["content-length"], str(len(IMAGE)))
        self.assertEqual(answer.headers["docker-content-digest"], str(Digest.of(IMAGE)))
        self.assertEqual(self.front.main.count("get_manifest"), 0)

    def test_not_modified(self) -> None:
        """Who has it gets 304, with Vary, from GET and HEAD, cold and warm."""
        condition = f'If-None-Match: "{Digest.of(IMAGE)}"'
        for method in ("HEAD", "GET", "HEAD"):
            answer = self.front.ask(method, TAG, condition)
            self.assertEqual((answer.status, answer.body), (304, b""))
            self.assertEqual(answer.headers["vary"], "Accept")
            self.assertEqual(answer.headers["etag"], f'"{Digest.of(IMAGE)}"')

    def test_moved(self) -> None:
        """A tag that moved is fetched anew; header and body agree at any time."""
        self.front.get(TAG)
        self.front.main.add_manifest("org/app", "1", ARM, OCI_MANIFEST)
        self.assertEqual(self.front.get(TAG).body, IMAGE)
        self.front.pass_time(301)
        answer = self.front.get(TAG)
        self.assertEqual(answer.body, ARM)
        self.assertEqual(answer.headers["docker-content-digest"], str(Digest.of(ARM)))

    def test_stale(self) -> None:
        """While the upstream fails the old copy is served, says so, and has its age."""
        self.front.get(TAG)
        self.front.pass_time(400)
        self.front.fail(UpstreamServerError(MAIN, "it answered 503", status=503))
        answer = self.front.get(TAG)
        self.assertEqual((answer.status, answer.body), (200, IMAGE))
        self.assertEqual(answer.headers["cache-status"], "regcache; fwd=stale; fwd-status=503")
        self.assertEqual(answer.headers["age"], "400")
        self.assertEqual(self.front.records.last.outcome, "stale")


class DigestTests(ManifestCase):
    """Manifests by digest."""

    def test_headers(self) -> None:
        """What never changes may be kept for ever, and does not depend on Accept."""
        for status in ("regcache; fwd=uri-miss; stored", "regcache; hit"):
            answer = self.front.get(path_of(IMAGE))
            self.assertEqual((answer.status, answer.body), (200, IMAGE))
            self.assertEqual(answer.headers["cache-control"], "max-age=31536000, immutable")
            self.assertEqual(answer.headers["cache-status"], status)
            self.assertNotIn("vary", answer.headers)

    def test_never_asked_again(self) -> None:
        """With the bytes at hand the upstream is not needed at all."""
        self.front.get(TAG)
        asked = len(self.front.main.requests)
        self.front.fail(UpstreamUnreachable(MAIN, "gone"))
        self.front.pass_time(10_000)
        for method in ("GET", "HEAD"):
            self.assertEqual(self.front.ask(method, path_of(IMAGE)).status, 200)
        self.assertEqual(len(self.front.main.requests), asked)

    def test_wrong(self) -> None:
        """Other bytes under a digest are an error, and no byte of them goes out."""
        self.front.main.manifests["org/app", str(Digest.of(IMAGE))] = (ARM, OCI_MANIFEST)
        answer = self.front.get(path_of(IMAGE))
        self.assertEqual((answer.status, answer.code), (502, "UNAVAILABLE"))
        self.assertEqual(self.front.caches.events.mismatches, [MAIN])

    def test_confused(self) -> None:
        """A body whose type contradicts its content is refused."""
        self.front.main.add_manifest("org/app", "odd", INDEX, OCI_MANIFEST)
        answer = self.front.get("/v2/org/app/manifests/odd")
        self.assertEqual((answer.status, answer.code), (502, "UNAVAILABLE"))


class NoHeadTests(ManifestCase):
    """An upstream that takes no HEAD."""

    def test_head(self) -> None:
        """HEAD of what is not cached is answered like GET, which is a hit then."""
        self.front.main.takes_head = False
        for path, content in ((TAG, IMAGE), (MULTI, INDEX), (path_of(ARM), ARM)):
            head = self.front.head(path)
            self.assertEqual(
                (head.status, head.headers["content-length"]), (200, str(len(content)))
            )
            self.assertEqual(head.headers["docker-content-digest"], str(Digest.of(content)))
            answer = self.front.get(path)
            told = answer.headers["cache-status"]
            self.assertEqual((answer.body, told), (content, "regcache; hit"))
        self.assertEqual(len(self.front.main.requests), 3)


class PlatformTests(ManifestCase):
    """Clients that take no index."""

    def test_child(self) -> None:
        """By tag they get the child for linux/amd64, by GET and HEAD."""
        answer = self.front.get(MULTI, *NO_INDEX)
        self.assertEqual((answer.status, answer.body), (200, IMAGE))
        self.assertEqual(answer.headers["docker-content-digest"], str(Digest.of(IMAGE)))
        self.assertEqual(answer.headers["content-type"], OCI_MANIFEST)
        self.assertEqual(answer.headers["vary"], "Accept")
        head = self.front.head(MULTI, *NO_INDEX)
        self.assertEqual(head.headers["docker-content-digest"], str(Digest.of(IMAGE)))

    def test_index(self) -> None:
        """Who takes an index, of either kind and in any line, or anything, gets the index."""
        for lines in (
            [],
            ["Accept: */*"],
            ["Accept: application/*"],
            [f"Accept: {DOCKER_LIST}"],
            EVERY_TYPE,
            [*NO_INDEX, "Accept: */*;q=0.1"],
            [", ".join(EVERY_TYPE).replace(", Accept: ", ", ")],
        ):
            self.assertEqual(self.front.get(MULTI, *lines).body, INDEX, lines)

    def test_by_digest(self) -> None:
        """By digest the index is what it is."""
        self.assertEqual(self.front.get(path_of(INDEX), *NO_INDEX).body, INDEX)

    def test_freshness(self) -> None:
        """How fresh the child is depends on the tag; no question is asked twice."""
        self.front.get(MULTI, *NO_INDEX)
        self.front.pass_time(100)
        fresh = self.front.get(MULTI, *NO_INDEX)
        self.assertEqual(fresh.headers["cache-status"], "regcache; hit")
        self.assertEqual(fresh.headers["age"], "100")
        self.front.pass_time(300)
        self.front.fail(UpstreamUnreachable(MAIN, "gone"))
        asked = len(self.front.main.requests)
        stale = self.front.get(MULTI, *NO_INDEX)
        self.assertEqual(stale.body, IMAGE)
        self.assertIn("fwd=stale", stale.headers["cache-status"])
        self.assertEqual(len(self.front.main.requests), asked + 1)

    def test_without_it(self) -> None:
        """An index without that platform is MANIFEST_UNKNOWN for them."""
        only_arm = json.dumps(index(of_platform(ARM, "arm64"))).encode()
        self.front.main.add_manifest("org/app", "arm-only", only_arm, OCI_INDEX)
        answer = self.front.get("/v2/org/app/manifests/arm-only", *NO_INDEX)
        self.assertEqual((answer.status, answer.code), (404, "MANIFEST_UNKNOWN"))
        self.assertIn(b"linux/amd64", answer.body)


class PrivateTests(ManifestCase):
    """With access control."""

    setting = Setting(private=True)

    def test_private(self) -> None:
        """No shared cache may keep any of it."""
        self.assertEqual(self.front.get(TAG).headers["cache-control"], "private, no-cache")
        by_digest = self.front.get(path_of(IMAGE))
        self.assertEqual(by_digest.headers["cache-control"], "private, max-age=31536000, immutable")


class FaultTests(ManifestCase):
    """The table of errors of what is not cached."""

    ROWS: tuple[tuple[UpstreamFailure, int, str], ...] = (
        (UpstreamNotFound(MAIN, "not found", status=404), 404, "MANIFEST_UNKNOWN"),
        (UpstreamDenied(MAIN, "no", status=401, detail="log in"), 403, "DENIED"),
        (UpstreamDenied(MAIN, "no", status=403, detail="log in"), 403, "DENIED"),
        (UpstreamRateLimited(MAIN, "slowly", retry_after=90), 429, "TOOMANYREQUESTS"),
        (UpstreamUnreachable(MAIN, "no route"), 502, "UNAVAILABLE"),
        (UpstreamServerError(MAIN, "it answered 500", status=500), 502, "UNAVAILABLE"),
        (UpstreamBadAnswer(MAIN, "nonsense"), 502, "UNAVAILABLE"),
        (UpstreamTimedOut(MAIN, "no first byte"), 504, "UNAVAILABLE"),
        (UpstreamResting(MAIN, "no route", retry_after=0), 503, "UNAVAILABLE"),
    )

    def test_codes(self) -> None:
        """Each failure has its status and code, and names the upstream; HEAD says the same."""
        for failure, status, code in self.ROWS:
            self.front.fail(failure)
            answer, head = self.front.get(TAG), self.front.head(TAG)
            self.assertEqual((answer.status, answer.code), (status, code), failure)
            self.assertIn(MAIN, answer.json["errors"][0]["message"])
            self.assertEqual(answer.headers["content-type"], "application/json")
            self.assertEqual(head.status, status)
            self.assertEqual(head.headers["content-length"], answer.headers["content-length"])
            for name in ("etag", "docker-content-digest", "cache-status", "age"):
                self.assertNotIn(name, answer.headers)
            self.front.pass_time(100)

    def test_retry_after(self) -> None:
        """A limit and a rest say when to come again, one second at least."""
        for failure, seconds in ((self.ROWS[3][0], "90"), (self.ROWS[8][0], "1")):
            self.front.fail(failure)
            self.assertEqual(self.front.get(TAG).headers["retry-after"], seconds)

    def test_detail(self) -> None:
        """A refusal carries the upstream's own words, and no challenge."""
        self.front.fail(self.ROWS[1][0])
        answer = self.front.get(TAG)
        self.assertEqual(answer.json["errors"][0]["detail"], "log in")
        self.assertNotIn("www-authenticate", answer.headers)
        self.assertEqual(self.front.records.last.outcome, "denied")

    def test_rows_are_answers(self) -> None:
        """No failure is forgotten by the table."""
        rows = {type(failure) for failure, _, _ in self.ROWS}
        self.assertEqual(rows, set(UpstreamFailure.__subclasses__()))

    def test_grammar(self) -> None:
        """Bad names, tags and digests are 400, and nobody is asked."""
        for path, code in (
            ("Org/app/manifests/1", "NAME_INVALID"),
            ("org//app/manifests/1", "NAME_INVALID"),
            ("org/../app/manifests/1", "NAME_INVALID"),
            ("org%2Fapp/manifests/1", "NAME_INVALID"),
            ("org/app/manifests/.1", "TAG_INVALID"),
            ("org/app/manifests/" + "x" * 129, "TAG_INVALID"),
            ("org/app/manifests/sha256:1", "DIGEST_INVALID"),
        ):
            answer = self.front.get(f"/v2/{path}")
            self.assertEqual((answer.status, answer.code), (400, code), path)
        self.assertEqual(self.front.main.requests, [])
