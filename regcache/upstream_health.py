"""How the upstreams are, as far as what they were asked for tells: plain values."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True, slots=True)
class UrlError:
    """How one URL failed last.

    :ivar time: when (Unix seconds).
    :ivar code: unreachable, timeout, status, limited or bad-answer.
    :ivar text: one plain sentence part, free of URLs and secrets.
    """

    time: float
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class UrlHealth:
    """How one URL of an upstream is.

    :ivar asked: it answered or failed since the start of the daemon.
    :ivar breaker: closed, open or half-open.
    :ivar next_try: when it may be asked again (Unix seconds); None where it may be now.
    :ivar limited_until: when its Retry-After ends (Unix seconds); None where none runs.
    :ivar limit: requests that it allows, as it said last; None where it did not.
    :ivar remaining: requests that are left of them.
    :ivar failing_since: the first failure since its last answer; None where it answered last.
    :ivar last_error: None where there was none.
    """

    url: str
    _: KW_ONLY
    asked: bool
    breaker: str
    next_try: float | None
    limited_until: float | None
    limit: int | None
    remaining: int | None
    failing_since: float | None
    last_error: UrlError | None


@dataclass(frozen=True, slots=True)
class UpstreamHealth:
    """How an upstream is.

    :ivar account: the user name that it is asked with; "" for none.
    :ivar credentials_ok: whether its realm takes our credentials; None where that is not known.
    :ivar urls: in the order in which they are asked.
    """

    name: str
    account: str
    credentials_ok: bool | None
    urls: Sequence[UrlHealth]
