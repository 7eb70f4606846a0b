"""Repositories that turn private after they were found to be public."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from regcache.cache.sight.visibility import FETCHED_FOR
from regcache.digests import Digest
from regcache.errors import DeniedError, UpstreamDenied, UpstreamNotFound, UpstreamUnreachable
from regcache.identity import Repository
from regcache.media_types import OCI_MANIFEST
from tests.cache.cases import APP, DAY, CacheTestCase, index_of, manifest_of

AWAY = UpstreamUnreachable("up.test", "connection refused")


class TurnedPrivateTests(CacheTestCase):
    """What is pushed after a repository turned private is not fetched with our credentials."""

    credentials = "robot"

    def setUp(self) -> None:
        """An image was pulled; then a newer one and its layer were pushed."""
        super().setUp()
        self.result(self.tag())
        self.newer = manifest_of(b"newer")
        self.layer = self.registry.add(b"newer layer " * 10_000)
        self.pushed = self.registry.add_manifest(APP, "newer", self.newer, OCI_MANIFEST)
        self.registry.tag_lists[APP] = ["latest", "newer"]
        self.registry.referrers[self.digest] = index_of(self.newer)
        self.registry.requests.clear()

    def turn_private(self) -> None:
        """The repository turns private, and nobody asks for something new for five minutes."""
        self.registry.private.add(APP)
        self.clock.advance(FETCHED_FOR)

    def anonymous(self) -> int:
        """How many questions without credentials were asked."""
        heads = [each for each in self.registry.requests if each[0].startswith("head")]
        return sum(each[3] for each in heads)

    def head_blob(self, digest: Digest) -> Any:
        """HEAD of a blob."""
        return self.caches.blobs.head(self.caches.served(), digest)

    def tags(self) -> Any:
        """The list of tags."""
        return self.caches.listings.tags(self.caches.served(), "", 10)

    def referrers(self) -> Any:
        """The referrers of the image."""
        return self.caches.listings.referrers(self.caches.served(), self.digest, "")

    def misses(self) -> list[Callable[[], Any]]:
        """All ways to ask for what is not cached."""
        return [
            lambda: self.tag("newer"),
            lambda: self.head_tag("newer"),
            lambda: self.by_digest(self.pushed),
            lambda: self.head_digest(self.pushed),
            lambda: self.open(self.layer),
            lambda: self.head_blob(self.layer),
            self.tags,
            self.referrers,
        ]

    def test_misses(self) -> None:
        """Nothing new is shown in any way of asking, and no body is fetched."""
        for miss in self.misses():
            self.index.record_verdict(self.key(), True, self.clock.seconds())
            self.restart()
            self.turn_private()
            self.refusal(miss(), DeniedError)
        self.assertNotIn("get_manifest", [each[0] for each in self.registry.requests])
        self.assertNotIn("get_blob", [each[0] for each in self.registry.requests])

    def test_hits(self) -> None:
        """What was cached before is shown for the day, until somebody finds out."""
        self.turn_private()
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.assertEqual(self.registry.requests, [])
        self.refusal(self.tag("newer"), DeniedError)
        self.refusal(self.by_digest(), DeniedError)

    def test_tag_that_moved(self) -> None:
        """Where a tag names something new that is not fetched either."""
        self.registry.add_manifest(APP, "latest", self.newer, OCI_MANIFEST)
        self.turn_private()
        self.refusal(self.tag(), DeniedError)
        self.assertEqual(self.registry.count("get_manifest"), 0)

    def test_known_from_elsewhere(self) -> None:
        """What another repository brought is no less new here, and needs a younger verdict, too."""
        self.registry.add_manifest("org/b", "newer", self.newer, OCI_MANIFEST)
        self.result(self.tag("newer", "org/b"))
        self.pull(self.layer, "org/b")
        self.registry.add_manifest(APP, "latest", self.newer, OCI_MANIFEST)
        self.registry.private.add(APP)
        for ask in (
            lambda: self.by_digest(self.pushed),
            lambda: self.open(self.layer),
            self.tag,
        ):
            self.index.record_verdict(self.key(), True, self.clock.seconds())
            self.restart()
            self.clock.advance(FETCHED_FOR)
            self.refusal(ask(), DeniedError)

    def test_joined_download(self) -> None:
        """Nor is a download joined that began while the repository was public."""
        owner = self.start(self.open(self.layer))
        self.caches.run(turns=5)
        self.turn_private()
        self.refusal(self.open(self.layer), DeniedError)
        self.successResultOf(owner).reader.leave()
        self.caches.run()

    def test_public_still(self) -> None:
        """A repository that stays public is asked for once in five minutes, without a body."""
        self.clock.advance(FETCHED_FOR)
        self.result(self.tag("newer"))
        self.pull(self.layer)
        self.pull(self.registry.add(b"another layer " * 10_000))
        self.result(self.tags())
        self.assertEqual(self.anonymous(), 1)
        self.clock.advance(FETCHED_FOR)
        self.result(self.tags())
        self.assertEqual(self.anonymous(), 2)

    def test_many_layers(self) -> None:
        """All that is asked for at a time shares one question."""
        self.clock.advance(FETCHED_FOR)
        layers = [self.registry.add(bytes([n]) * 100_000) for n in range(20)]
        opening = [self.start(self.open(layer)) for layer in layers]
        opening.append(self.start(self.tag("newer")))
        self.caches.run()
        for each in opening[:-1]:
            self.successResultOf(each).reader.leave()
        self.successResultOf(opening[-1])
        self.assertEqual(self.anonymous(), 1)
        self.assertEqual(self.registry.count("get_blob"), 20)
        self.caches.run()

    def test_shared_question_about_something_missing(self) -> None:
        """That one thing is missing is said to nobody who asks for another."""
        self.clock.advance(FETCHED_FOR)
        missing = self.start(self.tag("missing"))
        present = [self.start(self.tag("newer")), self.start(self.open(self.layer))]
        self.caches.run()
        self.failureResultOf(missing, UpstreamNotFound)
        self.assertEqual(self.successResultOf(present[0]).manifest.digest, self.pushed)
        self.successResultOf(present[1]).reader.leave()
        self.caches.run()

    def test_upstream_does_not_say(self) -> None:
        """While nobody can say nothing is fetched, and what is cached is shown."""
        self.clock.advance(FETCHED_FOR)
        self.registry.login_page = lambda _, anonymous: anonymous
        for miss in self.misses()[:5]:
            self.refusal(miss(), Exception)
        self.assertEqual(self.registry.count("get_manifest") + self.registry.count("get_blob"), 0)
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")

    def test_refuses_what_is_missing(self) -> None:
        """A registry that answers 403 for what is not there is not private therefore."""
        self.registry.refuses_missing = True
        self.clock.advance(FETCHED_FOR)
        refusal = self.refusal(self.tag("missing"), UpstreamDenied)
        self.assertFalse(refusal.closes)
        self.assertTrue(self.verdict().public)
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.result(self.tag("newer"))

    def key(self) -> Repository:
        """The repository."""
        return self.caches.served().identity

    def verdict(self) -> Any:
        """What the index has."""
        return self.successResultOf(self.index.verdict(self.key()))

    def test_found_out_meanwhile(self) -> None:
        """Who waits for a manifest while the repository is found to be private gets nothing."""
        self.registry.delay = 1.0
        waiting = self.start(self.tag("newer"))
        self.clock.advance(0.5)
        self.index.record_verdict(self.key(), False, self.clock.seconds())
        self.caches.visibility._verdicts.put(self.key(), self.verdict())
        self.clock.advance(2.0)
        self.failureResultOf(waiting, DeniedError)

    def test_late_answer(self) -> None:
        """An answer that was long in coming does not stand against a younger one."""
        self.clock.advance(DAY)
        self.registry.delay = 3.0
        asking = self.start(self.tag("newer"))
        self.clock.advance(1.0)
        self.index.record_verdict(self.key(), False, self.clock.seconds())
        self.caches.visibility._verdicts.put(self.key(), self.verdict())
        self.clock.advance(2.0)
        self.failureResultOf(asking, DeniedError)

    def test_clock_set_back(self) -> None:
        """A verdict from the future counts for nothing, and gives way to the next one."""
        self.index.record_verdict(self.key(), True, self.clock.seconds() + DAY)
        self.restart()
        self.registry.private.add(APP)
        for _ in range(2):
            self.refusal(self.by_digest(), DeniedError)
        self.assertFalse(self.verdict().public)

    def test_referrers_of_what_nobody_knows(self) -> None:
        """Cached referrers are not shown where nobody knows whether they may be."""
        self.registry.serve_private = True
        self.registry.private.add("org/secret")
        signature = manifest_of(
            b"signature", subject={"digest": str(self.digest), "size": 1, "mediaType": OCI_MANIFEST}
        )
        self.registry.add_manifest("org/secret", "sig", signature, OCI_MANIFEST)
        self.restart()
        self.result(self.tag("sig", "org/secret"))
        self.registry.serve_private = False
        self.restart()
        self.registry.failure = AWAY
        self.refusal(
            self.caches.listings.referrers(self.caches.served("org/secret"), self.digest, ""),
            UpstreamUnreachable,
        )

    def test_referrers_of_what_is_missing(self) -> None:
        """What refers to something that was not pushed yet is found, if the rest is public."""
        later = Digest.of(b"pushed later")
        self.registry.referrers[later] = index_of(self.newer)
        self.clock.advance(FETCHED_FOR)
        found = self.result(self.caches.listings.referrers(self.caches.served(), later, ""))
        self.assertIn(str(Digest.of(self.newer)).encode(), found.content)
        self.clock.advance(FETCHED_FOR)
        self.registry.private.add(APP)
        self.refusal(self.caches.listings.referrers(self.caches.served(), later, ""), DeniedError)

    def test_tags_of_old_images(self) -> None:
        """A list is shown though some of its tags name what nobody can read any more."""
        self.registry.tag_lists[APP] = ["ancient", "latest", "zzz"]
        self.clock.advance(FETCHED_FOR)
        self.assertEqual(list(self.result(self.tags()).tags), ["ancient", "latest", "zzz"])

    def test_client_leaves(self) -> None:
        """A client that leaves while it is found out leaves the question to the others."""
        self.clock.advance(FETCHED_FOR)
        leaving = self.start(self.open(self.layer))
        staying: Deferred[Any] = self.start(self.tag("newer"))
        leaving.addErrback(lambda _: None).cancel()
        self.caches.run()
        self.assertEqual(self.successResultOf(staying).manifest.digest, self.pushed)
        self.assertEqual(self.anonymous(), 1)
