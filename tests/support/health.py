"""How upstreams may be, for tests."""

from typing import Any

from regcache.upstream_health import UpstreamHealth, UrlError, UrlHealth


def url_health(**changes: Any) -> UrlHealth:
    """A URL that answers."""
    known: dict[str, Any] = {
        "url": "https://a.test",
        "asked": True,
        "breaker": "closed",
        "next_try": None,
        "limited_until": None,
        "limit": None,
        "remaining": None,
        "failing_since": None,
        "last_error": None,
    }
    return UrlHealth(**(known | changes))


def health(name: str = "a.test", *urls: UrlHealth, ok: bool | None = None) -> UpstreamHealth:
    """An upstream; with one URL that answers, if none is given."""
    return UpstreamHealth(name, "", ok, urls or [url_health()])


DOWN = url_health(
    breaker="open",
    next_try=1_800_000_060.0,
    failing_since=1_800_000_000.0,
    last_error=UrlError(1_800_000_050.0, "timeout", "no answer came in time"),
)
LIMITED = url_health(limited_until=1_800_000_600.0, limit=100, remaining=0)
SLOW = url_health(slow=True)
UNASKED = url_health(asked=False)
