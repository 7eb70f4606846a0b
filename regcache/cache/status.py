"""The cache status of an answer, for Cache-Status (RFC 9211), metrics and the access log."""

from functools import lru_cache

from regcache import causes
from regcache.causes import Cause
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamTimedOut,
)
from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """The Cache-Status header and the word that metrics use for it.

    :ivar age: seconds since the copy was last validated; None if it is no cached copy.
    :ivar cause: why the answer is not what a cache usually gives; None where it is.
    """

    text: str
    outcome: str
    age: int | None = None
    cause: Cause | None = None


def hit(age: float) -> CacheStatus:
    """From the cache, and fresh."""
    return _hit(_seconds(age))


def described() -> CacheStatus:
    """Answered from a manifest's descriptor."""
    return CacheStatus("regcache; hit; detail=descriptor", "hit")


def revalidated() -> CacheStatus:
    """From the cache, after the upstream said that it is still right."""
    return CacheStatus("regcache; hit; detail=revalidated", "revalidated", 0)


def miss() -> CacheStatus:
    """Fetched, and stored."""
    return CacheStatus("regcache; fwd=uri-miss; stored", "miss")


def asked() -> CacheStatus:
    """Asked upstream for the head only; nothing is stored."""
    return CacheStatus("regcache; fwd=uri-miss", "miss")


def collapsed() -> CacheStatus:
    """From a fetch that another request began."""
    return CacheStatus("regcache; fwd=uri-miss; stored; collapsed", "collapsed")


def joined() -> CacheStatus:
    """From an answer to another request's question, which is not stored."""
    return CacheStatus("regcache; fwd=uri-miss; collapsed", "collapsed")


def relayed(*, too_big: bool = False) -> CacheStatus:
    """Passed through, not stored.

    :param too_big: since it is larger than may be stored; else there is no room for it.
    """
    cause = causes.TOO_BIG if too_big else causes.FULL
    return CacheStatus("regcache; fwd=uri-miss; detail=relay", "relay", cause=cause)


def stale_unasked(age: float, ttl: float) -> CacheStatus:
    """From the cache, though too old, without asking: the upstream is known to fail now."""
    over = min(-1, int(ttl - age))  # RFC 9211, 2.4: stale is negative
    text = f"regcache; hit; ttl={over}; detail=stale"
    return CacheStatus(text, "stale", _seconds(age), causes.STALE_DOWN)


def stale_deadline(age: float) -> CacheStatus:
    """From the cache, though too old: the upstream has not answered in time."""
    text = "regcache; fwd=stale; detail=deadline"
    return CacheStatus(text, "stale", _seconds(age), causes.STALE_DEADLINE)


def stale_failed(age: float, failure: UpstreamFailure) -> CacheStatus:
    """From the cache, though too old: the upstream was asked, and failed."""
    if failure.status is not None:
        why = f"fwd-status={failure.status}"
    elif isinstance(failure, UpstreamTimedOut):
        why = "detail=timeout"
    else:
        nonsense = isinstance(failure, UpstreamBadAnswer)
        why = "detail=invalid" if nonsense else "detail=unreachable"
    limited = isinstance(failure, UpstreamRateLimited)
    cause = causes.STALE_LIMITED if limited else causes.STALE_DOWN
    return CacheStatus(f"regcache; fwd=stale; {why}", "stale", _seconds(age), cause)


@lru_cache(maxsize=1024)
def _hit(age: int) -> CacheStatus:
    return CacheStatus("regcache; hit", "hit", age)


def _seconds(age: float) -> int:
    """Whole seconds. If the clock was set back, 0 instead of a negative age."""
    return max(0, int(age))
