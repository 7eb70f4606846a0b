"""``limits.image_size`` with a real upstream and a real client."""

from tests.integration.base import PullThroughCase, catalog, public_upstream, upstream_config
from tests.support.clients import Skopeo
from tests.support.images import Image
from tests.support.processes import require
from tests.support.servers import Regcache

REPOSITORY = "team/docker"


class ImageSizeTests(PullThroughCase):
    """An image that has the limit, and one byte more than that."""

    def setUp(self) -> None:
        require("skopeo")
        self.image: Image = catalog().images[REPOSITORY]
        self.size = sum(len(blob.data) for blob in self.image.blobs)

    def daemon(self, most: int) -> Regcache:
        """A daemon with a limit."""
        limits = {"image_size": f"{most}B"}
        return self.regcache({**upstream_config(public_upstream().url), "limits": limits})

    def test_just_fits(self) -> None:
        """An image of the limit is pulled."""
        daemon = self.daemon(self.size)
        pulled = Skopeo().pull(f"{daemon.address}/{REPOSITORY}:1")
        self.assertIn(self.image.digest, pulled.digests)

    def test_too_large(self) -> None:
        """With one byte more the pull fails, and says why; no blob comes from the upstream."""
        daemon = self.daemon(self.size - 1)
        before = len(public_upstream().requests())
        error = self.assertRaises(AssertionError, Skopeo().pull, f"{daemon.address}/{REPOSITORY}:1")
        for part in ("denied", "limits.image_size", str(self.size), str(self.size - 1)):
            self.assertIn(part, str(error))
        kinds = {each.kind for each in public_upstream().requests()[before:] if each.is_body}
        self.assertEqual(kinds, {"manifests"})
        for blob in self.image.blobs:
            answer = daemon.client().head(f"/v2/{REPOSITORY}/blobs/{blob.digest}")
            self.assertEqual(answer.status, 403)

    def test_after_a_restart(self) -> None:
        """What was seen is remembered."""
        daemon = self.daemon(self.size - 1)
        daemon.client().get(f"/v2/{REPOSITORY}/manifests/1", Accept="*/*")
        self.assertEqual(daemon.stop(), 0)
        daemon.start()
        blob = self.image.blobs[0].digest
        answer = daemon.client().get(f"/v2/{REPOSITORY}/blobs/{blob}")
        self.assertEqual((answer.status, answer.errors), (403, ["DENIED"]))
