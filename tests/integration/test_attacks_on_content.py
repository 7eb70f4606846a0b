"""Attacks on what others have put into the cache, and on its memory, by real requests."""

from pathlib import Path

from tests.integration.access_base import (
    ALICE,
    BOB,
    MIXED_RULES,
    OPEN,
    ROOT,
    AccessCase,
    Restricted,
)
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.images import mixed_image
from tests.support.raw_client import Door, RawClient
from tests.support.registry_client import basic

FIRST, SECOND, FOREIGN = "team/first", "team/second", "bob/attack"
IMAGE = mixed_image("content", 3000)
BLOB = IMAGE.blobs[0].digest
#: How many different requests a flood has, and what they may cost (bytes).
FLOOD = 2000
MOST_GROWTH = 32 << 20


class ContentCase(AccessCase):
    """An upstream that can forget, in front of which alice may all, and bob what is his."""

    def setUp(self) -> None:
        """Start both."""
        super().setUp()
        self.upstream: FaultyUpstream = self.faulty_upstream()
        self.made: Restricted = self.restricted({"rules": MIXED_RULES}, url=self.upstream.url)
        self.daemon = self.made.daemon

    def status(self, account: tuple[str, str] | None, target: str, method: str = "GET") -> int:
        """What somebody gets."""
        return self.ask(self.daemon.client(credentials=account), target, method).status

    def statuses(self, account: tuple[str, str] | None, repository: str, digest: str) -> set[int]:
        """The same for a digest as a blob and as a manifest, by GET and HEAD."""
        return {
            self.status(account, f"/v2/{repository}/{kind}/{digest}", method)
            for kind in ("blobs", "manifests")
            for method in ("GET", "HEAD")
        }

    def pull(self, account: tuple[str, str], repository: str) -> None:
        """Have all of the image come."""
        for tail in ("manifests/1", *(f"blobs/{digest}" for digest in IMAGE.all_blobs())):
            self.assertEqual(self.status(account, f"/v2/{repository}/{tail}"), 200, tail)


class DeletedContentTests(ContentCase):
    """CVE-2026-35172: what was deleted from one repository comes back by another one."""

    def setUp(self) -> None:
        """Two repositories have the image."""
        super().setUp()
        for repository in (FIRST, SECOND):
            self.upstream.add_image(repository, IMAGE, "1")

    def assert_gone(self) -> None:
        """The first has it no more, and the second still does."""
        target = f"/v2/%s/blobs/{BLOB}"
        self.assertEqual(self.status(ALICE, target % FIRST), 404)
        self.assertEqual(self.status(ALICE, target % SECOND), 200)

    def test_blob_of_two_repositories(self) -> None:
        """Deleted in one: gone there, also when another one has it again, and after a restart."""
        self.pull(ALICE, FIRST)
        self.pull(ALICE, SECOND)
        self.upstream.forget(FIRST, "blobs", BLOB)
        self.assertEqual(self.status(ROOT, f"/v2/{FIRST}/blobs/{BLOB}", "DELETE"), 202)
        self.assert_gone()
        self.pull(ALICE, SECOND)
        self.assert_gone()
        self.daemon.stop()
        self.daemon.start()
        self.assert_gone()

    def test_deleting_what_one_may_not_see(self) -> None:
        """A client without the right to delete changes nothing by any request."""
        self.pull(ALICE, FIRST)
        targets = [f"/v2/{FIRST}/manifests/1", f"/v2/{FIRST}/manifests/{IMAGE.digest}"]
        for target in (*targets, f"/v2/{FIRST}/blobs/{BLOB}", f"/v2/bob/x/blobs/{BLOB}"):
            for account, expected in ((None, 401), (BOB, 403), (ALICE, 403)):
                self.assertEqual(self.status(account, target, "DELETE"), expected, target)
        before = len(self.upstream.requests)
        self.pull(ALICE, FIRST)
        self.assertEqual(self.upstream.requests[before:], [])


class ManifestAsAKeyTests(ContentCase):
    """A manifest that lists another repository's digests gives no right to them."""

    def test_foreign_digests(self) -> None:
        """bob's own image mentions alice's layers, cached or not: he does not get them.

        HEAD tells him the size that his own manifest states, whether there is such a blob or not.
        """
        told = set()
        self.upstream.add_image(FIRST, IMAGE, "1")
        self.upstream.add_manifest(FOREIGN, IMAGE.media_type, IMAGE.data, "1")
        for cached in (False, True):
            self.assertEqual(self.status(BOB, f"/v2/{FOREIGN}/manifests/1"), 200)
            for digest in IMAGE.all_blobs():
                target = f"/v2/{FOREIGN}/blobs/{digest}"
                self.assertIn(self.status(BOB, target), (403, 404), (digest, cached))
                told.add(self.status(BOB, target, "HEAD"))
                self.assertEqual(self.statuses(BOB, FIRST, digest), {403})
                self.assertEqual(self.statuses(None, FIRST, digest), {401})
            self.pull(ALICE, FIRST)
        self.assertEqual(len(told), 1)


class FloodTests(ContentCase):
    """Names and credentials by the thousand, each another one: nothing grows for ever."""

    def flood(self, head: str) -> int:
        """Ask over one connection, with ``{}`` in the head as a number; how much memory it took."""
        client = RawClient(Door(self.daemon.port))
        self.addCleanup(client.close)
        before = self.daemon.process.resident_bytes()
        for start in range(0, FLOOD, 50):
            heads = [head.replace("{}", str(start + number)) for number in range(50)]
            client.send("".join(f"{each}\r\n\r\n" for each in heads).encode())
            for _ in heads:
                self.assertIn(client.read().status, (401, 403, 404, 429))
        return self.daemon.process.resident_bytes() - before

    def files(self) -> set[Path]:
        """All that is stored but for the databases: each has its few files when it first writes."""
        found = self.daemon.directory.rglob("*")
        return {path for path in found if ".sqlite" not in path.name}

    def assert_bounded(self, *lines: str) -> None:
        """A flood of these costs little memory, and nothing on the disk."""
        files = self.files()
        head = "\r\n".join([*lines, "Host: localhost"])
        self.assertLess(self.flood(head), MOST_GROWTH, lines)
        self.assertEqual(self.files(), files)
        self.assertEqual(self.status(ALICE, "/v2/"), 200)

    def test_names(self) -> None:
        """Repositories that nobody has, of who may not pull and of who may."""
        self.assert_bounded("GET /v2/team/name-{}/manifests/1 HTTP/1.1")
        self.assert_bounded(
            "GET /v2/team/name-{}/manifests/1 HTTP/1.1", f"Authorization: {basic(*BOB)}"
        )

    def test_missing(self) -> None:
        """Tags that the upstream has not: asked for once each, and forgotten."""
        self.upstream.add_image(OPEN, IMAGE, "1")
        self.assert_bounded(f"GET /v2/{OPEN}/manifests/none-{{}} HTTP/1.1")

    def test_credentials(self) -> None:
        """Tokens and logins that are nobody's."""
        self.assert_bounded("GET /v2/team/a/manifests/1 HTTP/1.1", "Authorization: Bearer a.b.{}")
        self.assert_bounded(
            "GET /v2/team/a/manifests/1 HTTP/1.1", f"Authorization: {basic('x', 'y')}{{}}"
        )
