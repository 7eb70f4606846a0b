"""Answers for operators from the cache alone. No upstream is asked.

Nothing is proved, fetched or revalidated here, and nothing counts as used. So it is only for
clients that may see everything. A repository has what it has a link to, what a tag of it names,
and what is listed by something that it has.
"""

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.cache.checked_source import source_of
from regcache.cache.download.reader import Reader
from regcache.cache.listings import LOCAL, ReferrerList, TagPage, as_referrer, referrers_index
from regcache.cache.opened import BlobHead, OpenBlob
from regcache.cache.remembered_manifests import DEFAULT_PLATFORM
from regcache.cache.served_manifests import Served, ServedHead
from regcache.cache.status import hit
from regcache.digests import Digest
from regcache.errors import (
    BlobUnknownError,
    ManifestUnknownError,
    NameUnknownError,
    RegistryError,
)
from regcache.facts import ContentFacts, Manifest
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.interfaces import IBlobStore, IIndex, IRemovalIndex
from regcache.manifest_body import MOST_BYTES, InvalidManifestError, parse_manifest
from regcache.parsing import Parser


class CachedOnly:
    """Answers from the index and the store alone.

    :param holdings: says which repository has what.
    """

    _log = Logger()

    def __init__(
        self,
        index: IIndex,
        holdings: IRemovalIndex,
        store: IBlobStore,
        *,
        parser: Parser,
        clock: IReactorTime,
    ) -> None:
        self._index = index
        self._holdings = holdings
        self._store = store
        self._parser = parser
        self._clock = clock

    def open_blob_at_once(self, content: RepositoryContent) -> OpenBlob | None:
        """Never: the disk has to be asked."""
        return None

    async def open_blob(self, content: RepositoryContent) -> OpenBlob:
        """Open a stored blob. :raises BlobUnknownError: if it is not here."""
        facts = await self._find(content, BlobUnknownError)
        found = await self._store.look_up(content.digest, facts.size, facts.mentioned_size)
        if found.file is None:
            raise BlobUnknownError("its file is not here any more")
        return OpenBlob(Reader(source_of(found.file, found.checking)), hit(0))

    async def head_blob(self, content: RepositoryContent) -> BlobHead:
        """Its size. :raises BlobUnknownError: if it is not here."""
        facts = await self._find(content, BlobUnknownError)
        return BlobHead(facts.size, hit(0))

    def manifest_at_once(self, content: RepositoryContent) -> Served | None:
        """Never, as above."""
        return None

    async def manifest(self, content: RepositoryContent) -> Served:
        """A stored manifest. :raises ManifestUnknownError: if it is not here."""
        return await self._manifest(content, 0)

    async def head_manifest(self, content: RepositoryContent) -> Served:
        """The same."""
        return await self._manifest(content, 0)

    def tag_at_once(self, repository: Repository, tag: str) -> Served | None:
        """Never, as above."""
        return None

    async def tag(self, repository: Repository, tag: str) -> Served:
        """The stored manifest that a tag named when its upstream was last asked.

        :raises ManifestUnknownError: if the tag or the manifest is not here.
        """
        fact = await self._index.tag(repository, tag)
        if fact is None:
            raise ManifestUnknownError("this tag is not here")
        age = self._clock.seconds() - fact.validated_at
        return await self._manifest(RepositoryContent(repository, fact.digest), age)

    async def head_tag(self, repository: Repository, tag: str) -> Served:
        """The same."""
        return await self.tag(repository, tag)

    def child_at_once(self, repository: Repository, index: Served) -> Served | None:
        """Never, as above."""
        return None

    async def child_of(self, repository: Repository, index: Served | ServedHead) -> Served | None:
        """The manifest in an index for clients that take no index; None if it has none here."""
        assert isinstance(index, Served)
        content, media_type = index.manifest.content, index.manifest.media_type
        try:
            body = await self._parser.run(len(content), parse_manifest, content, media_type)
        except InvalidManifestError:
            return None
        child = body.child_for(DEFAULT_PLATFORM)
        if child is None:
            return None
        found = await self._manifest(RepositoryContent(repository, child), 0)
        return Served(found.manifest, index.status)

    async def tags(self, repository: Repository, after: str, limit: int) -> TagPage:
        """The cached tags. :raises NameUnknownError: if nothing of the repository is cached."""
        page = await self._index.tags(repository, after, limit + 1)
        if not page and not await self._holdings.knows(repository):
            raise NameUnknownError("the cache has nothing of this repository")
        return TagPage(tuple(page[:limit]), len(page) > limit, LOCAL)

    async def referrers(self, content: RepositoryContent, artifact_type: str) -> ReferrerList:
        """The index of stored manifests that refer to a digest."""
        found = await self._index.referrers(content)
        members = [as_referrer(each) for each in found]
        return ReferrerList(referrers_index(members, artifact_type), LOCAL)

    async def repositories(self, upstream: UpstreamIdentity, after: str, limit: int) -> list[str]:
        """All repositories of which something is stored."""
        page: list[str] = await self._index.repositories(upstream, after, limit)
        return page

    async def _find(self, content: RepositoryContent, unknown: type[RegistryError]) -> ContentFacts:
        """The facts about stored content that the repository has; else it counts as unknown."""
        facts: ContentFacts = await self._index.content(content)
        if facts.size is None:
            raise unknown("the cache does not have it")
        if facts.link is None and not await self._holdings.holds(content):
            raise unknown("the cache does not have it in this repository")
        return facts

    async def _manifest(self, content: RepositoryContent, age: float) -> Served:
        facts = await self._find(content, ManifestUnknownError)
        if not facts.media_type:
            raise ManifestUnknownError("this is no manifest")
        body = await self._load(content.digest, facts)
        return Served(Manifest(content.digest, facts.media_type, body), hit(age))

    async def _load(self, digest: Digest, facts: ContentFacts) -> bytes:
        body: bytes | None = await self._store.load(digest, MOST_BYTES, facts.size)
        if body is None:
            raise ManifestUnknownError("its file is not here any more")
        return body
