"""A download: one blob being fetched into the cache, whoever asked.

=========  ======================  =====================================================
state      event                   what holds afterwards
=========  ======================  =====================================================
opening    partial file opened     filling; the first gap is asked for
opening    nothing is missing      proving: one HEAD, since the right needs the upstream's word
opening    cannot be opened        over; waiting readers relay
proving    right proved            checking
filling    first answer            heads of answers go out (over 64 KiB; else verified)
filling    first answer refused    over; every waiting reader gets the failure
filling    claim of space refused  over; waiting readers relay, the first takes the body
filling    fill breaks             filling; asked again from there after a pause, on the next
                                   URL, until ``MOST_TRIES`` brought nothing
filling    write refused           over; readers aborted, the file dropped
filling    last reader leaves      filling if at most ``finish`` is missing, else parking
parking    a reader joins          filling
parking    fills have drained      over; intervals saved, the file stays as it is
filling    every byte present      checking
checking   digest right            done: all is released; the file is renamed, the index told
checking   digest wrong            over; readers aborted, the file dropped; a file from
                                   several answers is fetched afresh once: filling
done       index told              over; readers go on with the open file
any        daemon stops            over; intervals saved
=========  ======================  =====================================================

Nobody joins what is over: who asks for the digest waits until it is closed and looks again.
"""

from enum import Enum

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.audience import Audience
from regcache.cache.closing import Closing
from regcache.cache.examination import Verdict, examine
from regcache.cache.fetching import Fetching, SizeConflict
from regcache.cache.keeping import Keeping
from regcache.cache.origin import DownloadOwner, NotStoredError, Origin, Workshop
from regcache.cache.progress import exceeds_withheld, is_complete, too_much_missing
from regcache.cache.reader import Reader
from regcache.digests import Digest
from regcache.errors import ServiceUnavailableError, UpstreamBadAnswer, UpstreamFailure
from regcache.interfaces import IBlobBody, IPartialFile


class _State(Enum):
    OPENING = "opening"
    PROVING = "proving"
    FILLING = "filling"
    PARKING = "parking"
    CHECKING = "checking"
    DONE = "done"
    OVER = "over"


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
        self.audience = Audience(self)
        self._closing = Closing(digest, self.audience, owner)
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
        return self._state is _State.OVER

    @property
    def public(self) -> bool:
        """Whether some answer came, and every byte was given without credentials."""
        return self._opened and self._fetching.answered and self.file.anonymous

    @property
    def _opened(self) -> bool:
        return hasattr(self, "_fetching")

    def join(self) -> Reader:
        """A new reader. Whoever gets it calls ``leave`` in the end."""
        reader = self.audience.join()
        if self._state is _State.PARKING:
            self._state = _State.FILLING
            self._fetching.go_on()
            self._step()
        return reader

    def closed(self) -> "Deferred[None]":
        """Fires when the next download of the digest may begin."""
        return self._closing.done.wait()

    async def run(self) -> None:
        """Open the partial file and begin to fill it."""
        try:
            self.file = await self._workshop.store.open_partial(self.digest)
        except OSError as error:
            self._cannot_open(error)
            return
        self.audience.file = self.file
        self._keeping = Keeping(self.file, self._workshop.space)
        self._resumed = self.file.present.total > 0
        await self._fill()

    async def _fill(self) -> None:
        self._fetching = Fetching(
            self.file, self.origin, self._expected_size, self._workshop, self, self._skip
        )
        if self._stopping:
            self._save()
        elif is_complete(self.file):
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
            self._save()
        return self.closed()

    # What readers cause (regcache.cache.audience.Host).

    def wanted(self, position: int) -> bool:
        """A reader waits at a position: have it brought, if nobody does."""
        if self._state is _State.FILLING:
            self._fetching.step([position])
        return self.audience.verified or not self._over

    def left(self) -> None:
        """Go on, park or close, now that a reader is gone."""
        self._step()
        self._closing.close_file()

    # What the fills tell (regcache.cache.fetching.FetchingListener).

    def size_announced(self, size: int | None, body: IBlobBody) -> None:
        """Claim space for what an answer announces.

        :raises NotStoredError: where the claim is refused.
        """
        if not self._keeping.claim(size or 0):
            raise NotStoredError("there is no space for it", body)

    def answered(self) -> None:
        """Let answers begin; small blobs are verified before."""
        if self._fetching.answered and exceeds_withheld(self.file):
            self.audience.release_head()

    def progressed(self) -> None:
        """Let everybody look at what is there now."""
        if self._state is not _State.FILLING:
            return
        if self.file.size is None and not self._keeping.claim(self.file.present.total):
            self.storage_failed(OSError("no space for a blob that does not say its size"))
            return
        self._keeping.written()
        self.answered()
        self._step()
        self.audience.wake()

    def drained(self) -> None:
        """The last write of a parking download is done."""
        if self._state is _State.PARKING:
            self._save()

    def gave_up(self, failure: UpstreamFailure) -> None:
        """The upstream does not give it: who has no answer yet gets this one."""
        reason = f"upstream {failure.upstream}: {failure.reason}"
        self._end(failure, reason, discard=isinstance(failure, SizeConflict))

    def not_stored(self, error: NotStoredError) -> None:
        """There is no space: who waits has to relay."""
        if not self.audience and error.body is not None:
            error.body.abort()
        self._end(error, "there is no space for it", discard=True)

    def storage_failed(self, error: BaseException | None) -> None:
        """A write failed half-way: relaying is impossible for those who got bytes."""
        self._owner.storage_failed(self.digest, error)
        reason = "the disk refused a write"
        self._end(NotStoredError(reason), reason, discard=True)

    def _cannot_open(self, error: BaseException | None) -> None:
        """Without a partial file there is nothing to end but the waiting."""
        self._state = _State.OVER
        self._owner.storage_failed(self.digest, error)
        reason = "the partial file cannot be opened"
        self.audience.dismiss(NotStoredError(reason), reason)
        self._closing.finish()

    # Steps.

    def _step(self) -> None:
        if self._state is not _State.FILLING:
            return
        if is_complete(self.file):
            self._fetching.drop()
            self._state = _State.CHECKING
            Deferred.fromCoroutine(self._check()).addErrback(self.failed)
        elif self._may_park():
            self._state = _State.PARKING
            self._fetching.stop()
        else:
            self._fetching.step()

    def _may_park(self) -> bool:
        unread = self._fetching.answered and not self.audience
        return unread and too_much_missing(self.file, self._workshop.finish)

    async def _check(self) -> None:
        name, events = self.origin.registry.name, self._workshop.events
        try:
            verdict = await examine(self.file, self._fetching, self._resumed, name, events)
        except OSError as error:
            self.storage_failed(error)
            return
        if verdict is Verdict.RIGHT:
            await self._commit()
            return
        failure = UpstreamBadAnswer(name, "the content fails its digest")
        self.audience.break_off(failure.reason)
        if verdict is Verdict.MIXED and self.audience:
            await self._begin_anew()
            return
        if verdict is Verdict.WRONG:
            self._owner.lied(self.digest, name, frozenset(self._fetching.url_indexes))
        self._end(failure, failure.reason, discard=True)

    async def _commit(self) -> None:
        """Release the rest to the readers at once; storing goes on behind their answers."""
        self._state = _State.DONE
        self.audience.release_all()
        try:
            await self.file.commit()
        except OSError as error:
            self.storage_failed(error)
            return
        self._keeping.release()
        await self._owner.fetched(self._fetching.result())
        self._state = _State.OVER
        self._closing.finish()

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
        if not self._opened:
            self._cannot_open(failure.value)
            return
        self._end(RuntimeError("the download failed"), "our own fault", discard=True)

    def _save(self) -> None:
        """End for today; nobody reads any more, unless the daemon stops."""
        reason = "the daemon is stopping"
        self._end(ServiceUnavailableError(reason), reason, discard=False)

    def _end(self, error: Exception, reason: str, discard: bool) -> None:
        """Save or discard, then let the next download of this digest begin.

        Nobody is told before the state says so: who hears of it may ask again at once.
        """
        if self._over:
            return
        self._state = _State.OVER
        self._fetching.drop()
        self.audience.dismiss(error, reason)
        self._closing.begin(self._keeping, discard)
