"""``limits.image_size`` as a client sees it."""

import errno
import json

from twisted.internet.defer import Deferred, fail

from regcache.cache.policy import Policy
from regcache.digests import Digest
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from tests.support.front import Setting
from tests.test_manifest_body import image
from tests.web.test_blob_handler import BIG, BLOB, CONTENT, LARGE, BlobCase

MOST = len(CONTENT) + len(LARGE) - 1


class LimitedCase(BlobCase):
    """Two blobs that together are too large by one byte."""

    setting = Setting(policy=Policy(image_size=MOST))

    def see(self, *contents: bytes, repository: str = "org/app", tag: str = "1") -> None:
        """The cache has seen an image of these."""
        config, *layers = [
            {"mediaType": "a/b", "digest": str(Digest.of(each)), "size": len(each)}
            for each in contents
        ]
        body = json.dumps(image(config=config, layers=layers)).encode()
        self.front.main.add_manifest(repository, tag, body, OCI_MANIFEST)
        self.assertEqual(self.front.get(f"/v2/{repository}/manifests/{tag}").status, 200)

    def statuses(self) -> list[int]:
        """Of both blobs, to GET and HEAD."""
        found = [self.front.ask(method, path) for path in (BLOB, BIG) for method in ("GET", "HEAD")]
        return [answer.status for answer in found]


class ImageSizeTests(LimitedCase):
    """What is given and what is not."""

    def test_unknown(self) -> None:
        """Where no manifest was seen blobs are given."""
        self.assertEqual(self.statuses(), [200] * 4)

    def test_too_large(self) -> None:
        """All blobs of an image that is too large are refused, with the key and the numbers."""
        self.see(CONTENT, LARGE)
        self.assertEqual(self.statuses(), [403] * 4)
        answer = self.front.get(BLOB)
        self.assertEqual(answer.code, "DENIED")
        message = answer.json["errors"][0]["message"]
        for part in ("limits.image_size", str(MOST), str(MOST + 1)):
            self.assertIn(part, message)

    def test_cached(self) -> None:
        """So they are when they are stored already, and small ones in memory, too."""
        self.assertEqual(self.statuses(), [200] * 4)
        self.assertEqual(self.statuses(), [200] * 4)
        self.see(CONTENT, LARGE)
        self.assertEqual(self.statuses(), [403] * 4)

    def test_nobody_is_asked(self) -> None:
        """What is refused is not fetched."""
        self.see(CONTENT, LARGE)
        before = len(self.front.main.requests)
        self.statuses()
        self.assertEqual(len(self.front.main.requests), before)

    def test_shared_blob(self) -> None:
        """A blob that a smaller image lists, too, is given, from when that was seen."""
        self.see(CONTENT, LARGE)
        self.see(CONTENT, tag="2")
        self.assertEqual(self.statuses(), [200, 200, 403, 403])

    def test_just_fits(self) -> None:
        """An image of exactly the limit is given."""
        other = b"x"
        self.front.main.add(other)
        self.see(LARGE, CONTENT[:-1])
        self.assertEqual(self.front.get(BIG).status, 200)
        self.see(LARGE, CONTENT[:-1], other, tag="2")
        self.assertEqual(self.front.get(BIG).status, 200)

    def test_other_repository(self) -> None:
        """Another repository's images do not matter."""
        self.see(CONTENT, LARGE, repository="org/other")
        self.assertEqual(self.statuses(), [200] * 4)
        self.see(CONTENT, LARGE)
        self.see(CONTENT, repository="org/other", tag="2")
        self.assertEqual(self.statuses(), [403] * 4)

    def test_index(self) -> None:
        """An index that lists the blobs as if they were manifests changes nothing."""
        self.see(CONTENT, LARGE)
        listed = {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(CONTENT)), "size": 1}
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [listed]}
        self.front.main.add_manifest("org/app", "2", json.dumps(index).encode(), OCI_INDEX)
        self.assertEqual(self.front.get("/v2/org/app/manifests/2").status, 200)
        self.assertEqual(self.statuses(), [403] * 4)

    def test_manifest(self) -> None:
        """The manifest itself is given: it tells how large the image is."""
        self.see(CONTENT, LARGE)
        self.assertEqual(self.front.get("/v2/org/app/manifests/1").status, 200)

    def test_not_recorded(self) -> None:
        """On a disk that takes nothing the manifest is served, and the limit holds."""
        self.patch(self.front.caches.store, "keep", _full)
        self.see(CONTENT, LARGE)
        self.assertEqual(self.statuses(), [403] * 4)
        self.see(CONTENT, tag="2")
        self.assertEqual(self.statuses(), [200, 200, 403, 403])

    def test_ranges(self) -> None:
        """A part is no way around."""
        self.see(CONTENT, LARGE)
        self.assertEqual(self.front.get(BIG, "Range: bytes=0-9").status, 403)
        etag = f'If-None-Match: "{Digest.of(LARGE)}"'
        self.assertEqual(self.front.get(BIG, etag).status, 403)


def _full(*_arguments: object) -> "Deferred[None]":
    return fail(OSError(errno.ENOSPC, "full"))


class UnlimitedTests(LimitedCase):
    """Without the limit."""

    setting = Setting()

    def test_off(self) -> None:
        """Nothing is refused, and nothing asked for it."""
        index = self.front.caches.index
        self.patch(index, "image_size", None)
        self.see(CONTENT, LARGE)
        self.assertEqual(self.statuses(), [200] * 4)
