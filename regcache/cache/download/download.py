"""A download: one blob being fetched into the cache, whoever asked.

=========  ======================  =====================================================
state      event                   what holds afterwards
=========  ======================  =====================================================
opening    partial file opened     filling; the first gap is asked for, or taken if it is here
opening    nothing is missing      proving: one HEAD, since the right needs the upstream's word
opening    cannot be opened        over; waiting readers relay
proving    right proved            checking
proving    answer proves nothing   what is held is dropped and fetched afresh: filling
filling    first answer            heads of answers go out (over 64 KiB; else verified)
filling    another size than ours  what is held is dropped and fetched afresh once: filling
filling    first answer refused    over; every waiting reader gets the failure
filling    claim of space refused  over; waiting readers relay, the first takes the body
filling    fill breaks             filling; asked again from there after a pause, on the next
                                   URL, until ``MOST_TRIES`` brought nothing
filling    write refused           over; readers aborted, the file dropped; who has no answer
                                   yet relays
filling    last reader leaves      filling if at most ``finish`` is missing, else parking
parking    a reader joins          filling
parking    fills have drained      over; intervals saved, the file stays as it is
filling    every byte present      checking
checking   digest right            all is released; the file is renamed, the index told
checking   digest wrong            over; readers aborted, the file dropped; a file from
                                   several answers is fetched afresh once: filling
checking   index told              over; readers go on with the open file
any        daemon stops            over; intervals saved
=========  ======================  =====================================================

Nobody joins what is over: who asks for the digest waits until it is closed and looks again.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.answers import SizeConflict
from regcache.cache.download.blob_source import BlobSource, DownloadOwner, NotStoredError, Workshop
from regcache.cache.download.closing import Closing
from regcache.cache.download.download_state import DownloadState as State
from regcache.cache.download.fetching import Fetching
from regcache.cache.download.first_answer import FirstAnswer
from regcache.cache.download.partial_claim import PartialClaim
from regcache.cache.download.progress import exceeds_withheld, is_complete, too_much_missing
from regcache.cache.download.reader import Reader
from regcache.cache.download.readers import Readers
from regcache.cache.download.verification import Verification
from regcache.cache.sight.proofs import agrees
from regcache.digests import Digest
from regcache.errors import ServiceUnavailableError, UpstreamBadAnswer, UpstreamFailure
from regcache.interfaces import IBlobBody, IPartialFile


class Download:
    """Fetches one blob into its partial file and feeds the readers that want it."""

    _log = Logger()
    file: IPartialFile
    _fetching: Fetching
    _partial_claim: PartialClaim
    _verification: Verification

    def __init__(
        self,
        digest: Digest,
        origin: BlobSource,
        expected_size: int | None,
        workshop: Workshop,
        skip: frozenset[int],
        owner: DownloadOwner,
        readers: Readers | None = None,
        body: IBlobBody | None = None,
    ) -> None:
        """:param body: an answer from the first byte on, for ``readers``, which waits."""
        self.digest, self.origin = digest, origin
        self.readers = Readers(self, workshop.clock) if readers is None else readers
        self.readers.move(self)
        self._first = FirstAnswer(body)
        self._closing = Closing(digest, self.readers, owner)
        self._expected_size = expected_size
        self._workshop = workshop
        self._skip = skip
        self._owner = owner
        self._state = State.OPENING
        self._stopping = False

    @property
    def joinable(self) -> bool:
        """Whether a reader may still be attached."""
        return not (self._stopping or self._over)

    @property
    def _over(self) -> bool:
        return self._state is State.OVER

    @property
    def public(self) -> bool:
        """Whether some answer came, and every byte was given without credentials."""
        return self.readers.opened and self._fetching.answered and self.file.anonymous

    @property
    def size(self) -> int | None:
        """Bytes of the blob as the upstream states them; None before it does."""
        return self.file.size if self.readers.opened else None

    def join(self) -> Reader:
        """A new reader. Whoever gets it calls ``leave`` in the end."""
        reader = self.readers.join()
        if self._state is State.PARKING:
            self._state = State.FILLING
            self._fetching.go_on()
            self._step()
        return reader

    def closed(self) -> "Deferred[None]":
        """Fires when the next download of the digest may begin."""
        return self._closing.done.wait()

    async def run(self) -> None:
        """Open the partial file and begin to fill it."""
        try:
            upstream = self.origin.registry.identity
            self.file = await self._workshop.store.open_partial(self.digest, upstream)
        except OSError as error:
            self._cannot_open(error)
            return
        self.readers.file = self.file
        events = self._workshop.events
        self._verification = Verification(self.origin, self.readers, events, self._owner)
        await self._fill()

    async def _fill(self) -> None:
        self._partial_claim = PartialClaim(self.file, self._workshop.space)
        self._fetching = Fetching(
            self.file, self.origin, self._expected_size, self._workshop, self, self._skip
        )
        body = self._first.take(not self._stopping and not self.file.present)
        if self._stopping:
            self._save()
        elif is_complete(self.file):
            self._state = State.PROVING
            await self._prove()
        else:
            self._state = State.FILLING
            if body is not None:
                self._fetching.begin(body)
            self._step()

    async def _prove(self) -> None:
        registry = self.origin.registry
        try:
            head = await registry.head_blob(self.origin.repository.name, self.digest)
            if not agrees(head, self.digest, self.file.size):
                raise SizeConflict(registry.name, "its answer to HEAD is not that of this blob")
        except UpstreamFailure as failure:
            self.gave_up(failure)
        else:
            if self._state is State.PROVING:
                self._fetching.answers.credentials = head.credentials
                self._state = State.FILLING
                self._step()

    def stop(self) -> "Deferred[None]":
        """Keep what is here for another day. Fires when everything is closed."""
        self._stopping = True
        if self._state in (State.PROVING, State.FILLING, State.PARKING):
            self._save()
        return self.closed()

    # What readers cause: :class:`regcache.cache.download.readers.Host`.

    def wanted(self, position: int) -> bool:
        """A reader waits at a position: have it brought, if nobody does."""
        if self._state is State.FILLING:
            self._fetching.step([position])
        return self.readers.verified or not self._over

    def left(self) -> None:
        """Go on, park or close, now that a reader is gone."""
        self._step()
        self._closing.close_file()

    # What the fills tell: :class:`regcache.cache.download.fetch_events.FetchEvents`.

    def size_announced(self, size: int | None, body: IBlobBody) -> None:
        """Claim space for what an answer announces; never for what only a manifest says.

        :raises NotStoredError: where the claim is refused.
        """
        if not self._partial_claim.claim(max(size or 0, self.file.present.total)):
            raise NotStoredError("there is no space for it", body)

    def answered(self) -> None:
        """Let answers begin; small blobs are verified before."""
        if self._fetching.answered and exceeds_withheld(self.file):
            self.readers.release_head()

    def progressed(self) -> None:
        """Let everybody look at what is there now."""
        if self._state is not State.FILLING:
            return
        if not self._partial_claim.claim(self.file.present.total):
            self._owner.outgrew(self.digest)
            self.not_stored(NotStoredError("there is no space for more of it"))
            return
        self._partial_claim.written()
        self.answered()
        self._step()
        self.readers.wake()

    def drained(self) -> None:
        """The last write of a parking download is done."""
        if self._state is State.PARKING:
            self._save()

    def gave_up(self, failure: UpstreamFailure) -> None:
        """The upstream does not give it: who has no answer yet gets this one."""
        if self._over:
            return
        conflict = isinstance(failure, SizeConflict)
        if conflict and self._verification.afresh and not self._fetching.answered:
            self._begin_check(self._begin_anew)
        else:
            self._end(failure, discard=conflict)

    def not_stored(self, error: NotStoredError) -> None:
        """There is no space: who waits has to relay, the first with the answer at hand."""
        self._end(error, discard=True)
        error.abandon_body()

    def storage_failed(self, error: BaseException | None, body: IBlobBody | None = None) -> None:
        """The disk refused a write: relaying is impossible for those who got bytes."""
        self._owner.storage_failed(self.digest, error)
        self.not_stored(NotStoredError("the disk refused a write", body))

    def _cannot_open(self, error: BaseException | None) -> None:
        """Without a partial file there is nothing to end but the waiting."""
        self._state = State.OVER
        self._owner.storage_failed(self.digest, error)
        refusal = NotStoredError("the partial file cannot be opened", self._first.take())
        self.readers.dismiss(refusal)
        refusal.abandon_body()
        self._closing.finish()

    def _step(self) -> None:
        if self._state is not State.FILLING:
            return
        if is_complete(self.file):
            self._begin_check(self._check)
        elif self._may_park():
            self._state = State.PARKING
            self._fetching.stop()
        else:
            self._fetching.step()

    def _may_park(self) -> bool:
        unread = self._fetching.answered and not self.readers
        return unread and too_much_missing(self.file, self._workshop.finish)

    def _begin_check(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._fetching.drop()
        self._state = State.CHECKING
        Deferred.fromCoroutine(step()).addErrback(self.failed)

    async def _check(self) -> None:
        try:
            if not await self._verification.store(self._fetching.answers, self._partial_claim):
                await self._begin_anew()
                return
        except OSError as error:
            self.storage_failed(error)
        except UpstreamBadAnswer as failure:
            self._end(failure, discard=True)
        else:
            self._state = State.OVER
            self._closing.finish()

    async def _begin_anew(self) -> None:
        try:
            await self._verification.begin_anew(self._partial_claim)
        except OSError as error:
            self.storage_failed(error)
        else:
            await self._fill()

    def failed(self, failure: Failure) -> None:
        """Our own fault: log it and end."""
        self._log.failure("the download of {digest} failed", failure, digest=self.digest)
        if self.readers.opened:
            self._end(RuntimeError("the download failed"), discard=True)
        else:
            self._cannot_open(failure.value)

    def _save(self) -> None:
        """End for today; nobody reads any more, unless the daemon stops."""
        self._end(ServiceUnavailableError("the daemon is stopping"), discard=False)

    def _end(self, error: Exception, discard: bool) -> None:
        """Save or discard, then let the next download of this digest begin.

        Nobody is told before the state says so: who hears of it may ask again at once.
        """
        if not self._over:
            self._state = State.OVER
            self._fetching.drop()
            self.readers.dismiss(error)
            self._closing.begin(self._partial_claim, discard)
