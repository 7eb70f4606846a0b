"""Deleting through the registry API of a real daemon: the disk is free before the answer."""

import os
import threading
from pathlib import Path
from typing import Any

from tests.access.accounts import hashed
from tests.integration.base import (
    UPSTREAM,
    PullThroughCase,
    catalog,
    public_upstream,
    upstream_config,
)
from tests.support.downloads import Download
from tests.support.images import MIB, mixed_image
from tests.support.processes import wait_until
from tests.support.registry_client import RegistryClient

ADMIN = ("admin", "secret")
REPOSITORY = "team/multi"


class RemovalTests(PullThroughCase):
    """An account that may delete."""

    def setUp(self) -> None:
        """A daemon with an image of several platforms in it."""
        accounts = self.workspace().file("htpasswd", f"admin:{hashed(ADMIN[1]).decode()}\n")
        access = {"htpasswd": str(accounts), "admins": ["admin"]}
        config = {**upstream_config(public_upstream().url), "access": access}
        self.daemon = self.regcache(config)
        self.image = catalog().images[REPOSITORY]

    def client(self) -> RegistryClient:
        """The account's."""
        return self.daemon.client(credentials=ADMIN)

    def pull(self, repository: str = REPOSITORY) -> None:
        """Take all of an image, until it is stored, which is a moment after the last byte."""
        client, image = self.client(), catalog().images[repository]
        digests = [one.digest for one in image.all_manifests()]
        targets = [f"manifests/{each}" for each in ("1", *digests)]
        for tail in (*targets, *(f"blobs/{each}" for each in image.all_blobs())):
            self.assertEqual(client.get(f"/v2/{repository}/{tail}").status, 200, tail)
        wanted = {each.partition(":")[2] for each in (*digests, *image.all_blobs())}
        wait_until(lambda: wanted <= {each.name for each in self.files("blobs")}, "all is stored")

    def files(self, *parts: str) -> list[Path]:
        """Those in some folders of the cache."""
        folders = [Path(self.daemon.directory, part) for part in parts]
        return [each for folder in folders for each in folder.rglob("*") if each.is_file()]

    def blocks(self) -> int:
        """What the files of contents take on the disk, in blocks of 512 bytes."""
        return sum(os.stat(each).st_blocks for each in self.files("blobs", "partial"))

    def delete(self, tail: str) -> Any:
        """The status of a deletion."""
        return self.client().ask("DELETE", f"/v2/{REPOSITORY}/{tail}").status

    def test_freed_before_the_answer(self) -> None:
        """With its last tag an index goes, and all that only it needs, before the 202."""
        self.pull("library/mixed")
        before = self.blocks()
        self.pull()
        self.assertGreater(self.blocks(), before)
        self.assertEqual(self.delete("manifests/1"), 202)
        self.assertEqual(self.blocks(), before)
        self.assertEqual(self.delete("manifests/1"), 404)
        catalogue = self.client().get("/v2/_catalog").json()
        self.assertEqual(catalogue["repositories"], ["library/mixed"])

    def test_next_pull(self) -> None:
        """It fetches anew, and is right; so it is after a kill -9."""
        for kill in (False, True):
            self.pull()
            self.assertEqual(self.delete(f"manifests/{self.image.digest}"), 202)
            if kill:
                self.daemon.process.kill()
                self.daemon.start()
            asked = len(public_upstream().requests())
            self.pull()
            bodies = [one for one in public_upstream().requests()[asked:] if one.is_body]
            self.assertEqual(
                {one.reference for one in bodies if one.kind == "blobs"},
                set(self.image.all_blobs()),
            )

    def test_during_a_download(self) -> None:
        """Who reads what is being fetched gets all of it, and nothing of it is kept."""
        upstream = self.faulty_upstream(rate=4e6)
        made = mixed_image("slow", 4 * MIB)
        upstream.add_image("team/slow", made, "1")
        accounts = self.workspace().file("accounts", f"admin:{hashed(ADMIN[1]).decode()}\n")
        rules = [{"accounts": ["anonymous"]}]
        access = {"htpasswd": str(accounts), "admins": ["admin"], "rules": rules}
        self.daemon = self.regcache({**upstream_config(upstream.url), "access": access})
        client = self.daemon.client()
        self.assertEqual(client.get("/v2/team/slow/manifests/1").status, 200)
        blobs = made.all_blobs()
        digest = max(blobs, key=lambda each: len(blobs[each].data))
        some = threading.Event()
        reader = Download(client, f"/v2/team/slow/blobs/{digest}", lambda _: some.set())
        self.assertTrue(some.wait(20))
        answer = self.client().ask("DELETE", "/v2/team/slow/manifests/1")
        self.assertEqual(answer.status, 202)
        reader.wait(30)
        self.assertEqual((reader.error, reader.digest), (None, digest))
        wait_until(lambda: not self.blocks(), "nothing of it is on the disk")

    def test_nobody_may(self) -> None:
        """Without a grant to anyone the answer is 405: with accounts or without, and wherever."""
        accounts = self.workspace().file("htpasswd", f"admin:{hashed(ADMIN[1]).decode()}\n")
        targets = [f"{REPOSITORY}/manifests/1", f"{UPSTREAM}/{REPOSITORY}/manifests/1/", "UPPER/x"]
        for access in ({}, {"htpasswd": str(accounts)}):
            daemon = self.regcache({**upstream_config(public_upstream().url), "access": access})
            view = RegistryClient(f"http://127.0.0.1:{daemon.admin_port}", ADMIN)
            for client in (daemon.client(credentials=ADMIN), view):
                for target in targets:
                    answer = client.ask("DELETE", f"/v2/{target}")
                    found = (answer.status, answer.headers["allow"])
                    self.assertEqual(found, (405, "GET, HEAD"), (access, target))
