"""Deleting over sockets: every spelling, and a layer that repositories and upstreams share."""

import json
from pathlib import Path

from tests.access.accounts import hashed
from tests.integration.base import PullThroughCase
from tests.support.images import MIB
from tests.support.processes import wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache

ADMIN = ("admin", "secret")
FIRST, SECOND = "first.test", "second.test"
MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"


class SharedRemovalTests(PullThroughCase):
    """Two upstreams with one layer in three repositories."""

    def setUp(self) -> None:
        """Pull all three images."""
        self.upstreams = {name: self.faulty_upstream() for name in (FIRST, SECOND)}
        accounts = self.workspace().file("htpasswd", f"admin:{hashed(ADMIN[1]).decode()}\n")
        config = {
            "upstreams": {
                name: {"urls": [each.url], "tag_ttl": "1h"} for name, each in self.upstreams.items()
            },
            "default_upstream": FIRST,
            "access": {"htpasswd": str(accounts), "admins": ["admin"]},
        }
        self.daemon: Regcache = self.regcache(config)
        self.client: RegistryClient = self.daemon.client(credentials=ADMIN)
        self.names = [f"{FIRST}/team/a", f"{FIRST}/team/b", f"{SECOND}/team/a"]
        self.manifests = {}
        for name in self.names:
            upstream, _, repository = name.partition("/")
            self.layer = self.upstreams[upstream].add_generated_blob(repository, MIB, "shared")
            self.add_image(name)
            self.pull(name)

    def add_image(self, name: str) -> None:
        """An image of the shared layer alone, with an annotation that makes it one of its own."""
        upstream, _, repository = name.partition("/")
        config = self.upstreams[upstream].add_blob(repository, json.dumps({"of": name}).encode())
        document = {
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE,
            "config": {"mediaType": "application/x", "digest": config, "size": len(name) + 10},
            "layers": [{"mediaType": "application/x", "digest": self.layer.digest, "size": MIB}],
        }
        data = json.dumps(document).encode()
        self.manifests[name] = self.upstreams[upstream].add_manifest(
            repository, MEDIA_TYPE, data, "1"
        )

    def pull(self, name: str) -> None:
        """Pull its manifest and layer; the layer is right."""
        self.assertEqual(self.client.get(f"/v2/{name}/manifests/1").status, 200)
        self.assertEqual(
            self.client.get(f"/v2/{name}/blobs/{self.layer.digest}").body, self.layer.read(0, MIB)
        )

    @property
    def file(self) -> Path:
        """Where the layer is stored."""
        name = self.layer.digest.partition(":")[2]
        return self.daemon.directory / "blobs" / "sha256" / name[:2] / name

    def asked(self, name: str) -> int:
        """How often a repository's upstream was asked for the layer."""
        upstream, _, repository = name.partition("/")
        path = f"/v2/{repository}/blobs/{self.layer.digest}"
        return sum(each.path == path for each in self.upstreams[upstream].requests)

    def delete(self, path: str) -> int:
        """The status of a deletion."""
        return self.client.ask("DELETE", f"/v2/{path}").status

    def test_shared(self) -> None:
        """The layer stays until the last image that lists it goes, and is nobody's by itself."""
        wait_until(self.file.exists, "it is stored")
        for number, name in enumerate(self.names):
            self.assertTrue(self.file.exists(), name)
            self.assertEqual(self.delete(f"{name}/manifests/1"), 202)
            self.assertEqual(self.file.exists(), number < 2, name)
            before = self.asked(name)
            head = self.client.head(f"/v2/{name}/blobs/{self.layer.digest}")
            self.assertEqual(head.status, 200)
            self.assertGreater(self.asked(name), before, "shown without a proof of the right")
        for name in self.names:
            self.pull(name)

    def test_named_blob(self) -> None:
        """A layer that is deleted by its digest in one repository stays for the others."""
        first, second, _ = self.names
        wait_until(self.file.exists, "it is stored")
        self.assertEqual(self.delete(f"{first}/blobs/{self.layer.digest}"), 202)
        self.assertTrue(self.file.exists())
        asked = self.asked(second)
        self.pull(second)
        self.assertEqual(self.asked(second), asked, "it was fetched again")
        asked = self.asked(first)
        self.pull(first)
        self.assertGreater(self.asked(first), asked, "shown without a proof of the right")

    def test_spellings(self) -> None:
        """Each spelling of what is here is 202 or refused by the grammar, and never half done."""
        name = self.names[0]
        digest = self.manifests[name]
        escaped = digest.replace(":", "%3A")
        for path, status in (
            (f"{name}/manifests/{escaped}", 202),
            (f"{name}/manifests/{escaped.lower()}", 202),
            (f"{name}/manifests/%31", 400),
            (f"{name}/manifests/1?ns={FIRST}", 202),
            (f"{name}/blobs/{self.layer.digest.replace(':', '%3a')}", 202),
            (f"team/a/manifests/{digest}", 202),
            (f"{name}/manifests/1/", 404),
            (f"{name}/manifests/{digest.upper()}", 400),
            (f"{name}/manifests/{digest[:-1]}", 400),
            (f"{name}/blobs/1", 400),
            (f"{name}/manifests/../manifests/1", 400),
        ):
            self.pull(name)
            found = self.delete(path)
            if status == 202:
                self.assertEqual(found, 202, path)
                again = self.delete(path)  # bytes that stay for others may be removed once more
                self.assertIn(again, (202, 404) if "/blobs/" in path else (404,), path)
            else:
                self.assertIn(found, (400, 404, 405), path)
                asked = self.asked(name)
                self.pull(name)
                self.assertEqual(self.asked(name), asked, path)
