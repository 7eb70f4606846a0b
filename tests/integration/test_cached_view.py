"""What a registry UI asks from another origin: of the cached-only view, and of a registry host."""

from typing import Any

from regcache.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.integration.base import UPSTREAM, public_upstream
from tests.integration.registry_ui_base import ADMIN, NAME, RegistryUiCase
from tests.support.registry_client import Answer, RegistryClient

ORIGIN = "http://ui.example.com"
ACCEPTED = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)


class RegistryUiTests(RegistryUiCase):
    """Listing, detail and delete, each with its preflight and with credentials."""

    def setUp(self) -> None:
        """A daemon with an image of several platforms in it."""
        self.fill(ORIGIN)

    def ask(self, client: RegistryClient, method: str, target: str, accept: str = "*/*") -> Answer:
        """As a browser does it for the page of another origin."""
        preflight = client.ask(
            "OPTIONS",
            target,
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization,accept",
                "Authorization": "",
            },
        )
        self.assertEqual(preflight.status, 204, target)
        self.assertIn(method, preflight.headers["access-control-allow-methods"])
        allowed = preflight.headers["access-control-allow-headers"].lower().split(", ")
        self.assertLessEqual({"authorization", "accept"}, set(allowed))
        answer = client.ask(method, target, headers={"Origin": ORIGIN, "Accept": accept})
        for headers in (preflight.headers, answer.headers):
            self.assertEqual(headers["access-control-allow-origin"], ORIGIN)
            self.assertEqual(headers["access-control-allow-credentials"], "true")
        return answer

    def browse(self, client: RegistryClient, name: str) -> None:
        """What joxit's UI asks: catalog, tags, manifests by each Accept, children, the config."""
        self.assertIn(name, self.ask(client, "GET", "/v2/_catalog").json()["repositories"])
        self.assertEqual(self.ask(client, "GET", f"/v2/{name}/tags/list").json()["tags"], ["1"])
        for accept in (*ACCEPTED, ", ".join(ACCEPTED)):
            answer = self.ask(client, "GET", f"/v2/{name}/manifests/1", accept)
            self.assertEqual(answer.status, 200, accept)
            whole = OCI_INDEX in accept or DOCKER_LIST in accept
            expected = self.image if whole else self.image.children[0]
            self.assertEqual(answer.headers["docker-content-digest"], expected.digest, accept)
        for child in self.image.children:
            answer = self.ask(client, "GET", f"/v2/{name}/manifests/{child.digest}")
            config: Any = answer.json()["config"]
            blob = self.ask(client, "GET", f"/v2/{name}/blobs/{config['digest']}")
            self.assertEqual(len(blob.body), config["size"])

    def delete(self, client: RegistryClient, name: str) -> None:
        """HEAD for the digest, and DELETE by digest; nothing of it is listed any more."""
        head = self.ask(client, "HEAD", f"/v2/{name}/manifests/1", OCI_INDEX)
        exposed = head.headers["access-control-expose-headers"].split(", ")
        self.assertIn("Docker-Content-Digest", exposed)
        digest = head.headers["docker-content-digest"]
        answer = self.ask(client, "DELETE", f"/v2/{name}/manifests/{digest}")
        self.assertEqual(answer.status, 202)
        self.assertNotIn(name, self.ask(client, "GET", "/v2/_catalog").json()["repositories"])

    def test_cached_view(self) -> None:
        """On the admin endpoint, and the upstream is asked nothing."""
        url = f"http://127.0.0.1:{self.daemon.admin_port}"
        client, name = RegistryClient(url, ADMIN), f"{UPSTREAM}/{NAME}"
        self.browse(client, name)
        self.delete(client, name)
        self.assertEqual(len(public_upstream().requests()), self.asked)
        self.assertEqual(list(self.daemon.directory.rglob("blobs/*/*/*")), [])

    def test_registry_host(self) -> None:
        """On a host of the registry."""
        client = self.daemon.client(credentials=ADMIN)
        self.browse(client, NAME)
        self.delete(client, NAME)

    def test_foreign_page(self) -> None:
        """A page of another origin is allowed nothing, nor is any page on the API."""
        url = f"http://127.0.0.1:{self.daemon.admin_port}"
        for target, origin in (("/v2/_catalog", "http://evil.test"), ("/api/v1/session", ORIGIN)):
            for method in ("OPTIONS", "GET"):
                answer = RegistryClient(url).ask(method, target, headers={"Origin": origin})
                self.assertNotIn("access-control-allow-origin", answer.headers, target)
