"""Tests for regcache.store.aside: what stands where a file or folder of ours belongs."""

import os
import socket
from collections.abc import Callable
from typing import Any

from regcache.digests import Digest
from regcache.store import aside
from regcache.store.paths import PartialKey
from tests.store.stores import StoreTestCase

CONTENT = b"some content" * 100
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)


class AsideTests(StoreTestCase):
    """Tests for all the ways to one file, with all that may have its name."""

    def setUp(self) -> None:
        super().setUp()
        self.victim = os.path.abspath(self.mktemp())
        with open(self.victim, "w") as file:
            file.write("of somebody")
        self.kinds: dict[str, Callable[[str], Any]] = {
            "a folder": self.folder,
            "a FIFO": os.mkfifo,
            "a link": lambda path: os.symlink(self.victim, path),
            "a link to a folder": lambda path: os.symlink(os.path.dirname(self.victim), path),
            "a link to nowhere": lambda path: os.symlink("nowhere", path),
            "a socket": self.socket,
        }

    def folder(self, path: str) -> None:
        """A folder with a file in it."""
        os.mkdir(path)
        with open(os.path.join(path, "file"), "w") as file:
            file.write("of somebody")

    def socket(self, path: str) -> None:
        """A unix socket, made under a shorter name."""
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("short")
        os.rename("short", path)

    def names_aside(self) -> list[str]:
        """What was put aside."""
        return os.listdir(self.paths.aside.folder)

    def assert_put_aside(self, kind: str, count: int) -> None:
        """It was moved, not lost, and nothing of somebody else's was written."""
        self.assertEqual(len(self.names_aside()), count, kind)
        with open(self.victim) as file:
            self.assertEqual(file.read(), "of somebody", kind)

    def test_look_up(self) -> None:
        """What has the name of content is put aside, and is a miss."""
        path = self.paths.blob(DIGEST)
        os.makedirs(os.path.dirname(path))
        for count, (kind, make) in enumerate(self.kinds.items(), 1):
            make(path)
            self.assertIsNone(self.found(DIGEST, size=SIZE), kind)
            self.assertFalse(os.path.lexists(path), kind)
            self.assert_put_aside(kind, count)

    def test_load(self) -> None:
        """So it is where small content is read."""
        path = self.paths.blob(DIGEST)
        os.makedirs(os.path.dirname(path))
        for kind, make in self.kinds.items():
            make(path)
            self.assertIsNone(self.successResultOf(self.store.load(DIGEST, SIZE, SIZE)), kind)
            self.assertFalse(os.path.lexists(path), kind)

    def test_keep_and_commit(self) -> None:
        """Content that comes gets its name all the same, and is counted once."""
        path = self.paths.blob(DIGEST)
        os.makedirs(os.path.dirname(path))
        for kind, make in self.kinds.items():
            for store in (lambda: self.successResultOf(self.store.keep(DIGEST, CONTENT)),
                          lambda: self.commit(CONTENT)):  # fmt: skip
                make(path)
                store()
                self.assertEqual(self.found(DIGEST, size=SIZE), CONTENT, kind)
                self.assertTrue(self.successResultOf(self.store.remove(DIGEST)))
                self.assertEqual(sum(self.changes), 0, kind)

    def test_remove(self) -> None:
        """What is removed is content, and nothing else of that name."""
        path = self.paths.blob(DIGEST)
        os.makedirs(os.path.dirname(path))
        for kind, make in self.kinds.items():
            make(path)
            self.assertFalse(self.successResultOf(self.store.remove(DIGEST)), kind)
            self.assertFalse(os.path.lexists(path), kind)
        self.assertEqual(self.changes, [])

    def test_partial(self) -> None:
        """What has the name of a partial file, its intervals or its temporaries is put aside."""
        names = [
            self.paths.partial(PartialKey(DIGEST)),
            self.paths.sidecar(PartialKey(DIGEST)),
            self.paths.sidecar(PartialKey(DIGEST)) + ".tmp",
        ]
        for kind, make in self.kinds.items():
            for name in names:
                make(name)
            self.commit(CONTENT[: SIZE // 2])
            file = self.open_partial(DIGEST)
            file.set_size(SIZE)
            self.successResultOf(file.write(0, [CONTENT[:100]]))
            self.successResultOf(file.save())
            file.close()
            again = self.open_partial(DIGEST)
            self.assertEqual(list(again.present), [(0, 100)], kind)
            self.successResultOf(again.discard())
            again.close()
            self.assertEqual(os.listdir(self.paths.partials), [], kind)

    def test_leftover_temporary_that_is_a_link(self) -> None:
        """A temporary file that is a hard link to somebody's file is not written into."""
        os.link(self.victim, self.paths.sidecar(PartialKey(DIGEST)) + ".tmp")
        file = self.open_partial(DIGEST)
        self.successResultOf(file.write(0, [CONTENT[:100]]))
        self.successResultOf(file.save())
        with open(self.victim) as left:
            self.assertEqual(left.read(), "of somebody")

    def test_folders(self) -> None:
        """A file or FIFO in the place of a folder is put aside; look-ups are misses before."""
        folder = os.path.dirname(self.paths.blob(DIGEST))
        for make in (os.mkfifo, lambda path: os.link(self.victim, path)):
            for place in (folder, os.path.dirname(folder), self.paths.blobs, self.paths.partials):
                aside_before = self.count_aside()
                self.remove_folder(place)
                make(place)
                self.assertIsNone(self.found(DIGEST, size=SIZE))
                self.successResultOf(self.store.keep(DIGEST, CONTENT))
                self.assertEqual(self.found(DIGEST, size=SIZE), CONTENT)
                self.assertEqual(self.count_aside(), aside_before + 1)
                self.successResultOf(self.store.remove(DIGEST))
        with open(self.victim) as left:
            self.assertEqual(left.read(), "of somebody")

    def count_aside(self) -> int:
        """How much was put aside."""
        return len(self.names_aside()) if os.path.isdir(self.paths.aside.folder) else 0

    def remove_folder(self, place: str) -> None:
        """Remove what is left of a folder."""
        for folder, _, files in os.walk(place, topdown=False):
            for name in files:
                os.unlink(os.path.join(folder, name))
            os.rmdir(folder)

    def test_a_folder_on_another_disk(self) -> None:
        """A link to a folder in the place of a folder is followed; one to nowhere stays."""
        elsewhere = os.path.abspath(self.mktemp())
        os.mkdir(elsewhere)
        folder = os.path.dirname(self.paths.blob(DIGEST))
        os.symlink(elsewhere, folder)
        self.successResultOf(self.store.keep(DIGEST, CONTENT))
        self.assertEqual(self.found(DIGEST, size=SIZE), CONTENT)
        os.rename(elsewhere, elsewhere + ".away")
        self.assertIsNone(self.found(DIGEST, size=SIZE))
        self.failureResultOf(self.store.keep(DIGEST, CONTENT), OSError)
        self.assertTrue(os.path.islink(folder))
        os.rename(elsewhere + ".away", elsewhere)
        self.assertEqual(self.found(DIGEST, size=SIZE), CONTENT)

    def test_bound(self) -> None:
        """No more than so many things are kept; then only what has no content goes."""
        self.patch(aside, "MOST_ASIDE", 2)
        path = self.paths.blob(DIGEST)
        os.makedirs(os.path.dirname(path))
        for make in (os.mkfifo, os.mkfifo, os.mkfifo, os.mkdir):
            make(path)
            self.assertIsNone(self.found(DIGEST, size=SIZE))
        self.assertEqual(len(self.names_aside()), 2)
        self.folder(path)
        self.failureResultOf(self.store.look_up(DIGEST, SIZE), aside.NotOursError)
        self.failureResultOf(self.store.keep(DIGEST, CONTENT), aside.NotOursError)
        self.assertEqual(os.listdir(path), ["file"])

    def test_sync(self) -> None:
        """What took the name of content before its sync is no fault, and nobody waits for it."""
        self.commit(CONTENT)
        os.unlink(self.paths.blob(DIGEST))
        os.mkfifo(self.paths.blob(DIGEST))
        self.successResultOf(self.store.sync())
        self.assertEqual(self.damages, [])

    def test_file_of_another_user(self) -> None:
        """A partial file that may not be opened is begun anew."""
        path = self.paths.partial(PartialKey(DIGEST))
        with open(path, "w") as file:
            file.write("old")
        opened, open_file = [], os.open

        def refuse_once(name: str, *args: Any) -> int:
            if name == path and not opened:
                opened.append(name)
                raise PermissionError(13, "not yours", name)
            return open_file(name, *args)

        self.patch(os, "open", refuse_once)
        file = self.open_partial(DIGEST)
        self.assertEqual((list(file.present), os.stat(path).st_size), ([], 0))
