"""The headers that all answers with content have."""

from regcache.cache.status import CacheStatus
from regcache.digests import Digest
from regcache.web.request import Request
from regcache.web.respond import set_header

BLOB_TYPE = "application/octet-stream"


def cache_control(by_tag: bool, private: bool) -> str:
    """Content by digest never changes; what a tag names may change at any time."""
    how = "no-cache" if by_tag else "max-age=31536000, immutable"
    return f"private, {how}" if private else how


def content_headers(
    digest: Digest, media_type: str, status: CacheStatus, *, private: bool, by_tag: bool = False
) -> dict[str, str]:
    """The headers of content that a digest names."""
    headers = {
        "Content-Type": media_type,
        "Docker-Content-Digest": str(digest),
        "ETag": f'"{digest}"',
        "Cache-Control": cache_control(by_tag, private),
        "Cache-Status": status.text,
    }
    if status.age is not None:
        headers["Age"] = str(max(0, status.age))
    return headers


def set_content_headers(
    request: Request,
    digest: Digest,
    media_type: str,
    status: CacheStatus,
    *,
    private: bool,
    by_tag: bool = False,
) -> None:
    """Set these headers, and note the cache status of the answer."""
    for name, value in content_headers(
        digest, media_type, status, private=private, by_tag=by_tag
    ).items():
        set_header(request, name, value)
    note_status(request, status)


def set_list_headers(request: Request, status: CacheStatus) -> None:
    """Set the headers of a list, which may change at any time."""
    set_header(request, "Cache-Control", "no-cache")
    set_header(request, "Cache-Status", status.text)
    if status.age is not None:
        set_header(request, "Age", str(max(0, status.age)))
    note_status(request, status)


def note_status(request: Request, status: CacheStatus) -> None:
    """Note the cache status of an answer, for the access log and the metrics."""
    facts = request.facts
    facts.outcome, facts.cache_status = status.outcome, status.text
    facts.cause = status.cause
