"""Repositories that are closed to us, since good credentials were refused."""

from dataclasses import replace
from typing import Any

from twisted.internet.defer import fail

from regcache.cache.sight import closed_repositories
from regcache.digests import Digest
from regcache.errors import DeniedError, ManifestUnknownError, UpstreamDenied, UpstreamUnreachable
from regcache.media_types import OCI_MANIFEST
from tests.cache.cases import APP, DAY, TTL, CacheTestCase, manifest_of
from tests.support.bodies import Fault

AWAY = UpstreamUnreachable("up.test", "connection refused")


class ClosedTests(CacheTestCase):
    """Good credentials are refused: the repository is closed until the upstream opens it."""

    credentials = "robot"

    def setUp(self) -> None:
        """An image and a blob are cached; then the upstream closes the repository."""
        super().setUp()
        self.registry.serve_private = True
        self.restart()
        self.blob = self.registry.add(b"layer" * 1000)
        self.result(self.tag())
        self.pull(self.blob)
        self.registry.closed.add(APP)
        self.clock.advance(TTL)

    def close(self) -> None:
        """Let the cache find out."""
        failure: UpstreamDenied = self.refusal(self.tag(), UpstreamDenied)
        answer = failure.answer(ManifestUnknownError)
        self.assertEqual((answer.status, answer.detail), (403, "go away"))

    def assert_closed(self) -> None:
        """Everything is refused with 403."""
        for coroutine in (
            self.tag(),
            self.head_tag(),
            self.tag("other"),
            self.by_digest(),
            self.head_digest(),
            self.open(self.blob),
        ):
            failure = self.refusal(coroutine, Exception)
            self.assertIsInstance(failure, DeniedError | UpstreamDenied)

    def test_closed(self) -> None:
        """Tags, digests and blobs are refused; nothing is deleted; others go on."""
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.registry.add_manifest("org/open", "latest", self.content, OCI_MANIFEST)
        self.close()
        self.assert_closed()
        self.status_of(self.tag(repository="org/open"))
        self.assertGreater(self.successResultOf(self.index.occupied_bytes()), 5000)

    def test_survives(self) -> None:
        """It is closed after a restart too, and while the upstream is away or silent."""
        self.close()
        self.registry.failure = AWAY
        self.restart()
        self.assert_closed()
        self.restart()
        self.registry.failure, self.registry.silent = None, True
        asking = self.start(self.by_digest())
        self.clock.advance(2.0)
        self.failureResultOf(asking, DeniedError)

    def test_opened(self) -> None:
        """When the upstream gives it again all is there at once, and nothing is fetched."""
        self.close()
        self.registry.closed.clear()
        self.assert_closed_within_negative_ttl()
        self.clock.advance(10.0)
        self.asked()
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.assertEqual(self.pull(self.blob), "hit")
        self.assertEqual(self.asked(), ["head_manifest"])
        self.restart()
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")

    def assert_closed_within_negative_ttl(self) -> None:
        """The refusal of the tag is remembered for its time."""
        self.refusal(self.tag(), UpstreamDenied)

    def test_opened_by_a_blob(self) -> None:
        """A blob that the upstream gives again opens the repository."""
        self.close()
        self.registry.closed.clear()
        self.assertEqual(self.pull(self.blob), "hit")
        self.clock.advance(10.0)
        self.assertEqual(self.status_of(self.tag()), "regcache; hit; detail=revalidated")

    def test_other_credentials(self) -> None:
        """New credentials are tried at once."""
        self.close()
        self.registry.closed.clear()
        self.registry.credentials = "robot.new"
        self.assertIn("revalidated", self.status_of(self.tag()))

    def test_missing_does_not_open(self) -> None:
        """That something is not there does not mean that the rest is open."""
        self.close()
        self.registry.closed.clear()
        self.refusal(self.by_digest(Digest.of(b"nothing")), DeniedError)
        self.refusal(self.tag(), UpstreamDenied)

    def test_found_out_by_a_cold_tag(self) -> None:
        """A tag that was never cached may be what closes it."""
        self.refusal(self.tag("other"), UpstreamDenied)
        self.assert_closed()

    def test_late_answer(self) -> None:
        """A refusal that comes behind the deadline closes it, though nobody waits any more."""
        self.registry.delay = 5.0
        asking = self.start(self.tag())
        self.clock.advance(2.0)
        self.assertIn("deadline", self.successResultOf(asking).status.text)
        self.registry.delay = 0.001
        self.clock.advance(3.0)
        self.caches.run(turns=20)
        self.assert_closed()

    def test_login_page_does_not_open(self) -> None:
        """A page that answers everything opens nothing."""
        self.close()
        self.registry.login_page = lambda *_: True
        self.refusal(self.by_digest(), DeniedError)
        self.refusal(self.open(self.blob), DeniedError)
        self.restart()
        self.refusal(self.by_digest(), DeniedError)

    def test_refused_again_meanwhile(self) -> None:
        """What was asked for before the last refusal does not open it afterwards."""
        self.close()
        self.registry.closed.clear()
        self.registry.delay = 1.0
        asking = self.start(self.by_digest())
        self.clock.advance(0.5)
        self.caches.closed_repositories.close(self.caches.served().identity)
        self.clock.advance(0.5)
        self.failureResultOf(asking, DeniedError)
        self.registry.delay = 0.001
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")

    def test_anonymous_closes_nothing(self) -> None:
        """What is refused without credentials is gone, and closes nothing."""
        self.registry.credentials = ""
        self.registry.add_manifest("org/b", "latest", self.content, OCI_MANIFEST)
        self.refusal(self.tag(), UpstreamDenied)
        self.assertIsNone(
            self.successResultOf(self.index.closed_since(self.caches.served(APP).identity))
        )

    def test_on_missing_does_not_help(self) -> None:
        """With on_missing: stale a closed repository is closed all the same."""
        self.restart(replace(self.policy, keep_missing=True))
        self.close()
        self.assert_closed()

    def test_disk_that_refuses(self) -> None:
        """It is closed even if that cannot be noted."""
        self.index.write_failure = OSError(28, "no space left")
        self.close()
        self.assert_closed()

    def test_bounded(self) -> None:
        """Names that are made up fill neither memory nor index; what is real stays closed."""
        self.patch(closed_repositories, "MOST_STATES", 5)
        self.restart()
        self.close()
        for number in range(20):
            self.registry.closed.add(f"made/up{number}")
            self.refusal(self.tag(repository=f"made/up{number}"), UpstreamDenied)
        self.assertEqual(len(self.caches.closed_repositories), 5)
        self.assertIsNone(
            self.successResultOf(self.index.closed_since(self.caches.served("made/up1").identity))
        )
        self.assert_closed()


class RefusedAloneTests(CacheTestCase):
    """A registry that answers 403 for what is not there: one refusal closes nothing."""

    credentials = "robot"

    def setUp(self) -> None:
        """An image is cached."""
        super().setUp()
        self.registry.serve_private = True
        self.restart()
        self.result(self.tag())
        self.registry.refuses_missing = True
        self.asked()

    def assert_open(self) -> None:
        """What is known of the repository is shown, and nobody is asked for it."""
        self.asked()
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.assertEqual(self.asked(), [])
        self.assertIsNone(self.closed_since())

    def closed_since(self) -> float | None:
        """What the index has."""
        since: float | None
        since = self.successResultOf(self.index.closed_since(self.caches.served().identity))
        return since

    def test_missing_tag(self) -> None:
        """A tag that is not there is refused alone, after one HEAD of what is known."""
        refusal: UpstreamDenied = self.refusal(self.tag("missing"), UpstreamDenied)
        self.assertEqual(refusal.answer(ManifestUnknownError).status, 403)
        asked = [each[:3] for each in self.registry.requests]
        self.assertEqual(
            asked, [("get_manifest", APP, "missing"), ("head_manifest", APP, str(self.digest))]
        )
        self.asked()
        self.refusal(self.tag("missing"), UpstreamDenied)
        self.assertEqual(self.asked(), [])
        self.assert_open()

    def test_missing_blob(self) -> None:
        """Nor does a blob that is refused, while what is known is given; else it closes, too."""
        blob = self.registry.add(b"layer")
        refusal = UpstreamDenied("up.test", "no", status=403, credentials_used=True)
        self.registry.faults = [Fault(refuse=refusal)]
        self.refusal(self.open(blob), UpstreamDenied)
        self.assert_open()
        self.registry.closed.add(APP)
        self.refusal(self.open(Digest.of(b"another")), UpstreamDenied)
        self.assertIsNotNone(self.closed_since())

    def test_many(self) -> None:
        """All that is refused at a time shares one question."""
        asking = [self.start(self.tag(f"missing{n}")) for n in range(20)]
        self.caches.run(turns=20)
        for each in asking:
            self.failureResultOf(each, UpstreamDenied)
        self.assertEqual(self.registry.count("head_manifest"), 1)
        self.assert_open()

    def test_tag_that_was_removed(self) -> None:
        """A cached tag that is refused alone is gone; with on_missing: stale it is kept."""
        del self.registry.manifests[APP, "latest"]
        self.clock.advance(TTL)
        self.restart(replace(self.policy, keep_missing=True))
        self.assertEqual(self.status_of(self.tag()), "regcache; fwd=stale; fwd-status=403")
        self.restart()
        self.refusal(self.tag(), UpstreamDenied)
        self.assert_open()
        self.clock.advance(10.0)
        self.refusal(self.tag(), UpstreamDenied)
        self.assertEqual(self.asked()[0], "get_manifest")

    def test_nothing_known(self) -> None:
        """Where nothing is known to be good the refusal is remembered, and no more."""
        self.registry.closed.add("org/new")
        self.refusal(self.tag("a", "org/new"), UpstreamDenied)
        self.refusal(self.tag("a", "org/new"), UpstreamDenied)
        self.assertEqual(self.asked(), ["get_manifest"])
        self.registry.closed.clear()
        self.registry.add_manifest("org/new", "b", self.content, OCI_MANIFEST)
        self.status_of(self.tag("b", "org/new"))

    def test_known_itself(self) -> None:
        """What is known to be good, and alone so, closes the repository when it is refused."""
        self.clock.advance(DAY)
        self.registry.closed.add(APP)
        self.refusal(self.by_digest(), UpstreamDenied)
        self.assertEqual(self.asked(), ["head_manifest"])
        self.assertIsNotNone(self.closed_since())

    def test_another_one_is_known(self) -> None:
        """A digest that was removed is refused alone while another one is given."""
        other = manifest_of(b"other")
        self.registry.add_manifest(APP, "other", other, OCI_MANIFEST)
        self.result(self.tag("other"))
        self.clock.advance(DAY)
        del self.registry.manifests[APP, str(self.digest)]
        self.refusal(self.by_digest(), UpstreamDenied)
        self.assertIsNone(self.closed_since())
        self.result(self.by_digest(Digest.of(other)))

    def test_known_is_gone(self) -> None:
        """Of what is not there any more nobody learns that the rest is closed."""
        refuse = self.registry._refuse_missing

        def refuse_tags(repository: str, reference: str, anonymous: bool) -> None:
            if ":" not in reference:
                refuse(repository, reference, anonymous)

        self.patch(self.registry, "_refuse_missing", refuse_tags)
        del self.registry.manifests[APP, str(self.digest)]
        self.refusal(self.tag("missing"), UpstreamDenied)
        self.assert_open()

    def test_nobody_says(self) -> None:
        """Where the upstream does not say it is refused, and nothing else follows from that."""
        del self.registry.manifests[APP, "latest"]
        self.clock.advance(TTL)
        head = self.registry.head_manifest

        def silent_for_digests(repository: str, reference: str, anonymous: bool = False) -> Any:
            if ":" in reference:
                return fail(AWAY)
            return head(repository, reference, anonymous)

        self.patch(self.registry, "head_manifest", silent_for_digests)
        self.restart(replace(self.policy, keep_missing=True))
        self.refusal(self.tag(), UpstreamDenied)
        self.patch(self.registry, "head_manifest", head)
        self.assert_open()
        self.registry.refuses_missing = False
        self.registry.add_manifest(APP, "latest", self.content, OCI_MANIFEST)
        self.clock.advance(10.0)
        self.assertIn("revalidated", self.status_of(self.tag()))

    def test_login_page(self) -> None:
        """A page that answers everything vouches for nothing."""
        self.registry.login_page = lambda *_: True
        self.assertTrue(self.refusal(self.tag("missing"), UpstreamDenied).closes)
        self.registry.login_page = lambda *_: False
        self.assert_open()

    def test_index_that_fails(self) -> None:
        """Where the disk does not tell what is known it is refused, and no more."""
        self.patch(self.index, "known_manifests", lambda _: fail(OSError(5, "no")))
        self.assertTrue(self.refusal(self.tag("missing"), UpstreamDenied).closes)
        self.assert_open()

    def test_client_leaves(self) -> None:
        """A client that leaves while it is found out takes the answer from nobody."""
        self.registry.closed.add(APP)
        leaving, staying = self.start(self.tag("a")), self.start(self.tag("b"))
        self.clock.advance(0.0015)
        leaving.addErrback(lambda _: None).cancel()
        self.caches.run(turns=20)
        self.assertTrue(self.failureResultOf(staying, UpstreamDenied).value.closes)
        self.assertIsNotNone(self.closed_since())
