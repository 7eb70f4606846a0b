"""A registry UI in a real browser, on another origin: it browses, looks and deletes."""

import json
from typing import Any

from regcache.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.integration.base import UPSTREAM, public_upstream
from tests.integration.registry_ui_base import ADMIN, NAME, RegistryUiCase
from tests.support.browser import Chromium, Page
from tests.support.registry_client import basic

#: Each request as docker-registry-ui sends it: an Accept header, credentials, no cache.
_ASK = """
const ask = async (method, path, accept) => {
  const headers = {Authorization: %(authorization)s};
  if (accept) headers.Accept = accept;
  const answer = await fetch(%(url)s + path, {method, headers, credentials: "include"});
  const digest = answer.headers.get("Docker-Content-Digest");
  const text = await answer.text();
  return {status: answer.status, digest, length: text.length, json: () => JSON.parse(text)};
};
"""

_BROWSE = """
const name = %(name)s, found = {accepts: {}};
const catalog = await ask("GET", "/v2/_catalog?n=1000");
found.repositories = catalog.json().repositories;
found.tags = (await ask("GET", `/v2/${name}/tags/list`)).json().tags;
for (const accept of %(accepts)s) {
  const answer = await ask("GET", `/v2/${name}/manifests/1`, accept);
  found.accepts[accept] = [answer.status, answer.digest];
}
const index = (await ask("GET", `/v2/${name}/manifests/1`, %(index)s)).json();
found.configs = [];
for (const child of index.manifests) {
  const manifest = (await ask("GET", `/v2/${name}/manifests/${child.digest}`)).json();
  const config = await ask("GET", `/v2/${name}/blobs/${manifest.config.digest}`);
  found.configs.push([config.status, config.length === manifest.config.size]);
}
"""

_DELETE = """
const head = await ask("HEAD", `/v2/${name}/manifests/1`, %(index)s);
found.head = head.digest;
found.deleted = (await ask("DELETE", `/v2/${name}/manifests/${head.digest}`)).status;
found.left = (await ask("GET", "/v2/_catalog")).json().repositories;
return found;
"""


class BrowserTests(RegistryUiCase):
    """What the browser lets a page do is what ``cors_origins`` says."""

    def setUp(self) -> None:
        """A daemon with an image of two platforms in it, and a page that may use it."""
        self.page = Page()
        self.addCleanup(self.page.close)
        self.fill(self.page.origin)

    def run_page(self, script: str, url: str, name: str) -> Any:
        """What the page tells, in Chromium."""
        values = {
            "authorization": basic(*ADMIN),
            "url": url,
            "name": name,
            "index": OCI_INDEX,
            "accepts": [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST],
        }
        self.page.script = script % {key: json.dumps(value) for key, value in values.items()}
        browser = Chromium(self.page.origin)
        self.addCleanup(browser.close)
        found = self.page.reported()
        self.assertNotIn("error", found, self.daemon.log())
        return found

    def check(self, url: str, name: str) -> None:
        """Browse, look at the details, delete."""
        found = self.run_page(_ASK + _BROWSE + _DELETE, url, name)
        self.assertIn(name, found["repositories"])
        self.assertEqual(found["tags"], ["1"])
        child = self.image.children[0].digest
        self.assertEqual(found["accepts"][OCI_INDEX], [200, self.image.digest])
        self.assertEqual(found["accepts"][OCI_MANIFEST], [200, child])
        self.assertEqual(found["configs"], [[200, True]] * len(self.image.children))
        self.assertEqual((found["head"], found["deleted"]), (self.image.digest, 202))
        self.assertNotIn(name, found["left"])

    def test_cached_view(self) -> None:
        """The cached-only view: the upstream is asked nothing."""
        self.check(f"http://127.0.0.1:{self.daemon.admin_port}", f"{UPSTREAM}/{NAME}")
        self.assertEqual(len(public_upstream().requests()), self.asked)

    def test_registry_host(self) -> None:
        """A host of the registry."""
        self.check(f"http://127.0.0.1:{self.daemon.port}", NAME)

    def test_other_page(self) -> None:
        """A page of an origin that is not listed reads nothing, nor does any page of the API."""
        script = """
            const tries = [%(url)s + "/v2/_catalog", %(url)s + "/api/v1/status"];
            const failed = await Promise.all(tries.map(each => fetch(each).then(
                () => "read", error => error.name)));
            return {failed};
        """
        other = Page()
        self.addCleanup(other.close)
        self.page, listed = other, self.page
        url = f"http://127.0.0.1:{self.daemon.admin_port}"
        found = self.run_page(script, url, NAME)
        self.assertEqual(found["failed"], ["TypeError", "TypeError"])
        self.page = listed
        found = self.run_page(script, url, NAME)
        self.assertEqual(found["failed"], ["read", "TypeError"])
