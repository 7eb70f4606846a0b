"""What the tests of both indexes begin with: one of each, and short ways to fill them."""

import glob
import json
import os
import sqlite3
from collections.abc import Sequence
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.facts import ContentFacts, Descriptor, Manifest, Subject
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.store import index_file
from regcache.store.index import SqliteIndex
from regcache.store.index_contents import Proof, find_content, record_blob
from regcache.store.index_copy import copy_index
from regcache.store.index_file import IndexFile, Operation
from regcache.store.index_thread import IndexThread
from tests.support.indexes import HeldPool, ImmediatePool, MemoryIndex

HUB = UpstreamIdentity("docker.io", ("https://registry-1.docker.io",))
QUAY = UpstreamIdentity("quay.io", ("https://quay.io",))
BLOB = Digest.of(b"layer")
OTHER = Digest.of(b"other layer", "sha512")
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def repository_of(name: str, upstream: UpstreamIdentity = HUB) -> Repository:
    """A repository."""
    return Repository(upstream, name)


def content_of(
    name: str, digest: Digest = BLOB, upstream: UpstreamIdentity = HUB
) -> RepositoryContent:
    """Content of a repository."""
    return RepositoryContent(repository_of(name, upstream), digest)


def manifest_of(**document: Any) -> Manifest:
    """A manifest with the given members."""
    content = json.dumps(document).encode()
    return Manifest(Digest.of(content), OCI_MANIFEST, content)


def mention(digest: Digest, size: int) -> Descriptor:
    """A layer's descriptor."""
    return Descriptor(digest, size, "application/vnd.oci.image.layer.v1.tar+gzip")


class IndexCase(SynchronousTestCase):
    """A test with an index."""

    index: Any

    def facts(
        self, repository: str, digest: Digest, upstream: UpstreamIdentity = HUB
    ) -> ContentFacts:
        """What the index says of a digest."""
        return self.successResultOf(self.index.content(content_of(repository, digest, upstream)))

    def blob(
        self,
        repository: str = "library/a",
        digest: Digest = BLOB,
        *,
        upstream: UpstreamIdentity = HUB,
        size: int = 5,
        credentials: str = "",
        public: bool = True,
        now: float = 100.0,
    ) -> None:
        """Record a blob."""
        self.successResultOf(
            self.index.record_blob(
                content_of(repository, digest, upstream),
                size,
                credentials=credentials,
                public=public,
                now=now,
            )
        )

    def manifest(
        self,
        manifest: Manifest,
        *descriptors: Descriptor,
        repository: str = "library/a",
        upstream: UpstreamIdentity = HUB,
        subject: Subject | None = None,
        credentials: str = "",
        now: float = 100.0,
        asked_by: str = "",
    ) -> None:
        """Record a manifest."""
        self.successResultOf(
            self.index.record_manifest(
                repository_of(repository, upstream),
                manifest,
                descriptors,
                subject=subject,
                credentials=credentials,
                now=now,
                asked_by=asked_by,
            )
        )

    def tags(
        self,
        repository: str = "library/a",
        upstream: UpstreamIdentity = HUB,
        *,
        after: str = "",
        limit: int = 1000,
    ) -> list[str]:
        """A page of tags."""
        asked = self.index.tags(repository_of(repository, upstream), after, limit)
        found: list[str] = self.successResultOf(asked)
        return found

    def listed(self, after: str, limit: int, upstream: UpstreamIdentity = HUB) -> list[Any]:
        """A page of repositories."""
        return self.successResultOf(self.index.repositories(upstream, after, limit))


class MemoryIndexCase(IndexCase):
    """A test with the fake index."""

    def setUp(self) -> None:
        self.index = MemoryIndex()


class SqliteIndexCase(IndexCase):
    """A test with the real index, in a directory of its own."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "index.sqlite")
        self.clock = Clock()
        self.index = self.open()

    def open(self) -> SqliteIndex:
        """Open an index on the test's file, and close it behind the test."""
        self.file = IndexFile(self.path)
        index = SqliteIndex(self.file, ImmediatePool(), ImmediatePool(), self.clock)
        self.addCleanup(index.close)
        self.successResultOf(index.open())
        return index

    def find_full_at_first(self) -> None:
        """From now on have each change taken back, as on a full disk, and tried once more."""
        transact, taken_back = index_file._in_transaction, list[Sequence[Operation]]()

        def full_at_first(connection: sqlite3.Connection, operations: Sequence[Operation]) -> None:
            if any(each is operations for each in taken_back):
                return transact(connection, operations)
            taken_back.append(operations)
            connection.execute("BEGIN")
            for each in operations:
                each(connection)
            connection.execute("ROLLBACK")
            error = sqlite3.OperationalError("full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

        self.patch(index_file, "FULL_FOR", 0.0)
        self.patch(index_file, "_in_transaction", full_at_first)


def blob(digest: Digest = BLOB, size: int = 5) -> Operation:
    """The change that records a blob."""
    return lambda connection: record_blob(
        connection, content_of("a", digest), size, True, Proof("", 1.0)
    )


class IndexFileCase(SynchronousTestCase):
    """A test with a file that is not open yet."""

    def setUp(self) -> None:
        directory = self.mktemp()
        os.mkdir(directory)
        self.path = os.path.join(directory, "index.sqlite")
        self.file = IndexFile(self.path)
        self.addCleanup(self.file.close)

    def size(self, digest: Digest = BLOB) -> int | None:
        """The size of a digest, as the open file has it."""
        facts: ContentFacts = self.file.read(find_content, content_of("a", digest))
        return facts.size

    def filled(self, backup: bool, more: Sequence[Digest] = ()) -> None:
        """Make an index that knows some blobs, with a copy or without, and close it."""
        self.file.open()
        self.file.write([blob(), *(blob(digest, size) for size, digest in enumerate(more))])
        if backup:
            copy_index(self.path, self.file.backup_path, lambda: False)
        self.file.close()

    def damaged(self) -> list[str]:
        """The files that were moved aside."""
        return sorted(glob.glob(f"{self.path}.damaged-*[0-9]"))


class ThreadCase(SynchronousTestCase):
    """A test with a thread that works when told to."""

    def setUp(self) -> None:
        directory = self.mktemp()
        os.mkdir(directory)
        self.file = IndexFile(os.path.join(directory, "index.sqlite"))
        self.pool = HeldPool()
        self.clock = Clock()
        self.thread = IndexThread(self.file, self.pool, self.clock)
        opened = self.thread.open()
        self.pool.release()
        self.successResultOf(opened)
        self.addCleanup(self.file.close)
