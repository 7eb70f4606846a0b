"""Fetches the bytes of one download: what to ask for, and what to do when an answer breaks off.

A step is taken whenever a fill begins or ends, or a pause is over. The download only hears what
changes its state. A write needs no step.

If an answer breaks off, the rest is asked for from its last byte on: through the registry's own
URL, or the next one if there are several, and after a pause that grows with each try that brought
nothing. The size in the first answer decides whether the blob can be stored.
"""

from typing import Protocol

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from regcache.cache.download.answers import Answers
from regcache.cache.download.context import (
    RANGE_NOT_SATISFIABLE,
    DownloadContext,
    DownloadTask,
    NotStoredError,
)
from regcache.cache.download.fill import Fill
from regcache.cache.download.planning import MOST_FILLS, FillPlan, Stretch
from regcache.cache.download.retries import Retries
from regcache.cache.download.target import FillTarget, NullEvents
from regcache.errors import UpstreamBadAnswer, UpstreamFailure
from regcache.gate import has_result
from regcache.interfaces import IBlobBody, NoRoomError


class FetchEvents(Protocol):
    """The interface of the download, for its fetching."""

    def drained(self) -> None:
        """No fill is left after all were told to stop."""

    def gave_up(self, failure: UpstreamFailure) -> None:
        """The upstream does not give the blob."""

    def not_stored(self, error: NotStoredError) -> None:
        """The blob cannot be stored."""

    def storage_failed(self, error: BaseException | None, body: IBlobBody | None = None) -> None:
        """The disk refused a write, or the space for a body that has not been read yet."""

    def failed(self, failure: Failure) -> None:
        """An internal fault."""


class Fetching:
    """Fetches a blob into its target."""

    def __init__(
        self,
        task: DownloadTask,
        target: FillTarget,
        context: DownloadContext,
        events: FetchEvents,
    ) -> None:
        self.answers = Answers(target, task)
        self._task = task
        self._target = target
        self._file = target.file
        self._clock = context.clock
        self._events = events
        self.plan: FillPlan[Fill] = FillPlan(target.file, target.claimed)
        self._retries = Retries(
            context.clock,
            context.random,
            digest=task.digest,
            distrusted=task.skip,
            url_count=task.source.registry.url_count,
        )
        self._stopping = False

    def begin(self) -> None:
        """Ask for what is missing. After :meth:`stop`: go on again."""
        self._stopping = False
        self._step()

    def wanted(self, position: int) -> None:
        """A reader waits for bytes at a position: ask for them, unless that was done."""
        if self._target.answered:
            self._request(self.plan.beside(position))

    def stop(self) -> None:
        """Park the download: ask for nothing more. ``drained`` is called after the last write."""
        self._stopping = True
        self._task.timings.parked(self._file.present.end_of(0))
        self._retries.cancel()
        for fill in list(self.plan.fills):
            fill.stop()
        self._check_drained()

    def drop(self) -> None:
        """End all fills at once. No event is reported any more."""
        self._stopping = True
        self._events = NullEvents()
        self._target.drop()
        self._retries.cancel()
        for fill in list(self.plan.fills):
            self.plan.remove(fill)
            fill.drop()

    def _step(self) -> None:
        """Ask for what is missing and was not asked for yet. Idempotent."""
        self._request(self.plan.next_main(), main=True)

    def _pause_over(self) -> None:
        self._step()
        if not self._stopping:  # by a refusal that came at once
            self._target.changed()  # so that readers that wait far ahead ask again

    def _request(self, stretch: Stretch | None, main: bool = False) -> None:
        if stretch is None or len(self.plan.fills) >= MOST_FILLS:
            return
        if self._stopping or self._retries.waiting:  # perhaps since an answer that came at once
            return
        task = self._task
        fill = Fill(self, self._target, stretch, upstream=task.upstream.name, clock=self._clock)
        self.plan.add(fill, main)
        source, digest, skip = task.source, task.digest, self._retries.skipped()
        with task.timings.active():
            asking = source.registry.get_blob(
                source.repository.name, digest, stretch.start, stretch.end, skip=skip
            )
        fill.ask(asking)
        asking.addCallbacks(
            self._answered, self._refused, callbackArgs=(fill,), errbackArgs=(fill,)
        )
        asking.addErrback(self._events.failed)

    def _answered(self, body: IBlobBody, fill: Fill) -> None:
        if fill not in self.plan.fills:
            body.abort()
            return
        try:
            accepted = self._accept(body, fill)
        except UpstreamFailure as failure:
            body.abort()
            self.plan.remove(fill)
            failure.url_index = body.url_index
            self._turned_down(failure)
        except NotStoredError as error:
            self.plan.remove(fill)
            self._events.not_stored(error)
        else:
            if accepted:
                answered = self._target.answered
                self._prepare(body, fill)
                if answered and not self._stopping:
                    self._target.changed()  # where the size is news, readers may have more

    def _accept(self, body: IBlobBody, fill: Fill) -> bool:
        """Check an answer against what is known. Returns whether its body is needed."""
        size = self.answers.check(body, fill.position)
        if body.start < fill.position and self.plan.is_needless(fill):
            body.abort()
            self.plan.remove(fill)
            return False
        self._target.announced(body)
        if size is not None:
            self._file.set_size(size)
        return True

    def _prepare(self, body: IBlobBody, fill: Fill) -> None:
        """Reserve the first step, then let the body flow."""
        given = (body, fill)
        ready = self._target.prepare(body.start, body.end)
        if has_result(ready):
            self._begin_flow(None, *given)
            return
        ready.addCallbacks(self._begin_flow, self._not_prepared, given, errbackArgs=given)
        ready.addErrback(self._events.failed)

    def _begin_flow(self, _: None, body: IBlobBody, fill: Fill) -> None:
        if fill not in self.plan.fills:
            body.abort()
            return
        self._task.timings.goes_on(body.start)
        self.answers.take(body)
        self._target.begin()
        fill.flow(body)

    def _not_prepared(self, failure: Failure, body: IBlobBody, fill: Fill) -> None:
        if fill not in self.plan.fills or not failure.check(OSError, NoRoomError):
            body.abort()
            return
        events = self._events
        self.drop()
        events.storage_failed(failure.value, body)

    def _refused(self, failure: Failure, fill: Fill) -> None:
        if fill not in self.plan.fills:
            return
        self.plan.remove(fill)
        if failure.check(CancelledError):
            self._check_drained()
        elif not isinstance(failure.value, UpstreamFailure):
            self._events.failed(failure)
        elif failure.value.status == RANGE_NOT_SATISFIABLE:
            self.plan.no_remainder |= self.answers.is_credible(failure.value)
            self._turned_down(self.answers.nothing_at(fill.position, failure.value))
        else:
            self._turned_down(failure.value)

    def _turned_down(self, failure: UpstreamFailure) -> None:
        """A request got no usable answer."""
        self._lost(failure, again=self._retries.refused(failure, self.answers.url_indexes))

    def _lost(self, failure: UpstreamFailure, again: bool) -> None:
        """Ask again after a pause, if that makes sense, or give up."""
        if self._stopping:
            self._check_drained()
            return
        present, answered = self._target.claimed.total, self._target.answered
        if self.plan.fills and again:
            self.plan.side_failures += 1
        elif not (again and self._retries.count(present, answered)):
            self._events.gave_up(failure)
            return
        self._retries.pause(failure, self._pause_over)
        self._target.hold_nothing()

    def _check_drained(self) -> None:
        if self._stopping and not self.plan.fills:
            self._events.drained()

    def fill_over(self, fill: Fill, failure: UpstreamFailure | None) -> None:
        """A fill has ended; all bytes that it claimed are written."""
        self.plan.remove(fill)
        if failure is None and self.plan.fell_short(fill):
            failure = UpstreamBadAnswer(self._task.upstream.name, "the body ended early")
        if failure is not None:
            self._task.timings.broke_off(fill.position, failure.reason)
            self._retries.broke_off(None if fill.body is None else fill.body.url_index)
            self._lost(failure, again=True)
        elif self._stopping:
            self._check_drained()
        else:
            self._target.changed()
            if not self._stopping:
                self._step()

    def fill_cannot_write(self, error: BaseException | None) -> None:
        """The disk refused a write."""
        events = self._events
        self.drop()
        events.storage_failed(error)
