"""Tags: what they name now, and how many questions that costs."""

from twisted.internet.defer import CancelledError

from regcache.cache.served_manifests import Served, ServedHead
from regcache.cache.tag_table import MOST_TAGS, TagTable
from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamNotFound,
    UpstreamServerError,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.media_types import OCI_MANIFEST
from tests.cache.cases import APP, TTL, CacheTestCase, manifest_of


class ColdTests(CacheTestCase):
    """What is not cached."""

    def test_get(self) -> None:
        """A cold GET of a tag costs one request; the next one none."""
        self.assertEqual(self.status_of(self.tag()), "regcache; fwd=uri-miss; stored")
        self.assertEqual(self.asked(), ["get_manifest"])
        self.assertEqual(self.status_of(self.tag()), "regcache; hit")
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.assertEqual(self.asked(), [])

    def test_many(self) -> None:
        """A hundred who ask at once share one request; all but the first are collapsed."""
        asking = [self.start(self.tag()) for _ in range(100)]
        self.caches.run(turns=20)
        outcomes = [self.successResultOf(each).status.outcome for each in asking]
        self.assertEqual(outcomes, ["miss"] + ["collapsed"] * 99)
        self.assertEqual(self.asked(), ["get_manifest"])

    def test_many_by_digest(self) -> None:
        """By digest likewise."""
        asking = [self.start(self.by_digest()) for _ in range(10)]
        self.caches.run(turns=20)
        outcomes = [self.successResultOf(each).status.outcome for each in asking]
        self.assertEqual(outcomes, ["miss"] + ["collapsed"] * 9)
        self.assertEqual(self.asked(), ["get_manifest"])

    def test_head_then_get_by_digest(self) -> None:
        """HEAD makes no GET; the GET by digest that follows makes one, and all is cached then."""
        heads = [self.start(self.head_tag()) for _ in range(5)]
        self.caches.run(turns=20)
        for head in map(self.successResultOf, heads):
            self.assertIsInstance(head, ServedHead)
            self.assertEqual((head.digest, head.size), (self.digest, len(self.content)))
        self.assertEqual(self.asked(), ["head_manifest"])
        self.result(self.by_digest())
        self.assertEqual(self.asked(), ["get_manifest"])
        self.assertEqual(self.status_of(self.head_tag()), "regcache; hit")
        self.assertEqual(self.asked(), [])

    def test_head_then_upstream_away(self) -> None:
        """What was pulled as containerd does it (HEAD, GET by digest) outlives its upstream."""
        self.result(self.head_tag())
        self.result(self.by_digest())
        self.clock.advance(TTL)
        self.registry.failure = UpstreamUnreachable("up.test", "connection refused")
        status = "regcache; fwd=stale; detail=unreachable"
        self.assertEqual(self.status_of(self.head_tag()), status)

    def test_head_equals_get(self) -> None:
        """HEAD says of tag and digest, cold and cached, what GET gives."""
        for head_of in (self.head_tag, self.head_digest):
            self.restart()
            head: ServedHead = self.result(head_of())
            served: Served = self.result(self.tag())
            cached: Served = self.result(head_of())
            manifest = served.manifest
            self.assertEqual(cached.manifest, manifest)
            self.assertEqual(
                (head.digest, head.size, head.media_type),
                (manifest.digest, len(manifest.content), manifest.media_type),
            )
            self.successResultOf(self.index.forget_content(self.digest))

    def test_head_that_says_too_little(self) -> None:
        """Where HEAD lacks the digest, or has a type that GET would not have, GET is asked."""
        self.registry.claims["latest"] = None
        self.assertEqual(self.result(self.head_tag()).manifest.digest, self.digest)
        content = manifest_of(b"other")
        self.registry.add_manifest(APP, "generic", content, "application/json")
        served = self.result(self.head_tag("generic"))
        self.assertEqual(served.manifest.media_type, OCI_MANIFEST)

    def test_head_by_digest_of_something_else(self) -> None:
        """A HEAD by digest that is answered for another digest is not believed."""
        self.registry.claims[str(self.digest)] = Digest.of(b"something else")
        self.assertEqual(self.result(self.head_digest()).manifest.digest, self.digest)

    def test_client_leaves(self) -> None:
        """A fetch whose only client left is finished and noted all the same."""
        asking = self.start(self.tag())
        self.clock.advance(0)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.caches.run(turns=20)
        self.assertEqual(self.status_of(self.tag()), "regcache; hit")
        self.assertEqual(self.asked(), ["get_manifest"])

    def test_nothing_cached_and_refused(self) -> None:
        """A failure is passed on as it is."""
        self.registry.failure = UpstreamServerError("up.test", "it answered 503", status=503)
        self.refusal(self.tag(), UpstreamServerError)
        self.refusal(self.head_tag(), UpstreamServerError)

    def test_disk_that_refuses(self) -> None:
        """A full disk fails no pull: what cannot be noted is served all the same."""
        self.index.write_failure = OSError(28, "no space left")
        self.assertEqual(self.status_of(self.tag()), "regcache; fwd=uri-miss; stored")
        self.clock.advance(TTL)
        self.registry.manifests.pop((APP, "latest"))
        self.refusal(self.tag(), UpstreamNotFound)


class StartTests(CacheTestCase):
    """The daemon starts while every upstream is down."""

    credentials = "robot"

    def test_start_without_network(self) -> None:
        """With DNS dead what the last run cached is served: tags, digests, HEADs and blobs."""
        blob = self.registry.add(b"layer" * 1000)
        self.result(self.tag())
        self.pull(blob)
        self.clock.advance(TTL * 1000)
        for failure, status in (
            (UpstreamUnreachable("up.test", "its name cannot be resolved"), "unreachable"),
            (UpstreamTimedOut("up.test", "no connection within its time"), "timeout"),
        ):
            self.registry.failure = failure
            self.restart()
            self.assertEqual(self.status_of(self.tag()), f"regcache; fwd=stale; detail={status}")
            self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
            self.assertEqual(self.status_of(self.head_digest()), "regcache; hit")
            self.assertEqual(self.pull(blob), "hit")

    def test_start_behind_a_black_hole(self) -> None:
        """Nothing is asked twice in vain: verdict, right and tag wait for one deadline in all."""
        self.result(self.tag())
        self.clock.advance(TTL * 1000)
        self.restart()
        self.registry.silent = True
        asking = self.start(self.tag())
        self.clock.advance(2.0)
        self.clock.advance(0.01)
        self.assertEqual(
            self.successResultOf(asking).status.text, "regcache; fwd=stale; detail=deadline"
        )
        digest = self.start(self.by_digest())
        self.clock.advance(2.0)
        self.assertEqual(self.successResultOf(digest).status.text, "regcache; hit")


class TableTests(CacheTestCase):
    """What is remembered of tags."""

    def test_bounded(self) -> None:
        """Memory holds the tags asked for last; the index has the others."""
        table = TagTable(self.index, self.clock, self.caches.removed)
        app = self.caches.served(APP).identity
        for number in range(MOST_TAGS + 10):
            self.successResultOf(self.start(table.note(app, f"t{number}", self.digest, 0)))
        self.assertEqual(len(table), MOST_TAGS)
        fact = self.successResultOf(self.start(table.find(app, "t0")))
        self.assertEqual(fact.digest, self.digest)

    def test_bad_answer_is_passed_on(self) -> None:
        """A cold tag whose body is no manifest is refused."""
        self.registry.add_manifest(APP, "bad", b"{}", OCI_MANIFEST)
        self.refusal(self.tag("bad"), UpstreamBadAnswer)
