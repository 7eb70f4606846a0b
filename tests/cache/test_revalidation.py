"""Tags that are cached and not fresh any more."""

from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError

from regcache.cache import revalidation
from regcache.digests import Digest
from regcache.errors import UpstreamNotFound, UpstreamServerError
from regcache.media_types import OCI_MANIFEST
from tests.cache.cases import APP, TTL, CacheTestCase, manifest_of


class RevalidationTests(CacheTestCase):
    """What was cached and is not fresh any more."""

    def setUp(self) -> None:
        """The tag is cached, and its time is over."""
        super().setUp()
        self.result(self.tag())
        self.clock.advance(TTL + 90)
        self.asked()

    def move(self) -> Digest:
        """The tag moves."""
        self.content = manifest_of(b"newer")
        return self.registry.add_manifest(APP, "latest", self.content, OCI_MANIFEST)

    def test_unchanged(self) -> None:
        """One HEAD makes it fresh again, for all who ask meanwhile; Age begins anew."""
        asking = [self.start(self.tag()) for _ in range(10)]
        self.caches.run(turns=20)
        for each in map(self.successResultOf, asking):
            self.assertEqual(each.status.text, "regcache; hit; detail=revalidated")
            self.assertEqual(each.status.age, 0)
        self.clock.advance(TTL - 1)
        served = self.result(self.tag())
        self.assertEqual((served.status.text, served.status.age), ("regcache; hit", TTL - 1))
        self.assertEqual(self.asked(), ["head_manifest"])

    def test_asked_now(self) -> None:
        """Who wants to know it asks, however fresh the copy is; then it is fresh again."""
        self.result(self.tag())
        self.asked()
        self.clock.advance(10)
        served = self.result(self.refresh())
        self.assertEqual(served.status.text, "regcache; hit; detail=revalidated")
        self.assertEqual(self.asked(), ["head_manifest"])
        self.assertEqual(self.result(self.tag()).status.age, 0)
        digest = self.move()
        self.assertEqual(self.result(self.refresh()).manifest.digest, digest)
        self.assertEqual(self.asked(), ["head_manifest", "get_manifest"])
        self.assertEqual(self.status_of(self.tag()), "regcache; hit")

    def test_asked_now_in_vain(self) -> None:
        """A failure is told, and leaves the copy; a tag that is gone is forgotten."""
        self.result(self.tag())
        self.registry.failure = UpstreamServerError("up.test", "it is down", status=503)
        self.refusal(self.refresh(), UpstreamServerError)
        self.assertEqual(self.status_of(self.tag()), "regcache; hit")
        self.registry.failure = UpstreamNotFound("up.test", "it has none", status=404)
        self.refusal(self.refresh(), UpstreamNotFound)
        self.refusal(self.tag(), UpstreamNotFound)

    def test_asked_now_for_the_first_time(self) -> None:
        """A tag that is not cached is fetched."""
        self.registry.add_manifest(APP, "other", self.content, OCI_MANIFEST)
        self.assertEqual(self.result(self.refresh("other")).manifest.content, self.content)

    def refresh(self, tag: str = "latest") -> Any:
        """Ask for a tag now."""
        return self.caches.cache.refresh_tag(self.caches.served().identity, tag)

    def test_left(self) -> None:
        """Of very many questions that all clients have left the latest are answered."""
        self.patch(revalidation, "MOST_LEFT", 5)
        self.restart()
        tags = [f"tag-{number}" for number in range(20)]
        for tag in tags:
            self.registry.add_manifest(APP, tag, self.content, OCI_MANIFEST)
            self.result(self.tag(tag))
        self.clock.advance(TTL)
        self.asked()
        for tag in tags:
            asking = self.start(self.tag(tag))
            asking.cancel()
            self.failureResultOf(asking, CancelledError)
        self.assertEqual(len(self.asked()), 20)
        self.caches.run(turns=20)
        for tag in tags:
            self.result(self.tag(tag))
        self.assertEqual(len(self.asked()), 15)

    def test_moved(self) -> None:
        """A tag that moved costs one HEAD and one GET by digest."""
        digest = self.move()
        served = self.result(self.tag())
        self.assertEqual((served.manifest.content, served.manifest.digest), (self.content, digest))
        self.assertEqual(self.registry.requests[-1], ("get_manifest", APP, str(digest)))
        self.assertEqual(self.asked(), ["head_manifest", "get_manifest"])
        self.assertEqual(self.status_of(self.tag()), "regcache; hit")

    def test_moved_back(self) -> None:
        """A tag that moved to what is cached already costs no GET."""
        first, first_content = self.digest, self.content
        self.move()
        self.result(self.tag())
        self.clock.advance(TTL)
        self.registry.add_manifest(APP, "latest", first_content, OCI_MANIFEST)
        self.asked()
        self.assertEqual(self.result(self.tag()).manifest.digest, first)
        self.assertEqual(self.asked(), ["head_manifest"])

    def test_moves_between_head_and_get(self) -> None:
        """The named digest is that of the body, also if the tag moves meanwhile."""
        between = self.move()
        asking = self.start(self.tag())
        self.clock.advance(0.001)
        for removed in ((APP, str(between)), (APP, str(self.digest))):
            self.registry.manifests.pop(removed)
        self.content = manifest_of(b"newest")
        newest = self.registry.add_manifest(APP, "latest", self.content, OCI_MANIFEST)
        self.caches.run(turns=20)
        manifest = self.successResultOf(asking).manifest
        self.assertEqual((manifest.digest, manifest.content), (newest, self.content))
        self.assertEqual(Digest.of(manifest.content), manifest.digest)

    def test_head_lies(self) -> None:
        """Where HEAD names a digest that does not exist, the tag itself is asked for."""
        self.registry.claims["latest"] = Digest.of(b"nothing")
        served = self.result(self.tag())
        self.assertEqual(served.manifest.digest, self.digest)

    def test_deadline(self) -> None:
        """No answer within the deadline: the copy now, and the answer when it comes."""
        self.registry.delay = 5.0
        self.move()
        asking = [self.start(self.tag()) for _ in range(5)]
        self.clock.advance(1.999)
        self.assertNoResult(asking[0])
        self.clock.advance(0.001)
        for each in map(self.successResultOf, asking):
            self.assertEqual(each.manifest.digest, self.digest)
            self.assertEqual(each.status.text, "regcache; fwd=stale; detail=deadline")
            self.assertEqual(each.status.age, TTL + 90)
        self.assertEqual(self.registry.overdue, [(APP, "latest")])
        late = self.start(self.tag())
        self.assertEqual(self.successResultOf(late).status.text.split("=")[-1], "deadline")
        self.clock.advance(10)
        self.clock.advance(10)
        self.assertEqual(self.status_of(self.tag()), "regcache; hit")
        self.assertEqual(self.asked(), ["head_manifest", "get_manifest"])
        self.assertEqual(self.registry.overdue, [(APP, "latest")])

    def test_late_refusal_is_taken(self) -> None:
        """That the tag is gone is taken when it comes, though nobody waits any more."""
        self.registry.delay = 5.0
        self.registry.manifests.pop((APP, "latest"))
        asking = self.start(self.tag())
        self.clock.advance(2.0)
        self.successResultOf(asking)
        self.clock.advance(3.0)
        self.assertIsNone(
            self.successResultOf(self.index.tag(self.caches.served(APP).identity, "latest"))
        )

    def test_silent_upstream(self) -> None:
        """Behind an upstream that swallows everything each tag waits for one deadline only."""
        self.registry.silent = True
        asking = self.start(self.tag())
        self.clock.advance(2.0)
        self.successResultOf(asking)
        for _ in range(5):
            self.assertIn("deadline", self.successResultOf(self.start(self.tag())).status.text)
        self.assertEqual((self.asked(), len(self.registry.overdue)), (["head_manifest"], 1))

    def test_client_leaves(self) -> None:
        """A client that leaves takes the answer from nobody, itself least of all."""
        leaving, staying = self.start(self.tag()), self.start(self.tag())
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.caches.run(turns=20)
        self.assertIn("revalidated", self.successResultOf(staying).status.text)
        self.clock.advance(TTL)
        only = self.start(self.tag())
        only.cancel()
        self.failureResultOf(only, CancelledError)
        self.caches.run(turns=20)
        self.assertEqual(self.status_of(self.tag()), "regcache; hit")
        self.assertEqual(self.asked(), ["head_manifest"] * 2)

    def test_gone(self) -> None:
        """A tag that is gone is forgotten; its manifest stays for those who know the digest."""
        self.registry.manifests.pop((APP, "latest"))
        self.refusal(self.tag(), UpstreamNotFound)
        self.assertEqual(
            self.successResultOf(self.index.tags(self.caches.served(APP).identity, "", 9)), []
        )
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")

    def test_evicted_and_gone(self) -> None:
        """A tag whose manifest was evicted, and that is gone, is forgotten too."""
        self.restart()
        self.successResultOf(self.index.forget_content(self.digest))
        self.registry.manifests.pop((APP, "latest"))
        self.refusal(self.tag(), UpstreamNotFound)
        self.assertEqual(
            self.successResultOf(self.index.tags(self.caches.served(APP).identity, "", 9)), []
        )

    def test_evicted_and_upstream_silent(self) -> None:
        """A tag whose manifest is not here waits for the upstream: there is nothing stale."""
        self.restart()
        self.successResultOf(self.index.forget_content(self.digest))
        self.registry.silent = True
        asking = self.start(self.tag())
        self.clock.advance(2.5)
        self.assertNoResult(asking)

    def test_wrong_bytes(self) -> None:
        """A new manifest that fails its digest is not served; the copy is."""
        digest = self.move()
        self.registry.manifests[APP, str(digest)] = (manifest_of(b"wrong"), OCI_MANIFEST)
        served = self.result(self.tag())
        self.assertEqual(served.manifest.digest, self.digest)
        self.assertEqual(served.status.text, "regcache; fwd=stale; detail=invalid")
        self.assertEqual(self.caches.events.mismatches, ["up.test"])

    def test_ttl_by_pattern(self) -> None:
        """The first pattern that fits a tag says how long it is fresh."""
        first, *others = self.policy.tag_ttls
        rules = (replace(first, match="*-rc*", ttl=1.0), first, *others)
        self.registry.add_manifest(APP, "2-rc1", self.content, OCI_MANIFEST)
        self.restart(replace(self.policy, tag_ttls=rules))
        for tag, status in (("2-rc1", "regcache; hit; detail=revalidated"), ("3", "regcache; hit")):
            self.registry.add_manifest(APP, tag, self.content, OCI_MANIFEST)
            self.result(self.tag(tag))
            self.clock.advance(1.0)
            self.assertEqual(self.status_of(self.tag(tag)), status)
