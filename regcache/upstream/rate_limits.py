"""The rate limits of an upstream: the present Retry-After, and the requests that are left."""

import math
from collections.abc import Callable
from enum import Enum

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.http_headers import Headers

from regcache.bounded import BoundedTable
from regcache.errors import UpstreamRateLimited
from regcache.interfaces import IUpstreamMeter
from regcache.upstream.fields import only_value, ratelimit_count

#: The number is logged at most so often, and only if it has changed (seconds).
LOG_INTERVAL = 60.0
#: How many limits are remembered for one URL: there are seldom more than two identities.
MOST_LIMITS = 192


class Limited(Enum):
    """The kinds of requests that have rate limits of their own."""

    MANIFESTS = "manifests, and lists of tags and referrers"
    BLOBS = "blobs"
    TOKENS = "tokens"


class RateLimits:
    """The 429 answers of one URL, by kind and identity (RFC 6585, 4; RFC 9110, 10.2.3)."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._until: BoundedTable[tuple[str, Limited], float] = BoundedTable(MOST_LIMITS, clock)

    def limited(self, identity: str, what: Limited, seconds: int) -> None:
        """Note a 429 for an identity."""
        seconds = max(seconds, self.remaining(identity, what) or 0)
        self._until.put((identity, what), self._clock.seconds() + seconds, seconds=seconds)

    def remaining(self, identity: str, what: Limited) -> int | None:
        """How long the identity still has to wait (seconds); None if it need not."""
        until = self._until.get((identity, what))
        remaining = 0.0 if until is None else until - self._clock.seconds()
        return math.ceil(remaining) if remaining > 0 else None

    def longest(self, identity: str) -> int | None:
        """The same, for the kind of requests that has to wait longest."""
        waits = [self.remaining(identity, what) for what in Limited]
        return max((each for each in waits if each is not None), default=None)


class RateLimitHeaders:
    """Reads ``ratelimit-limit`` and ``ratelimit-remaining`` of one upstream URL's answers.

    :ivar limit: how many requests it allows, by its last answer; None if it does not say.
    :ivar remaining: how many of them are left.
    """

    _log = Logger()

    def __init__(self, upstream: str, meter: IUpstreamMeter, now: Callable[[], float]) -> None:
        self._upstream = upstream
        self._meter = meter
        self._now = now
        self._told: tuple[int, int | None] | None = None
        self._told_at = 0.0
        self.limit: int | None = None
        self.remaining: int | None = None

    def note(self, headers: Headers) -> None:
        """Read the headers of an answer, if it has them."""
        remaining = ratelimit_count(only_value(headers, "ratelimit-remaining"))
        if remaining is None:
            return
        self._meter.ratelimit_remaining(self._upstream, remaining)
        self.remaining = remaining
        self.limit = ratelimit_count(only_value(headers, "ratelimit-limit"))
        state = (self.remaining, self.limit)
        now = self._now()
        if state == self._told or (self._told is not None and now - self._told_at < LOG_INTERVAL):
            return
        self._told, self._told_at = state, now
        self._log.info(
            "upstream {upstream}: {remaining} of {limit} requests are left",
            upstream=self._upstream,
            remaining=remaining,
            limit="an unknown number of" if state[1] is None else state[1],
        )


def still_limited(upstream: str, remaining: int) -> UpstreamRateLimited:
    """The failure of a request while a Retry-After has not passed."""
    return UpstreamRateLimited(
        upstream, "its Retry-After still runs", retry_after=remaining, asked=False
    )
