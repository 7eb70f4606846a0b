"""Verifies all stored content regularly, at idle priority, to find bit rot.

=========  =================================  ================================================
state      event                              what holds afterwards
=========  =================================  ================================================
waiting    some time after the start          comparing
comparing  all folders were compared          scrubbing, or waiting for a day without
           with the index                     ``storage.scrub``
scrubbing  a folder is due                    its contents are hashed, at a bounded rate
scrubbing  a folder was hashed                noted in the index; waiting for the next one
scrubbing  a day has passed since the last    comparing
           comparison
scrubbing  the last folder was hashed         the next round begins when this one's time is over
any        the disk or the index fails        a line in the log; the next folder
any        the daemon stops                   over; the next start continues at the noted folder
=========  =================================  ================================================

A round lasts ``storage.scrub``; its folders are spread over that time. Folders that were missed
while the daemon was stopped are hashed later, at the bounded rate.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

from collections.abc import Callable
from typing import NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.identity import UpstreamIdentity
from regcache.store.checks_index import ChecksIndex
from regcache.store.store_check import FOLDERS, CheckResult, StoreCheck

_LAST = "last verification"

FIRST = 60.0
"""Seconds from the start to the first comparison."""

AGAIN = 24 * 3600.0
"""Seconds from one comparison to the next."""

PAUSE = 0.05
"""Seconds between two folders of a comparison."""

LEAST_RATE = 8 * 1024 * 1024
"""Bytes that are hashed in a second; more where a round would take too long otherwise."""

_NAME = "scrub"


class Rate:
    """Bounds how many bytes are hashed in a second."""

    def __init__(self, clock: IReactorTime, bytes_per_second: float) -> None:
        self._clock = clock
        self._rate = bytes_per_second

    async def __call__(self, count: int) -> None:
        """Wait as long as so many bytes take at the rate."""
        await deferLater(self._clock, count / self._rate)


class Scrub(Service):
    """Compares the disk with the index each day, and hashes all of it in each round.

    :param every: how long a round lasts (seconds); None: nothing is hashed.
    """

    _log = Logger()

    def __init__(
        self, check: StoreCheck, index: ChecksIndex, clock: IReactorTime, every: float | None
    ) -> None:
        self._check = check
        self._index = index
        self._clock = clock
        self._every = every
        self._compared_at = 0.0
        self._work: Deferred[None] | None = None

    def startService(self) -> None:
        """Schedule the first comparison."""
        super().startService()
        self._begin()

    def _begin(self) -> None:
        self._work = Deferred.fromCoroutine(self._run())
        self._work.addErrback(self._ended)

    def follow(self, every: float | None) -> None:
        """Let a round last so long from now on (seconds); None: hash nothing."""
        if every != self._every:
            self._every = every
            self._break_off()
            if self.running:
                self._begin()

    def stopService(self) -> None:
        """Stop, after the job that is running in a thread."""
        super().stopService()
        self._break_off()

    def _break_off(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.cancel()

    def _ended(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("scrubbing has ended", failure)

    async def _run(self) -> None:
        await deferLater(self._clock, FIRST)
        while True:
            await self._compare()
            if self._every is None:
                await deferLater(self._clock, AGAIN)
            else:
                await self._scrub(self._every)

    async def _compare(self) -> None:
        """Compare all folders with the index. Contents that it knows are not hashed."""
        self._compared_at = self._clock.seconds()
        result, rate = CheckResult(), Rate(self._clock, LEAST_RATE)
        for folder in FOLDERS:
            try:
                await self._check.check(folder, result, thorough=False, pace=rate)
            except OSError as error:
                self._failed(error)
            await deferLater(self._clock, PAUSE)

    async def _scrub(self, every: float) -> None:
        """Hash the folders that are due, until the next comparison is due."""
        began, number = await self._position(every)
        while self._clock.seconds() - self._compared_at < AGAIN:
            if number == len(FOLDERS):
                began, number = max(began + every, self._clock.seconds() - every), 0
            seconds = began + every * number / len(FOLDERS) - self._clock.seconds()
            if seconds > 0:
                left = self._compared_at + AGAIN - self._clock.seconds()
                await deferLater(self._clock, max(1.0, min(seconds, left)))
                continue
            await self._scrub_folder(number, every)
            number += 1
            await self._note(began, number)

    async def _scrub_folder(self, number: int, every: float) -> None:
        try:
            total = await self._index.occupied_bytes()
            rate = Rate(self._clock, max(LEAST_RATE, 2 * total / every))
            await self._check.check(FOLDERS[number], CheckResult(), thorough=True, pace=rate)
        except OSError as error:
            self._failed(error)

    async def _position(self, every: float) -> tuple[float, int]:
        """When the present round began, and the next folder."""
        now = self._clock.seconds()
        try:
            noted = await self._index.progress(_NAME)
        except OSError as error:
            self._failed(error)
            noted = {}
        began, number = noted.get("began"), noted.get("next")
        if not isinstance(began, int | float) or not isinstance(number, int):
            return now, 0
        # If the clock was set back, or the round is long over, a new one begins.
        return (began, number) if 0 <= now - began < 2 * every else (now, 0)

    async def _note(self, began: float, number: int) -> None:
        try:
            await self._index.note_progress(_NAME, {"began": began, "next": number})
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        self._log.warn("stored content cannot be checked: {why}", why=error)


class VerificationNote(NamedTuple):
    """What a verification came to.

    :ivar ended: Unix seconds.
    :ivar contents: how many were hashed.
    :ivar damaged: the digests of those that were removed; the first of very many.
    """

    ended: float
    contents: int
    damaged: list[str]


class StoreVerification:
    """Verifies all stored content at once, on request.

    :ivar last: the result of the last verification, and when it ended (Unix seconds); None before.
    """

    _log = Logger()

    def __init__(self, check: StoreCheck, index: ChecksIndex, clock: IReactorTime) -> None:
        self._check = check
        self._index = index
        self._clock = clock
        self.last: tuple[float, CheckResult] | None = None

    async def run(
        self,
        progress: Callable[[int, int, CheckResult], object],
        upstream: UpstreamIdentity | None = None,
    ) -> CheckResult:
        """Verify everything, or what an upstream has. May be cancelled. Fails with OSError.

        :param progress: called with the number of hashed bytes, the number of all bytes that can be
            hashed, and the result so far. In the end both are what was hashed.
        """
        result, done = CheckResult(), 0
        total = await self._index.stored_bytes(upstream)

        async def count(hashed: int) -> None:
            nonlocal done
            done += hashed
            progress(done, max(done, total - result.unread), result)

        for folder in FOLDERS:
            await self._check.check(folder, result, thorough=True, pace=count, upstream=upstream)
            progress(done, max(done, total - result.unread), result)
        progress(done, done, result)  # some of it may have been evicted meanwhile
        self.last = (self._clock.seconds(), result)
        await self._note(
            VerificationNote(self.last[0], result.contents, list(map(str, result.damaged)))
        )
        return result

    async def latest(self) -> VerificationNote | None:
        """What the last one came to, of this process or an earlier one. Fails with OSError."""
        if self.last is not None:
            ended, result = self.last
            return VerificationNote(ended, result.contents, list(map(str, result.damaged)))
        noted = await self._index.progress(_LAST)
        then, contents, damaged = (noted.get(each) for each in VerificationNote._fields)
        if not isinstance(then, int | float) or not isinstance(contents, int):
            return None
        return VerificationNote(then, contents, damaged if isinstance(damaged, list) else [])

    async def _note(self, verified: VerificationNote) -> None:
        try:
            await self._index.note_progress(_LAST, verified._asdict())
        except OSError as error:
            self._log.warn("the end of the verification cannot be noted: {why}", why=error)
