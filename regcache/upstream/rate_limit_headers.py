"""How many requests an upstream says are left: for the metric and, now and then, the log."""

from collections.abc import Callable

from twisted.logger import Logger
from twisted.web.http_headers import Headers

from regcache.interfaces import IUpstreamMeter
from regcache.upstream.fields import only_value, ratelimit_count

#: The log is told at most so often, and only of a number that has changed (seconds).
LOG_INTERVAL = 60.0


class RateLimitHeaders:
    """Reads ``ratelimit-limit`` and ``ratelimit-remaining`` of one upstream URL's answers."""

    _log = Logger()

    def __init__(self, upstream: str, meter: IUpstreamMeter, now: Callable[[], float]) -> None:
        self._upstream = upstream
        self._meter = meter
        self._now = now
        self._told: tuple[int, int | None] | None = None
        self._told_at = 0.0

    def note(self, headers: Headers) -> None:
        """Note what an answer says, if it says anything."""
        remaining = ratelimit_count(only_value(headers, "ratelimit-remaining"))
        if remaining is None:
            return
        self._meter.ratelimit_remaining(self._upstream, remaining)
        state = (remaining, ratelimit_count(only_value(headers, "ratelimit-limit")))
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
