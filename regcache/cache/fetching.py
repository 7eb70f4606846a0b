"""The fills of one download: what to ask for, and what to do when an answer breaks.

A fill that breaks is asked again from its last byte, through the registry's own URL, on the
next URL where there are several, after a pause that grows with each try that brought
nothing. What the first answer says of the size decides whether the blob can be stored.
"""

from collections.abc import Iterable
from typing import Protocol

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.fill import Fill
from regcache.cache.origin import Fetched, NotStoredError, Origin, Workshop
from regcache.cache.planning import (
    MOST_FILLS,
    Stretch,
    main_stretch,
    met_present,
    side_stretch,
)
from regcache.cache.retries import Retries
from regcache.errors import UpstreamBadAnswer, UpstreamFailure
from regcache.interfaces import IBlobBody, IPartialFile

#: Fills that broke beside another one, after which no more side fills are tried.
MOST_SIDE_FAILURES = 4


class SizeConflict(UpstreamBadAnswer):
    """The size stated now is not the size that what we hold was fetched under."""


class FetchingListener(Protocol):
    """The download whose fills these are."""

    def size_announced(self, size: int | None, body: IBlobBody) -> None:
        """An answer fits. :raises NotStoredError: where there is no space for it."""

    def answered(self) -> None:
        """The first fitting answer is there."""

    def progressed(self) -> None:
        """Bytes were written, or a fill ended."""

    def drained(self) -> None:
        """No fill is left after :meth:`Fetching.stop`."""

    def gave_up(self, failure: UpstreamFailure) -> None:
        """The upstream does not give the blob."""

    def not_stored(self, error: NotStoredError) -> None:
        """The blob cannot be stored."""

    def storage_failed(self, error: BaseException | None) -> None:
        """The disk refused a write."""

    def failed(self, failure: Failure) -> None:
        """Something that nobody foresaw."""


class Fetching:
    """Brings a blob into its partial file."""

    _log = Logger()

    def __init__(
        self,
        file: IPartialFile,
        origin: Origin,
        expected_size: int | None,
        workshop: Workshop,
        listener: FetchingListener,
        skip: frozenset[int],
    ) -> None:
        self.file = file
        self.answered = False
        self.url_indexes: set[int] = set()
        self.bodies = 0
        self._origin = origin
        self._expected_size = expected_size
        self._listener = listener
        self._skip = skip
        self._broken: frozenset[int] = frozenset()
        self._claimed = file.present.copy()
        self._fills: list[Fill] = []
        self._main: Fill | None = None
        self._ranges_ignored = False
        self._side_failures = 0
        self._retries = Retries(
            workshop.clock, workshop.random, listener.progressed, self._claimed.total
        )
        self._stopping = False
        #: Fingerprint of the credentials that the last answer was given for.
        self.credentials = ""

    def step(self, waiting: Iterable[int] = ()) -> None:
        """Ask for what is missing and nobody asked for yet. Idempotent."""
        if self._stopping or self._retries.waiting:
            return
        if self._main is None:
            stretch = main_stretch(self._claimed, self.file.size, self._stretches())
            self._request(stretch, main=True)
        if self.answered and not self._ranges_ignored and self._side_failures < MOST_SIDE_FAILURES:
            for offset in waiting:
                self._request(
                    side_stretch(self._claimed, self.file.size, self._stretches(), offset)
                )

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

    def result(self) -> Fetched:
        """What the index has to know when all was verified."""
        anonymous = self.file.anonymous
        size = self.file.size or 0
        return Fetched(self.file.digest, size, self._origin, self.credentials, anonymous)

    def _stretches(self) -> list[Stretch]:
        return [fill.stretch for fill in self._fills]

    def _request(self, stretch: Stretch | None, main: bool = False) -> None:
        if stretch is None or len(self._fills) >= MOST_FILLS:
            return
        fill = Fill(self, stretch, self._origin.registry.name)
        self._fills.append(fill)
        if main:
            self._main = fill
        asking = self._origin.registry.get_blob(
            self._origin.repository,
            self.file.digest,
            stretch.start,
            stretch.end,
            self._skipped(),
        )
        fill.ask(asking)
        asking.addCallbacks(
            self._answered, self._refused, callbackArgs=(fill,), errbackArgs=(fill,)
        )
        asking.addErrback(self._listener.failed)

    def _skipped(self) -> frozenset[int]:
        """URLs not to ask now: the liars, and those that just broke if others are left."""
        both = self._skip | self._broken
        return both if len(both) < self._origin.registry.url_count else self._skip

    def _answered(self, body: IBlobBody, fill: Fill) -> None:
        if fill not in self._fills:
            body.abort()
            return
        try:
            self._accept(body, fill)
        except UpstreamFailure as failure:
            body.abort()
            self._remove(fill)
            self._lost(failure)
        except NotStoredError as error:
            self._remove(fill)
            self._listener.not_stored(error)

    def _accept(self, body: IBlobBody, fill: Fill) -> None:
        """Check an answer against what is known, and let it flow."""
        name = self._origin.registry.name
        size = self._expected_size if body.size is None else body.size
        for known in (self._expected_size, self.file.size):
            if known is not None and size is not None and size != known:
                raise SizeConflict(name, f"a size of {size} bytes instead of {known}")
        if body.start < fill.position and self._unneeded(body, fill):
            return
        self._listener.size_announced(size, body)
        if size is not None:
            self.file.set_size(size)
        self.credentials = body.credentials
        self.file.anonymous = self.file.anonymous and not body.credentials
        self.bodies += 1
        self.url_indexes.add(body.url_index)
        first, self.answered = not self.answered, True
        if first:
            self._listener.answered()
        fill.flow(body)

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
        if isinstance(failure.value, UpstreamFailure):
            self._lost(failure.value)
        else:
            self._listener.failed(failure)

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
        self._listener.progressed()

    def fill_over(self, fill: Fill, failure: UpstreamFailure | None) -> None:
        """The fill ended; all that it claimed is written."""
        self._remove(fill)
        failure = failure or self._fell_short(fill)
        if failure is not None:
            self._broken = frozenset() if fill.body is None else frozenset([fill.body.url_index])
            self._lost(failure)
        elif self._stopping:
            self._check_drained()
        else:
            self._listener.progressed()

    def _fell_short(self, fill: Fill) -> UpstreamFailure | None:
        """What is wrong with a clean end, if anything."""
        if fill.stopped:
            return None
        if self.file.size is None:
            self.file.set_size(fill.position)
            return None
        wanted = self.file.size if fill.stretch.end is None else fill.stretch.end
        if fill.position >= wanted:
            return None
        return UpstreamBadAnswer(self._origin.registry.name, "the body ended early")

    def storage_failed(self, error: BaseException | None) -> None:
        """The disk refused a write."""
        self.drop()
        self._listener.storage_failed(error)
