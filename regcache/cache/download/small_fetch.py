"""A small blob being fetched: into memory, whoever asked; the disk comes behind the answer.

==========  =====================  =======================================================
state       event                  what holds afterwards
==========  =====================  =======================================================
asking      answer of 64 KiB or    collecting: the body is taken into memory
            less, disk not behind
asking      any other answer       over; a download begins with that answer, and takes over
                                   the waiting readers
asking      refused                over; every waiting reader gets the failure
collecting  all is there, digest   all is released; storing
            right
collecting  it breaks off, is too  over; a download begins with what came: it asks for the
            long or wrong          rest, or finds whose fault it is
collecting  last reader leaves     collecting; if more than ``finish`` is missing: over, a
                                   download begins with what came, and parks
storing     claim refused          over; readers have their bytes, nothing is stored
storing     stored                 the index is told
storing     write refused          over; the table of downloads is told
storing     index told             over
any         daemon stops           storing goes on; else over, what came is forgotten
==========  =====================  =======================================================

While a :class:`~regcache.cache.download.backlog.Backlog` is full, answers wait for the disk,
too, and nothing more is taken into memory: clients may leave, and what they asked for would
pile up.

It stands in the table of downloads and can be joined like one. What is to be known of a wrong
or broken answer is known by :mod:`regcache.cache.download.download` alone.
"""

from enum import Enum
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.backlog import Backlog
from regcache.cache.download.blob_source import (
    WITHHELD,
    BlobSource,
    DownloadOwner,
    Fetched,
    Workshop,
)
from regcache.cache.download.memory_file import MemoryFile
from regcache.cache.download.reader import Reader
from regcache.cache.download.readers import Readers
from regcache.cache.download.replayable_body import ReplayableBody
from regcache.digests import Digest
from regcache.errors import ServiceUnavailableError, UpstreamFailure
from regcache.gate import Gate
from regcache.interfaces import IBlobBody, ISpaceClaim

#: What is fetched into memory (bytes): no client gets a byte of it before all was verified.
SMALL = WITHHELD


class _State(Enum):
    ASKING = "asking"
    COLLECTING = "collecting"
    STORING = "storing"
    OVER = "over"


class SmallFetchOwner(DownloadOwner, Protocol):
    """The table of downloads."""

    def handed_over(self, small: "SmallFetch", body: IBlobBody) -> None:
        """A download is to go on with an answer, for the same readers."""


class SmallFetch:
    """Fetches one blob of which nothing is here, and which may be small."""

    _log = Logger()

    def __init__(
        self,
        digest: Digest,
        origin: BlobSource,
        expected_size: int | None,
        workshop: Workshop,
        skip: frozenset[int],
        owner: SmallFetchOwner,
        backlog: Backlog,
    ) -> None:
        self.digest = digest
        self.origin = origin
        self.expected_size = expected_size
        self.readers = Readers(self, workshop.clock)
        self._workshop = workshop
        self.skip = skip
        self._owner = owner
        self._backlog = backlog
        self._state = _State.ASKING
        self._stopping = False
        self._done = Gate()
        self._asking: Deferred[IBlobBody] | None = None
        self._body: ReplayableBody | None = None

    @property
    def joinable(self) -> bool:
        """Whether a reader may still be attached."""
        return not (self._stopping or self._over)

    @property
    def _over(self) -> bool:
        return self._state is _State.OVER

    @property
    def public(self) -> bool:
        """Whether the answer came, and was given without credentials."""
        return self._body is not None and not self._body.credentials

    @property
    def size(self) -> int | None:
        """Bytes of the blob as the upstream states them; None before it does."""
        return None if self._body is None else self._body.size

    @property
    def held(self) -> int:
        """Bytes that came and are nowhere but in memory."""
        return 0 if self._body is None or self._over else self._body.length

    def join(self) -> Reader:
        """A new reader. Whoever gets it calls ``leave`` in the end."""
        return self.readers.join()

    def closed(self) -> "Deferred[None]":
        """Fires when the next download of the digest may begin."""
        return self._done.wait()

    def begin(self) -> None:
        """Ask the upstream."""
        registry, repository = self.origin.registry, self.origin.repository.name
        self._asking = asking = registry.get_blob(repository, self.digest, skip=self.skip)
        asking.addCallbacks(self._answered, self._refused)
        asking.addErrback(self.failed)

    def stop(self) -> "Deferred[None]":
        """End, unless only the disk is waited for. Fires when everything is closed."""
        self._stopping = True
        if self._state in (_State.ASKING, _State.COLLECTING):
            self._end(ServiceUnavailableError("the daemon is stopping"))
        return self.closed()

    # What readers cause: :class:`regcache.cache.download.readers.Host`.

    def wanted(self, position: int) -> bool:
        """Whether something will come: nobody waits for content that is all there."""
        return not self._over

    def left(self) -> None:
        """Go on, or leave it to a download that parks."""
        body = self._body
        if self._state is _State.COLLECTING and body is not None and self._should_park(body):
            self._hand_over(body)

    def _should_park(self, body: IBlobBody | ReplayableBody) -> bool:
        finish, came = self._workshop.finish, body.length if body is self._body else 0
        return not self.readers and finish is not None and (body.size or 0) - came > finish

    def _answered(self, body: IBlobBody) -> None:
        self._asking = None
        if self._over:
            body.abort()
        elif self._is_small(body) and not (self._backlog.is_full or self._should_park(body)):
            self._state = _State.COLLECTING
            self._body = ReplayableBody(body, self._progressed)
            self._body.collect()
        else:
            self._hand_over(body)

    def _is_small(self, body: IBlobBody) -> bool:
        size = body.size
        fits = size is not None and size <= SMALL and self.expected_size in (None, size)
        return fits and body.start == 0 and body.end == size

    def _refused(self, failure: Failure) -> None:
        self._asking = None
        if self._over:
            failure.trap(CancelledError, UpstreamFailure)
        elif isinstance(failure.value, UpstreamFailure):
            self._end(failure.value)
        else:
            self.failed(failure)

    def _progressed(self) -> None:
        body = self._body
        if body is None or self._state is not _State.COLLECTING:
            return
        if body.failure is not None or body.length > (body.size or 0):
            self._hand_over(body)
        elif body.ended:
            content = body.content()
            if len(content) == body.size and self.digest.names(content):
                self._verified(content, body.credentials)
            else:
                self._hand_over(body)

    def _hand_over(self, body: IBlobBody | ReplayableBody) -> None:
        if isinstance(body, ReplayableBody):
            body.hold()
        self._state = _State.OVER
        self._owner.handed_over(self, body)

    def _verified(self, content: bytes, credentials: str) -> None:
        """Give everybody the bytes, and then the disk."""
        self._state = _State.STORING
        claim = self._workshop.space.claim(len(content))
        self.readers.stored = claim is not None
        # Of a partial file readers need no more than what content in memory has, too.
        self.readers.file = MemoryFile(self.digest, content)  # type: ignore[assignment]
        if claim is None or not self._backlog.is_full:
            self.readers.release_all()
        if claim is None:
            self._log.info(
                "{digest} from {upstream} is passed through and not kept: there is no space for it",
                digest=self.digest,
                upstream=self.origin.registry.name,
            )
            self._finish()
            return
        storing = Deferred.fromCoroutine(self._store(content, credentials, claim))
        storing.addErrback(self.failed)

    async def _store(self, content: bytes, credentials: str, claim: ISpaceClaim) -> None:
        digest, size = self.digest, len(content)
        self._backlog.add(size)
        try:
            await self._workshop.store.keep(digest, content)
        except OSError as error:
            self._owner.storage_failed(digest, error)
        else:
            self.readers.release_all()
            claim.release()
            fetched = Fetched(digest, size, self.origin, credentials, not credentials)
            await self._owner.fetched(fetched)
        finally:
            self._backlog.remove(size)
            claim.release()
            self.readers.release_all()
        self._finish()

    def failed(self, failure: Failure) -> None:
        """Our own fault: log it and end."""
        self._log.failure("fetching {digest} failed", failure, digest=self.digest)
        if not self._over:
            self._end(RuntimeError("fetching it failed"))

    def _end(self, error: Exception) -> None:
        """End with nothing to show. The state says so before anybody is told."""
        self._state = _State.OVER
        if self._asking is not None:
            self._asking.cancel()
        if self._body is not None:
            self._body.abort()
        self.readers.dismiss(error)
        self._finish()

    def _finish(self) -> None:
        self._state, self._body = _State.OVER, None
        self._owner.closed(self.digest)
        self._done.succeed()
