"""Repositories that are closed to us, since good credentials were refused."""

from dataclasses import replace

from regcache.cache.sight import closed_repositories
from regcache.digests import Digest
from regcache.errors import DeniedError, ManifestUnknownError, UpstreamDenied, UpstreamUnreachable
from regcache.media_types import OCI_MANIFEST
from tests.cache.cases import APP, TTL, CacheTestCase

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
        self.assertGreater(self.successResultOf(self.index.total_bytes()), 5000)

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
        self.clock.advance(3.0)
        self.registry.delay = 0.001
        self.assert_closed()

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
