"""Content on the disk, by digest: complete content, and partial files."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.identity import Repository, UpstreamIdentity
from regcache.interfaces import Found, IBlobStore, IPartialFile, IWorkPool, Verified
from regcache.plans import PartialSums
from regcache.store.content_file import CachedReads
from regcache.store.content_look_up import ContentLookUp
from regcache.store.content_names import ContentNames, HeldContents
from regcache.store.partials import PartialFiles, partial_keys
from regcache.store.paths import StorePaths
from regcache.store.pool import handed_over
from regcache.store.shared_jobs import Later
from regcache.store.soundness import Pace, Reading, Soundness, at_once
from regcache.store.spooled import Backlog, SpooledFile
from regcache.store.sync import FileSystem, SyncQueue


def _ignore(*_: object) -> None:
    """Do nothing: the default of callbacks."""


@implementer(IBlobStore)
class BlobStore:
    """The folders blobs/ and partial/. See :class:`~regcache.interfaces.IBlobStore`.

    :param clock: for the delay of syncs.
    :param paths: prepared already.
    :param boot_id: see :func:`~regcache.store.partial_names.read_boot_id`.
    :param changed: called when content was stored or removed, with its digest, and with how many
        more bytes of disk are used now, in whole blocks, and whether no download claimed them.
    :param parked: called with each change of the bytes that partial files take which are not open.
    :param damaged: called with digest and size of damaged content; it is removed, if possible.
    :param reading: what is verified when it is read.
    :param system: the open file system, so that one call syncs many files; else each is by itself.
    :param later: see :class:`~regcache.store.shared_jobs.SharedJobs`.
    :ivar held: contents of which nobody is given the name, while it is decided whether they go.
    :ivar removals: which contents were removed, or are about to be.
    :ivar backlog: content in memory that was sent to clients, and is not stored yet.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        pool: IWorkPool,
        paths: StorePaths,
        *,
        boot_id: str,
        changed: Callable[[Digest, int, bool], None] = _ignore,
        parked: Callable[[int], None] = _ignore,
        damaged: Callable[[Digest, int], None] = _ignore,
        reading: Reading = Reading.SMALL,
        system: FileSystem | None = None,
        later: Later | None = None,
    ) -> None:
        self._pool = pool
        self._changed, self._damaged = changed, damaged
        cached = CachedReads(seconds=clock.seconds)
        system = system or FileSystem(paths.directory)
        self._names = ContentNames(
            pool, paths, stored=self._kept, removed=self._removed, later=later
        )
        self.held = HeldContents(self._names, self.changing)
        leaving, self.removals = self._names.leaving, self._names.removals
        is_leaving, lost = leaving.__contains__, self._not_synced
        self._syncs = SyncQueue(clock, pool, paths, system, is_leaving=is_leaving, lost=lost)
        self.soundness = Soundness(self._syncs.__contains__, reading, clock)
        self._contents = ContentLookUp(
            pool, paths, cached, self.soundness, leaving=leaving, lost=self._lost, later=later
        )
        self.backlog = Backlog()
        self._partials = PartialFiles(
            clock,
            pool,
            paths,
            boot_id=boot_id,
            cached=cached,
            leaving=leaving,
            committed=partial(self._stored, unclaimed=False),
            changed=parked,
        )

    def look_up(
        self,
        digest: Digest,
        size: int | None,
        described: int | None = None,
        upstream: UpstreamIdentity | None = None,
    ) -> "Deferred[Found]":
        """Open complete, verified content, or find out whether there is a partial file.

        Content that has another size than the index says is damaged; it is removed. Fails with
        OSError.

        :param size: by the index (bytes); None if it does not know the content. Then that is
            hashed ...
        :param described: ... unless it has this size, which a manifest states (bytes).
        :param upstream: the one whose partial file is looked for.
        """
        return self._contents.look_up(partial_keys(digest, upstream)[0], size, described)

    def load(self, digest: Digest, limit: int, size: int | None) -> "Deferred[bytes | None]":
        """Read small content whole and verify it; None if absent, damaged or over ``limit``.

        :param size: as for :meth:`look_up`, which fails in the same way.
        """
        return self._contents.load(digest, limit, size)

    def verify(
        self,
        digest: Digest,
        size: int | None,
        pool: IWorkPool | None = None,
        pace: Pace = at_once,
    ) -> "Deferred[Verified]":
        """Hash stored content; damaged content is removed, and told of. Fails with OSError.

        :param pool: where it is read and hashed; None: as all else.
        """
        verifying = self._contents.verify(digest, size, pool or self._pool, pace)
        return handed_over(Deferred.fromCoroutine(verifying))

    def keep(self, digest: Digest, content: bytes) -> "Deferred[None]":
        """Store small content. Fails with ValueError if it has another digest, and with OSError."""
        return self._names.keep(digest, content)

    def remove(self, digest: Digest) -> "Deferred[bool]":
        """Delete complete content. Gives whether there was any. Fails with OSError."""
        return self._names.remove(digest)

    def occupied(self, digests: Sequence[Digest]) -> "Deferred[int]":
        """How much of the disk the files of some contents take. Fails with OSError."""
        return self._names.occupied(digests)

    def begin_eviction(self, digest: Digest) -> bool:
        """Let requests for content wait until ``held.end``; False if it is in use."""
        is_open = digest in self._contents or self._partials.is_read_on(digest)
        return not (is_open or self._syncs.holds(digest)) and self.held.begin(digest)

    def open_partial(
        self, digest: Digest, upstream: UpstreamIdentity | None = None, fresh: bool = False
    ) -> "Deferred[IPartialFile]":
        """Open the partial file of an earlier attempt at the same upstream, or begin a new one.

        Fails with OSError, and with PartialInUseError while it is in use.

        :param fresh: whether there is none from before: then begin in memory.
        """
        if not fresh:
            return self._partials.open(digest, upstream)  # type: ignore[return-value]
        begin_file = partial(self._partials.open, digest, upstream)
        return succeed(SpooledFile(digest, begin_file, self.keep, self.backlog))

    def sweep_partials(self, before: float, upstream: str = "") -> "Deferred[int]":
        """Remove partial files that are closed and older. Gives the bytes that it freed."""
        return self._partials.sweep(before, upstream)

    def old_partials(self, before: float, upstream: str = "") -> "Deferred[PartialSums]":
        """What :meth:`sweep_partials` would remove. Fails with OSError."""
        return self._partials.sums(before, upstream)

    def reading(self) -> Iterator[Digest]:
        """The digests of contents that are being read or opened."""
        return iter(self._contents)

    def changing(self) -> Iterator[Digest]:
        """The digests of contents that are being stored or removed."""
        return chain(self._names, self._partials.under_commit)

    def parked_for(self, digest: Digest) -> "Deferred[set[Repository]]":
        """For which repositories partial files of a digest were fetched that are not open."""
        return self._partials.sources(digest)

    def remove_partials(self, digest: Digest) -> "Deferred[int]":
        """Remove the partial files of a digest that are not open. Gives the bytes that it freed."""
        return self._partials.remove(digest)

    def sync(self) -> "Deferred[None]":
        """Bring everything that is complete to the disk now."""
        return self._syncs.flush()

    def close(self) -> "Deferred[None]":
        """Bring everything that is complete to the disk, and stop. The pool must still run."""
        return self._syncs.close()

    def _kept(self, digest: Digest, size: int, replaced: int) -> None:
        """Small content was stored. It may belong to a claim: then it counts twice for a second."""
        self._stored(digest, size, replaced, unclaimed=True)

    def _stored(self, digest: Digest, size: int, replaced: int, *, unclaimed: bool) -> None:
        """Verified content has got its final name."""
        self._contents.forget(digest)
        self._syncs.add(digest)
        self._changed(digest, in_blocks(size) - in_blocks(replaced), unclaimed)

    def _removed(self, digest: Digest, size: int | None) -> None:
        """Content has lost its name, if it had one."""
        self._syncs.discard(digest)
        self._contents.forget(digest)
        if size is not None:
            self._changed(digest, -in_blocks(size), False)

    def _not_synced(self, digest: Digest, size: int) -> None:
        self.log.error(
            "stored content was removed, since the disk refused to take it: {digest}",
            digest=str(digest),
        )
        self._lost(digest, size, removed=True)

    def _lost(self, digest: Digest, size: int, removed: bool) -> None:
        self._contents.forget(digest)
        if removed:
            self._changed(digest, -in_blocks(size), False)
        self._damaged(digest, size)
