"""Facts on disk: the SQLite implementation of :class:`~regcache.interfaces.IIndex`.

The reactor never waits for SQLite: each call is a job of the index's own thread. The hour's
copy is made elsewhere, see :mod:`regcache.store.index_backup`; the tables are described in
:mod:`regcache.store.index_schema`.
"""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.digests import Digest
from regcache.facts import ContentFacts, Descriptor, Manifest, TagFact, Verdict
from regcache.interfaces import IIndex, IWorkPool
from regcache.store import index_contents, index_names
from regcache.store.index_backup import IndexBackup
from regcache.store.index_contents import StoredContent
from regcache.store.index_file import IndexFile, IndexUnavailableError
from regcache.store.index_thread import IndexThread

TOUCH_INTERVAL = 30.0
"""Seconds after which noted uses are written."""

MOST_TOUCHES = 1024
"""Noted uses that are kept in memory; with more of them they are written at once."""


@implementer(IIndex)
class SqliteIndex:
    """The index in one SQLite file.

    :param file: where, not yet open.
    :param pool: exactly one thread, for nothing but this.
    :param background: threads for the hourly copy.

    Start the pools, then :meth:`open`; :meth:`close`, then stop the pools.
    """

    log = Logger()

    def __init__(
        self, file: IndexFile, pool: IWorkPool, background: IWorkPool, clock: IReactorTime
    ) -> None:
        self._thread = IndexThread(file, pool, clock)
        self._backup = IndexBackup(file, self._thread, background, clock)
        self._touches: dict[Digest, float] = {}
        self._touching = LoopingCall(self._write_touches)
        self._touching.clock = clock

    def open(self) -> "Deferred[None]":
        """Open the file and begin to write in turns.

        Fails with IndexVersionError if a newer program wrote it, with IndexUnavailableError
        if the disk does not let us.
        """

        def opened(_result: None) -> None:
            self._backup.start()
            self._touching.start(TOUCH_INTERVAL, now=False)

        return self._thread.open().addCallback(opened)

    def close(self) -> "Deferred[None]":
        """Write what is pending and close the file. Idempotent."""
        if self._touching.running:
            self._touching.stop()
            self._write_touches()
        stopped = self._backup.stop()
        return self._thread.close().addCallback(lambda _result: stopped)

    def content(self, upstream: str, repository: str, digest: Digest) -> "Deferred[ContentFacts]":
        return self._thread.read(index_contents.find_content, upstream, repository, digest)

    def tag(self, upstream: str, repository: str, tag: str) -> "Deferred[TagFact | None]":
        return self._thread.read(index_names.find_tag, upstream, repository, tag)

    def record_manifest(
        self,
        upstream: str,
        repository: str,
        manifest: Manifest,
        descriptors: Sequence[Descriptor],
        credentials: str,
        now: float,
    ) -> "Deferred[None]":
        arguments = (upstream, repository, manifest, descriptors, credentials, now)
        return self._thread.write(index_names.record_manifest, *arguments)

    def record_tag(
        self, upstream: str, repository: str, tag: str, digest: Digest, now: float
    ) -> "Deferred[None]":
        return self._thread.write(index_names.record_tag, upstream, repository, tag, digest, now)

    def drop_tag(self, upstream: str, repository: str, tag: str) -> "Deferred[None]":
        return self._thread.write(index_names.drop_tag, upstream, repository, tag)

    def record_blob(
        self,
        upstream: str,
        repository: str,
        digest: Digest,
        size: int,
        credentials: str,
        public: bool,
        now: float,
    ) -> "Deferred[None]":
        arguments = (upstream, repository, digest, size, credentials, public, now)
        return self._thread.write(index_contents.record_blob, *arguments)

    def record_link(
        self, upstream: str, repository: str, digest: Digest, credentials: str, now: float
    ) -> "Deferred[None]":
        return self._thread.write(
            index_contents.record_link, upstream, repository, digest, credentials, now
        )

    def forget_content(self, digest: Digest) -> "Deferred[None]":
        self._touches.pop(digest, None)
        return self._thread.write(index_contents.forget_content, digest)

    def verdict(self, upstream: str, repository: str) -> "Deferred[Verdict | None]":
        return self._thread.read(index_names.find_verdict, upstream, repository)

    def record_verdict(
        self, upstream: str, repository: str, public: bool, now: float
    ) -> "Deferred[None]":
        return self._thread.write(index_names.record_verdict, upstream, repository, public, now)

    def closed_since(self, upstream: str, repository: str) -> "Deferred[float | None]":
        return self._thread.read(index_names.find_closed, upstream, repository)

    def record_closed(
        self, upstream: str, repository: str, since: float | None
    ) -> "Deferred[None]":
        return self._thread.write(index_names.record_closed, upstream, repository, since)

    def tags(self, upstream: str, repository: str) -> "Deferred[list[str]]":
        return self._thread.read(index_names.list_tags, upstream, repository)

    def repositories(
        self, upstream: str | None, after: tuple[str, str], limit: int
    ) -> "Deferred[list[tuple[str, str]]]":
        return self._thread.read(index_names.list_repositories, upstream, after, limit)

    def referrers(
        self, upstream: str, repository: str, subject: Digest
    ) -> "Deferred[list[Descriptor]]":
        return self._thread.read(index_names.list_referrers, upstream, repository, subject)

    def touch(self, digest: Digest, now: float) -> None:
        self._touches[digest] = now
        if len(self._touches) >= MOST_TOUCHES:
            self._write_touches()

    def least_recently_used(self, limit: int) -> "Deferred[list[StoredContent]]":
        """Stored contents that are not pinned, the longest unused first."""
        self._write_touches()
        return self._thread.read(index_contents.least_recently_used, limit)

    def total_bytes(self) -> "Deferred[int]":
        """The sum of the sizes of all stored contents; kept, not added up."""
        return self._thread.read(index_contents.total_bytes)

    def _write_touches(self) -> None:
        touches, self._touches = self._touches, {}
        if touches:
            done = self._thread.write(index_contents.note_uses, list(touches.items()))
            done.addErrback(self._touches_lost)

    def _touches_lost(self, failure: Failure) -> None:
        """Uses that cannot be written are given up: eviction guesses a little worse."""
        if not isinstance(failure.value, IndexUnavailableError):
            self.log.failure("uses of contents could not be written", failure)
