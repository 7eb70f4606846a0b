"""The view of what is cached: all that a registry UI asks, and never a question to an upstream."""

import json
import os
import time
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.access import Access
from regcache.access.grants import Action, Grant, Rule, Rules
from regcache.access.own_tokens import OwnTokens
from regcache.access.passwords import Passwords
from regcache.digests import Digest
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from regcache.store.index import SqliteIndex
from regcache.store.index_file import IndexFile
from regcache.web.blob_handler import BlobHandler
from regcache.web.cached_view import CachedView
from regcache.web.hosts import RoutingTable, UpstreamNames
from regcache.web.listing_handler import ListingHandler
from regcache.web.manifest_handler import ManifestHandler
from regcache.web.removal_handler import RemovalHandler
from tests.access.accounts import basic, hashed
from tests.support.front import MAIN, OTHER, Front, Setting
from tests.support.pools import ImmediatePool
from tests.support.senders import make_terms
from tests.support.web_client import Answer, MemoryClient, make_site

ADMIN, ALICE = basic("admin", "a"), basic("alice", "b")
CONFIG, LAYER = b'{"architecture": "amd64"}', b"layer" * 50_000
PULL = Rule(frozenset({"*"}), Grant(frozenset({Action.PULL, Action.DELETE})))


def described(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """A descriptor."""
    return {
        "mediaType": media_type,
        "digest": str(Digest.of(content)),
        "size": len(content),
        **more,
    }


def body(media_type: str, **more: Any) -> bytes:
    """A manifest."""
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, **more}).encode()


CHILD = body(
    OCI_MANIFEST,
    config=described(CONFIG, "application/vnd.oci.image.config.v1+json"),
    layers=[described(LAYER, "application/vnd.oci.image.layer.v1.tar+gzip")],
)
INDEX = body(
    OCI_INDEX,
    manifests=[
        described(CHILD, OCI_MANIFEST, platform={"os": "linux", "architecture": "amd64"}),
        described(b"arm", OCI_MANIFEST, platform={"os": "linux", "architecture": "arm64"}),
    ],
)


class ViewCase(SynchronousTestCase):
    """Two upstreams with images, which clients have pulled; both are gone by now.

    :ivar may_delete: whether anybody may.
    """

    may_delete = True

    def setUp(self) -> None:
        """The index of an image with one of its platforms, and another image elsewhere."""
        clock = Clock()
        clock.advance(time.time())
        self.access = Access(
            Rules(True, ["admin"], [PULL]),
            Passwords(ImmediatePool(), clock),
            OwnTokens(b"k" * 32, 300),
            clock,
        )
        self.access.replace_accounts({"admin": hashed("a"), "alice": hashed("b")})
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        path = os.path.join(self.directory, "index.sqlite")
        index = SqliteIndex(IndexFile(path), ImmediatePool(), ImmediatePool(), clock)
        self.successResultOf(index.open())
        self.addCleanup(lambda: self.successResultOf(index.close()))
        self.front = Front(self.directory, Setting(private=True, access=self.access, index=index))
        self.front.clock.advance(time.time() - self.front.clock.seconds())
        self.addCleanup(self.front.stop)
        self._fill()
        self.site, self.local = (make_site(each, self.front.clock) for each in self._views())

    def _fill(self) -> None:
        main, other = self.front.main, self.front.other
        self.index = main.add_manifest("library/app", "latest", INDEX, OCI_INDEX)
        self.child = main.add_manifest("library/app", "child", CHILD, OCI_MANIFEST)
        self.config, self.layer = main.add(CONFIG), main.add(LAYER)
        other.add_manifest("team/x", "1", CHILD, OCI_MANIFEST)
        tails = ("manifests/latest", f"manifests/{self.child}", f"blobs/{self.config}")
        for tail in (*tails, f"blobs/{self.layer}"):
            self.pull(f"/v2/library/app/{tail}")
        self.pull(f"/v2/{OTHER}/team/x/manifests/1")
        for registry in (main, other):
            registry.silent = True
            registry.requests.clear()

    def pull(self, target: str) -> None:
        """What a client pulls."""
        self.assertEqual(self.front.get(target, f"Authorization: {ADMIN}").status, 200)

    def _views(self) -> tuple[Any, Any]:
        names = [
            UpstreamNames(MAIN, default_namespace="library", deny=("*",)),
            UpstreamNames(OTHER, aliases=("alias.test",)),
        ]
        table, cache = RoutingTable.build(names, MAIN).view(), self.front.caches.cached_only
        distribution: Any = self.front.site.dispatch
        view = CachedView(
            table=table,
            upstreams={name: each.identity for name, each in self.front.caches.upstreams.items()},
            manifests=ManifestHandler(cache, True),
            blobs=BlobHandler(cache, make_terms(self.front.clock, 60.0), True),
            listings=ListingHandler(cache, table),
            removals=RemovalHandler(self.front.caches.removal) if self.may_delete else None,
            gatekeeper=distribution.gatekeeper,
        )
        return view.for_operators, view.for_loopback

    def tearDown(self) -> None:
        """Nobody upstream was asked anything."""
        self.assertEqual(self.front.main.requests + self.front.other.requests, [])

    def ask(
        self, method: str, target: str, *lines: str, credentials: str = ADMIN, local: bool = False
    ) -> Answer:
        """Ask the view."""
        shown = [f"Authorization: {credentials}"] if credentials else []
        client = MemoryClient(self.local if local else self.site)
        client.request(method, target, *lines, *shown, host="registry.example.com")
        self.front.caches.run()
        answer = client.answer(heads_only=method == "HEAD")
        client.leave()
        return answer

    def get(self, target: str, *lines: str, **more: Any) -> Answer:
        """GET."""
        return self.ask("GET", target, *lines, **more)


class ReadTests(ViewCase):
    """What a UI asks."""

    def test_catalog(self) -> None:
        """Every repository is named with its upstream, page by page."""
        self.assertEqual(self.get("/v2/").json, {})
        names = [f"{MAIN}/library/app", f"{OTHER}/team/x"]
        self.assertEqual(self.get("/v2/_catalog").json, {"repositories": names})
        page = self.get("/v2/_catalog?n=1")
        self.assertEqual(page.json, {"repositories": names[:1]})
        following = page.headers["link"].partition("<")[2].partition(">")[0]
        self.assertEqual(self.get(following).json, {"repositories": names[1:]})

    def test_tags(self) -> None:
        """The cached tags alone."""
        found = self.get(f"/v2/{MAIN}/library/app/tags/list").json
        self.assertEqual(found, {"name": f"{MAIN}/library/app", "tags": ["latest"]})
        self.assertEqual(self.get("/v2/alias.test/team/x/tags/list").json["tags"], ["1"])
        self.assertEqual(self.get(f"/v2/{MAIN}/app/tags/list").json["tags"], ["latest"])
        for name in (f"{MAIN}/library/no", f"{OTHER}/library/app", "no.such.test/x", "library/app"):
            answer = self.get(f"/v2/{name}/tags/list")
            self.assertEqual((answer.status, answer.code), (404, "NAME_UNKNOWN"), name)

    def test_manifest_by_tag(self) -> None:
        """With each Accept: the index, or its child for clients that take none; HEAD as well."""
        target = f"/v2/{MAIN}/library/app/manifests/latest"
        for accept, digest, content in (
            (OCI_INDEX, self.index, INDEX),
            (f"{OCI_MANIFEST}, {OCI_INDEX}", self.index, INDEX),
            ("*/*", self.index, INDEX),
            (OCI_MANIFEST, self.child, CHILD),
            ("application/vnd.docker.distribution.manifest.v2+json", self.child, CHILD),
        ):
            for method in ("GET", "HEAD"):
                answer = self.ask(method, target, f"Accept: {accept}")
                self.assertEqual(answer.status, 200, accept)
                self.assertEqual(answer.headers["docker-content-digest"], str(digest), accept)
                self.assertEqual(answer.headers["content-length"], str(len(content)))
                self.assertEqual(answer.body, content * (method == "GET"))

    def test_manifest_by_digest(self) -> None:
        """An index, its child, and what is not here."""
        for digest, content in ((self.index, INDEX), (self.child, CHILD)):
            answer = self.get(f"/v2/{MAIN}/library/app/manifests/{digest}")
            self.assertEqual((answer.status, answer.body), (200, content))
        for name, reference in (
            ("library/app", Digest.of(b"arm")),
            ("library/app", "missing"),
            ("library/app", self.layer),
            ("library/other", self.child),
        ):
            answer = self.get(f"/v2/{MAIN}/{name}/manifests/{reference}")
            self.assertEqual((answer.status, answer.code), (404, "MANIFEST_UNKNOWN"), reference)

    def test_blobs(self) -> None:
        """The config and layers, whole and in part, for the repositories that have them."""
        for name in (f"{MAIN}/library/app", f"{OTHER}/team/x"):
            target = f"/v2/{name}/blobs/{self.config}"
            self.assertEqual(self.get(target).body, CONFIG)
            self.assertEqual(self.ask("HEAD", target).headers["content-length"], str(len(CONFIG)))
        target = f"/v2/{MAIN}/library/app/blobs/{self.layer}"
        self.assertEqual(self.get(target).body, LAYER)
        answer = self.get(target, "Range: bytes=5-9")
        self.assertEqual((answer.status, answer.body), (206, b"layer"))
        for name in (f"{MAIN}/library/other", f"{OTHER}/team/y"):
            answer = self.get(f"/v2/{name}/blobs/{self.layer}")
            self.assertEqual((answer.status, answer.code), (404, "BLOB_UNKNOWN"))

    def test_referrers(self) -> None:
        """Those that are here: none."""
        answer = self.get(f"/v2/{MAIN}/library/app/referrers/{self.child}")
        self.assertEqual((answer.status, answer.json["manifests"]), (200, []))

    def test_file_is_gone(self) -> None:
        """What is not on the disk any more is not here."""
        for parent, _, names in os.walk(os.path.join(self.directory, "blobs")):
            for name in names:
                os.unlink(os.path.join(parent, name))
        for tail in ("manifests/latest", f"blobs/{self.layer}"):
            self.assertEqual(self.get(f"/v2/{MAIN}/library/app/{tail}").status, 404, tail)

    def test_methods(self) -> None:
        """Nothing is pushed, and nothing else deleted."""
        for method, target in (
            ("PUT", f"/v2/{MAIN}/library/app/manifests/1"),
            ("POST", f"/v2/{MAIN}/library/app/blobs/uploads/"),
            ("GET", f"/v2/{MAIN}/library/app/blobs/uploads/"),
            ("DELETE", f"/v2/{MAIN}/library/app/tags/list"),
            ("DELETE", "/v2/"),
            ("OPTIONS", "/v2/"),
        ):
            self.assertEqual(self.ask(method, target).status, 405, (method, target))


class RemovalTests(ViewCase):
    """DELETE, by name and digest."""

    def test_delete(self) -> None:
        """As joxit's UI does it: HEAD for the digest, DELETE by digest; then it is in no list."""
        target = f"/v2/{MAIN}/library/app/manifests"
        digest = self.ask("HEAD", f"{target}/latest", f"Accept: {OCI_INDEX}").headers[
            "docker-content-digest"
        ]
        self.assertEqual(self.ask("DELETE", f"{target}/{digest}").status, 202)
        self.assertEqual(self.ask("DELETE", f"{target}/{digest}").status, 404)
        catalog = self.get("/v2/_catalog").json["repositories"]
        self.assertEqual(catalog, [f"{OTHER}/team/x"])
        # The other upstream's image lists them.
        self.assertEqual(self.get(f"/v2/{OTHER}/team/x/blobs/{self.layer}").body, LAYER)
        answer = self.get(f"/v2/{MAIN}/library/app/blobs/{self.layer}")
        self.assertEqual(answer.status, 404)

    def test_nobody(self) -> None:
        """Where nobody may delete: 405 before any name or account is looked at, as on listeners."""
        self.may_delete = False
        self.setUp()
        for target in (
            f"/v2/{MAIN}/library/app/manifests/latest",
            f"/v2/{MAIN}/library/app/manifests/{self.index}",
            f"/v2/{MAIN}/library/app/manifests/latest/",
            f"/v2/{MAIN}/library%2Fapp/manifests/latest",
            f"/v2/{MAIN}/library/app/blobs/{self.layer}",
            "/v2/app/manifests/latest",
            "/v2/no.such.registry/x/manifests/1",
            "/v2/UPPER/manifests/../1",
        ):
            for credentials in (ADMIN, ALICE, ""):
                for local in (False, True):
                    answer = self.ask("DELETE", target, credentials=credentials, local=local)
                    found = (answer.status, answer.code, answer.headers["allow"])
                    self.assertEqual(found, (405, "UNSUPPORTED", "GET, HEAD"), target)
        self.assertEqual(self.get(f"/v2/{MAIN}/library/app/manifests/latest").status, 200)

    def test_no_upstream(self) -> None:
        """What names none is told how names begin here."""
        answer = self.get("/v2/library/app/manifests/latest")
        self.assertIn("has to begin with that of an upstream", answer.body.decode())


class AccessTests(ViewCase):
    """Who may look, and who may remove."""

    TARGETS = ("/v2/", "/v2/_catalog", f"/v2/{MAIN}/library/app/tags/list")

    def test_operators(self) -> None:
        """Only accounts with admin: others are denied, and who has none has to log in, by Basic."""
        for target in self.TARGETS:
            self.assertEqual(self.get(target).status, 200)
            self.assertEqual(self.get(target, credentials=ALICE).status, 403, target)
            answer = self.get(target, credentials="")
            self.assertEqual(answer.status, 401)
            self.assertTrue(answer.headers["www-authenticate"].startswith("Basic "))

    def test_unknown(self) -> None:
        """Only they learn which upstreams there are."""
        target = "/v2/other.example/a/tags/list"
        for method in ("GET", "DELETE"):
            path = target if method == "GET" else "/v2/other.example/a/manifests/1"
            for credentials, status in (("", 401), (ALICE, 403), (ADMIN, 404)):
                answer = self.ask(method, path, credentials=credentials)
                self.assertEqual(answer.status, status, (method, credentials))
        self.assertEqual(self.get(target, credentials="", local=True).status, 404)

    def test_loopback(self) -> None:
        """There everybody reads, and only accounts with admin remove."""
        for target in self.TARGETS:
            for credentials in ("", ALICE, basic("admin", "wrong")):
                answer = self.get(target, credentials=credentials, local=True)
                checked = target == "/v2/" and credentials not in ("", ALICE)
                self.assertEqual(answer.status, 401 if checked else 200, target)
            answer = self.get(target, credentials="Bearer a.b.c", local=True)
            self.assertEqual(answer.status, 401, target)
        target = f"/v2/{MAIN}/library/app/manifests/latest"
        for credentials, status in (("", 401), (ALICE, 403), (ADMIN, 202)):
            answer = self.ask("DELETE", target, credentials=credentials, local=True)
            self.assertEqual(answer.status, status)

    def test_token(self) -> None:
        """A token is good for its scopes."""
        name = f"{MAIN}/library/app"
        answer = self.front.get(
            f"/token?service=registry.example.com&scope=repository:{name}:pull",
            f"Authorization: {ADMIN}",
            host="registry.example.com",
        )
        token = f"Bearer {answer.json['token']}"
        self.assertEqual(self.get(f"/v2/{name}/tags/list", credentials=token).status, 200)
        for method, target in (
            ("GET", f"/v2/{OTHER}/team/x/tags/list"),
            ("DELETE", f"/v2/{name}/manifests/latest"),
        ):
            self.assertEqual(self.ask(method, target, credentials=token).status, 401, target)
        self.assertEqual(self.get("/v2/_catalog", credentials=token).status, 403)
