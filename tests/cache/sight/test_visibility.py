"""Repositories that may not be shown, since only credentials can read them."""

from dataclasses import replace

from twisted.internet.defer import succeed

from regcache.cache.sight import visibility
from regcache.digests import Digest
from regcache.errors import (
    DeniedError,
    ManifestUnknownError,
    RegistryError,
    UpstreamBadAnswer,
    UpstreamNotFound,
    UpstreamUnreachable,
)
from regcache.facts import ContentHead, Descriptor, Manifest
from regcache.media_types import OCI_MANIFEST
from tests.cache.cases import APP, DAY, CacheTestCase
from tests.support.indexes import MemoryIndex

AWAY = UpstreamUnreachable("up.test", "connection refused")


class PrivateTests(CacheTestCase):
    """With credentials and without serve_private credentials only raise the quota."""

    credentials = "robot"

    def setUp(self) -> None:
        """A blob beside the image."""
        super().setUp()
        self.blob = self.registry.add(b"layer" * 1000)

    def anonymous_questions(self) -> int:
        """How many questions without credentials since this was asked last."""
        asked, self.registry.requests = self.registry.requests, []
        return sum(each[0].startswith("head") and each[3] is True for each in asked)

    def test_public(self) -> None:
        """One anonymous HEAD shows that a repository is public, for a day and over restarts."""
        self.result(self.tag())
        self.assertEqual(self.anonymous_questions(), 1)
        self.restart()
        self.result(self.by_digest())
        self.pull(self.blob)
        self.assertEqual(self.anonymous_questions(), 0)
        self.clock.advance(DAY)
        self.result(self.by_digest())
        self.assertEqual(self.anonymous_questions(), 1)

    def test_private(self) -> None:
        """What only credentials can read is not served; the answer names the key to set."""
        for hidden in (self.registry.private, self.registry.closed):
            hidden.add(APP)
            self.restart()
            for coroutine in (self.tag(), self.head_tag(), self.by_digest(), self.open(self.blob)):
                error = self.refusal(coroutine, Exception)
                if isinstance(error, RegistryError):
                    answer: RegistryError = error
                else:
                    answer = error.answer(ManifestUnknownError)
                self.assertEqual(answer.status, 403)
                if hidden is self.registry.private:
                    self.assertIn("upstreams.up.test.serve_private", answer.message)
            hidden.clear()
            self.clock.advance(DAY)

    def test_private_and_wanted(self) -> None:
        """With serve_private what the credentials can read is served, and nobody else is asked."""
        self.registry.private.add(APP)
        self.registry.serve_private = True
        self.restart()
        self.status_of(self.tag())
        self.pull(self.blob)
        self.assertEqual(self.anonymous_questions(), 0)

    def test_without_credentials(self) -> None:
        """Without credentials there is nothing to find out."""
        self.registry.credentials = ""
        self.restart()
        self.result(self.tag())
        self.assertEqual(self.asked(), ["get_manifest"])

    def test_becomes_private(self) -> None:
        """A repository that becomes private is not served on, cached or not, after a day."""
        self.result(self.tag())
        self.registry.private.add(APP)
        self.clock.advance(DAY)
        for coroutine in (self.tag(), self.by_digest()):
            self.refusal(coroutine, DeniedError)

    def test_becomes_public(self) -> None:
        """A repository that becomes public is served a minute later."""
        self.registry.private.add(APP)
        self.refusal(self.tag(), DeniedError)
        self.registry.private.clear()
        self.refusal(self.tag(), DeniedError)
        self.clock.advance(visibility.PRIVATE_FOR)
        self.status_of(self.tag())

    def test_last_verdict_is_kept(self) -> None:
        """While the upstream is away the last verdict holds, whichever it was."""
        self.registry.add_manifest("org/secret", "latest", self.content, OCI_MANIFEST)
        self.registry.private.add("org/secret")
        self.result(self.tag())
        self.refusal(self.tag(repository="org/secret"), DeniedError)
        self.clock.advance(10 * DAY)
        self.registry.failure = AWAY
        self.restart()
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.refusal(self.by_digest(repository="org/secret"), DeniedError)

    def test_nobody_knows(self) -> None:
        """Where nobody ever knew, and the upstream is away, nothing is served."""
        self.registry.failure = AWAY
        self.refusal(self.tag(), UpstreamUnreachable)

    def test_deadline(self) -> None:
        """Behind a silent upstream the last verdict holds after the deadline."""
        self.result(self.by_digest())
        self.clock.advance(DAY)
        self.registry.silent = True
        asking = self.start(self.by_digest())
        self.clock.advance(1.999)
        self.assertNoResult(asking)
        self.clock.advance(0.001)
        self.assertEqual(self.successResultOf(asking).status.text, "regcache; hit")

    def test_missing_is_no_verdict(self) -> None:
        """What is not there says nothing of the repository, nor to others who ask meanwhile."""
        missing, present = self.start(self.tag("missing")), self.start(self.tag())
        self.caches.run(turns=20)
        self.failureResultOf(missing, UpstreamNotFound)
        self.assertEqual(self.successResultOf(present).manifest.digest, self.digest)

    def test_missing_after_a_day(self) -> None:
        """A reference that is gone does not stretch a verdict that is over."""
        self.registry.credentials = ""
        self.result(self.tag())
        self.registry.credentials = "robot"
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.clock.advance(DAY)
        self.registry.manifests.clear()
        self.refusal(self.by_digest(), UpstreamNotFound)
        self.restart(replace(self.policy, keep_missing=True))
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")

    def test_login_page(self) -> None:
        """A page that answers everything makes nothing public, and is not remembered."""
        self.registry.private.add(APP)
        self.registry.login_page = lambda _, anonymous: anonymous
        for ask in (self.tag, self.head_tag, self.by_digest, self.head_digest):
            self.refusal(ask(), UpstreamBadAnswer)
        self.refusal(self.open(self.blob), UpstreamBadAnswer)
        self.assertIsNone(
            self.successResultOf(self.index.verdict(self.caches.served(APP).identity))
        )
        self.registry.login_page = lambda *_: False
        self.refusal(self.tag(), DeniedError)

    def test_login_page_after_a_day(self) -> None:
        """Where a page answers everything the upstream is away: the last verdict holds."""
        self.result(self.tag())
        self.clock.advance(DAY)
        self.registry.login_page = lambda *_: True
        for _ in range(2):
            self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        verdict = self.successResultOf(self.index.verdict(self.caches.served(APP).identity))
        self.assertLessEqual(verdict.asked_at, self.clock.seconds() - DAY)

    def test_login_page_for_credentials(self) -> None:
        """Nor is a repository private since such a page answers what was not found without."""
        self.registry.login_page = lambda _, anonymous: not anonymous
        self.refusal(self.tag("missing"), UpstreamBadAnswer)
        self.assertIsNone(
            self.successResultOf(self.index.verdict(self.caches.served(APP).identity))
        )

    def test_blob_that_proves_it(self) -> None:
        """A blob shows that its repository is public by its digest, or by the size it has."""
        answers = (
            (self.blob, None, "miss"),
            (None, 5000, "miss"),
            (None, 7, None),
            (None, None, None),
            (Digest.of(b"other"), 5000, None),
        )
        self.registry.login_page = lambda *_: True  # for manifests: none of them proves it
        layer = Descriptor(self.blob, 5000, "")
        image = Manifest(self.digest, OCI_MANIFEST, self.content)
        for digest, size, outcome in answers:
            self.index = MemoryIndex()
            self.restart()
            self.index.record_manifest(
                self.caches.served(APP).identity,
                image,
                [layer],
                subject=None,
                credentials="robot",
                now=1.0,
            )
            head = ContentHead(digest, size, "")
            self.patch(self.registry, "head_blob", lambda *_, head=head: succeed(head))
            if outcome is None:
                self.refusal(self.open(self.blob), UpstreamBadAnswer)
            else:
                self.assertIn(self.pull(self.blob), ("hit", outcome))

    def test_wrong_size_in_a_manifest(self) -> None:
        """Where a blob has not the size that a manifest says the manifest itself is asked for."""
        self.index.record_manifest(
            self.caches.served(APP).identity,
            Manifest(self.digest, OCI_MANIFEST, self.content),
            [Descriptor(self.blob, 7, "")],
            subject=None,
            credentials="robot",
            now=1.0,
        )
        head = ContentHead(None, 5000, "")
        self.patch(self.registry, "head_blob", lambda *_: succeed(head))
        self.assertEqual(self.pull(self.blob), "miss")
        self.assertEqual(self.asked(), ["head_manifest", "get_blob"])

    def test_blob_of_which_nothing_is_known(self) -> None:
        """Where nobody knows its size a manifest is asked for instead, if one is known."""
        head = ContentHead(None, 5000, "")
        self.patch(self.registry, "head_blob", lambda *_: succeed(head))
        self.refusal(self.open(self.blob), UpstreamBadAnswer)
        self.result(self.tag())
        self.clock.advance(DAY)
        self.asked()
        self.assertEqual(self.pull(self.blob), "miss")
        self.assertEqual(self.asked(), ["head_manifest", "get_blob"])
        self.registry.private.add(APP)
        self.clock.advance(DAY)
        self.refusal(self.open(self.registry.add(b"another")), DeniedError)

    def test_client_leaves(self) -> None:
        """A client that leaves while it is being found out takes the answer from nobody."""
        leaving, staying = self.start(self.tag()), self.start(self.tag())
        leaving.addErrback(lambda _: None).cancel()
        self.caches.run(turns=20)
        self.assertEqual(self.successResultOf(staying).manifest.digest, self.digest)

    def test_disk_that_refuses(self) -> None:
        """A verdict that cannot be noted holds all the same."""
        self.index.write_failure = OSError(28, "no space left")
        self.status_of(self.tag())

    def test_bounded(self) -> None:
        """Of the verdicts only the latest are in memory; the index has the others."""
        self.patch(visibility, "MOST_VERDICTS", 5)
        self.restart()
        for number in range(20):
            self.registry.add_manifest(f"org/{number}", "latest", self.content, OCI_MANIFEST)
            self.result(self.tag(repository=f"org/{number}"))
        self.assertEqual(len(self.caches.visibility), 5)
        self.asked()
        self.result(self.by_digest(repository="org/0"))
        self.assertEqual(self.asked(), [])


class NamingTests(CacheTestCase):
    """What lists may name."""

    credentials = "robot"

    def named(self) -> list[str]:
        """The repositories that the catalog names."""
        upstream = self.caches.upstreams["up.test"]
        return self.result(self.caches.listings.repositories(upstream, "", 10))

    def test_private(self) -> None:
        """A repository that was served when that was allowed is not even named any more."""
        self.registry.serve_private = True
        self.registry.private.add(APP)
        self.restart()
        self.result(self.tag())
        self.assertEqual(self.named(), [APP])
        self.registry.serve_private = False
        self.restart()
        self.assertEqual(self.named(), [])

    def test_public(self) -> None:
        """One that was found to be public is named."""
        self.result(self.tag())
        self.assertEqual(self.named(), [APP])
