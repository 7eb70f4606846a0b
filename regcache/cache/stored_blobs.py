"""Stored blobs: opened for repositories that have the right to them, or prove it."""

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.cache.checked_source import source_of
from regcache.cache.download.context import WITHHELD
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.download.reader import Reader
from regcache.cache.opened import OpenBlob, in_memory
from regcache.cache.policy import ServedRepository, ServedUpstream
from regcache.cache.sight.rights import NotProvedError, Rights
from regcache.cache.sight.visibility import Visibility
from regcache.cache.small_blobs import SmallBlobs
from regcache.cache.status import hit
from regcache.digests import Digest
from regcache.facts import ContentFacts
from regcache.interfaces import Found, IBlobStore, ICacheEvents, IContentFile, IIndex
from regcache.open_files import EXHAUSTED


class StoredBlobs:
    """Opens blobs on the disk, and small ones in memory."""

    _log = Logger()

    def __init__(
        self,
        *,
        store: IBlobStore,
        index: IIndex,
        downloads: DownloadTable,
        rights: Rights,
        visibility: Visibility,
        small: SmallBlobs,
        events: ICacheEvents,
        clock: IReactorTime,
    ) -> None:
        self._store = store
        self._index = index
        self._downloads = downloads
        self._rights = rights
        self._visibility = visibility
        self._small = small
        self._events = events
        self._clock = clock

    async def open(
        self, repository: ServedRepository, digest: Digest, facts: ContentFacts, seen: int
    ) -> tuple[OpenBlob | None, bool]:
        """Open a stored blob.

        :param seen: how many downloads had ended when the index was asked for ``facts``.
        :returns: the blob, or None if it is not there, or its right is not proved; and whether
            no partial file is known to be there.
        """
        if facts.size is not None and facts.size <= WITHHELD:
            small = await self._load_small(repository.upstream, digest, facts)
            if small is not None:
                return small, True
        removed = self._store.removals.current
        found = await self._look_up(repository, digest, facts)
        if found is None:
            return None, True
        if found.file is None:
            if facts.size is not None and not self._downloads.ended.concerns(digest, seen):
                await self._index.forget_content(digest)
            return None, not found.partial
        try:
            return await self._open_file(repository, facts, found, removed), False
        except BaseException:
            found.file.close()
            raise

    async def _look_up(
        self, repository: ServedRepository, digest: Digest, facts: ContentFacts
    ) -> Found | None:
        """What is stored. If the disk fails, None, which is a miss as well."""
        upstream = repository.identity.upstream
        try:
            return await self._store.look_up(digest, facts.size, facts.mentioned_size, upstream)
        except OSError as error:
            self._unreadable(digest, error)
            return None

    def _unreadable(self, digest: Digest, error: OSError) -> None:
        """Log a fault of the disk. :raises OSError: the same, if only descriptors are lacking."""
        if error.errno in EXHAUSTED:
            raise error
        self._events.storage_error()
        self._log.warn("reading {digest} failed: {error}", digest=digest, error=error)

    async def holds(
        self, repository: ServedRepository, digest: Digest, facts: ContentFacts
    ) -> bool:
        """Whether there is a file as the index describes it."""
        if facts.size is None:
            return False
        found = await self._look_up(repository, digest, facts)
        if found is None or found.file is None:
            return False
        found.file.close()
        return True

    async def _load_small(
        self, upstream: ServedUpstream, digest: Digest, facts: ContentFacts
    ) -> OpenBlob | None:
        """The whole of a small blob that is stored; None if its right needs a proof."""
        if not self._rights.entitled(facts, upstream):
            return None
        content = self._small.get(digest)
        if content is None:
            try:
                content = await self._store.load(digest, WITHHELD, facts.size)
            except OSError as error:
                self._unreadable(digest, error)
        if content is None:
            return None
        return in_memory(digest, content)

    async def _open_file(
        self,
        repository: ServedRepository,
        facts: ContentFacts,
        found: Found,
        removed: int,
    ) -> OpenBlob | None:
        """A hit; None if the right is not proved, so that the upstream has to send the blob.

        :param removed: how much had been removed from the disk when the file was opened.
        """
        file = found.file
        assert file is not None
        digest = file.digest
        if not self._rights.entitled(facts, repository.upstream):
            # A download that stored it meanwhile may have given the right, too.
            facts = await self._index.content(repository.content(digest))
        if not self._rights.entitled(facts, repository.upstream):
            upstream = repository.identity.upstream
            if await self._downloads.find(digest, upstream) is not None:
                file.close()  # the download gives its bytes, or is about to be recorded
                return None
            if facts.link is None:
                # The proof asks for something new with our credentials.
                await self._visibility.admit_fetch_of_blob(repository, digest)
            try:
                await self._rights.prove_blob(repository, facts, file)
            except NotProvedError:
                file.close()
                return None
        if facts.size is None and self._store.held.is_named(digest, removed):
            await self._adopt(file)
        return OpenBlob(Reader(source_of(file, found.checking)), hit(0))

    async def _adopt(self, file: IContentFile) -> None:
        """Record content that the index does not know, now that a right was found or proved."""
        digest, size = file.digest, file.size or 0
        try:
            await self._index.record_stored(digest, size, self._clock.seconds())
        except OSError as error:
            self._log.warn("noting {digest} failed: {why}", digest=digest, why=error)
