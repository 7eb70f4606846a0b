"""Blobs that are not stored: asked for anew for each client, unless an answer is at hand."""

from regcache.cache.downloads import Downloads
from regcache.cache.opened import OpenBlob
from regcache.cache.policy import Upstream
from regcache.cache.relay import Relay
from regcache.cache.status import relayed
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.interfaces import IBlobBody, ICacheEvents


class Relays:
    """Opens relays."""

    def __init__(self, downloads: Downloads, events: ICacheEvents) -> None:
        self._downloads = downloads
        self._events = events

    async def open(
        self,
        upstream: Upstream,
        repository: str,
        digest: Digest,
        expected: int | None,
        body: IBlobBody | None = None,
    ) -> OpenBlob:
        """Begin an answer.

        :param expected: the size that a manifest says.
        :param body: an answer that is here already, and that nobody has touched.
        :raises UpstreamFailure: if the upstream does not give it, or another one.
        """
        if body is None or body.start != 0:
            if body is not None:
                body.abort()
            skip = self._downloads.skipped(digest, upstream.registry)
            body = await upstream.registry.get_blob(repository, digest, skip=skip)
            if body.start != 0:
                body.abort()
                raise UpstreamBadAnswer(upstream.name, "it sent a part instead of the whole")
        if expected is not None and body.size not in (None, expected):
            body.abort()
            raise UpstreamBadAnswer(upstream.name, "a size other than the manifest's")
        size = expected if body.size is None else body.size
        return OpenBlob(self._relay(upstream.name, digest, body, size), relayed())

    def _relay(self, name: str, digest: Digest, body: IBlobBody, size: int | None) -> Relay:
        def lied() -> None:
            self._events.digest_mismatch(name)
            self._downloads.lied(digest, name, frozenset([body.url_index]))

        return Relay(digest, body, size, name, lied)
