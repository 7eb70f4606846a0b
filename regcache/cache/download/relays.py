"""Blobs that are not stored: asked for anew for each client, unless an answer is at hand."""

from dataclasses import dataclass

from twisted.logger import Logger

from regcache.cache.download.downloads import Downloads
from regcache.cache.download.relay import Relay
from regcache.cache.opened import OpenBlob
from regcache.cache.policy import ServedRepository
from regcache.cache.status import relayed
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.interfaces import IBlobBody, ICacheEvents


@dataclass(frozen=True, slots=True)
class Wanted:
    """A blob as a client asked for it.

    :ivar expected: the size that a manifest says (bytes), or None.
    """

    repository: ServedRepository
    digest: Digest
    expected: int | None


class Relays:
    """Opens relays."""

    _log = Logger()

    def __init__(self, downloads: Downloads, events: ICacheEvents) -> None:
        self._downloads = downloads
        self._events = events

    async def open(self, wanted: Wanted, reason: str, body: IBlobBody | None = None) -> OpenBlob:
        """Begin an answer.

        :param reason: why it is not stored, for the log.
        :param body: an answer that is here already, and that nobody has touched.
        :raises UpstreamFailure: if the upstream does not give it, or another one.
        """
        name, digest, expected = wanted.repository.upstream.name, wanted.digest, wanted.expected
        if body is None or body.start != 0:
            if body is not None:
                body.abort()
            body = await self._ask(wanted)
        if expected is not None and body.size not in (None, expected):
            body.abort()
            raise UpstreamBadAnswer(name, "a size other than the manifest's")
        self._log.info(
            "{digest} from {upstream} is passed through and not kept: {reason}",
            digest=digest,
            upstream=name,
            reason=reason,
        )
        size = expected if body.size is None else body.size
        return OpenBlob(self._relay(wanted, body, size), relayed())

    async def _ask(self, wanted: Wanted) -> IBlobBody:
        registry, digest = wanted.repository.registry, wanted.digest
        skip = self._downloads.skipped(digest, registry)
        body = await registry.get_blob(wanted.repository.name, digest, skip=skip)
        if body.start != 0:
            body.abort()
            raise UpstreamBadAnswer(registry.name, "it sent a part instead of the whole")
        return body

    def _relay(self, wanted: Wanted, body: IBlobBody, size: int | None) -> Relay:
        upstream, digest = wanted.repository.upstream, wanted.digest

        def lied() -> None:
            self._events.digest_mismatch(upstream.name)
            self._downloads.lied(digest, upstream.identity, frozenset([body.url_index]))

        return Relay(digest, body, size, upstream.name, lied)
