"""The table of running downloads. For each upstream and digest there is at most one.

Requests for a digest join its download, at any offset. An entry stays until the file is stored,
saved or removed, so two downloads never use the same partial file.

Until content is verified it may be wrong, or be private to one upstream. So each upstream has a
download of its own for a digest. The first that is verified is stored. The others go on for their
readers, and then only record the right to it.
"""

import errno
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from regcache.bounded import BoundedTable
from regcache.cache.download.context import BlobSource, DownloadContext, DownloadTask, Fetched
from regcache.cache.download.distrusted_urls import DistrustedUrls
from regcache.cache.download.download import Download
from regcache.cache.download.progress import Progress, progress_of
from regcache.cache.forgetting import Forgotten, Kind
from regcache.digests import Digest
from regcache.errors import ServiceUnavailableError, UpstreamWrongBytes
from regcache.generations import Generations
from regcache.identity import UpstreamIdentity
from regcache.interfaces import IRegistry, NoRoomError

#: Why a blob is relayed then.
STORAGE_FAILED = "the disk refused a write"
#: After a write was refused, new blobs are relayed for this long (seconds).
STORAGE_REST = 30.0
#: A blob that was found to be too large while it was fetched is relayed for this long (seconds) ...
OUTGROWN_REST = 600.0
#: ... if there are no more of them than this.
MOST_REFUSED = 1000
#: What a manifest says of a size is not believed for this long after answers contradicted it
#: (seconds); if there are more digests than ``MOST_REFUSED``, for the latest of them.
WRONG_SIZE_REST = 600.0
#: Errors that concern one name only, not the disk.
CONCERNS_ONE = frozenset({errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY, errno.ELOOP, errno.EBUSY})
#: For how many digests it is remembered when their download ended.
MOST_ENDED = 1000


class DownloadTable:
    """Begins downloads, finds running ones, and ends all when the daemon stops.

    :ivar ended: which downloads have ended, for requests that looked into the store meanwhile.
    """

    _log = Logger()

    def __init__(
        self,
        context: DownloadContext,
        distrusted_urls: DistrustedUrls,
        record: Callable[[Fetched], Awaitable[None]],
    ) -> None:
        self.context = context
        self._distrusted_urls = distrusted_urls
        self._record = record
        self._running: dict[Digest, dict[UpstreamIdentity, Download]] = {}
        self._all: dict[DownloadTask, Download] = {}
        self.ended: Generations[Digest] = Generations(MOST_ENDED)
        self._storage_rests_until = 0.0
        self._refused: BoundedTable[Digest, tuple[float, str]] = BoundedTable(MOST_REFUSED)
        self._wrong_sizes: BoundedTable[Digest, bool]
        self._wrong_sizes = BoundedTable(MOST_REFUSED, context.clock)
        self._stopping = False

    def __len__(self) -> int:
        return len(self._all)

    def progress(self) -> list[Progress]:
        """How far each of them is, those that began first before the others."""
        running = [each for by_upstream in self._running.values() for each in by_upstream.values()]
        return sorted(map(progress_of, running), key=lambda each: each.started)

    def count_of(self, upstream: UpstreamIdentity) -> int:
        """How many there are from one upstream."""
        return sum(task.upstream == upstream for task in self._all)

    @property
    def storage_rests(self) -> bool:
        """Whether the disk refused a write so recently that nothing is stored now."""
        return self.context.clock.seconds() < self._storage_rests_until

    def not_storing(self, digest: Digest) -> str:
        """Why a blob must not be stored now; "" if it may."""
        if self.context.space.closed:
            return f"the storage takes nothing: {self.context.space.closed}"
        if self.storage_rests:
            return "the disk refused a write a moment ago"
        until, reason = self._refused.get(digest) or (0.0, "")
        return reason if self.context.clock.seconds() < until else ""

    def _refuse(self, digest: Digest, reason: str, seconds: float) -> None:
        self._refused.put(digest, (self.context.clock.seconds() + seconds, reason))

    def skipped(self, digest: Digest, registry: IRegistry) -> frozenset[int]:
        """The indexes of the URLs that must not be asked for a digest.

        :raises UpstreamWrongBytes: if every URL of the upstream gave wrong bytes lately.
        """
        skip = self._distrusted_urls.skipped(digest, registry.identity, registry.url_count)
        if skip and len(skip) == registry.url_count:
            raise UpstreamWrongBytes(registry.name, "it gave wrong bytes for this digest before")
        return skip

    async def find(self, digest: Digest, upstream: UpstreamIdentity) -> Download | None:
        """The download from an upstream that may be joined. Waits for one that is closing."""
        while (download := self._get(digest, upstream)) is not None and not download.joinable:
            await download.closing.released.wait()
        return download

    def _get(self, digest: Digest, upstream: UpstreamIdentity) -> Download | None:
        by_upstream = self._running.get(digest)
        return None if by_upstream is None else by_upstream.get(upstream)

    def __contains__(self, digest: Digest) -> bool:
        """Whether the content is being fetched from any upstream."""
        return digest in self._running

    def verified(self, digest: Digest) -> Download | None:
        """A download of any upstream whose content is verified, and is being stored."""
        running = self._running.get(digest, {}).values()
        return next((each for each in running if each.joinable and each.readers.verified), None)

    def begin(
        self, digest: Digest, source: BlobSource, expected_size: int | None, fresh: bool
    ) -> Download:
        """Begin a download, when :meth:`find` has just found none.

        :param expected_size: by a manifest (bytes): a hint, where an answer does not state it.
        :param fresh: whether no earlier attempt left a partial file.
        :raises UpstreamWrongBytes: if every URL of the upstream gave wrong bytes lately.
        :raises ServiceUnavailableError: while the daemon stops.
        """
        if self._stopping:
            raise ServiceUnavailableError("the daemon is stopping")
        skip = self.skipped(digest, source.registry)
        task = DownloadTask(
            digest,
            source,
            expected_size=expected_size,
            fresh=fresh,
            skip=skip,
            generation=self.context.removed.current,
            began=self.context.clock.seconds(),
        )
        download = self._all[task] = Download(task, self.context, self)
        self._running.setdefault(digest, {})[task.upstream] = download
        download.begin()
        return download

    def forget(self, message: Forgotten) -> "Deferred[None] | None":
        """Keep nothing of content that was removed; store content again that was lost."""
        if message.kind is not Kind.CONTENT or not isinstance(message.key, Digest):
            return None
        running = list(self._running.get(message.key, {}).values())
        for download in running:
            download.closing.superseded = False
        old = [each for each in running if each.task.generation < message.generation]
        return gatherResults([each.forsake() for each in old]).addCallback(lambda _: None)

    def stop(self) -> "Deferred[None]":
        """End all downloads, and save what they have. Fires when all files are closed."""
        self._stopping = True
        stopping = [download.stop() for download in list(self._all.values())]
        return gatherResults(stopping).addCallback(lambda _: None)

    def stop_unread(self) -> None:
        """End the downloads without readers, which need not go on while the daemon drains."""
        self._stopping = True
        for download in list(self._all.values()):
            if not download.readers:
                download.stop()

    # What a download tells (regcache.cache.download.context.DownloadEvents).

    async def fetched(self, fetched: Fetched) -> None:
        """Verified content is stored: tell the index.

        If it cannot be recorded, it is adopted later, when an upstream proves the right again.
        """
        for download in self._running.get(fetched.digest, {}).values():
            if download.task.source is not fetched.source:
                download.closing.superseded = True
        try:
            await self._record(fetched)
        except OSError as error:
            self._log.warn("noting {digest} failed: {error}", digest=fetched.digest, error=error)
            self.context.events.storage_error()

    def wrong_bytes(
        self, digest: Digest, upstream: UpstreamIdentity, url_index: int, *, page: bool
    ) -> None:
        """One answer, whole, failed its digest; ``page``: it is plainly a page for people."""
        self._distrusted_urls.blame(digest, upstream, url_index, page=page)

    def believed_size(self, digest: Digest, mentioned: int | None) -> int | None:
        """What a manifest says of a size, unless that turned out to be wrong."""
        return None if self._wrong_sizes.get(digest) else mentioned

    def size_is_wrong(self, digest: Digest) -> None:
        """What a manifest says of the size contradicts what the upstream sends."""
        self._log.warn("what a manifest says of the size of {digest} is wrong", digest=digest)
        self._wrong_sizes.put(digest, True, seconds=WRONG_SIZE_REST)

    def storage_failed(self, digest: Digest, error: BaseException | None) -> str:
        """The disk refused something: relay for a while."""
        if isinstance(error, NoRoomError):
            return str(error)
        one = isinstance(error, OSError) and error.errno in CONCERNS_ONE
        self._log.warn(
            "storing {digest} failed: {error}; {what} passed through for {rest} s",
            digest=digest,
            error=error,
            what="it is" if one else "new blobs are",
            rest=int(STORAGE_REST),
        )
        self.context.events.storage_error()
        if one:
            self._refuse(digest, "something else has the name of its file", STORAGE_REST)
        else:
            self._storage_rests_until = self.context.clock.seconds() + STORAGE_REST
        return STORAGE_FAILED

    def outgrew(self, digest: Digest) -> None:
        """Content whose size was not stated is too large: relay it for a while."""
        self._log.warn("{digest} outgrew the space there is for it", digest=digest)
        self._refuse(digest, "it outgrew the space there was for it", OUTGROWN_REST)

    def released(self, task: DownloadTask) -> None:
        """The next download of this digest may begin."""
        by_upstream = self._running[task.digest]
        del by_upstream[task.upstream]
        if not by_upstream:
            del self._running[task.digest]
        self.ended.advance(task.digest)

    def over(self, task: DownloadTask) -> None:
        """The download is over."""
        del self._all[task]
