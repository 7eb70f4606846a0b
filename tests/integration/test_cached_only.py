"""The cached-only view of /v2/, asked for everything: what is here, and never an upstream."""

import itertools
import time

from tests.access.accounts import hashed
from tests.integration.base import UPSTREAM, PullThroughCase, upstream_config
from tests.support.images import artifact, multi_image
from tests.support.registry_client import Answer, RegistryClient, basic
from tests.support.servers import Regcache

REPOSITORY, HOST = "team/app", "ui.example"
NAME = f"{UPSTREAM}/{REPOSITORY}"
ADMIN = ("admin", "secret")
OCI = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
#: What a client may say that makes a registry host ask its upstream.
HEADERS = ({}, {"Cache-Control": "no-cache"}, {"Range": "bytes=0-9"}, {"Accept": OCI})


class CachedOnlyTests(PullThroughCase):
    """A daemon with one of two platforms, whose tags are old, and an upstream that has more."""

    def setUp(self) -> None:
        self.upstream = self.faulty_upstream()
        self.image = multi_image("cached only")
        self.upstream.add_image(REPOSITORY, self.image, "1", "later")
        self.signature = artifact(self.image, "application/vnd.example.sbom", b"{}")
        self.upstream.add_image(REPOSITORY, self.signature)
        accounts = self.workspace().file("htpasswd", f"admin:{hashed(ADMIN[1]).decode()}\n")
        config = upstream_config(self.upstream.url, tag_ttl=0)
        self.daemon = Regcache(
            {**config, "access": {"htpasswd": str(accounts), "admins": [ADMIN[0]]}}
        )
        self.addCleanup(self.daemon.close)
        self.daemon.config["admin"] |= {"hosts": [HOST]}
        self.daemon.start()
        client = self.daemon.client(credentials=ADMIN)
        self.here, self.missing = self.image.children
        for tail in (
            *(f"manifests/{each}" for each in ("1", self.image.digest, self.here.digest)),
            *(f"blobs/{each}" for each in self.here.all_blobs()),
        ):
            self.assertEqual(client.get(f"/v2/{REPOSITORY}/{tail}").status, 200, tail)
        self.absent = next(iter(self.missing.all_blobs().keys() - self.here.all_blobs().keys()))
        time.sleep(1.1)  # the tag is to be asked about again
        self.asked = len(self.upstream.requests)

    def ask(self, method: str, path: str, headers: dict[str, str]) -> list[Answer]:
        """The answers at the admin endpoint, and under the admin host of a registry's listener."""
        found = []
        for client, more in (
            (RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}"), {}),
            (self.daemon.client(), {"Host": HOST}),
        ):
            shown = {"Authorization": basic(*ADMIN), **more, **headers}
            found.append(client.ask(method, path, headers=shown))
        self.assertEqual(found[0].status, found[1].status, (method, path))
        return found

    def test_never_an_upstream(self) -> None:
        """The upstream is asked nothing, for any request in any form."""
        digest, none = self.image.digest, "sha256:" + "ab" * 32
        expected = {
            "": 200,
            "_catalog": 200,
            f"{NAME}/tags/list": 200,
            f"{NAME}/manifests/1": 200,
            f"{NAME}/manifests/{digest}": 200,
            f"{NAME}/manifests/{self.here.digest}": 200,
            f"{NAME}/manifests/later": 404,
            f"{NAME}/manifests/none": 404,
            f"{NAME}/manifests/{self.missing.digest}": 404,
            f"{NAME}/manifests/{none}": 404,
            f"{NAME}/blobs/{self.absent}": 404,
            f"{NAME}/blobs/{none}": 404,
            f"{NAME}/referrers/{digest}": 200,
            f"{NAME}/referrers/{none}": 200,
            f"{UPSTREAM}/team/other/tags/list": 404,
            f"{UPSTREAM}/team/other/manifests/1": 404,
            "nowhere.test/team/app/tags/list": 404,
            f"{REPOSITORY}/manifests/1": 404,
            f"{NAME}/manifests/1?ns={UPSTREAM}": 200,
        } | {f"{NAME}/blobs/{each}": 200 for each in self.here.all_blobs()}
        told = {}
        for path, method, headers in itertools.product(expected, ("GET", "HEAD"), HEADERS):
            for answer in self.ask(method, f"/v2/{path}", headers):
                if answer.status not in (expected[path], 206):
                    told[method, path, str(headers)] = (answer.status, answer.body[:200])
        self.assertEqual(told, {})
        self.assert_not_asked()

    def test_deletion(self) -> None:
        """What is deleted there is gone, what is not here is not found, and nobody is asked."""
        for path, status in (
            (f"{NAME}/manifests/none", 404),
            (f"{NAME}/blobs/{self.absent}", 404),
            (f"{NAME}/manifests/{self.image.digest}", 202),
        ):
            client = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}", ADMIN)
            self.assertEqual(client.ask("DELETE", f"/v2/{path}").status, status, path)
        for path in (f"{NAME}/manifests/1", f"{NAME}/tags/list"):
            self.assertEqual({each.status for each in self.ask("GET", f"/v2/{path}", {})}, {404})
        self.assert_not_asked()

    def assert_not_asked(self) -> None:
        """The upstream has had no request."""
        asked = [f"{each.method} {each.path}" for each in self.upstream.requests[self.asked :]]
        self.assertEqual(asked, [])
