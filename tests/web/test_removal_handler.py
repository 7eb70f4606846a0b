"""DELETE as a client sees it: who may, over every way of addressing, and what is left."""

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
from regcache.media_types import OCI_MANIFEST
from regcache.pins import Pin
from regcache.store.index import SqliteIndex
from regcache.store.index_file import IndexFile
from tests.access.accounts import basic, hashed
from tests.support.front import MAIN, Front, Setting
from tests.support.pools import ImmediatePool
from tests.support.web_client import Answer
from tests.test_manifest_body import image

IMAGE = json.dumps(image()).encode()
LAYER = b"layer" * 1000
REPOSITORY = "org/app"
ADMIN, ALICE, WRONG = (basic(*each) for each in (("admin", "a"), ("alice", "b"), ("admin", "c")))
PULL = Rule(frozenset({"*"}), Grant(frozenset({Action.PULL})))
DIGEST = Digest.of(b"nothing")


class RemovalCase(SynchronousTestCase):
    """``admin`` may delete, and every account pull."""

    admins: tuple[str, ...] = ("admin",)
    rules: tuple[Rule, ...] = (PULL,)

    def setUp(self) -> None:
        """One image, pulled."""
        clock = Clock()
        clock.advance(time.time())
        access = Access(
            Rules(True, self.admins, self.rules),
            Passwords(ImmediatePool(), clock),
            OwnTokens(b"k" * 32, 300),
            clock,
        )
        access.replace_accounts({"admin": hashed("a"), "alice": hashed("b")})
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        path = os.path.join(self.directory, "index.sqlite")
        index = SqliteIndex(IndexFile(path), ImmediatePool(), ImmediatePool(), clock)
        self.successResultOf(index.open())
        self.addCleanup(lambda: self.successResultOf(index.close()))
        self.front = Front(self.directory, Setting(private=True, access=access, index=index))
        self.front.clock.advance(time.time() - self.front.clock.seconds())
        self.addCleanup(self.front.stop)
        self.manifest = self.front.main.add_manifest(REPOSITORY, "1", IMAGE, OCI_MANIFEST)
        self.blob = self.front.main.add(LAYER)

    def pull(self) -> None:
        """Pull the image."""
        for tail in ("manifests/1", f"blobs/{self.blob}"):
            answer = self.front.get(f"/v2/{REPOSITORY}/{tail}", f"Authorization: {ADMIN}")
            self.assertEqual(answer.status, 200)

    def delete(self, target: str, credentials: str = ADMIN, host: str = "localhost") -> Answer:
        """DELETE, as somebody."""
        lines = [f"Authorization: {credentials}"] if credentials else []
        return self.front.ask("DELETE", target, *lines, host=host)

    def code(self, answer: Answer) -> Any:
        """The code of an error."""
        return json.loads(answer.body)["errors"][0]["code"]

    def names(self) -> list[str]:
        """The files of contents."""
        folder = os.path.join(self.directory, "blobs")
        return [name for _, _, names in os.walk(folder) for name in names]


class GrantedTests(RemovalCase):
    """Who may."""

    def test_everything(self) -> None:
        """A tag, a manifest and a blob: 202, and the disk is free when it is there."""
        escaped = str(self.manifest).replace(":", "%3A"), str(self.blob).replace(":", "%3a")
        for tail in (
            *("manifests/1", f"manifests/{self.manifest}", f"blobs/{self.blob}"),
            *(f"manifests/{escaped[0]}", f"blobs/{escaped[1]}"),
        ):
            self.pull()
            before = len(self.names())
            answer = self.delete(f"/v2/{REPOSITORY}/{tail}")
            self.assertEqual((answer.status, answer.body), (202, b""), tail)
            self.assertEqual(answer.headers["content-length"], "0")
            self.assertLess(len(self.names()), before)
        self.assertEqual(self.front.records.last.method, "DELETE")

    def test_every_way(self) -> None:
        """However the repository is addressed."""
        tail = f"{REPOSITORY}/manifests/1"
        for target, host in (
            (f"/v2/{tail}", "localhost"),
            (f"/v2/{tail}", "main.example.com:443"),
            (f"/v2/{tail}?ns={MAIN}", "mirror.example.com"),
            (f"/v2/{MAIN}/{tail}", "localhost"),
        ):
            self.pull()
            self.assertEqual(self.delete(target, host=host).status, 202, target)
            answer = self.delete(target, host=host)
            self.assertEqual((answer.status, self.code(answer)), (404, "MANIFEST_UNKNOWN"))

    def test_not_here(self) -> None:
        """What the cache does not have is not here, and nobody is asked for it."""
        self.pull()
        self.front.main.requests.clear()
        for tail, code in (
            ("manifests/2", "MANIFEST_UNKNOWN"),
            (f"manifests/{DIGEST}", "MANIFEST_UNKNOWN"),
            (f"manifests/{self.blob}", "MANIFEST_UNKNOWN"),
            (f"blobs/{DIGEST}", "BLOB_UNKNOWN"),
            (f"blobs/{self.manifest}", "BLOB_UNKNOWN"),
        ):
            for repository in (REPOSITORY, "org/other"):
                answer = self.delete(f"/v2/{repository}/{tail}")
                self.assertEqual((answer.status, self.code(answer)), (404, code), tail)
        answer = self.delete(f"/v2/org/other/manifests/{self.manifest}")
        self.assertEqual((answer.status, self.code(answer)), (404, "MANIFEST_UNKNOWN"))
        self.assertEqual(self.front.main.requests, [])
        self.assertEqual(len(self.names()), 2)

    def test_next_pull(self) -> None:
        """It fetches anew, and is right."""
        self.pull()
        self.delete(f"/v2/{REPOSITORY}/manifests/{self.manifest}")
        self.delete(f"/v2/{REPOSITORY}/blobs/{self.blob}")
        self.front.main.requests.clear()
        self.pull()
        asked = [each[0] for each in self.front.main.requests]
        self.assertEqual(asked, ["get_manifest", "get_blob"])

    def test_malformed(self) -> None:
        """What breaks the grammar is refused as for GET, and so is what is neither."""
        self.pull()
        for target, status in (
            (f"/v2/{REPOSITORY}/manifests/%31", 400),
            (f"/v2/{REPOSITORY}/manifests/1/", 404),
            (f"/v2/{REPOSITORY}/blobs/sha256:ab", 400),
            (f"/v2/{REPOSITORY}/tags/list", 405),
            (f"/v2/{REPOSITORY}/referrers/{DIGEST}", 405),
            (f"/v2/{REPOSITORY}/blobs/uploads/", 405),
            (f"/v2/{REPOSITORY}/blobs/uploads/1", 405),
            ("/v2/_catalog", 405),
            ("/v2/", 405),
            ("/v2", 405),
        ):
            self.assertEqual(self.delete(target).status, status, target)
        self.assertEqual(len(self.names()), 2)

    def test_pinned(self) -> None:
        """What is pinned is denied, and stays."""
        self.pull()
        index: Any = self.front.caches.index
        repository = self.front.caches.served(REPOSITORY, MAIN).identity
        self.successResultOf(index.pins.pin(repository, "1", Pin("", 1.0)))
        for tail in ("manifests/1", f"manifests/{self.manifest}"):
            answer = self.delete(f"/v2/{REPOSITORY}/{tail}")
            self.assertEqual((answer.status, self.code(answer)), (403, "DENIED"))
        self.assertEqual(len(self.names()), 2)


class RefusedTests(RemovalCase):
    """Who may not."""

    def test_nobody_else(self) -> None:
        """Who has no account is challenged for just that, and others are denied."""
        self.pull()
        target = f"/v2/{REPOSITORY}/manifests/1"
        for credentials in ("", WRONG):
            answer = self.delete(target, credentials)
            self.assertEqual((answer.status, self.code(answer)), (401, "UNAUTHORIZED"))
        for each in (target, f"/v2/{REPOSITORY}/manifests/missing"):
            answer = self.delete(each, ALICE)
            self.assertEqual((answer.status, self.code(answer)), (403, "DENIED"))
        self.assertEqual(len(self.names()), 2)

    def test_scope(self) -> None:
        """The challenge of a Bearer situation names the action."""
        anybody = Rule(frozenset({"anonymous"}), Grant(frozenset({Action.PULL})))
        self.rules = (anybody,)
        self.setUp()
        answer = self.delete(f"/v2/{REPOSITORY}/manifests/1", "")
        self.assertIn('scope="repository:org/app:delete"', answer.headers["www-authenticate"])

    def test_one_repository(self) -> None:
        """A grant counts for its repositories alone."""
        grant = Grant(frozenset({Action.DELETE}), None, ("team/*",))
        self.rules = (PULL, Rule(frozenset({"alice"}), grant))
        self.setUp()
        self.pull()
        self.assertEqual(self.delete(f"/v2/{REPOSITORY}/manifests/1", ALICE).status, 403)
        self.assertEqual(self.delete("/v2/team/app/manifests/1", ALICE).status, 404)

    def test_nobody(self) -> None:
        """Where nobody may: 405 to everybody, before any name is looked at, however it is spelt."""
        self.admins = ()
        self.setUp()
        self.pull()
        for target in (
            f"/v2/{REPOSITORY}/manifests/1",
            f"/v2/{REPOSITORY}/manifests/{self.manifest}",
            f"/v2/{REPOSITORY}/manifests/1/",
            f"/v2/{REPOSITORY}/manifests/%31",
            f"/v2/{REPOSITORY}/blobs/{self.blob}",
            "/v2/no.such.registry/x/manifests/1",
            "/v2/UPPER/manifests/../1",
        ):
            for credentials in (ADMIN, "", WRONG):
                answer = self.delete(target, credentials)
                self.assertEqual((answer.status, self.code(answer)), (405, "UNSUPPORTED"), target)
                self.assertEqual(answer.headers["allow"], "GET, HEAD")
        self.assertEqual(len(self.names()), 2)
