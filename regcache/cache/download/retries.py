"""Asking again: after which pause, and how often."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from regcache.cache.download.planning import SKIP
from regcache.errors import (
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamResting,
)

#: Tries in a row that bring nothing before a download is given up.
MOST_TRIES = 6
#: The first pause before asking again; each further one is twice as long (seconds).
FIRST_PAUSE = 0.2
#: The longest pause, also where the upstream asks for more (seconds).
LONGEST_PAUSE = 30.0


class Retries:
    """Counts the tries of one download that brought nothing, and waits between them.

    :param random: a number in [0, 1), for jitter.
    :param again: called when a pause is over.
    """

    def __init__(
        self,
        clock: IReactorTime,
        random: Callable[[], float],
        again: Callable[[], None],
        present: int,
    ) -> None:
        self._clock = clock
        self._random = random
        self._again = again
        self._tries = 0
        self._brought = present
        self._call: IDelayedCall | None = None

    @property
    def waiting(self) -> bool:
        """Whether a pause is under way."""
        return self._call is not None

    def is_final(self, failure: UpstreamFailure) -> bool:
        """Whether asking again makes no sense: the right to the blob was withdrawn."""
        return isinstance(failure, UpstreamDenied | UpstreamNotFound)

    def count(self, present: int) -> bool:
        """Count a try after which so many bytes are there; whether another may follow."""
        brought, self._brought = present - self._brought, present
        self._tries = 1 if brought >= SKIP else self._tries + 1
        return self._tries <= MOST_TRIES

    def pause(self, failure: UpstreamFailure) -> float:
        """Wait, unless that is under way; how long it will be (seconds)."""
        pause: float = FIRST_PAUSE * 2 ** max(0, self._tries - 1) * (0.5 + self._random() / 2)
        if isinstance(failure, UpstreamRateLimited | UpstreamResting):
            pause = max(pause, failure.retry_after)
        pause = min(pause, LONGEST_PAUSE)
        if self._call is None:
            self._call = self._clock.callLater(pause, self._over)
        return pause

    def cancel(self) -> None:
        """Wait no more, and do not ask again."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _over(self) -> None:
        self._call = None
        self._again()
