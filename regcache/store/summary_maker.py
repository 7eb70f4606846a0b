"""Makes the summaries of repositories that are due: from time to time, and on request.

A background thread makes a few at a time; the index's thread writes them. So no pull waits for
them. A request of the admin API waits a moment. A summary that took long is made less often.
"""

from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from regcache.gate import Gate
from regcache.images import Undescribed
from regcache.store import catalogue_pins, catalogue_summaries
from regcache.store.catalogue_pins import View
from regcache.store.catalogue_summaries import Summary
from regcache.store.index_reader import IndexReader
from regcache.store.index_thread import IndexThread

PATIENCE = 0.06
"""Seconds for which a request waits for summaries that are due."""

EVERY = 30.0
"""Seconds between two times at which due summaries are made without a request."""

PAUSE = 2.0
"""After a step follows a pause of this many times its duration, unless there is a request: other
threads need the interpreter."""

RESTS = 50.0
"""A summary that took long is made again only after this many times its duration."""

LONG = 0.05
"""Seconds from which a summary counts as long."""

MOST_RESTING = 1000
"""Repositories that may have to wait for this reason; with more of them, none has to."""

Describe = Callable[[Sequence[Undescribed]], Awaitable[None]]
"""Finds out the platforms of manifests, and records them."""


class SummaryMaker:
    """Makes summaries.

    :param reader: of its own, in the background.
    :param patterns: gives the patterns of pins.
    :ivar told_late: called when summaries are made for which a request has not waited.
    :ivar describe: reads manifests of which the index knows too little; None: they are not read.
    """

    _log = Logger()

    def __init__(
        self,
        reader: IndexReader,
        thread: IndexThread,
        clock: IReactorTime,
        patterns: Callable[[], Sequence[str]],
    ) -> None:
        self._reader = reader
        self._thread = thread
        self._clock = clock
        self._patterns = patterns
        self._noted: Sequence[str] | None = None
        self._resting: dict[int, float] = {}
        self._made: Gate | None = None
        self._stopping = False
        self._asking = 0
        self._pause: Gate | None = None
        self._is_late = False
        self.told_late: Callable[[], object] = lambda: None
        self.describe: Describe | None = None
        self._loop = LoopingCall(self._request)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin to make due summaries from time to time."""
        self._loop.start(EVERY, now=False)

    def stop(self) -> "Deferred[None]":
        """Make no more summaries, and close the file. Idempotent."""
        self._stopping = True
        self._hurry()
        if self._loop.running:
            self._loop.stop()
        under_way = succeed(None) if self._made is None else self._made.wait()
        return under_way.addCallback(lambda _: self._reader.close())

    async def make(self) -> None:
        """Make due summaries, and wait a moment for them."""
        self._asking += 1
        self._hurry()
        made = self._request().wait()
        giving_up = self._clock.callLater(PATIENCE, made.cancel)
        try:
            await made
        except CancelledError:
            self._is_late = True
            return
        finally:
            self._asking -= 1
        giving_up.cancel()

    def _request(self) -> Gate:
        """Make due summaries. Gives a gate that opens when they are made, or that has failed."""
        made = self._made
        if made is None:
            made = self._made = Gate()
            done = Deferred.fromCoroutine(self._make_all())
            done.addErrback(lambda failure: self._log.failure("summaries", failure))
            done.addCallback(lambda _: self._finish(made))
        return made

    def _finish(self, made: Gate) -> None:
        self._made = None
        made.succeed()

    async def _make_all(self) -> None:
        try:
            while not self._stopping and (seconds := await self._make_some()) is not None:
                await self._rest(PAUSE * seconds)
        except OSError as error:
            # The former summaries are shown.
            self._log.debug("summaries of repositories: {error}", error=error)

    async def _rest(self, seconds: float) -> None:
        if not seconds or self._asking or self._stopping:
            return
        over = self._pause = Gate()
        ending = self._clock.callLater(seconds, over.succeed)
        await over.wait()
        self._pause = None
        if ending.active():
            ending.cancel()

    def _hurry(self) -> None:
        if self._pause is not None:
            self._pause.succeed()

    async def _make_some(self) -> float | None:
        """Make a few summaries. Gives how long that took (seconds); None if none is due."""
        view = View(self._patterns(), self._clock.seconds())
        if view.patterns != self._noted:
            await self._thread.write(catalogue_pins.note_patterns, view.patterns)
            self._noted = view.patterns
        self._wake(view.now)
        resting = list(self._resting)
        made: list[Summary] = await self._reader.read(catalogue_summaries.make_some, view, resting)
        if not made:
            self._is_late = False
            return None
        await self._thread.write(catalogue_summaries.write, made)
        self._tell_late()
        self._resting |= {
            each.number: view.now + RESTS * each.seconds for each in made if each.seconds > LONG
        }
        undescribed = [one for each in made for one in each.undescribed]
        if undescribed and self.describe is not None:
            await self.describe(undescribed)
        return sum(each.seconds for each in made)

    def _tell_late(self) -> None:
        was_late, self._is_late = self._is_late, False
        if was_late:
            self.told_late()

    def _wake(self, now: float) -> None:
        if len(self._resting) > MOST_RESTING:
            self._resting.clear()
        for number in [number for number, until in self._resting.items() if until <= now]:
            del self._resting[number]
