"""A download: one blob being fetched into the cache, whoever asked.

=========  ======================  =====================================================
state      event                   what holds afterwards
=========  ======================  =====================================================
opening    partial file opened     filling; the first gap is asked for
opening    nothing is missing      proving: one HEAD, since the right needs the upstream's word
opening    cannot be opened        closing; waiting readers relay
proving    right proved            checking
filling    first answer            heads of answers go out (over 64 KiB; else verified)
filling    first answer refused    closing; every waiting reader gets the failure
filling    claim of space refused  closing; waiting readers relay, the first takes the body
filling    fill breaks             filling; asked again from there after a pause, on the next
                                   URL, until ``MOST_TRIES`` brought nothing
filling    write refused           closing; readers aborted, the file dropped
filling    last reader leaves      filling if at most ``finish`` is missing, else parking
parking    a reader joins          filling
parking    fills have drained      closing; intervals saved, the file stays as it is
filling    every byte present      checking
checking   digest right            done: all is released; the file is renamed, the index told
checking   digest wrong            closing, readers aborted, the file dropped; a file from
                                   several answers is fetched afresh once: filling
done       index told              closed; readers go on with the open file
any        daemon stops            closing; intervals saved
=========  ======================  =====================================================

In "closing" and "closed" nobody joins: who asks for the digest waits until it is closed and
looks again.
"""

from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.audience import Audience
from regcache.cache.fetching import Fetching, SizeConflict
from regcache.cache.keeping import Keeping
from regcache.cache.origin import WITHHELD, Fetched, NotStoredError, Origin, Workshop
from regcache.cache.reader import Reader
from regcache.cache.waiters import Gate
from regcache.digests import Digest
from regcache.errors import ServiceUnavailableError, UpstreamBadAnswer, UpstreamFailure
from regcache.interfaces import IBlobBody, IPartialFile


class DownloadOwner(Protocol):
    """The table of downloads."""

    async def fetched(self, fetched: Fetched) -> None:
        """Verified content is stored: tell the index."""

    def lied(self, digest: Digest, upstream: str, url_indexes: frozenset[int]) -> None:
        """One answer, whole, had wrong bytes."""

    def storage_failed(self) -> None:
        """A write was refused by the disk."""

    def closed(self, download: "Download") -> None:
        """The next download of this digest may begin."""


class _State(Enum):
    OPENING = "opening"
    PROVING = "proving"
    FILLING = "filling"
    PARKING = "parking"
    CHECKING = "checking"
    DONE = "done"
    CLOSING = "closing"
    CLOSED = "closed"


class Download:
    """Fetches one blob into its partial file and feeds the readers that want it."""

    _log = Logger()
    file: IPartialFile
    _fetching: Fetching
    _keeping: Keeping

    def __init__(
        self,
        digest: Digest,
        origin: Origin,
        expected_size: int | None,
        workshop: Workshop,
        skip: frozenset[int],
        owner: DownloadOwner,
    ) -> None:
        self.digest = digest
        self.origin = origin
        self.audience = Audience()
        self.closed = Gate()
        self.verified = False
        self._expected_size = expected_size
        self._workshop = workshop
        self._skip = skip
        self._owner = owner
        self._state = _State.OPENING
        self._resumed = False
        self._stopping = False

    @property
    def joinable(self) -> bool:
        """Whether a reader may still be attached."""
        return not self._stopping and not self._over

    @property
    def _over(self) -> bool:
        return self._state in (_State.CLOSING, _State.CLOSED)

    @property
    def public(self) -> bool:
        """Whether some answer came, and every byte was given without credentials."""
        opened = self._state not in (_State.OPENING, _State.PROVING, _State.CLOSED)
        return opened and self._fetching.answered and self.file.anonymous

    def join(self) -> Reader:
        """A new reader. Whoever gets it calls ``leave`` in the end."""
        reader = self.audience.add(self)
        if self._state is _State.PARKING:
            self._state = _State.FILLING
            self._fetching.go_on()
            self._step()
        return reader

    async def run(self) -> None:
        """Open the partial file and begin to fill it."""
        try:
            self.file = await self._workshop.store.open_partial(self.digest)
        except OSError as error:
            self._cannot_store(NotStoredError("the partial file cannot be opened"), error)
            self._state = _State.CLOSED
            self._owner.closed(self)
            self.closed.succeed()
            return
        self._keeping = Keeping(self.file, self._workshop.space)
        self._resumed = self.file.present.total > 0
        await self._fill()

    async def _fill(self) -> None:
        self._fetching = Fetching(
            self.file, self.origin, self._expected_size, self._workshop, self, self._skip
        )
        if self._stopping:
            self._end(discard=False)
        elif self._complete():
            self._state = _State.PROVING
            await self._prove()
        else:
            self._state = _State.FILLING
            self._step()

    async def _prove(self) -> None:
        registry = self.origin.registry
        try:
            head = await registry.head_blob(self.origin.repository, self.digest)
        except UpstreamFailure as failure:
            self.gave_up(failure)
            return
        if self._state is _State.PROVING:
            self._fetching.credentials = head.credentials
            self._state = _State.FILLING
            self._step()

    def stop(self) -> "Deferred[None]":
        """Keep what is here for another day. Fires when everything is closed."""
        self._stopping = True
        if self._state in (_State.PROVING, _State.FILLING, _State.PARKING):
            self._end(discard=False)
        return self.closed.wait()

    # What readers ask (regcache.cache.reader.Source).

    def ready(self) -> "Deferred[None]":
        """Fires when the head of an answer may go out."""
        return self.audience.head()

    def released(self, position: int) -> int:
        """The end of what may be sent from ``position`` on: the last bytes wait for the proof."""
        present = self.file.present
        end = present.end_of(position)
        if self.verified:
            return end
        whole = present.end_of(0) if self.file.size is None else self.file.size
        return min(end, max(position, whole - WITHHELD))

    def reader_waits(self, reader: Reader) -> None:
        """Bring what the reader waits for, if nobody does."""
        if self._over and not self.verified:
            reader.abort("the download ended")
        elif self._state is _State.FILLING:
            self._fetching.step([reader.position])

    def reader_left(self, reader: Reader) -> None:
        """Go on, park or close, now that one is gone."""
        self.audience.remove(reader)
        if self._state is _State.CLOSED:
            self._close_file()
        else:
            self._step()

    # What the fills tell (regcache.cache.fetching.FetchingListener).

    def size_announced(self, size: int | None, body: IBlobBody) -> None:
        """Claim space for what an answer announces.

        :raises NotStoredError: where the claim is refused.
        """
        if not self._keeping.claim(size or 0):
            raise NotStoredError("there is no space for it", body)

    def answered(self) -> None:
        """The upstream gives the blob."""
        self._check_head()

    def progressed(self) -> None:
        """Let everybody look at what is there now."""
        if self._state is not _State.FILLING:
            return
        if self.file.size is None and not self._keeping.claim(self.file.present.total):
            self.storage_failed(OSError("no space for a blob that does not say its size"))
            return
        self._keeping.written()
        self._check_head()
        self._step()
        self.audience.wake()

    def drained(self) -> None:
        """The last write of a parking download is done."""
        if self._state is _State.PARKING:
            self._end(discard=False)

    def gave_up(self, failure: UpstreamFailure) -> None:
        """The upstream does not give it: who has no answer yet gets this one."""
        self.audience.turn_away(failure)
        self.audience.break_off(f"upstream {failure.upstream}: {failure.reason}")
        self._end(discard=isinstance(failure, SizeConflict))

    def not_stored(self, error: NotStoredError) -> None:
        """There is no space: who waits has to relay."""
        if not self.audience and error.body is not None:
            error.body.abort()
        self.audience.turn_away(error)
        self.audience.break_off("there is no space for it")
        self._end(discard=True)

    def storage_failed(self, error: BaseException | None) -> None:
        """A write failed half-way: relaying is impossible for those who got bytes."""
        self._cannot_store(NotStoredError("the disk refused a write"), error)
        self._end(discard=True)

    def _cannot_store(self, refusal: NotStoredError, error: BaseException | None) -> None:
        self._log.warn("storing {digest} failed: {error}", digest=self.digest, error=error)
        self._workshop.events.storage_error()
        self._owner.storage_failed()
        self.audience.turn_away(refusal)
        self.audience.break_off(str(refusal))

    # Steps.

    def _step(self) -> None:
        if self._state is not _State.FILLING:
            return
        if self._complete():
            self._fetching.drop()
            self._state = _State.CHECKING
            Deferred.fromCoroutine(self._check()).addErrback(self.failed)
        elif self._unwanted():
            self._state = _State.PARKING
            self._fetching.stop()
        else:
            self._fetching.step()

    def _complete(self) -> bool:
        return self.file.size is not None and self.file.present.covers(0, self.file.size)

    def _unwanted(self) -> bool:
        """Whether nobody reads, and too much is missing to go on regardless."""
        finish = self._workshop.finish
        if self.audience or finish is None or not self._fetching.answered:
            return False
        present = self.file.present.total
        return present > finish if self.file.size is None else self.file.size - present > finish

    def _check_head(self) -> None:
        """Let answers begin; small blobs are verified before."""
        size = self.file.present.end_of(0) if self.file.size is None else self.file.size
        if self._fetching.answered and size > WITHHELD:
            self.audience.release_head()

    async def _check(self) -> None:
        try:
            right = await self.file.verify()
        except OSError as error:
            self.storage_failed(error)
            return
        if right:
            await self._commit()
        else:
            await self._mismatched()

    async def _commit(self) -> None:
        """Release the rest to the readers at once; storing goes on behind their answers."""
        self.verified, self._state = True, _State.DONE
        self.audience.release_head()
        self.audience.wake()
        try:
            await self.file.commit()
        except OSError as error:
            self._cannot_store(NotStoredError("the disk refused to keep it"), error)
            self._end(discard=True)
            return
        self._keeping.release()
        await self._owner.fetched(
            Fetched(
                self.digest,
                self.file.size or 0,
                self.origin,
                self._fetching.credentials,
                self.file.anonymous,
            )
        )
        self._was_closed()

    async def _mismatched(self) -> None:
        """Drop it; what several answers brought is fetched afresh before anyone is blamed."""
        name = self.origin.registry.name
        mixed = self._resumed or self._fetching.bodies > 1
        self._log.warn(
            "{digest} from {upstream} fails its digest{mixed}",
            digest=self.digest,
            upstream=name,
            mixed=", assembled from several answers" if mixed else "",
        )
        self._workshop.events.digest_mismatch(name)
        self.audience.break_off("the content fails its digest")
        if mixed and self.audience:
            await self._begin_anew()
            return
        if not mixed:
            self._owner.lied(self.digest, name, frozenset(self._fetching.url_indexes))
        self.audience.turn_away(UpstreamBadAnswer(name, "the content fails its digest"))
        self._end(discard=True)

    async def _begin_anew(self) -> None:
        try:
            await self.file.clear()
        except OSError as error:
            self.storage_failed(error)
            return
        self._keeping.release()
        self._resumed = False
        await self._fill()

    def failed(self, failure: Failure) -> None:
        """Our own fault: log it and end."""
        self._log.failure("the download of {digest} failed", failure, digest=self.digest)
        self.audience.turn_away(RuntimeError("the download failed"))
        self.audience.break_off("our own fault")
        self._end(discard=True)

    def _end(self, discard: bool) -> None:
        """Save or discard, then let the next download of this digest begin."""
        if self._over:
            return
        self._state = _State.CLOSING
        self._fetching.drop()
        self.audience.turn_away(ServiceUnavailableError("the daemon is stopping"))
        if not self.verified:
            self.audience.break_off("the daemon is stopping")
        ending = Deferred.fromCoroutine(self._keeping.end(discard))
        ending.addCallbacks(lambda _: self._was_closed(), self._log_failure)

    def _log_failure(self, failure: Failure) -> None:
        self._log.failure("ending the download of {digest} failed", failure, digest=self.digest)
        self._was_closed()

    def _was_closed(self) -> None:
        self._state = _State.CLOSED
        self._close_file()
        self._owner.closed(self)
        self.closed.succeed()

    def _close_file(self) -> None:
        if not self.audience:
            self.file.close()
