"""Begins relays, and records what each of them shows about its upstream and about manifests."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.answers import A_PAGE, is_page_instead
from regcache.cache.download.context import BlobSource, DownloadContext
from regcache.cache.download.continued_body import ContinuedBody
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.download.relay import Relay
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer, UpstreamFailure
from regcache.identity import RepositoryContent
from regcache.interfaces import IBlobBody

#: Tells the index the size of verified content (bytes).
RecordSize = Callable[[Digest, int], "Deferred[None]"]


class Relays:
    """Relays blobs. Each client has a request of its own to the upstream.

    :ivar record_size: tells the index the size of verified content.
    """

    _log = Logger()

    def __init__(
        self, downloads: DownloadTable, context: DownloadContext, record_size: RecordSize
    ) -> None:
        self.downloads = downloads
        self.context = context
        self.record_size = record_size

    async def open(
        self,
        digest: Digest,
        source: BlobSource,
        *,
        expected_size: int | None,
        reason: str,
        body: IBlobBody | None = None,
    ) -> Relay:
        """Begin an answer.

        :param expected_size: by a manifest (bytes), or None: a hint.
        :param reason: why it is not stored, for the log.
        :param body: the body of an answer that is there already, and not read yet.
        :raises UpstreamFailure: if the upstream does not give it.
        """
        try:
            skip = self.downloads.skipped(digest, source.registry)
        except UpstreamBadAnswer:
            if body is not None:
                body.abort()
            raise
        mentioned = self.downloads.believed_size(digest, expected_size)
        if body is None or body.start != 0 or not body.make_relay():
            if body is not None:
                body.abort()
            body = await self._ask(digest, source, skip, mentioned)
        text = "{digest} from {upstream} is passed through and not kept: {reason}"
        name, clock = source.repository.upstream.name, self.context.clock
        self._log.info(text, digest=digest, upstream=name, reason=reason)
        size, random = mentioned if body.size is None else body.size, self.context.random
        continued = ContinuedBody(
            digest, source, body, size=size, skip=skip, clock=clock, random=random
        )
        content = RepositoryContent(source.repository, digest)
        page = is_page_instead(body, mentioned)
        outcome = RelayOutcome(self, content, continued, mentioned=expected_size, page=page)
        return Relay(digest, continued, size, upstream=name, events=outcome, clock=clock)

    def is_too_big(self, size: int | None) -> bool:
        """Whether a blob of a size may never be stored; False where that is not known."""
        return size is not None and size > self.context.space.max_blob()

    async def _ask(
        self, digest: Digest, source: BlobSource, skip: frozenset[int], mentioned: int | None
    ) -> IBlobBody:
        name, reason = source.repository.name, ""
        body = await source.registry.get_blob(name, digest, skip=skip, relayed=True)
        if body.start != 0:
            reason = "it sent a part instead of the whole"
        elif mentioned is not None and is_page_instead(body, mentioned):
            reason = A_PAGE
        if reason:
            body.abort()
            raise UpstreamBadAnswer(source.registry.name, reason)
        return body


class RelayOutcome:
    """Notes what one relay tells of its upstream, and of what a manifest says.

    :param mentioned: the size by a manifest (bytes), or None.
    :param page: the first answer is plainly a page for people.
    """

    _log = Logger()

    def __init__(
        self,
        relays: Relays,
        content: RepositoryContent,
        body: ContinuedBody,
        *,
        mentioned: int | None,
        page: bool,
    ) -> None:
        self._relays = relays
        self._digest = content.digest
        self._upstream = content.repository.upstream
        self._body = body
        self._mentioned = mentioned
        self._page = page

    @property
    def _size_is_claimed(self) -> bool:
        """Whether a manifest alone states the size that the client was told."""
        return self._body.size is not None and not self._body.size_is_stated

    def wrong_bytes(self) -> None:
        """The whole content fails its digest. Which of several URLs is to blame is not known.

        Perhaps it is right, and longer than a manifest says: the next relay tells.
        """
        if self._size_is_claimed:
            self._relays.downloads.size_is_wrong(self._digest)
            return
        self._relays.context.events.digest_mismatch(self._upstream.name)
        if len(self._body.url_indexes) == 1:
            (url_index,) = self._body.url_indexes
            self._relays.downloads.wrong_bytes(
                self._digest, self._upstream, url_index, page=self._page
            )

    def verified(self, size: int) -> None:
        """The whole content has its digest: a manifest that states another size is wrong."""
        if self._mentioned not in (None, size):
            self._relays.record_size(self._digest, size).addErrback(self._not_recorded)

    def _not_recorded(self, failure: Failure) -> None:
        failure.trap(OSError)
        reason = failure.getErrorMessage()
        self._log.warn("noting {digest} failed: {error}", digest=self._digest, error=reason)
        self._relays.context.events.storage_error()

    def broke_off(self, failure: UpstreamFailure) -> None:
        """It could not be completed: perhaps since it has not the size that a manifest states."""
        if self._size_is_claimed and isinstance(failure, UpstreamBadAnswer):
            self._relays.downloads.size_is_wrong(self._digest)
