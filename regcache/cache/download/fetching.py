"""The fills of one download: what to ask for, and what to do when an answer breaks.

A fill that breaks is asked again from its last byte, through the registry's own URL, on the
next URL where there are several, after a pause that grows with each try that brought
nothing. What the first answer says of the size decides whether the blob can be stored.
"""

from collections.abc import Iterable

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.allocation import Allocation
from regcache.cache.download.answers import Answers, SizeConflict
from regcache.cache.download.blob_source import BlobSource, NotStoredError, Workshop
from regcache.cache.download.fetch_events import FetchEvents
from regcache.cache.download.fill import Fill
from regcache.cache.download.planning import (
    MOST_FILLS,
    Stretch,
    main_stretch,
    met_present,
    side_stretch,
)
from regcache.cache.download.retries import Retries
from regcache.cache.download.url_choice import UrlChoice
from regcache.errors import UpstreamBadAnswer, UpstreamFailure
from regcache.interfaces import IBlobBody, IPartialFile

#: The HTTP status of a range that lies behind the end.
RANGE_NOT_SATISFIABLE = 416
#: Fills that broke beside another one, after which no more side fills are tried.
MOST_SIDE_FAILURES = 4


class Fetching:
    """Brings a blob into its partial file."""

    _log = Logger()

    def __init__(
        self,
        file: IPartialFile,
        origin: BlobSource,
        expected_size: int | None,
        workshop: Workshop,
        listener: FetchEvents,
        skip: frozenset[int],
    ) -> None:
        self.file = file
        self.answers = Answers(file, origin, expected_size)
        self._origin, self._clock = origin, workshop.clock
        self._urls = UrlChoice(skip, origin.registry.url_count)
        self._listener = listener
        self._claimed = file.present.copy()
        self._fills: list[Fill] = []
        self._main: Fill | None = None
        self._allocation = Allocation(file, self._not_allocated)
        self._ranges_ignored = False
        self._no_remainder = False
        self._side_failures = 0
        self._retries = Retries(
            workshop.clock, workshop.random, listener.progressed, self._claimed.total
        )
        self._stopping = False

    @property
    def answered(self) -> bool:
        """Whether a fitting answer came."""
        return self.answers.count > 0

    def step(self, waiting: Iterable[int] = ()) -> None:
        """Ask for what is missing and nobody asked for yet. Idempotent."""
        if self._stopping or self._retries.waiting:
            return
        # Where Range is ignored a fill brings everything, and another one nothing more.
        if self._main is None and not (self._ranges_ignored and self._fills):
            self._request(self._next_main(), main=True)
        if self.answered and not self._ranges_ignored and self._side_failures < MOST_SIDE_FAILURES:
            for offset in waiting:
                self._request(
                    side_stretch(self._claimed, self.file.size, self._stretches(), offset)
                )

    def begin(self, body: IBlobBody) -> None:
        """Take an answer from the first byte on that is here already."""
        fill = self._main = self._new_fill(Stretch(0, None))
        self._answered(body, fill)

    def stop(self) -> None:
        """Ask for nothing more; ``drained`` is called when the last write is done."""
        self._stopping = True
        self._retries.cancel()
        for fill in list(self._fills):
            fill.stop()
        if not self._fills:
            self._listener.drained()

    def go_on(self) -> None:
        """Take :meth:`stop` back."""
        self._stopping = False

    def drop(self) -> None:
        """End everything at once. The listener hears nothing more."""
        self._stopping = True
        self._retries.cancel()
        fills, self._fills, self._main = self._fills, [], None
        for fill in fills:
            fill.drop()

    def _new_fill(self, stretch: Stretch) -> Fill:
        fill = Fill(self, stretch, self._origin.registry.name, self._clock)
        self._fills.append(fill)
        return fill

    def _stretches(self) -> list[Stretch]:
        return [fill.stretch for fill in self._fills]

    def _next_main(self) -> Stretch | None:
        if self._no_remainder and self.file.size is None:
            return None if self._fills else Stretch(0, None)
        return main_stretch(self._claimed, self.file.size, self._stretches())

    def _request(self, stretch: Stretch | None, main: bool = False) -> None:
        if stretch is None or len(self._fills) >= MOST_FILLS:
            return
        if self._stopping or self._retries.waiting:  # since an answer that came at once
            return
        fill = self._new_fill(stretch)
        if main:
            self._main = fill
        asking = self._origin.registry.get_blob(
            self._origin.repository.name,
            self.file.digest,
            stretch.start,
            stretch.end,
            self._urls.skipped(),
        )
        fill.ask(asking)
        asking.addCallbacks(
            self._answered, self._refused, callbackArgs=(fill,), errbackArgs=(fill,)
        )
        asking.addErrback(self._listener.failed)

    def _answered(self, body: IBlobBody, fill: Fill) -> None:
        if fill not in self._fills:
            body.abort()
            return
        try:
            accepted = self._accept(body, fill)
        except UpstreamFailure as failure:
            body.abort()
            self._remove(fill)
            self._lost(failure)
        except NotStoredError as error:
            self._remove(fill)
            self._listener.not_stored(error)
        else:
            if accepted:
                self._allocate(body, fill)
                self._listener.progressed()  # where the size is news, readers may have more

    def _accept(self, body: IBlobBody, fill: Fill) -> bool:
        """Check an answer against what is known; whether it is wanted."""
        size = self.answers.check(body, fill.position)
        if body.start < fill.position and self._unneeded(body, fill):
            return False
        self._listener.size_announced(body.size, body)
        if size is not None:
            self.file.set_size(size)
        return True

    def _allocate(self, body: IBlobBody, fill: Fill) -> None:
        """Reserve the first step, then let the body flow."""
        allocating = self._allocation.first(body.start, body.end)
        given = (body, fill)
        allocating.addCallbacks(
            self._begin_flow, self._not_allocated_first, given, errbackArgs=given
        )
        allocating.addErrback(self._listener.failed)

    def _begin_flow(self, _: None, body: IBlobBody, fill: Fill) -> None:
        if fill not in self._fills:
            body.abort()
            return
        self.answers.take(body)
        if self.answers.count == 1:
            self._listener.answered()
        fill.flow(body)

    def _not_allocated_first(self, failure: Failure, body: IBlobBody, fill: Fill) -> None:
        if fill not in self._fills or not failure.check(OSError):
            body.abort()
            return
        self.drop()
        self._listener.storage_failed(failure.value, body)

    def _not_allocated(self, error: BaseException | None) -> None:
        if not self._stopping:
            self.storage_failed(error)

    def _unneeded(self, body: IBlobBody, fill: Fill) -> bool:
        """Range was ignored: one answer from the start is enough for everybody."""
        self._ranges_ignored = True
        others = [other for other in self._fills if other is not fill]
        if not others:
            return False
        body.abort()
        self._remove(fill)
        return True

    def _refused(self, failure: Failure, fill: Fill) -> None:
        if fill not in self._fills:
            return
        self._remove(fill)
        if failure.check(CancelledError):
            self._check_drained()
            return
        if not isinstance(failure.value, UpstreamFailure):
            self._listener.failed(failure)
        elif failure.value.status == RANGE_NOT_SATISFIABLE:
            # Nothing follows what is held: another size than ours, or, where nobody knows it,
            # content that only a whole answer can say the end of.
            self._no_remainder = True
            name = self._origin.registry.name
            self._lost(SizeConflict(name, f"it has no byte at {fill.position}"))
        else:
            self._lost(failure.value)

    def _remove(self, fill: Fill) -> None:
        if fill in self._fills:
            self._fills.remove(fill)
        if self._main is fill:
            self._main = None

    def _lost(self, failure: UpstreamFailure) -> None:
        """Ask again after a pause, or give up."""
        if self._stopping:
            self._check_drained()
            return
        final = self._retries.is_final(failure)
        if self._fills and not final:
            self._side_failures += 1
        elif final or not self.answered or not self._retries.count(self._claimed.total):
            self._listener.gave_up(failure)
            return
        pause = self._retries.pause(failure)
        self._log.warn(
            "{digest} from {upstream} broke off: {reason}; asking again in {pause:.1f} s",
            digest=self.file.digest,
            upstream=failure.upstream,
            reason=failure.reason,
            pause=pause,
        )

    def _check_drained(self) -> None:
        if self._stopping and not self._fills:
            self._listener.drained()

    # What fills tell.

    def claim(self, start: int, end: int) -> list[tuple[int, int]]:
        """Claim the parts of ``[start, end)`` that nobody has brought yet."""
        gaps = self._claimed.gaps(start, end)
        self._claimed.add(start, end)
        return gaps

    def fill_met_present(self, position: int) -> bool:
        """Whether what follows ``position`` is here already."""
        return not self._ranges_ignored and met_present(self._claimed, position, self.file.size)

    def fill_progressed(self, fill: Fill) -> None:
        """Bytes were written."""
        self._allocation.ahead(fill.position, fill.stretch.end)
        self._listener.progressed()

    def fill_over(self, fill: Fill, failure: UpstreamFailure | None) -> None:
        """The fill ended; all that it claimed is written."""
        self._remove(fill)
        failure = failure or self._fell_short(fill)
        if failure is not None:
            self._urls.broke(None if fill.body is None else fill.body.url_index)
            self._lost(failure)
        elif self._stopping:
            self._check_drained()
        else:
            self._listener.progressed()

    def _fell_short(self, fill: Fill) -> UpstreamFailure | None:
        """What is wrong with a clean end, if anything."""
        if fill.stopped:
            return None
        wanted = self.file.size if fill.stretch.end is None else fill.stretch.end
        if wanted is None and self._claimed.end_of(0) <= fill.position:
            self.file.set_size(fill.position)
        if fill.position >= (wanted or self._claimed.end_of(0)):
            return None
        return UpstreamBadAnswer(self._origin.registry.name, "the body ended early")

    def storage_failed(self, error: BaseException | None) -> None:
        """The disk refused a write."""
        self.drop()
        self._listener.storage_failed(error)
