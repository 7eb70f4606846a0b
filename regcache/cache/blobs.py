"""Blobs: from the cache, from a download that runs, from a new one, or relayed.

The order in which a request for a blob is decided:

1. The repository may be shown at all (private images). Small blobs of which memory knows the
   content and the right are a hit at once.
2. A download of this upstream runs, and nobody has stored the blob meanwhile; the repository
   has the right to it, or proves it: joined.
3. Stored, likewise: a hit.
4. Another upstream's download is verified, and the repository has the right to it: joined.
5. Otherwise a download begins; the upstream's 200, and bytes that have the digest, are the
   proof. They replace what may be stored.
6. What cannot be stored is relayed.

Each question of the index, the disk or the upstream takes its time, in which a download may
begin and end. So after each of them the table of downloads is looked at again, and where one
has ended all of it is.
"""

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime

from regcache.cache.download.context import BlobSource, Fetched, NotStoredError
from regcache.cache.download.download import Download
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.download.reader import Reader
from regcache.cache.download.relay import Relays
from regcache.cache.freshness import takes_back
from regcache.cache.opened import BlobHead, OpenBlob, in_memory
from regcache.cache.policy import ServedRepository
from regcache.cache.sight.proofs import agrees, is_page
from regcache.cache.sight.rights import Rights, holds_on
from regcache.cache.sight.visibility import Visibility
from regcache.cache.small_blobs import SmallBlobs
from regcache.cache.status import CacheStatus, asked, collapsed, described, hit, miss, relayed
from regcache.cache.stored_blobs import StoredBlobs
from regcache.digests import Digest
from regcache.errors import DeniedError, UpstreamBadAnswer, UpstreamFailure
from regcache.facts import ContentFacts
from regcache.generations import Generations
from regcache.identity import RepositoryContent
from regcache.interfaces import IBlobBody, IBlobStore, ICacheEvents, IIndex

#: Why a blob is relayed that is being fetched through another repository.
NOT_PROVED = "the upstream has not shown that it has it there"


async def record(index: IIndex, fetched: Fetched, clock: IReactorTime) -> None:
    """Tell the index of a blob that a download has stored."""
    await index.record_blob(
        RepositoryContent(fetched.source.repository, fetched.digest),
        fetched.size,
        credentials=fetched.credentials,
        public=fetched.public,
        now=clock.seconds(),
    )


class BlobCache:
    """Opens blobs for requests."""

    def __init__(
        self,
        store: IBlobStore,
        index: IIndex,
        *,
        downloads: DownloadTable,
        rights: Rights,
        visibility: Visibility,
        small: SmallBlobs,
        events: ICacheEvents,
        clock: IReactorTime,
        removed: Generations[Hashable],
    ) -> None:
        """:param removed: what was removed by an operator is not remembered again."""
        self._index = index
        self._downloads = downloads
        self._rights = rights
        self._visibility = visibility
        self._small = small
        self._clock = clock
        self._removed = removed
        self._relays = Relays(downloads, events)
        self._stored = StoredBlobs(
            store=store,
            index=index,
            downloads=downloads,
            rights=rights,
            visibility=visibility,
            small=small,
            events=events,
            clock=clock,
        )

    def open_at_once(self, repository: ServedRepository, digest: Digest) -> OpenBlob | None:
        """Open a small blob if memory knows its content, and the right to it."""
        if not self._visibility.admits_at_once(repository):
            return None
        content = self._small.find(repository, digest)
        if content is None:
            return None
        self._index.touch(digest, self._clock.seconds())
        return in_memory(digest, content)

    async def open(self, repository: ServedRepository, digest: Digest) -> OpenBlob:
        """Open a blob to send it.

        :raises UpstreamFailure: if it is not here and the upstream does not give it.
        :raises RegistryError: if it may not be shown.
        """
        began = self._removed.current
        await self._visibility.admit_blob(repository, digest)
        admitted = self._visibility.admits_fetch_at_once(repository)
        opened = await self._open(repository, digest, admitted)
        try:
            self._visibility.confirm(repository)
        except DeniedError:
            opened.reader.leave()
            raise
        kept = opened.status.outcome != "relay" and not self._removed.concerns(digest, began)
        if opened.content is not None and kept:
            self._small.remember(repository, digest, opened.content)
        return opened

    async def _open(self, repository: ServedRepository, digest: Digest, admitted: bool) -> OpenBlob:
        """Open a blob of a repository whose cached content may be shown.

        :param admitted: more of it may be fetched; otherwise that is found out where it has to be.
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
                return await self._join(running, repository, facts)
            elif not self._downloads.ended.concerns(digest, seen):
                return await self._fetch(repository, digest, facts, fresh)

    async def _fetch(
        self, repository: ServedRepository, digest: Digest, facts: ContentFacts, fresh: bool
    ) -> OpenBlob:
        """Begin a download, or relay; nothing is waited for before.

        :param fresh: no earlier attempt left anything.
        """
        other = self._downloads.verified(digest)
        if other is not None and (
            other.public or self._rights.entitled(facts, repository.upstream)
        ):
            return await self._attend(other, repository, facts, hit(0))
        reason = self._downloads.not_storing(digest)
        if reason:
            return await self._relay(repository, digest, facts, reason)
        source = BlobSource(repository.registry, repository.identity)
        download = self._downloads.begin(digest, source, facts.mentioned_size, fresh)
        return await self._attend(download, repository, facts, miss())

    async def head(self, repository: ServedRepository, digest: Digest) -> BlobHead:
        """The size of a blob, without fetching it.

        :raises UpstreamFailure: if nothing is known of it and the upstream does not say.
        :raises RegistryError: if it may not be shown.
        """
        await self._visibility.admit_blob(repository, digest)
        head = await self._head(repository, digest)
        self._visibility.confirm(repository)
        return head

    async def _head(self, repository: ServedRepository, digest: Digest) -> BlobHead:
        content = self._small.find(repository, digest)
        if content is not None:
            return BlobHead(len(content), hit(0))
        facts = await self._index.content(repository.content(digest))
        entitled = self._rights.entitled(facts, repository.upstream)
        if entitled and await self._stored.holds(repository, digest, facts):
            return BlobHead(facts.size, hit(0))
        known, proved = await self._known_head(repository, digest, facts)
        if known is not None and proved:
            return known
        try:
            return await self._asked_head(repository, digest)
        except UpstreamFailure as failure:
            if known is None or takes_back(failure, repository.policy):
                raise
            return known

    async def _known_head(
        self, repository: ServedRepository, digest: Digest, facts: ContentFacts
    ) -> tuple[BlobHead | None, bool]:
        """What a manifest says of a blob, or an earlier proof of it.

        :returns: besides, whether that holds whatever the upstream says now; otherwise it holds
            while the upstream is away.
        """
        upstream = repository.upstream
        if facts.mentioned_size is not None:
            links = await self._index.mentioning(repository.content(digest))
            if any(holds_on(link, upstream) for link in links):
                proved = any(self._rights.holds(link, upstream) for link in links)
                return BlobHead(facts.mentioned_size, described()), proved
        if facts.size is not None and facts.link is not None and holds_on(facts.link, upstream):
            return BlobHead(facts.size, hit(0)), False
        return None, False

    async def _asked_head(self, repository: ServedRepository, digest: Digest) -> BlobHead:
        await self._visibility.admit_fetch_of_blob(repository, digest)
        head = await self._rights.head_blob(repository, digest)
        if is_page(head, digest):
            raise UpstreamBadAnswer(
                repository.upstream.name, "its answer to HEAD is not that of this blob"
            )
        return BlobHead(head.size, asked())

    async def _join(
        self, running: Download, repository: ServedRepository, facts: ContentFacts
    ) -> OpenBlob:
        """Join a download of the upstream if the repository has, or proves, the right to it.

        No proof is kept before the bytes are verified.
        """
        source, digest = running.task.source, running.task.digest
        # What was verified already is only being put in its place.
        status = hit(0) if running.readers.verified else collapsed()
        if source.repository == repository.identity or running.public:
            return await self._attend(running, repository, facts, status)
        if self._rights.entitled(facts, repository.upstream):
            return await self._attend(running, repository, facts, status)
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
        removed = self._removed.concerns(digest, began)
        if proved and running.readers.verified and not removed:
            content, now = repository.content(digest), self._clock.seconds()
            await self._index.record_link(content, head.credentials, now)
        return proved

    async def _attend(
        self,
        download: Download,
        repository: ServedRepository,
        facts: ContentFacts,
        status: CacheStatus,
    ) -> OpenBlob:
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
        """Wait until the answer may begin; relay what turns out not to be stored."""
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
        return OpenBlob(reader, status, running.readers.content)

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
        return OpenBlob(relay, relayed())
