"""Blobs that are stored: opened for who has the right to them, or proves it."""

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.cache.download.context import WITHHELD
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.download.reader import FileSource, Reader
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
    """Opens what is on the disk, and small content that memory holds."""

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
        """The stored blob; None if it is not there any more, or not provably this one's.

        :param seen: how many downloads had ended when the index was asked for ``facts``.
        :returns: besides, whether an earlier attempt left nothing, as far as is known.
        """
        small = await self._load_small(repository.upstream, digest, facts)
        if small is not None:
            return small, True
        found = await self._look_up(repository, digest, facts)
        if found is None:
            return None, True
        if found.file is None:
            if facts.size is not None and not self._downloads.ended.concerns(digest, seen):
                await self._index.forget_content(digest)
            return None, not found.partial
        try:
            return await self._open_file(repository, digest, facts, found.file), False
        except BaseException:
            found.file.close()
            raise

    async def _look_up(
        self, repository: ServedRepository, digest: Digest, facts: ContentFacts
    ) -> Found | None:
        """What is stored; None, which is a miss as well, where the disk does not say it."""
        upstream = repository.identity.upstream
        try:
            return await self._store.look_up(digest, facts.size, facts.mentioned_size, upstream)
        except OSError as error:
            self._unreadable(digest, error)
            return None

    def _unreadable(self, digest: Digest, error: OSError) -> None:
        """:raises OSError: the same, if it says nothing of the disk."""
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
        """A small blob that is stored and needs no proof, whole."""
        if (
            facts.size is None
            or facts.size > WITHHELD
            or not self._rights.entitled(facts, upstream)
        ):
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
        digest: Digest,
        facts: ContentFacts,
        file: IContentFile,
    ) -> OpenBlob | None:
        """A hit; None where the upstream has to give it itself, whole."""
        if not self._rights.entitled(facts, repository.upstream):
            # Whoever stored it since we asked may have proved what is to be proved.
            facts = await self._index.content(repository.content(digest))
        if not self._rights.entitled(facts, repository.upstream):
            upstream = repository.identity.upstream
            if await self._downloads.find(digest, upstream) is not None:
                file.close()  # its bytes, or the index's word on them, are on their way
                return None
            if facts.link is None:
                # To have it proved is to ask for something new with our credentials.
                await self._visibility.admit_fetch_of_blob(repository, digest)
            try:
                await self._rights.prove_blob(repository, facts, file)
            except NotProvedError:
                file.close()
                return None
        if facts.size is None:
            await self._adopt(file)
        return OpenBlob(Reader(FileSource(file)), hit(0))

    async def _adopt(self, file: IContentFile) -> None:
        """Note content whose entry in the index was lost, now that a right was found or proved."""
        digest, size = file.digest, file.size or 0
        try:
            await self._index.record_stored(digest, size, self._clock.seconds())
        except OSError as error:
            self._log.warn("noting {digest} failed: {why}", digest=digest, why=error)
