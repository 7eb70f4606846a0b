"""Stores in temporary directories, for the tests of this package."""

import os
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.store.blob_store import BlobStore
from regcache.store.partial import PartialFile
from regcache.store.paths import StorePaths
from regcache.store.soundness import Reading
from tests.support.pools import ImmediatePool


def open_descriptors() -> set[str]:
    """What files the process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:  # the listing itself
            continue
    return found


class StoreTestCase(SynchronousTestCase):
    """A store whose disk answers at once. Tests leave no descriptor and no timer."""

    def setUp(self) -> None:
        self.paths = StorePaths(os.path.abspath(self.mktemp()))
        self.paths.prepare()
        self.clock = Clock()
        self.changes: list[int] = []
        self.parked: list[int] = []
        self.damages: list[tuple[Digest, int]] = []
        self.store = self.new_store()
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors() - before, set()))

    def new_store(
        self, pool: Any = None, boot_id: str = "boot-1", reading: Reading = Reading.SMALL
    ) -> BlobStore:
        """A store on the same directory, as after a restart."""
        return BlobStore(
            self.clock,
            pool or ImmediatePool(),
            self.paths,
            boot_id=boot_id,
            changed=lambda digest, difference, unclaimed: self.changes.append(difference),
            parked=self.parked.append,
            damaged=lambda digest, size: self.damages.append((digest, size)),
            reading=reading,
        )

    def open_partial(self, digest: Digest, store: BlobStore | None = None) -> PartialFile:
        """A partial file; closed at the end of the test."""
        file = self.successResultOf((store or self.store).open_partial(digest))
        assert isinstance(file, PartialFile)
        self.addCleanup(file.close)
        return file

    def commit(self, content: bytes) -> Digest:
        """Fetch some content completely."""
        file = self.open_partial(Digest.of(content))
        file.set_size(len(content))
        self.successResultOf(file.write(0, [content]))
        self.assertTrue(self.successResultOf(file.verify()))
        self.successResultOf(file.commit())
        file.close()
        return file.digest

    def found(
        self, digest: Digest, store: BlobStore | None = None, size: int | None = None
    ) -> bytes | None:
        """What the store has under a digest; ``size`` is what the index says."""
        file = self.successResultOf((store or self.store).look_up(digest, size)).file
        if file is None:
            return None
        content: bytes = self.successResultOf(file.read(0, file.size))
        file.close()
        return content


class BadDisk(ImmediatePool):
    """A disk on which some functions of the os module fail."""

    def __init__(self, case: StoreTestCase, **faults: int) -> None:
        super().__init__()
        self._case = case
        self._faults = faults

    def run(self, function: Any, *args: Any) -> Any:
        """Do it now, with the faults."""
        patches = [self._case.patch(os, name, raiser(code)) for name, code in self._faults.items()]
        try:
            return super().run(function, *args)
        finally:
            for patch in patches:
                patch.restore()


def raiser(code: int) -> Any:
    """A function that fails."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail
