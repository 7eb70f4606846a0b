"""A download: one blob that is being fetched into the cache, for any number of readers.

=========  ======================  =====================================================
state      event                   what holds afterwards
=========  ======================  =====================================================
opening    nothing was here        filling, at once; what comes is in memory, see below
opening    partial file opened     filling; the first gap is asked for
opening    nothing is missing      proving: one HEAD, since the right has to be proved
opening    cannot be opened        over; waiting readers relay
proving    right proved            checking
proving    answer proves nothing   the present bytes are dropped, all is fetched again: filling
filling    first answer, up to     filling; heads of answers wait until all was verified
           64 KiB
filling    first answer, larger    filling, on the disk; heads of answers go out
filling    another size than ours  the present bytes are dropped, all is fetched again, once:
                                   filling
filling    first answer refused    over; every waiting reader gets the failure
filling    claim of space refused  over; waiting readers relay, the first takes the body. If it
                                   fits in memory: filling, and it will not be stored
filling    only a manifest states  the present bytes are dropped, and that size is not believed
           a size, and it does     for a while; if no head is out all is fetched again, once:
           not fit                 filling, else over
filling    fill breaks             filling, on the disk; asked again from there after a pause,
                                   on the next URL, until ``MOST_TRIES`` brought nothing
filling    write refused           over; the file is dropped; readers without an answer relay,
                                   all others are aborted
filling    last reader leaves      filling if at most ``finish`` is missing, else parking
parking    a reader joins          filling
parking    every byte present      checking
parking    fills have drained      over; intervals saved, the file stays as it is
filling    every byte present      checking
checking   digest right            all is released, now or, with a full backlog, when it is
                                   stored; the content gets its name, then the index is told
checking   digest wrong            over; readers aborted, the file dropped; if several answers
                                   are in it all is fetched again, once: filling
checking   digest wrong, and only  as above: perhaps it is longer than the manifest says
           a manifest states a
           size
checking   not to be stored        over; readers have their bytes
checking   storing it refused      over; readers have their bytes, the disk rests
checking   index told              over; readers go on with the open file
any        another download of     as before; when it is verified only the right is recorded
           the digest has stored
any        removed by an operator  as before, but no reader may join, the names on the disk are
                                   given up, and nothing is kept; over, if it has no readers.
                                   If it is being stored, the removal waits for that, and its
                                   file goes at once
any        daemon stops            checking goes on; else over, intervals saved
=========  ======================  =====================================================

If there is no partial file, the download begins in memory (``store/spooled.py``): small content
needs no file before its answer, and is stored after it. It moves to the disk if the answer is
larger, if it breaks off or loses its last reader, and if the backlog of the disk is full.

Requests for a digest whose download is over wait until it has closed, and look again.
"""

from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.context import (
    DownloadContext,
    DownloadEvents,
    DownloadTask,
    NotStoredError,
)
from regcache.cache.download.ending import Closing, Verification
from regcache.cache.download.fetching import Fetching
from regcache.cache.download.reader import Reader
from regcache.cache.download.readers import Readers
from regcache.cache.download.target import FillTarget
from regcache.errors import ServiceUnavailableError, UpstreamBadAnswer, UpstreamFailure
from regcache.interfaces import IBlobBody, IPartialFile


class State(Enum):
    """The state of a download."""

    OPENING = "opening"
    PROVING = "proving"
    FILLING = "filling"
    PARKING = "parking"
    CHECKING = "checking"
    OVER = "over"


class Download:
    """Fetches one blob and feeds the readers that want it.

    :ivar target: set once ``is_open``, which is before an answer may begin.
    :ivar closing: what is kept of it, and its end.
    """

    _log = Logger()
    target: FillTarget
    _fetching: Fetching
    _verification: Verification

    def __init__(
        self, task: DownloadTask, context: DownloadContext, events: DownloadEvents
    ) -> None:
        self.task = task
        self.readers = Readers(context.clock, self.unread)
        self.is_open = False
        self._context = context
        self._events = events
        self.closing = Closing(task, self.readers, context, events)
        self._state = State.OPENING
        self._stopping = False

    @property
    def joinable(self) -> bool:
        """Whether a reader may still be attached."""
        return not (self._stopping or self._state is State.OVER or self.closing.forsaken)

    @property
    def public(self) -> bool:
        """Whether some answer came, and every byte was given without credentials."""
        return self.is_open and self.target.public

    @property
    def size(self) -> int | None:
        """The size of the blob as the upstream states it (bytes); None before it does."""
        return self.target.file.size if self.is_open else None

    def join(self) -> Reader:
        """A new reader. The caller calls its ``leave`` in the end."""
        reader = self.readers.join()
        if self._state is State.PARKING:
            self._state = State.FILLING
            self._fetching.begin()
        return reader

    def forsake(self) -> "Deferred[None]":
        """Keep nothing, since the content was removed. Fires when nothing can be kept any more."""
        waiting = self.closing.forsake()
        if not self.readers:
            self._leave_off()
        return waiting

    def begin(self) -> None:
        """Open the partial file and begin to fill it."""
        Deferred.fromCoroutine(self._open()).addErrback(self.failed)

    async def _open(self) -> None:
        task, store = self.task, self._context.store
        try:
            file = await store.open_partial(task.digest, task.upstream, task.fresh)
        except OSError as error:
            self.storage_failed(error)
            return
        file.repository = task.source.repository.name
        self.readers.file = file
        self._verification = self.closing.opened(file)
        await self._fill(file)

    async def _fill(self, file: IPartialFile) -> None:
        self.is_open = True
        size = self._events.believed_size(self.task.digest, self.task.expected_size)
        self.target = FillTarget(file, self._context.space, self.readers, self, mentioned=size)
        self._fetching = Fetching(self.task, self.target, self._context, self)
        self.readers.bring = self._fetching.wanted
        if self._stopping or (self.closing.forsaken and not self.readers):
            self._save()
        elif self.target.is_complete:
            self._state = State.PROVING
            await self._prove()
        else:
            self._state = State.FILLING
            self._fetching.begin()

    async def _prove(self) -> None:
        try:
            await self._verification.prove(self._fetching.answers)
        except UpstreamFailure as failure:
            self.gave_up(failure)
        else:
            if self._state is State.PROVING:
                self._begin_check(self._check)

    def stop(self) -> "Deferred[None]":
        """Save what is here for a later download. Fires when everything is closed."""
        self._stopping = True
        self._leave_off()
        return self.closing.over.wait()

    def unread(self) -> None:
        """A reader has left, or something changed: go on, park, or close the file."""
        self.closing.reader_left()
        if self._state is not State.FILLING or self.readers:
            return
        if self.closing.forsaken:
            self._save()
        elif self.target.may_park(self._context.finish):
            self._state = State.PARKING
            self._fetching.stop()

    def complete(self) -> None:
        """Verify what is there."""
        if self._state in (State.FILLING, State.PARKING):
            self._begin_check(self._check)

    def outgrew(self) -> None:
        """Content whose size was not stated is too large."""
        self._events.outgrew(self.task.digest)
        self.not_stored(NotStoredError("there is no space for more of it"))

    def disk_refused(self, error: BaseException | None) -> None:
        """The disk refused what is needed to go on."""
        if self._state is State.FILLING:
            self.storage_failed(error)

    def drained(self) -> None:
        """The last write of a parking download is done."""
        if self._state is State.PARKING:
            self._save()

    def gave_up(self, failure: UpstreamFailure) -> None:
        """The upstream does not give it: readers without an answer get this failure."""
        if self._state is State.OVER:
            return
        discard, afresh = self._verification.judge(failure, self._fetching.answers, self.target)
        if afresh:
            self._begin_check(self._begin_anew)
        else:
            self._end(failure, discard)

    def not_stored(self, error: NotStoredError) -> None:
        """There is no space: waiting readers relay, the first of them this answer."""
        self._end(error, discard=True)
        error.abandon_body()

    def storage_failed(self, error: BaseException | None, body: IBlobBody | None = None) -> None:
        """The disk refused a write. Readers that have got bytes are aborted."""
        reason = self._events.storage_failed(self.task.digest, error)
        self.not_stored(NotStoredError(reason, body))

    def failed(self, failure: Failure) -> None:
        """There was an internal fault: log it and end."""
        self._log.failure("the download of {digest} failed", failure, digest=self.task.digest)
        reason = "the download failed"
        self._end(RuntimeError(reason) if self.is_open else NotStoredError(reason), discard=True)

    def _begin_check(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._state = State.CHECKING
        self._fetching.drop()
        Deferred.fromCoroutine(self._guard(step)).addErrback(self.failed)

    async def _guard(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await step()
        except OSError as error:
            self.storage_failed(error)
        except UpstreamBadAnswer as failure:
            self._end(failure, discard=True)

    async def _check(self) -> None:
        if await self._verification.complete(self._fetching.answers, self.target):
            self._state = State.OVER
            self.closing.finish()
        else:
            await self._begin_anew()

    async def _begin_anew(self) -> None:
        await self._verification.begin_anew(self.target)
        await self._fill(self.target.file)

    def _save(self) -> None:
        """Save what is here and end. There are no readers any more, or the daemon stops."""
        self._end(ServiceUnavailableError("the daemon is stopping"), discard=False)

    def _leave_off(self) -> None:
        if self._state in (State.PROVING, State.FILLING, State.PARKING):
            self._save()

    def _end(self, error: Exception, discard: bool) -> None:
        """Save or discard, then let the next download of this digest begin.

        The state is changed first: waiting requests may ask again as soon as they are told.
        """
        if self._state is not State.OVER:
            self._state = State.OVER
            if self.is_open:
                self._fetching.drop()
            self.readers.dismiss(error)
            self.closing.begin(self.target.partial_claim if self.is_open else None, discard)
