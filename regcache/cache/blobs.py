"""Blobs: from the cache, from a download that runs, from a new one, or relayed.

The order in which a request for a blob is decided:

1. The repository may be shown at all (private images). Small blobs of which memory knows the
   content and the right are a hit at once.
2. Stored, and the repository has the right to it or proves it: a hit.
3. A download runs, likewise: joined.
4. Otherwise a download begins; the upstream's 200 is the proof.
5. What cannot be stored, or whose right is not proved by the upstream's word, is relayed.
"""

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.cache.download.context import WITHHELD, BlobSource, Fetched, NotStoredError
from regcache.cache.download.download import Download
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.download.reader import FileSource, Reader
from regcache.cache.download.relay import Relays
from regcache.cache.freshness import takes_back
from regcache.cache.opened import BlobHead, OpenBlob, in_memory
from regcache.cache.policy import ServedRepository, ServedUpstream
from regcache.cache.sight.proofs import agrees, is_page
from regcache.cache.sight.rights import NotProvedError, Rights, holds_on
from regcache.cache.sight.visibility import Visibility
from regcache.cache.small_blobs import SmallBlobs
from regcache.cache.status import CacheStatus, asked, collapsed, described, hit, miss, relayed
from regcache.digests import Digest
from regcache.errors import DeniedError, UpstreamBadAnswer, UpstreamFailure
from regcache.facts import ContentFacts
from regcache.identity import RepositoryContent
from regcache.interfaces import (
    Found,
    IBlobBody,
    IBlobStore,
    ICacheEvents,
    IContentFile,
    IIndex,
)
from regcache.open_files import EXHAUSTED

#: Why a blob is relayed that is stored, or being fetched, for somebody else.
NOT_PROVED = "the upstream has not shown that it has what another one gave"
NOT_VERIFIED = "it is being fetched from another upstream, and not verified yet"


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

    _log = Logger()

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
    ) -> None:
        self._small = small
        self._store = store
        self._index = index
        self._downloads = downloads
        self._rights = rights
        self._visibility = visibility
        self._events = events
        self._relays = Relays(downloads, events)
        self._clock = clock

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
        await self._visibility.admit_blob(repository, digest)
        admitted = self._visibility.admits_fetch_at_once(repository)
        opened = await self._open(repository, digest, admitted)
        try:
            self._visibility.confirm(repository)
        except DeniedError:
            opened.reader.leave()
            raise
        if opened.content is not None and opened.status.outcome != "relay":
            self._small.remember(repository, digest, opened.content)
        return opened

    async def _open(self, repository: ServedRepository, digest: Digest, admitted: bool) -> OpenBlob:
        """Open a blob of a repository whose cached content may be shown.

        :param admitted: more of it may be fetched; otherwise that is found out where it has to be.
        """
        facts = await self._index.content(repository.content(digest))
        running = await self._downloads.find(digest)
        resumes = False
        if running is None:
            opened, resumes = await self._open_stored(repository, digest, facts)
            if opened is not None:
                return opened
            running = await self._downloads.find(digest)
        if not admitted:
            await self._visibility.admit_fetch_of_blob(repository, digest)
            # That took its time, so all of the above is to be looked at again.
            return await self._open(repository, digest, True)
        if running is not None:
            return await self._join(running, repository, facts)
        reason = self._downloads.not_storing(digest)
        if reason:
            return await self._relay(repository, digest, facts, reason)
        source = BlobSource(repository.registry, repository.identity)
        download = self._downloads.begin(digest, source, facts.mentioned_size, resumes)
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
        if entitled and await self._is_stored(digest, facts):
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

    async def _open_stored(
        self, repository: ServedRepository, digest: Digest, facts: ContentFacts
    ) -> tuple[OpenBlob | None, bool]:
        """The stored blob; None if it is not there any more, or not provably this one's.

        :returns: besides, whether a part of it is there.
        """
        small = await self._load_small(repository.upstream, digest, facts)
        if small is not None:
            return small, False
        found = await self._look_up(digest, facts)
        if found is None:
            return None, False
        if found.file is None:
            if facts.size is not None:
                await self._index.forget_content(digest)
            return None, found.partial
        if self._downloads.runs(digest):  # stored since we asked; the index is about to know
            found.file.close()
            return None, False
        try:
            return await self._open_file(repository, digest, facts, found.file), False
        except BaseException:
            found.file.close()
            raise

    async def _look_up(self, digest: Digest, facts: ContentFacts) -> Found | None:
        """What is stored; None, which is a miss as well, where the disk does not say it."""
        try:
            return await self._store.look_up(digest, facts.size, facts.mentioned_size)
        except OSError as error:
            self._unreadable(digest, error)
            return None

    def _unreadable(self, digest: Digest, error: OSError) -> None:
        """:raises OSError: the same, if it says nothing of the disk."""
        if error.errno in EXHAUSTED:
            raise error
        self._events.storage_error()
        self._log.warn("reading {digest} failed: {error}", digest=digest, error=error)

    async def _is_stored(self, digest: Digest, facts: ContentFacts) -> bool:
        """Whether there is a file as the index describes it."""
        if facts.size is None:
            return False
        found = await self._look_up(digest, facts)
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
        self._index.touch(digest, self._clock.seconds())
        return in_memory(digest, content)

    async def _open_file(
        self,
        repository: ServedRepository,
        digest: Digest,
        facts: ContentFacts,
        file: IContentFile,
    ) -> OpenBlob:
        if not self._rights.entitled(facts, repository.upstream):
            # Whoever stored it since we asked may have proved what is to be proved.
            facts = await self._index.content(repository.content(digest))
        if not self._rights.entitled(facts, repository.upstream):
            if facts.link is None:
                # To have it proved is to ask for something new with our credentials.
                await self._visibility.admit_fetch_of_blob(repository, digest)
            try:
                await self._rights.prove_blob(repository, facts, file)
            except NotProvedError:
                file.close()
                return await self._relay(repository, digest, facts, NOT_PROVED)
        if facts.size is None:
            await self._adopt(file)
        self._index.touch(digest, self._clock.seconds())
        return OpenBlob(Reader(FileSource(file)), hit(0))

    async def _adopt(self, file: IContentFile) -> None:
        """Note content whose entry in the index was lost, now that a right was found or proved."""
        digest, size = file.digest, file.size or 0
        try:
            await self._index.record_stored(digest, size, self._clock.seconds())
        except OSError as error:
            self._log.warn("noting {digest} failed: {why}", digest=digest, why=error)

    async def _join(
        self, running: Download, repository: ServedRepository, facts: ContentFacts
    ) -> OpenBlob:
        """Join a download if the repository has, or proves, the right to its bytes.

        Before they are verified they are the word of the upstream that gives them: none of
        another upstream's clients waits for it, or gets them, and no proof is kept.
        """
        source, verified = running.task.source, running.readers.verified
        # What was verified already is only being put in its place.
        status = hit(0) if verified else collapsed()
        same = source.repository.upstream == repository.identity.upstream
        if not (same or verified):
            return await self._relay(repository, running.task.digest, facts, NOT_VERIFIED)
        if source.repository == repository.identity or running.public:
            return await self._attend(running, repository, facts, status)
        if self._rights.entitled(facts, repository.upstream):
            return await self._attend(running, repository, facts, status)
        if not same:
            # What another upstream gives is not this one's until it shows that it has it.
            return await self._relay(repository, running.task.digest, facts, NOT_PROVED)
        reader = running.join()
        try:
            size = facts.mentioned_size if running.size is None else running.size
            head = await self._rights.head_to_join(repository, running.task.digest, size)
            proved = agrees(head, running.task.digest, size)
            if proved and running.readers.verified:
                now = self._clock.seconds()
                await self._index.record_link(
                    repository.content(running.task.digest), head.credentials, now
                )
        except BaseException:
            reader.leave()
            raise
        if not proved:
            reader.leave()
            return await self._relay(repository, running.task.digest, facts, NOT_PROVED)
        return await self._wait(running, reader, repository, facts=facts, status=status)

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
