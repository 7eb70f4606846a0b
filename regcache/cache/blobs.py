"""Blobs: from the cache, from a download that runs, from a new one, or relayed.

The order in which a request for a blob is decided:

1. The repository may be shown at all (private images).
2. Stored, and the repository has the right to it or proves it: a hit.
3. A download runs, likewise: joined.
4. Otherwise a download begins; the upstream's 200 is the proof.
5. What cannot be stored, or whose right is not proved by the upstream's word, is relayed.
"""

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from regcache.cache.download import Download
from regcache.cache.downloads import Downloads
from regcache.cache.origin import Fetched, NotStoredError, Origin
from regcache.cache.policy import Upstream
from regcache.cache.reader import FileSource, Reader
from regcache.cache.relay import Relay
from regcache.cache.rights import NotProvedError, Rights
from regcache.cache.status import CacheStatus, asked, collapsed, described, hit, miss, relayed
from regcache.cache.visibility import Visibility
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.facts import ContentFacts
from regcache.interfaces import (
    IBlobBody,
    IBlobStore,
    ICacheEvents,
    IContentFile,
    IIndex,
    IReader,
)


@dataclass(frozen=True, slots=True)
class OpenBlob:
    """A blob whose answer may begin. Whoever gets it calls ``reader.leave`` in the end."""

    reader: IReader
    status: CacheStatus


@dataclass(frozen=True, slots=True)
class BlobHead:
    """What HEAD says of a blob; ``size`` None where the upstream does not say it."""

    size: int | None
    status: CacheStatus


async def record(index: IIndex, fetched: Fetched, clock: IReactorTime) -> None:
    """Tell the index of a blob that a download has stored."""
    origin = fetched.origin
    await index.record_blob(
        origin.registry.name,
        origin.repository,
        fetched.digest,
        fetched.size,
        fetched.credentials,
        fetched.public,
        clock.seconds(),
    )


class BlobCache:
    """Opens blobs for requests."""

    def __init__(
        self,
        store: IBlobStore,
        index: IIndex,
        downloads: Downloads,
        rights: Rights,
        visibility: Visibility,
        events: ICacheEvents,
        clock: IReactorTime,
    ) -> None:
        self._store = store
        self._index = index
        self._downloads = downloads
        self._rights = rights
        self._visibility = visibility
        self._events = events
        self._clock = clock

    async def open(self, upstream: Upstream, repository: str, digest: Digest) -> OpenBlob:
        """Open a blob to send it.

        :raises UpstreamFailure: if it is not here and the upstream does not give it.
        :raises RegistryError: if it may not be shown.
        """
        await self._visibility.admit_blob(upstream, repository, digest)
        facts = await self._index.content(upstream.name, repository, digest)
        running = await self._downloads.find(digest)
        if running is None:
            opened = await self._open_stored(upstream, repository, digest, facts)
            if opened is not None:
                return opened
            running = await self._downloads.find(digest)
        if running is not None:
            return await self._join(running, upstream, repository, facts)
        if self._downloads.relays(digest):
            return await self._relay(upstream, repository, digest, facts, None)
        origin = Origin(upstream.registry, repository)
        download = self._downloads.begin(digest, origin, facts.mentioned_size)
        return await self._attend(download, upstream, repository, facts, miss())

    async def head(self, upstream: Upstream, repository: str, digest: Digest) -> BlobHead:
        """The size of a blob, without fetching it.

        :raises UpstreamFailure: if nothing is known of it and the upstream does not say.
        :raises RegistryError: if it may not be shown.
        """
        await self._visibility.admit_blob(upstream, repository, digest)
        facts = await self._index.content(upstream.name, repository, digest)
        if facts.size is not None and self._rights.entitled(facts, upstream):
            return BlobHead(facts.size, hit(0))
        if facts.mentioned_size is not None:
            return BlobHead(facts.mentioned_size, described())
        head = await upstream.registry.head_blob(repository, digest)
        return BlobHead(head.size, asked())

    async def _open_stored(
        self, upstream: Upstream, repository: str, digest: Digest, facts: ContentFacts
    ) -> OpenBlob | None:
        """The stored blob; None if it is not there any more, or not provably this one's."""
        file = await self._store.find(digest)
        if file is None:
            if facts.size is not None:
                await self._index.forget_content(digest)
            return None
        try:
            return await self._open_file(upstream, repository, digest, facts, file)
        except BaseException:
            file.close()
            raise

    async def _open_file(
        self,
        upstream: Upstream,
        repository: str,
        digest: Digest,
        facts: ContentFacts,
        file: IContentFile,
    ) -> OpenBlob:
        if not self._rights.entitled(facts, upstream):
            try:
                await self._rights.prove_blob(upstream, repository, facts, file)
            except NotProvedError:
                file.close()
                return await self._relay(upstream, repository, digest, facts, None)
        if facts.size is None:
            await self._adopt(upstream, repository, file)
        self._index.touch(digest, self._clock.seconds())
        return OpenBlob(Reader(FileSource(file)), hit(0))

    async def _adopt(self, upstream: Upstream, repository: str, file: IContentFile) -> None:
        """Note content whose entry in the index was lost, now that a right was proved."""
        await self._index.record_blob(
            upstream.name,
            repository,
            file.digest,
            file.size or 0,
            upstream.registry.credentials,
            False,
            self._clock.seconds(),
        )

    async def _join(
        self, running: Download, upstream: Upstream, repository: str, facts: ContentFacts
    ) -> OpenBlob:
        """Join a download if the repository has, or proves, the right to its bytes.

        Before they are verified they are the word of the upstream that gives them: none of
        another upstream's clients waits for it, or gets them, and no proof is kept.
        """
        origin, verified = running.origin, running.audience.verified
        # What was verified already is only being put in its place.
        status = hit(0) if verified else collapsed()
        same = origin.registry.name == upstream.name
        if not (same or verified):
            return await self._relay(upstream, repository, running.digest, facts, None)
        if (same and origin.repository == repository) or running.public:
            return await self._attend(running, upstream, repository, facts, status)
        if self._rights.entitled(facts, upstream):
            return await self._attend(running, upstream, repository, facts, status)
        if not same:
            # What another upstream gives is not this one's until it shows that it has it.
            return await self._relay(upstream, repository, running.digest, facts, None)
        reader = running.join()
        try:
            head = await upstream.registry.head_blob(repository, running.digest)
            if running.audience.verified:
                now = self._clock.seconds()
                await self._index.record_link(
                    upstream.name, repository, running.digest, head.credentials, now
                )
        except BaseException:
            reader.leave()
            raise
        return await self._wait(reader, running.digest, upstream, repository, facts, status)

    async def _attend(
        self,
        download: Download,
        upstream: Upstream,
        repository: str,
        facts: ContentFacts,
        status: CacheStatus,
    ) -> OpenBlob:
        digest = download.digest
        return await self._wait(download.join(), digest, upstream, repository, facts, status)

    async def _wait(
        self,
        reader: Reader,
        digest: Digest,
        upstream: Upstream,
        repository: str,
        facts: ContentFacts,
        status: CacheStatus,
    ) -> OpenBlob:
        """Wait until the answer may begin; relay what turns out not to be stored."""
        try:
            await reader.ready()
        except NotStoredError as error:
            reader.leave()
            return await self._relay(upstream, repository, digest, facts, error.take_body())
        except BaseException:
            reader.leave()
            raise
        return OpenBlob(reader, status)

    async def _relay(
        self,
        upstream: Upstream,
        repository: str,
        digest: Digest,
        facts: ContentFacts,
        body: IBlobBody | None,
    ) -> OpenBlob:
        if body is None or body.start != 0:
            if body is not None:
                body.abort()
            skip = self._downloads.skipped(digest, upstream.registry)
            body = await upstream.registry.get_blob(repository, digest, skip=skip)
            if body.start != 0:
                body.abort()
                raise UpstreamBadAnswer(upstream.name, "it sent a part instead of the whole")
        expected = facts.mentioned_size
        if expected is not None and body.size not in (None, expected):
            body.abort()
            raise UpstreamBadAnswer(upstream.name, "a size other than the manifest's")
        size = expected if body.size is None else body.size
        return OpenBlob(self._make_relay(upstream.name, digest, body, size), relayed())

    def _make_relay(self, name: str, digest: Digest, body: IBlobBody, size: int | None) -> Relay:
        def lied() -> None:
            self._events.digest_mismatch(name)
            self._downloads.lied(digest, name, frozenset([body.url_index]))

        return Relay(digest, body, size, name, lied)
