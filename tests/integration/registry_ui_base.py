"""What the tests of registry UIs share: a daemon with an image for a page of another origin."""

from tests.access.accounts import hashed
from tests.integration.base import PullThroughCase, catalog, public_upstream, upstream_config

ADMIN = ("admin", "secret")
NAME = "team/multi"


class RegistryUiCase(PullThroughCase):
    """Fills a daemon that lets one origin look and delete."""

    def fill(self, origin: str) -> None:
        """A daemon with an image of several platforms in it, all of it cached."""
        accounts = self.workspace().file("htpasswd", f"admin:{hashed(ADMIN[1]).decode()}\n")
        config = {
            **upstream_config(public_upstream().url),
            "access": {"htpasswd": str(accounts), "admins": ["admin"]},
            "cors_origins": [origin],
        }
        self.daemon = self.regcache(config)
        self.image = catalog().images[NAME]
        client = self.daemon.client(credentials=ADMIN)
        digests = [one.digest for one in self.image.all_manifests()]
        targets = [f"manifests/{each}" for each in ("1", *digests)]
        for tail in (*targets, *(f"blobs/{each}" for each in self.image.all_blobs())):
            self.assertEqual(client.get(f"/v2/{NAME}/{tail}").status, 200)
        self.asked = len(public_upstream().requests())
