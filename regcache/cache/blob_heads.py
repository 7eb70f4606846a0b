"""HEAD requests for blobs: answered from what is known here, else by asking the upstream."""

from dataclasses import replace

from regcache.cache.download.downloads import DownloadTable
from regcache.cache.freshness import takes_back
from regcache.cache.opened import BlobHead
from regcache.cache.policy import ServedRepository
from regcache.cache.sight.proofs import is_page
from regcache.cache.sight.rights import Rights, holds_while_away
from regcache.cache.sight.visibility import Visibility
from regcache.cache.small_blobs import SmallBlobs
from regcache.cache.status import asked, described, hit
from regcache.cache.stored_blobs import StoredBlobs
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer, UpstreamFailure
from regcache.facts import ContentFacts
from regcache.interfaces import IIndex


class BlobHeads:
    """Finds the size of blobs without fetching them."""

    def __init__(
        self,
        index: IIndex,
        *,
        downloads: DownloadTable,
        stored: StoredBlobs,
        rights: Rights,
        visibility: Visibility,
        small: SmallBlobs,
    ) -> None:
        self._index = index
        self._downloads = downloads
        self._stored = stored
        self._rights = rights
        self._visibility = visibility
        self._small = small

    async def find(self, repository: ServedRepository, digest: Digest) -> BlobHead:
        """The size of a blob of a repository whose cached content may be shown.

        :raises UpstreamFailure: if nothing is known of it and the upstream does not say.
        :raises RegistryError: if the upstream may not be asked for it.
        """
        content = self._small.find(repository, digest)
        if content is not None:
            return BlobHead(len(content), hit(0))
        facts = await self._facts(repository, digest)
        entitled = self._rights.entitled(facts, repository.upstream)
        if entitled and await self._stored.holds(repository, digest, facts):
            return BlobHead(facts.size, hit(0))
        known, proved = await self._known(repository, digest, facts)
        if known is not None and proved:
            return known
        try:
            return await self._ask(repository, digest)
        except UpstreamFailure as failure:
            if known is None or takes_back(failure, repository.policy):
                raise
            return known

    async def _facts(self, repository: ServedRepository, digest: Digest) -> ContentFacts:
        """The facts of the index, and of a download that is verified and not recorded yet."""
        verified = self._downloads.verified(digest)
        size = None if verified is None else verified.size
        facts = await self._index.content(repository.content(digest))
        if size is None or facts.mentioned_size is None:
            return facts
        return replace(facts, mentioned_size=size)

    async def _known(
        self, repository: ServedRepository, digest: Digest, facts: ContentFacts
    ) -> tuple[BlobHead | None, bool]:
        """What a manifest says of a blob, or an earlier proof of it.

        :returns: the head, or None; and whether it is valid without asking the upstream. If not,
            it is valid only while the upstream cannot be reached.
        """
        upstream = repository.upstream
        if facts.mentioned_size is not None:
            links = await self._index.mentioning(repository.content(digest))
            if any(holds_while_away(link, upstream) for link in links):
                proved = any(self._rights.holds(link, upstream) for link in links)
                return BlobHead(facts.mentioned_size, described()), proved
        if (
            facts.size is not None
            and facts.link is not None
            and holds_while_away(facts.link, upstream)
        ):
            return BlobHead(facts.size, hit(0)), False
        return None, False

    async def _ask(self, repository: ServedRepository, digest: Digest) -> BlobHead:
        await self._visibility.admit_fetch_of_blob(repository, digest)
        head = await self._rights.head_blob(repository, digest)
        if is_page(head, digest):
            raise UpstreamBadAnswer(
                repository.upstream.name, "its answer to HEAD is not that of this blob"
            )
        return BlobHead(head.size, asked())
