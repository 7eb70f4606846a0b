"""What of the cache counts as used, and by which requests."""

from collections.abc import Callable
from typing import Any

from regcache.digests import Digest
from regcache.facts import ManifestUse
from regcache.identity import Repository, RepositoryContent
from tests.cache.cases import APP, CacheTestCase


class UseTests(CacheTestCase):
    """Requests as they come in."""

    def setUp(self) -> None:
        super().setUp()
        self.blob = self.registry.add(b"layer")
        self.repository = Repository(self.registry.identity, APP)
        self.result(self.caches.cache.tag(self.repository, "latest"))
        self.result(self.opened())
        self.caches.run()

    async def opened(self) -> None:
        """GET of the blob."""
        opened = await self.caches.cache.open_blob(self.of(self.blob))
        opened.reader.leave()

    def of(self, digest: Digest) -> RepositoryContent:
        """Content of the repository."""
        return RepositoryContent(self.repository, digest)

    def is_use(self, digest: Digest, request: Callable[[], Any]) -> bool:
        """Whether a request is a use of content, at the time at which it is answered."""
        self.clock.advance(10)
        began = self.clock.seconds()
        answer = request()
        if hasattr(answer, "send"):
            self.result(answer)
        used = self.index.last_use(digest)
        return used is not None and used >= began

    def test_manifest(self) -> None:
        """GET and HEAD of a manifest, by tag and by digest, at once and after a look-up."""
        cache, content = self.caches.cache, self.of(self.digest)
        for request in (
            lambda: cache.tag_at_once(self.repository, "latest"),
            lambda: cache.tag(self.repository, "latest"),
            lambda: cache.head_tag(self.repository, "latest"),
            lambda: cache.manifest_at_once(content),
            lambda: cache.manifest(content),
            lambda: cache.head_manifest(content),
        ):
            self.assertTrue(self.is_use(self.digest, request))

    def test_pulls(self) -> None:
        """A manifest that is asked for counts in its repository, by the way it was asked for."""
        cache, content = self.caches.cache, self.of(self.digest)
        for request, use in (
            (lambda: cache.tag_at_once(self.repository, "latest"), ManifestUse.BY_TAG),
            (lambda: cache.tag(self.repository, "latest"), ManifestUse.BY_TAG),
            (lambda: cache.head_tag(self.repository, "latest"), ManifestUse.BY_TAG),
            (lambda: cache.manifest_at_once(content), ManifestUse.GOT),
            (lambda: cache.manifest(content), ManifestUse.GOT),
            (lambda: cache.head_manifest(content), ManifestUse.HEADED),
        ):
            self.caches.pulls.clear()
            self.assertTrue(self.is_use(self.digest, request))
            self.assertEqual(self.caches.pulls, [(self.repository, self.digest, use)])
        self.caches.pulls.clear()
        self.result(self.opened())
        self.assertEqual(self.caches.pulls, [])

    def test_blob(self) -> None:
        """GET of a blob is a use of it; HEAD, which fetches nothing, is none."""
        cache, content = self.caches.cache, self.of(self.blob)
        self.assertTrue(self.is_use(self.blob, lambda: cache.open_blob_at_once(content)))
        self.assertTrue(self.is_use(self.blob, self.opened))
        self.assertFalse(self.is_use(self.blob, lambda: cache.head_blob(content)))
