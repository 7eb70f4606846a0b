"""Refusals that are remembered, for a moment and for nobody else."""

from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.cache.negative import (
    MOST_REFUSALS,
    NegativeCache,
    NegativeCachingRegistry,
    RefusalKey,
)
from regcache.cache.sight.closed_repositories import ClosedRepositories
from regcache.digests import Digest
from regcache.errors import (
    BlobUnknownError,
    ManifestUnknownError,
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
from regcache.identity import Repository, UpstreamIdentity
from regcache.interfaces import IRegistry
from regcache.media_types import OCI_MANIFEST
from tests.cache.cases import APP, CacheTestCase
from tests.support.indexes import MemoryIndex
from tests.support.registries import FakeRegistry, Fault

MISSING = Digest.of(b"missing")
NOT_FOUND = UpstreamNotFound("up.test", "it does not have this", status=404)
DENIED = UpstreamDenied(
    "up.test", "it gives no access", status=403, credentials_used=True, detail="no"
)
PASSING = (
    UpstreamServerError("up.test", "it answered 503", status=503),
    UpstreamRateLimited("up.test", "it limits the rate", retry_after=5),
    UpstreamResting("up.test", "too many failures", retry_after=5),
    UpstreamTimedOut("up.test", "no answer"),
    UpstreamUnreachable("up.test", "refused"),
    UpstreamBadAnswer("up.test", "nonsense", status=400),
)


class NegativeCacheTests(SynchronousTestCase):
    """The table itself."""

    def setUp(self) -> None:
        """Nothing is remembered."""
        self.clock = Clock()
        self.cache = NegativeCache(self.clock)

    def key(self, reference: str = "latest") -> RefusalKey:
        """A key."""
        return (Repository(UpstreamIdentity("up.test"), APP), "", "manifest", reference)

    def test_equal(self) -> None:
        """What is remembered is equal to the original, but for having been known."""
        for failure in (NOT_FOUND, DENIED):
            self.cache.note(self.key(), failure, 10.0)
            known = self.cache.find(self.key())
            assert known is not None
            self.assertIsNot(known, failure)
            self.assertIs(type(known), type(failure))
            self.assertEqual(str(known), str(failure))
            self.assertEqual({**vars(known), "asked": True}, {"asked": True, **vars(failure)})
            self.assertEqual((failure.asked, known.asked), (True, False))
            answers = [each.answer(ManifestUnknownError) for each in (known, failure)]
            self.assertEqual(vars(answers[0]), vars(answers[1]))

    def test_no_traceback(self) -> None:
        """A refusal holds nothing of the request that met it, nor do two finds share one."""
        try:
            raise UpstreamNotFound("up.test", "gone", status=404)
        except UpstreamNotFound as failure:
            self.cache.note(self.key(), failure, 10.0)
        found = [self.cache.find(self.key()) for _ in range(2)]
        self.assertIsNot(found[0], found[1])
        self.assertEqual([each and each.__traceback__ for each in found], [None, None])

    def test_time(self) -> None:
        """It is forgotten when its time is over; with no time it is not remembered."""
        self.cache.note(self.key(), NOT_FOUND, 10.0)
        self.clock.advance(9.9)
        self.assertIsNotNone(self.cache.find(self.key()))
        self.clock.advance(0.1)
        self.assertIsNone(self.cache.find(self.key()))
        self.cache.note(self.key(), NOT_FOUND, 0.0)
        self.assertEqual(len(self.cache), 0)

    def test_what_passes_is_not_remembered(self) -> None:
        """Failures that may be over at the next question are not remembered."""
        for failure in PASSING:
            self.cache.note(self.key(), failure, 10.0)
        self.assertEqual(len(self.cache), 0)

    def test_bounded(self) -> None:
        """However many names are asked for, 10,000 refusals are remembered, the latest."""
        for number in range(2 * MOST_REFUSALS):
            self.cache.note(self.key(f"tag{number}"), NOT_FOUND, 10.0)
        self.assertEqual((MOST_REFUSALS, len(self.cache)), (10_000, 10_000))
        self.assertIsNone(self.cache.find(self.key("tag0")))
        self.assertIsNotNone(self.cache.find(self.key(f"tag{2 * MOST_REFUSALS - 1}")))


class AttentiveRegistryTests(CacheTestCase):
    """A registry that remembers what it was refused."""

    def setUp(self) -> None:
        """One upstream."""
        super().setUp()
        upstream = self.caches.upstreams["up.test"]
        self.with_negative_cache = upstream.registry

    def test_interface(self) -> None:
        """It is a registry, with the names and numbers of the one inside."""
        self.assertTrue(verifyObject(IRegistry, self.with_negative_cache))
        self.registry.credentials, self.registry.url_count = "robot", 3
        with_negative_cache = self.with_negative_cache
        self.assertEqual(
            (
                with_negative_cache.name,
                with_negative_cache.credentials,
                with_negative_cache.url_count,
            ),
            ("up.test", "robot", 3),
        )

    def test_manifests(self) -> None:
        """Tag and digest: one question within negative_ttl, whether by GET or HEAD."""
        for first, second in ((self.tag, self.head_tag), (self.head_tag, self.tag)):
            self.refusal(first("missing"), UpstreamNotFound)
            self.refusal(second("missing"), UpstreamNotFound)
            self.assertEqual(len(self.asked()), 1)
            self.clock.advance(10.0)
        for _ in range(2):
            self.refusal(self.by_digest(MISSING), UpstreamNotFound)
            self.refusal(self.head_digest(MISSING), UpstreamNotFound)
        self.assertEqual(self.asked(), ["get_manifest"])

    def test_blobs(self) -> None:
        """Blobs likewise, and apart from manifests of the same digest."""
        for _ in range(3):
            failure = self.refusal(self.open(MISSING), UpstreamNotFound)
            self.assertIsInstance(failure.answer(BlobUnknownError), BlobUnknownError)
            heading = self.caches.blobs.head(self.caches.served(APP), MISSING)
            self.refusal(heading, UpstreamNotFound)
        self.assertEqual(self.asked(), ["get_blob"])
        self.refusal(self.by_digest(MISSING), UpstreamNotFound)
        self.assertEqual(self.asked(), ["get_manifest"])

    def test_repositories_apart(self) -> None:
        """Another repository is another question."""
        self.refusal(self.tag("missing"), UpstreamNotFound)
        self.refusal(self.tag("missing", "org/other"), UpstreamNotFound)
        self.assertEqual(self.asked(), ["get_manifest"] * 2)

    def test_it_appears(self) -> None:
        """What appears upstream is there when negative_ttl is over."""
        self.refusal(self.tag("new"), UpstreamNotFound)
        self.registry.add_manifest(APP, "new", self.content, OCI_MANIFEST)
        self.refusal(self.tag("new"), UpstreamNotFound)
        self.clock.advance(10.0)
        self.status_of(self.tag("new"))

    def test_success_clears(self) -> None:
        """An answer that comes forgets what was refused meanwhile."""
        self.registry.delay = 1.0
        slow = self.with_negative_cache.get_manifest(APP, "latest")
        self.registry.delay, self.registry.failure = 0.5, NOT_FOUND
        fast = self.with_negative_cache.head_manifest(APP, "latest")
        self.clock.advance(0.5)
        self.failureResultOf(fast, UpstreamNotFound)
        self.assertEqual(len(self.caches.refusals), 1)
        self.clock.advance(0.5)
        self.successResultOf(slow)
        self.assertEqual(len(self.caches.refusals), 0)

    def test_what_passes_is_asked_again(self) -> None:
        """5xx, 429, time-outs and lost connections are asked again at once."""
        for failure in PASSING:
            self.registry.failure = failure
            for _ in range(2):
                self.refusal(self.tag(), UpstreamFailure)
            self.assertEqual(self.asked(), ["get_manifest"] * 2)

    def test_hono_cve_2026_44457_identities_apart(self) -> None:
        """What is refused to one identity is refused to no other: anonymous, old or new."""
        self.registry.private.add(APP)
        self.registry.credentials = "robot"
        anonymous = self.with_negative_cache.head_manifest(APP, "latest", True)
        self.clock.advance(1)
        self.failureResultOf(anonymous, UpstreamNotFound)
        trusted = self.with_negative_cache.head_manifest(APP, "latest", False)
        self.clock.advance(1)
        self.successResultOf(trusted)
        self.registry.closed.add(APP)
        refused = self.with_negative_cache.head_manifest(APP, "latest", False)
        self.clock.advance(1)
        self.failureResultOf(refused, UpstreamDenied)
        self.registry.closed.clear()
        self.registry.credentials = "other robot"
        changed = self.with_negative_cache.head_manifest(APP, "latest", False)
        self.clock.advance(1)
        self.successResultOf(changed)

    def test_upstreams_apart(self) -> None:
        """What one upstream refuses another one may have."""
        other = FakeRegistry(self.clock, name="other.test")
        other.add_manifest(APP, "missing", self.content, OCI_MANIFEST)
        self.caches = self.make_caches(self.registry, other)
        self.refusal(self.tag("missing"), UpstreamNotFound)
        self.status_of(self.tag("missing", name="other.test"))

    def test_some_urls_only(self) -> None:
        """What is asked of some of the URLs is neither remembered nor answered from memory."""
        self.refusal(self.open(MISSING), UpstreamNotFound)
        self.asked()
        self.registry.url_count = 2
        for _ in range(2):
            asking = self.with_negative_cache.get_blob(APP, MISSING, skip=frozenset([0]))
            self.clock.advance(1)
            self.failureResultOf(asking, UpstreamNotFound)
        self.assertEqual(self.asked(), ["get_blob"] * 2)

    def test_refused_on_the_way(self) -> None:
        """A blob that is refused when its download asks again is a refusal like any other."""
        digest = self.registry.add(b"blob" * 50_000)
        self.registry.faults = [Fault(refuse=DENIED)]
        for _ in range(2):
            self.refusal(self.open(digest), UpstreamDenied)
        self.assertEqual(self.asked(), ["get_blob"])

    def test_stale_by_a_known_refusal(self) -> None:
        """With on_missing: stale a refusal that is known is not asked for again."""
        self.restart(replace(self.policy, keep_missing=True))
        self.result(self.tag())
        self.clock.advance(390.0)
        self.registry.manifests.pop((APP, "latest"))
        self.asked()
        self.assertEqual(self.status_of(self.tag()), "regcache; fwd=stale; fwd-status=404")
        self.assertEqual(self.status_of(self.tag()), "regcache; hit; ttl=-90; detail=stale")
        self.assertEqual(self.asked(), ["head_manifest"])

    def test_overdue_is_handed_on(self) -> None:
        """That a question is overdue the registry inside is told."""
        self.with_negative_cache.note_overdue(APP, "latest")
        self.assertEqual(self.registry.overdue, [(APP, "latest")])

    def test_lists_that_are_refused(self) -> None:
        """That there is no such list is remembered, each apart, and closes no repository."""
        self.registry.tag_lists[APP] = ["a"]
        for _ in range(2):
            for asking in (
                self.with_negative_cache.get_referrers(APP, MISSING),
                self.with_negative_cache.get_referrers(APP, self.digest),
                self.with_negative_cache.list_tags("org/none"),
            ):
                self.clock.advance(1)
                self.failureResultOf(asking, UpstreamNotFound)
        self.assertEqual(self.asked(), ["get_referrers", "get_referrers", "list_tags"])
        self.clock.advance(10)
        self.registry.referrers[MISSING] = b"{}"
        found = self.with_negative_cache.get_referrers(APP, MISSING)
        self.clock.advance(1)
        self.successResultOf(found)

    def test_lists_pass_through(self) -> None:
        """Lists of tags and of referrers that there are, are asked for each time."""
        self.registry.tag_lists[APP] = ["a"]
        self.registry.referrers[MISSING] = b"{}"
        for _ in range(2):
            for asking in (
                self.with_negative_cache.list_tags(APP),
                self.with_negative_cache.get_referrers(APP, MISSING),
            ):
                self.clock.advance(1)
                self.successResultOf(asking)
        self.assertEqual(self.asked(), ["list_tags", "get_referrers"] * 2)

    def test_without_time(self) -> None:
        """With negative_ttl 0 everything is asked."""
        closed_repositories = ClosedRepositories(MemoryIndex(), self.clock)
        plain = NegativeCachingRegistry(
            self.registry,
            refusals=self.caches.refusals,
            closed_repositories=closed_repositories,
            spare_bodies=self.caches.spare_bodies,
            negative_ttl=0.0,
        )
        for _ in range(2):
            asking = plain.head_manifest(APP, "missing")
            self.clock.advance(1)
            self.failureResultOf(asking, UpstreamNotFound)
        self.assertEqual(self.asked(), ["head_manifest"] * 2)
