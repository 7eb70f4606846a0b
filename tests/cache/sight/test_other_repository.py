"""Tries all ways to private content through a repository that does not have it.

Neither bytes nor sizes nor names are shown, with any part of the content in the cache, and any
answer of the upstream.
"""

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regcache.cache.opened import BlobHead, OpenBlob
from regcache.cache.served_manifests import Served, ServedHead
from regcache.digests import Digest
from regcache.media_types import OCI_MANIFEST
from tests.cache.cases import APP, DAY, CacheTestCase, manifest_of
from tests.cache.rights_cases import AWAY, EVIL
from tests.support.caches import Sink
from tests.support.registries import FakeRegistry

SMALL = b"a private key"
LARGE = b"a private layer " * 20_000


class OtherRepositoryTests(CacheTestCase):
    """Tries every way at every moment, with every answer about the other repository."""

    credentials = "robot"

    def setUp(self) -> None:
        """An image of org/app with its layers, and a signature that refers to it."""
        super().setUp()
        self.registry.serve_private = True
        self.blobs = [self.registry.add(content) for content in (SMALL, LARGE)]
        self.registry.holds = lambda repository, digest: repository == APP
        layers = [
            {"mediaType": "", "digest": str(digest), "size": len(self.registry.blobs[digest])}
            for digest in self.blobs
        ]
        self.image = manifest_of(layers=layers)
        self.secret = self.registry.add_manifest(APP, "secret-tag", self.image, OCI_MANIFEST)
        subject = {"mediaType": OCI_MANIFEST, "digest": str(self.secret), "size": 1}
        self.registry.add_manifest(APP, "signature", manifest_of(subject=subject), OCI_MANIFEST)
        self.other = FakeRegistry(self.clock, name="other.test", credentials="robot2")
        self.other.serve_private = True
        self.restart()

    def restart(self, policy: Any = None) -> None:
        """Begin anew, with both upstreams."""
        self.caches = self.make_caches(self.registry, self.other, policy=policy)

    def pull_all(self) -> None:
        """Have all of it in the cache."""
        for tag in ("secret-tag", "signature"):
            self.result(self.tag(tag))
        for digest in self.blobs:
            self.pull(digest)

    def moments(self) -> Iterator[str]:
        """What the cache holds of it, one after the other."""
        yield "nothing"
        self.result(self.tag("secret-tag"))
        owners = [self.start(self.open(digest)) for digest in self.blobs]
        self.caches.run(turns=10)
        yield "being fetched"
        for owner in owners:
            self.successResultOf(owner).reader.leave()
        self.caches.run()
        self.pull_all()
        yield "in memory"
        self.restart()
        yield "on disk"
        self.clock.advance(DAY)
        yield "on disk, proved a day ago"

    def ways(self, name: str) -> dict[str, Callable[[], Any]]:
        """All questions of a client."""
        asked = self.caches.served(EVIL, name)
        tags, blobs, listings = self.caches.tags, self.caches.blobs, self.caches.listings
        found: dict[str, Callable[[], Any]] = {
            "tag": lambda: tags.by_tag(asked, "secret-tag"),
            "HEAD tag": lambda: tags.head_by_tag(asked, "secret-tag"),
            "digest": lambda: tags.by_digest(asked, self.secret),
            "HEAD digest": lambda: tags.head_by_digest(asked, self.secret),
            "tags": lambda: listings.tags(asked, "", 10),
            "referrers": lambda: listings.referrers(asked, self.secret, ""),
            "catalog": lambda: listings.repositories(asked.upstream, "", 10),
        }
        for digest in self.blobs:
            found[f"blob {digest}"] = lambda digest=digest: blobs.open(asked, digest)
            found[f"HEAD {digest}"] = lambda digest=digest: blobs.head(asked, digest)
        return found

    def assert_nothing_at_once(self, name: str) -> None:
        """Nor does memory show anything without a look at what may be shown."""
        asked = self.caches.served(EVIL, name)
        self.assertIsNone(self.caches.tags.by_digest_at_once(asked, self.secret))
        self.assertIsNone(self.caches.tags.by_tag_at_once(asked, "secret-tag"))
        for digest in self.blobs:
            self.assertIsNone(self.caches.blobs.open_at_once(asked, digest))

    def assert_nothing_shown(self, result: Any, way: str, name: str) -> None:
        """An answer has neither bytes nor sizes nor names of it."""
        self.assertNotIsInstance(result, Served | ServedHead | BlobHead)
        if isinstance(result, OpenBlob):
            self.assertEqual(self.read(result), b"")
        elif way == "catalog":
            self.assertNotIn(EVIL, result)
            self.assertEqual([each for each in result if name == "other.test"], [])
        elif not isinstance(result, Failure):
            self.assertNotIn("secret-tag", getattr(result, "tags", ()))
            self.assertNotIn(b"sha256", getattr(result, "content", b""))

    def read(self, opened: OpenBlob) -> bytes:
        """What a client gets of a blob that is open."""
        sink = Sink()
        sink.reader = opened.reader
        opened.reader.begin(0, opened.reader.size, sink)
        self.caches.run()
        opened.reader.leave()
        self.caches.run()
        return bytes(sink.data)

    def ask(self, way: Callable[[], Any]) -> Any:
        """The answer, or the refusal."""
        asking: Deferred[Any] = Deferred.fromCoroutine(way())
        results: list[Any] = []
        asking.addBoth(results.append)
        self.caches.run(turns=100)
        self.assertEqual(len(results), 1)
        return results[0]

    def play(self, arrange: Callable[[FakeRegistry], None]) -> None:
        """Ask in all ways at all moments.

        :param arrange: has an upstream say something of the other repository.
        """
        registries = (self.registry, self.other)
        for moment in self.moments():
            before = [dict(vars(registry)) for registry in registries]
            for registry in registries:
                arrange(registry)
            for name in ("up.test", "other.test"):
                for way, question in self.ways(name).items():
                    with self.subTest(moment=moment, name=name, way=way):
                        self.assert_nothing_at_once(name)
                        self.assert_nothing_shown(self.ask(question), way, name)
            for registry, values in zip(registries, before, strict=True):
                vars(registry).update(values)
            self.clock.advance(10.0)

    def test_missing(self) -> None:
        """The upstream answers 404."""
        self.play(lambda _: None)

    def test_refused(self) -> None:
        """It answers 403 for all that is not there."""

        def refuse(registry: FakeRegistry) -> None:
            registry.refuses_missing = True

        self.play(refuse)

    def test_login_page(self) -> None:
        """It answers every HEAD with a page."""

        def show_page(registry: FakeRegistry) -> None:
            registry.login_page = lambda repository, _: repository == EVIL

        self.play(show_page)

    def test_away(self) -> None:
        """It does not answer."""

        def go_away(registry: FakeRegistry) -> None:
            registry.failure = AWAY

        self.play(go_away)

    def test_the_owner_is_shown_all(self) -> None:
        """The ways lead somewhere: through its own repository all of it is shown."""
        self.pull_all()
        asked = self.caches.served()
        shown: Digest = self.result(self.caches.tags.by_digest(asked, self.secret)).manifest.digest
        self.assertEqual(shown, self.secret)
        opened = self.result(self.caches.blobs.open(asked, self.blobs[1]))
        self.assertEqual(self.read(opened), LARGE)
        head = self.result(self.caches.blobs.head(asked, self.blobs[1]))
        self.assertEqual(head.size, len(LARGE))
