"""Blobs whose bytes come from an upstream: by joining a download, by a new one, or relayed."""

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime

from regcache.cache.download.context import BlobSource, NotStoredError
from regcache.cache.download.download import Download
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.download.reader import Reader
from regcache.cache.download.relays import Relays
from regcache.cache.forgetting import is_removed
from regcache.cache.opened import OpenBlob
from regcache.cache.policy import ServedRepository
from regcache.cache.sight.proofs import agrees
from regcache.cache.sight.rights import Rights, is_for_all
from regcache.cache.sight.visibility import Visibility
from regcache.cache.status import CacheStatus, collapsed, hit, miss, relayed
from regcache.digests import Digest
from regcache.facts import ContentFacts
from regcache.generations import Generations
from regcache.interfaces import IBlobBody, IIndex

#: Why a blob is relayed although another repository is downloading it.
NOT_PROVED = "the upstream has not shown that it has it there"


class FetchedBlobs:
    """Opens blobs whose bytes come from an upstream, for repositories that may be shown."""

    def __init__(
        self,
        index: IIndex,
        *,
        downloads: DownloadTable,
        rights: Rights,
        visibility: Visibility,
        relays: Relays,
        clock: IReactorTime,
        removed: Generations[Hashable],
    ) -> None:
        """:param removed: what operators removed. Requests that began before do not record it."""
        self._index = index
        self._downloads = downloads
        self._rights = rights
        self._visibility = visibility
        self._clock = clock
        self._removed = removed
        self._relays = relays

    async def fetch(
        self, repository: ServedRepository, digest: Digest, facts: ContentFacts, fresh: bool
    ) -> OpenBlob:
        """Begin a download, without waiting for anything first. Relay what cannot be stored.

        If another upstream's download is verified already, it is joined instead.

        :param fresh: whether no earlier attempt left a partial file.
        :raises UpstreamFailure: if the upstream does not give it.
        """
        other = self._downloads.verified(digest)
        if other is not None and (
            (is_for_all(other.public, repository.upstream) and not facts.withdrawn)
            or self._rights.entitled(facts, repository.upstream)
        ):
            return await self._open(other, repository, facts, hit(0))
        reason = self._downloads.not_storing(digest)
        if reason:
            return await self._relay(repository, digest, facts, reason)
        source = BlobSource(repository.registry, repository.identity)
        download = self._downloads.begin(digest, source, facts.mentioned_size, fresh)
        return await self._open(download, repository, facts, miss())

    async def join(
        self, running: Download, repository: ServedRepository, facts: ContentFacts
    ) -> OpenBlob:
        """Join a download of the upstream, if the repository has or proves the right to the blob.

        Otherwise relay the blob. No proof is recorded before the bytes are verified.

        :raises UpstreamFailure: if the upstream does not give it, or gives no proof.
        """
        source, digest = running.task.source, running.task.digest
        # Once verified, the content is only being renamed and recorded: that is a hit.
        status = hit(0) if running.readers.verified else collapsed()
        public = is_for_all(running.public, repository.upstream) and not facts.withdrawn
        if source.repository == repository.identity or public:
            return await self._open(running, repository, facts, status)
        if self._rights.entitled(facts, repository.upstream):
            return await self._open(running, repository, facts, status)
        reader = running.join()
        try:
            proved = await self._prove(running, repository, facts)
        except BaseException:
            reader.leave()
            raise
        if not proved:
            reader.leave()
            return await self._relay(repository, digest, facts, NOT_PROVED)
        return await self._wait(running, reader, repository, facts=facts, status=status)

    async def _prove(
        self, running: Download, repository: ServedRepository, facts: ContentFacts
    ) -> bool:
        """Whether the upstream says that the repository has what is being fetched."""
        digest, began = running.task.digest, self._removed.current
        size = facts.mentioned_size if running.size is None else running.size
        head = await self._rights.head_to_join(repository, digest, size)
        proved = agrees(head, digest, size)
        content = repository.content(digest)
        removed = is_removed(self._removed, content, began)
        if proved and running.readers.verified and not removed:
            now = self._clock.seconds()
            await self._index.record_link(content, head.credentials, now, began=began)
        return proved

    async def _open(
        self,
        download: Download,
        repository: ServedRepository,
        facts: ContentFacts,
        status: CacheStatus,
    ) -> OpenBlob:
        """Join a download, and wait until the answer may begin."""
        reader = download.join()
        return await self._wait(download, reader, repository, facts=facts, status=status)

    async def _wait(
        self,
        running: Download,
        reader: Reader,
        repository: ServedRepository,
        *,
        facts: ContentFacts,
        status: CacheStatus,
    ) -> OpenBlob:
        """Wait until the answer may begin. If the blob cannot be stored, relay it."""
        try:
            await reader.ready()
        except NotStoredError as error:
            reader.leave()
            body = error.take_body()
            return await self._relay(repository, running.task.digest, facts, str(error), body=body)
        except BaseException:
            reader.leave()
            raise
        status = status if running.target.stored else relayed()
        return OpenBlob(reader, status, running.readers.content, running.task.timings)

    async def _relay(
        self,
        repository: ServedRepository,
        digest: Digest,
        facts: ContentFacts,
        reason: str,
        *,
        body: IBlobBody | None = None,
    ) -> OpenBlob:
        if body is None:
            await self._visibility.admit_fetch_of_blob(repository, digest)
        relay = await self._relays.open(
            digest,
            BlobSource(repository.registry, repository.identity),
            expected_size=facts.mentioned_size,
            reason=reason,
            body=body,
        )
        return OpenBlob(relay, relayed(too_big=self._relays.is_too_big(relay.size)))
