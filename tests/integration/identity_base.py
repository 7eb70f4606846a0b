"""What tests of identities share: real clients that show certificates, or none."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.integration.base import PullThroughCase, catalog, certificates, platform_image
from tests.support.certificates import Certificate
from tests.support.clients import Pulled

#: What such clients pull.
REPOSITORY = "team/multi"


class IdentityCase(PullThroughCase):
    """Clients of a daemon that wants to know who they are."""

    def folder(self, shown: Certificate | None = None) -> Path:
        """What docker, podman and skopeo read: an authority, and a certificate with its key."""
        folder = self.workspace().path
        shutil.copy(certificates().authority.file, folder / "ca.crt")
        if shown is not None:
            shutil.copy(shown.chain, folder / "client.cert")
            shutil.copy(shown.key, folder / "client.key")
        return folder

    def assert_arrives(self, pull: Callable[[], Pulled]) -> None:
        """What was pushed arrives."""
        pulled, image = pull(), catalog().images[REPOSITORY]
        self.assertTrue({image.digest, platform_image(image).digest} & pulled.digests, pulled)
