"""Retries of a download: of which URL, after which pause, and how often.

========================  ===========================================================
what failed               what follows
========================  ===========================================================
an answer broke off       asked again, on the next URL if there are several
the storage behind a      asked again through the registry, likewise; if nothing has come
redirect                  yet, ``MOST_FIRST_TRIES`` times
the first request         given up: the upstream's failure is the answer
a URL that gave nothing,  back to those that did; if it said that it has nothing, or
after another one did     showed a page, it is not asked for this blob again
a URL that gave bytes,    given up: the right to the blob was withdrawn
by 401, 403 or 404
anything else             asked again
========================  ===========================================================

Each pause is twice as long as the one before, until bytes come. After ``MOST_TRIES`` requests in a
row that brought nothing, the download is given up.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from regcache.cache.download.planning import SKIP
from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamResting,
)

#: How many requests in a row may bring nothing before a download is given up.
MOST_TRIES = 6
#: The same before the first answer, if the storage behind a redirect refuses.
MOST_FIRST_TRIES = 3
#: The first pause before asking again; each further one is twice as long (seconds).
FIRST_PAUSE = 0.2
#: The longest pause, even if the upstream asks for a longer one (seconds).
LONGEST_PAUSE = 30.0


class Retries:
    """Counts the tries at one blob that brought nothing, and waits between them.

    :param random: gives a number in [0, 1), for jitter.
    :param distrusted: the indexes of the URLs that must not be asked.
    :param url_count: how many URLs there are.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        random: Callable[[], float],
        *,
        digest: Digest,
        distrusted: frozenset[int] = frozenset(),
        url_count: int = 1,
    ) -> None:
        self._clock = clock
        self._random = random
        self._digest = digest
        self._left_alone = distrusted
        self._url_count = url_count
        self._detour: frozenset[int] = frozenset()
        self._turned_back = False
        self._tries = 0
        self._brought = 0
        self._call: IDelayedCall | None = None

    @property
    def waiting(self) -> bool:
        """Whether a pause is under way."""
        return self._call is not None

    def skipped(self) -> frozenset[int]:
        """The indexes of the URLs that must not be asked now."""
        return self._left_alone | self._detour

    def broke_off(self, url_index: int | None) -> None:
        """An answer of a URL ended too early: ask another one next."""
        detour = frozenset() if url_index is None else frozenset([url_index])
        others = self._url_count - len(self._left_alone | detour)
        self._detour = detour if others else frozenset()

    def refused(self, failure: UpstreamFailure, given: set[int]) -> bool:
        """Choose the URL to ask after a refusal. Returns whether asking again makes sense.

        :param given: indexes of the URLs that gave bytes.
        """
        url = failure.url_index
        if failure.redirected:
            self.broke_off(url)
            return True
        if not given:
            return False
        turns_back = url not in given if url is not None else bool(self._detour)
        if not turns_back:
            return not isinstance(failure, UpstreamDenied | UpstreamNotFound)
        self._detour = frozenset()
        self._turned_back = True
        if url is not None and _is_definite(failure):
            self._leave_alone(url)
        return True

    def _leave_alone(self, url_index: int) -> None:
        """Do not ask a URL any more, unless it is the only one left."""
        more = self._left_alone | {url_index}
        if len(more) < self._url_count:
            self._left_alone = more

    def count(self, present: int, answered: bool) -> bool:
        """Count a try after which so many bytes are there. Returns whether another may follow."""
        brought, self._brought = present - self._brought, present
        self._tries = 1 if brought >= SKIP else self._tries + 1
        return self._tries <= (MOST_TRIES if answered else MOST_FIRST_TRIES)

    def pause(self, failure: UpstreamFailure, again: Callable[[], None]) -> float:
        """Begin a pause, unless there is one. Returns how long it will be (seconds).

        :param again: called when it is over.
        """
        pause: float = FIRST_PAUSE * 2 ** max(0, self._tries - 1) * (0.5 + self._random() / 2)
        if self._turned_back:
            self._turned_back = False  # what one asks for is not for another one to wait
        elif isinstance(failure, UpstreamRateLimited | UpstreamResting):
            pause = max(pause, failure.retry_after)
        pause = min(pause, LONGEST_PAUSE)
        if self._call is None:
            self._call = self._clock.callLater(pause, self._over, again)
        self._log.warn(
            "{digest} from {upstream} broke off: {reason}; asking again in {pause:.1f} s",
            digest=self._digest,
            upstream=failure.upstream,
            reason=failure.reason,
            pause=pause,
        )
        return pause

    def cancel(self) -> None:
        """End the pause, and do not ask again."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _over(self, again: Callable[[], None]) -> None:
        self._call = None
        again()


def _is_definite(failure: UpstreamFailure) -> bool:
    """Whether a URL will hardly say something else a moment later."""
    return isinstance(failure, UpstreamDenied | UpstreamNotFound | UpstreamBadAnswer)
