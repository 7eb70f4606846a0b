"""Blobs: from the cache, from a download that runs, from a new one, or relayed.

The order in which a request for a blob is decided:

1. The repository may be shown at all (private images), and the blob is not one of images that
   are too large. Small blobs of which memory knows the content and the right are a hit at once.
2. A download of this upstream is running, and no other one has stored the blob meanwhile; the
   repository has the right to it, or proves it: joined.
3. Stored, likewise: a hit.
4. Another upstream's download is verified, and the repository has the right to it: joined.
5. Otherwise a download begins; the upstream's 200, and bytes that have the digest, are the
   proof. They replace what may be stored.
6. What cannot be stored is relayed.

A download may begin or end while the index, the disk or the upstream is being asked. So the
table of downloads is read again after each such wait. If a download of the digest has ended
meanwhile, all steps are taken again.
"""

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime

from regcache.cache.blob_heads import BlobHeads
from regcache.cache.download.context import Fetched
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.fetched_blobs import FetchedBlobs
from regcache.cache.forgetting import is_removed
from regcache.cache.image_sizes import ImageSizes
from regcache.cache.opened import BlobHead, OpenBlob, in_memory
from regcache.cache.policy import ServedRepository
from regcache.cache.sight.visibility import Visibility
from regcache.cache.small_blobs import SmallBlobs
from regcache.cache.stored_blobs import StoredBlobs
from regcache.digests import Digest
from regcache.errors import DeniedError
from regcache.generations import Generations
from regcache.identity import RepositoryContent
from regcache.interfaces import IIndex


async def record(index: IIndex, fetched: Fetched, clock: IReactorTime) -> None:
    """Tell the index of a blob that a download has stored."""
    await index.record_blob(
        RepositoryContent(fetched.source.repository, fetched.digest),
        fetched.size,
        credentials=fetched.credentials,
        public=fetched.public,
        now=clock.seconds(),
        began=fetched.began,
    )


class BlobCache:
    """Opens blobs for requests."""

    def __init__(
        self,
        index: IIndex,
        *,
        downloads: DownloadTable,
        stored: StoredBlobs,
        fetched: FetchedBlobs,
        heads: BlobHeads,
        visibility: Visibility,
        small: SmallBlobs,
        sizes: ImageSizes,
        removed: Generations[Hashable],
    ) -> None:
        """:param removed: what operators removed. Requests that began before do not keep it."""
        self._index = index
        self._downloads = downloads
        self._stored = stored
        self._fetched = fetched
        self._heads = heads
        self._visibility = visibility
        self._small = small
        self._sizes = sizes
        self._removed = removed

    def open_at_once(self, repository: ServedRepository, digest: Digest) -> OpenBlob | None:
        """Open a small blob if memory knows its content, and the right to it."""
        content = self._small.find(repository, digest)
        limited = repository.upstream.policy.image_size is not None
        if content is None or limited or not self._visibility.admits_at_once(repository):
            return None
        return in_memory(digest, content)

    async def open(self, repository: ServedRepository, digest: Digest) -> OpenBlob:
        """Open a blob to send it.

        :raises UpstreamFailure: if it is not here and the upstream does not give it.
        :raises RegistryError: if it may not be shown.
        """
        began = self._removed.current
        await self._visibility.admit_blob(repository, digest)
        await self._sizes.check(repository, digest)
        admitted = self._visibility.admits_fetch_at_once(repository)
        opened = await self._open(repository, digest, admitted)
        try:
            self._visibility.confirm(repository)
        except DeniedError:
            opened.reader.leave()
            raise
        if opened.content is None or opened.status.outcome == "relay":
            return opened
        if not is_removed(self._removed, repository.content(digest), began):
            self._small.remember(repository, digest, opened.content)
        return opened

    async def _open(self, repository: ServedRepository, digest: Digest, admitted: bool) -> OpenBlob:
        """Open a blob of a repository whose cached content may be shown.

        :param admitted: whether more of it may be fetched. If False, this is found out before
            anything is fetched.
        """
        upstream = repository.identity.upstream
        while True:
            seen = self._downloads.ended.current
            facts = await self._index.content(repository.content(digest))
            running = await self._downloads.find(digest, upstream)
            fresh = False
            if running is None or running.closing.superseded:
                opened, fresh = await self._stored.open(repository, digest, facts, seen)
                if opened is not None:
                    return opened
                running = await self._downloads.find(digest, upstream)
            if not admitted:
                await self._visibility.admit_fetch_of_blob(repository, digest)
                admitted = True
            elif running is not None:
                return await self._fetched.join(running, repository, facts)
            elif not self._downloads.ended.concerns(digest, seen):
                return await self._fetched.fetch(repository, digest, facts, fresh)

    async def head(self, repository: ServedRepository, digest: Digest) -> BlobHead:
        """The size of a blob, without fetching it.

        :raises UpstreamFailure: if nothing is known of it and the upstream does not say.
        :raises RegistryError: if it may not be shown.
        """
        await self._visibility.admit_blob(repository, digest)
        await self._sizes.check(repository, digest)
        head = await self._heads.find(repository, digest)
        self._visibility.confirm(repository)
        return head
