"""What the tests of manifests, tags, rights and visibility begin with."""

import json
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.policy import Policy, TagTtl
from regcache.cache.served_manifests import Served
from regcache.digests import Digest
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from tests.support.caches import Caches
from tests.support.indexes import MemoryIndex
from tests.support.registries import FakeRegistry

TTL = 300.0
APP = "org/app"
DAY = 24 * 3600.0


def manifest_of(layer: bytes = b"layer", **more: Any) -> bytes:
    """An image manifest with one layer."""
    descriptor = {"mediaType": "", "digest": str(Digest.of(layer)), "size": len(layer)}
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor, "layers": []}
    return json.dumps({**body, **more}).encode()


def index_of(*children: bytes) -> bytes:
    """An index of manifests."""
    members = [
        {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(child)), "size": len(child)}
        for child in children
    ]
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members}
    return json.dumps(body).encode()


class CacheTestCase(SynchronousTestCase):
    """One upstream with one image in one repository, and the cache before it."""

    credentials = ""
    policy = Policy(tag_ttls=(TagTtl("*", TTL),))

    def setUp(self) -> None:
        """An upstream that has org/app:latest."""
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.directory = os.path.abspath(self.mktemp())
        self.registry = FakeRegistry(self.clock, credentials=self.credentials)
        self.content = manifest_of()
        self.digest = self.registry.add_manifest(APP, "latest", self.content, OCI_MANIFEST)
        self.index = MemoryIndex()
        self.caches = self.make_caches(self.registry)

    def make_caches(self, *registries: FakeRegistry, policy: Policy | None = None) -> Caches:
        """A cache over the same directory and index, as after a restart."""
        caches = Caches(
            self.directory,
            self.clock,
            *registries,
            policy=policy or self.policy,
            index=self.index,
        )
        self.addCleanup(caches.stop)
        return caches

    def restart(self, policy: Policy | None = None) -> None:
        """Begin anew with what the disk holds."""
        self.caches = self.make_caches(self.registry, policy=policy)

    def start(self, coroutine: Any) -> "Deferred[Any]":
        """Begin what a client asks for."""
        return Deferred.fromCoroutine(coroutine)

    def result(self, coroutine: Any) -> Any:
        """What a client gets, in little time; failures are raised."""
        asking = self.start(coroutine)
        self.caches.run(turns=20)
        return self.successResultOf(asking)

    def refusal(self, coroutine: Any, kind: type[Exception]) -> Any:
        """How a client is refused."""
        asking = self.start(coroutine)
        self.caches.run(turns=20)
        return self.failureResultOf(asking, kind).value

    def tag(self, tag: str = "latest", repository: str = APP, name: str = "up.test") -> Any:
        """GET of a tag."""
        return self.caches.tags.by_tag(self.caches.served(repository, name), tag)

    def head_tag(self, tag: str = "latest", repository: str = APP) -> Any:
        """HEAD of a tag."""
        return self.caches.tags.head_by_tag(self.caches.served(repository), tag)

    def by_digest(
        self, digest: Digest | None = None, repository: str = APP, name: str = "up.test"
    ) -> Any:
        """GET of a digest."""
        asked = self.caches.served(repository, name)
        return self.caches.tags.by_digest(asked, digest or self.digest)

    def head_digest(self, digest: Digest | None = None, repository: str = APP) -> Any:
        """HEAD of a digest."""
        asked = self.caches.served(repository)
        return self.caches.tags.head_by_digest(asked, digest or self.digest)

    def open(self, digest: Digest, repository: str = APP, name: str = "up.test") -> Any:
        """GET of a blob up to the head of its answer."""
        return self.caches.blobs.open(self.caches.served(repository, name), digest)

    def pull(self, digest: Digest, repository: str = APP, name: str = "up.test") -> str:
        """Pull a blob, and forget it: the outcome."""
        opening = self.start(self.open(digest, repository, name))
        self.caches.run()
        opened = self.successResultOf(opening)
        opened.reader.leave()
        self.caches.run()
        return str(opened.status.outcome)

    def status_of(self, coroutine: Any) -> str:
        """The Cache-Status of an answer that has the image's body."""
        served: Served = self.result(coroutine)
        self.assertEqual(served.manifest.content, self.content)
        return served.status.text

    def asked(self) -> list[str]:
        """The questions since this was asked last."""
        questions = [request[0] for request in self.registry.requests]
        self.registry.requests.clear()
        return questions
