"""How an answer came about, for Cache-Status (RFC 9211), metrics and the access log."""

from dataclasses import dataclass

from regcache.errors import UpstreamBadAnswer, UpstreamFailure, UpstreamTimedOut


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """The Cache-Status header and the word that metrics use for it.

    :ivar age: seconds since the copy was last validated; None where it is not a cached one.
    """

    text: str
    outcome: str
    age: int | None = None


def hit(age: float) -> CacheStatus:
    """Fresh, from the cache."""
    return CacheStatus("regcache; hit", "hit", _seconds(age))


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
    """Fed from a fetch that another request began."""
    return CacheStatus("regcache; fwd=uri-miss; stored; collapsed", "collapsed")


def joined() -> CacheStatus:
    """Fed from a question that another request began, of which nothing is stored."""
    return CacheStatus("regcache; fwd=uri-miss; collapsed", "collapsed")


def relayed() -> CacheStatus:
    """Passed through, not stored."""
    return CacheStatus("regcache; fwd=uri-miss; detail=relay", "relay")


def stale_unasked(age: float, ttl: float) -> CacheStatus:
    """From the cache though too old; the upstream is known to be no use now."""
    over = min(-1, int(ttl - age))  # RFC 9211, 2.4: stale is negative
    return CacheStatus(f"regcache; hit; ttl={over}; detail=stale", "stale", _seconds(age))


def stale_deadline(age: float) -> CacheStatus:
    """From the cache though too old: the upstream has not answered in time yet."""
    return CacheStatus("regcache; fwd=stale; detail=deadline", "stale", _seconds(age))


def stale_failed(age: float, failure: UpstreamFailure) -> CacheStatus:
    """From the cache though too old: the upstream was asked in vain."""
    if failure.status is not None:
        why = f"fwd-status={failure.status}"
    elif isinstance(failure, UpstreamTimedOut):
        why = "detail=timeout"
    else:
        nonsense = isinstance(failure, UpstreamBadAnswer)
        why = "detail=invalid" if nonsense else "detail=unreachable"
    return CacheStatus(f"regcache; fwd=stale; {why}", "stale", _seconds(age))


def _seconds(age: float) -> int:
    """Whole seconds; a clock that was set back makes nothing younger than new."""
    return max(0, int(age))
