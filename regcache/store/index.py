"""Facts on disk: the SQLite implementation of :class:`~regcache.interfaces.IIndex`.

The reactor never waits for SQLite: each call is a job of the index's own thread. Every hour a copy
is made, see :mod:`regcache.store.index_backup`. The tables are described in
:mod:`regcache.store.index_schema`.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from regcache.digests import Digest
from regcache.facts import (
    ContentFacts,
    Descriptor,
    IndexCounts,
    Link,
    Manifest,
    ManifestUse,
    Subject,
    TagFact,
    Verdict,
)
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.interfaces import IIndex, IWorkPool
from regcache.store import index_contents, index_images, index_names
from regcache.store.catalogue_index import build_catalogue
from regcache.store.checks_index import ChecksIndex
from regcache.store.index_backup import IndexBackup
from regcache.store.index_contents import Proof
from regcache.store.index_file import IndexFile
from regcache.store.index_names import Statement
from regcache.store.index_thread import LITTLE, IndexThread
from regcache.store.leftovers import Leftovers
from regcache.store.pins_index import PinsIndex
from regcache.store.places_index import PlacesIndex
from regcache.store.plans_index import PlansIndex
from regcache.store.pull_writer import PullWriter
from regcache.store.refusals import Refusals
from regcache.store.removal_index import RemovalIndex
from regcache.store.use_writer import UseWriter


def _forget_content(connection: sqlite3.Connection, digest: Digest, was_there: list[bool]) -> None:
    """:param was_there: gets whether the bytes were there, as far as the index knew."""
    was_there[:] = [index_contents.forget_content(connection, digest)]


@implementer(IIndex)
class SqliteIndex:
    """The index in one SQLite file.

    :param file: of the index, not open yet.
    :param pool: of exactly one thread, and for nothing else.
    :param background: a pool for the hourly copy.
    :param looking: a pool of exactly one thread, for those who look at the cache; None: they wait
        for the index's thread.

    :ivar removals: what is asked of it to remove something.
    :ivar checks: what is asked of it to check what is on the disk.
    :ivar places: where bytes lie, and which of them may be evicted.
    :ivar pins: what is pinned.
    :ivar plans: what removals would come to.
    :ivar lost: called when the file of stored content is found to be missing.
    :ivar catalogue: what is asked of it by those who look at the cache.

    Start the pools, then :meth:`open`; :meth:`close`, then stop the pools.
    """

    def __init__(
        self,
        file: IndexFile,
        pool: IWorkPool,
        background: IWorkPool,
        clock: IReactorTime,
        *,
        looking: IWorkPool | None = None,
    ) -> None:
        self._thread = IndexThread(file, pool, clock)
        self._backup = IndexBackup(file, self._thread, background, clock)
        self.checks = ChecksIndex(self._thread)
        self._file = file
        self.lost: Callable[[], None] = lambda: None
        self._uses = UseWriter(self._thread, clock)
        self.places = PlacesIndex(self._thread, self._uses)
        pins = self.pins = PinsIndex(self._thread)
        self.removals = RemovalIndex(self._thread, pins.matches, self._backup.hurry)
        self.plans = PlansIndex(self._thread, pins.matches)
        pools = (looking or pool, background)
        self.catalogue = build_catalogue(
            file, self._thread, clock, pools=pools, patterns=lambda: pins.patterns
        )
        self._pulls = PullWriter(self._thread, clock)
        self._leftovers = Leftovers(self._thread, clock)
        self._refusals = Refusals(self._thread)

    @property
    def problem(self) -> str:
        """Why new facts are lost at the end of the process; "" if they are not."""
        return self._file.problem or self._thread.problem

    def open(self) -> "Deferred[None]":
        """Open the file, or a substitute for it.

        Fails with IndexVersionError if a newer program wrote it.
        """

        def opened(_result: None) -> None:
            self._backup.start()
            self._uses.start()
            self._pulls.start()
            self.catalogue.start()
            self._leftovers.start()

        return self._thread.open().addCallback(opened)

    def close(self) -> "Deferred[None]":
        """Write what is pending and close the file. Idempotent."""
        self._thread.hurry()
        self._leftovers.stop()
        stopped = self._backup.stop()
        closing = self.catalogue.stop().addCallback(lambda _: self._pulls.stop())
        closing.addCallback(lambda _: self._uses.stop())
        closing.addCallback(lambda _: self._thread.close())
        return closing.addCallback(lambda _result: stopped)

    def content(self, content: RepositoryContent) -> "Deferred[ContentFacts]":
        return self._thread.read(index_contents.find_content, content)

    def tag(self, repository: Repository, tag: str) -> "Deferred[TagFact | None]":
        return self._thread.read(index_names.find_tag, repository, tag)

    def record_manifest(
        self,
        repository: Repository,
        manifest: Manifest,
        descriptors: Sequence[Descriptor],
        *,
        subject: Subject | None,
        credentials: str,
        now: float,
        began: int | None = None,
        asked_by: str = "",
    ) -> "Deferred[None]":
        statement = Statement(descriptors, subject)
        arguments = (repository, manifest, statement, Proof(credentials, now, began, asked_by))
        size = LITTLE + len(manifest.content)
        return self._thread.note(index_names.record_manifest, *arguments, size=size)

    def record_tag(
        self,
        repository: Repository,
        tag: str,
        digest: Digest,
        now: float,
        *,
        began: int | None = None,
    ) -> "Deferred[None]":
        pinned = self.pins.matches(repository, tag)
        record = partial(index_names.record_tag, now=now, began=began, pinned=pinned)
        return self._thread.note(record, repository, tag, digest)

    def drop_tag(self, repository: Repository, tag: str) -> "Deferred[None]":
        return self._thread.note(index_names.drop_tag, repository, tag)

    def record_blob(
        self,
        content: RepositoryContent,
        size: int,
        *,
        credentials: str,
        public: bool,
        now: float,
        began: int | None = None,
    ) -> "Deferred[None]":
        arguments = (content, size, public, Proof(credentials, now, began))
        return self._thread.note(index_contents.record_blob, *arguments)

    def record_stored(self, digest: Digest, size: int, now: float) -> "Deferred[None]":
        return self._thread.note(index_contents.record_stored, digest, size, now)

    def record_size(self, digest: Digest, size: int) -> "Deferred[None]":
        return self._thread.note(index_contents.record_size, digest, size)

    def record_link(
        self,
        content: RepositoryContent,
        credentials: str,
        now: float,
        *,
        began: int | None = None,
    ) -> "Deferred[None]":
        proof = Proof(credentials, now, began)
        return self._thread.note(index_contents.record_link, content, proof)

    def forget_content(self, digest: Digest) -> "Deferred[None]":
        was_there: list[bool] = []
        self._uses.forget(digest)
        return self._thread.note(
            *(_forget_content, digest, was_there),
            committed=lambda: self.lost() if any(was_there) else None,
        )

    def verdict(self, repository: Repository) -> "Deferred[Verdict | None]":
        return self._refusals.verdict(repository)

    def record_verdict(self, repository: Repository, public: bool, now: float) -> "Deferred[None]":
        return self._refusals.record_verdict(repository, public, now)

    def closed_since(self, repository: Repository) -> "Deferred[float | None]":
        return self._refusals.closed_since(repository)

    def record_closed(self, repository: Repository, since: float | None) -> "Deferred[None]":
        return self._refusals.record_closed(repository, since)

    def mentioning(self, content: RepositoryContent) -> "Deferred[list[Link]]":
        return self._thread.read(index_contents.mentioning, content)

    def image_size(self, content: RepositoryContent, enough: int) -> "Deferred[int | None]":
        return self._thread.read(index_images.image_size, content, enough)

    def known_manifests(self, repository: Repository) -> "Deferred[list[Digest]]":
        return self._thread.read(index_names.known_manifests, repository)

    def tags(self, repository: Repository, after: str, limit: int) -> "Deferred[list[str]]":
        return self._thread.read(index_names.list_tags, repository, after, limit)

    def repositories(
        self, upstream: UpstreamIdentity, after: str, limit: int
    ) -> "Deferred[list[str]]":
        return self._thread.read(index_names.list_repositories, upstream, after, limit)

    def referrers(self, subject: RepositoryContent) -> "Deferred[list[Descriptor]]":
        return self._thread.read(index_names.list_referrers, subject)

    def touch(self, digest: Digest, now: float) -> None:
        self._uses.touch(digest, now)

    def note_pull(self, repository: Repository, digest: Digest, use: ManifestUse) -> None:
        """Record that a manifest was asked for. As :meth:`touch`."""
        self._pulls.note(repository, digest, use)

    def counts(self) -> "Deferred[IndexCounts]":
        """How much of everything is stored."""
        return self._thread.read(index_contents.count)

    def occupied_bytes(self) -> "Deferred[int]":
        """How many bytes all stored contents take, in whole blocks. A kept total: this is quick."""
        return self._thread.read(index_contents.occupied_bytes)
