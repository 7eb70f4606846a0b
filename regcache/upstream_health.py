"""How the upstreams are, as far as what they were asked for tells: plain values."""

from collections.abc import Sequence
from dataclasses import KW_ONLY

from regcache.light_dataclass import dataclass

#: Hours of which it is known how fast answers came.
ANSWER_HOURS = 24


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
    :ivar slow: half of its latest answers took a second or longer.
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
    slow: bool = False


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """How long the heads of an upstream's own answers took, connecting not included.

    :ivar median: of the last :data:`ANSWER_HOURS` hours (seconds); None where none came.
    :ivar hours: the same of each of these hours; that of now comes last.
    """

    median: float | None = None
    hours: Sequence[float | None] = (None,) * ANSWER_HOURS


@dataclass(frozen=True, slots=True)
class UpstreamHealth:
    """How an upstream is.

    :ivar account: the user name that it is asked with; "" for none.
    :ivar credentials_ok: whether its realm takes our credentials; None where that is not known.
    :ivar urls: in the order in which they are asked.
    :ivar answers: how fast they answer.
    """

    name: str
    account: str
    credentials_ok: bool | None
    urls: Sequence[UrlHealth]
    _: KW_ONLY
    answers: AnswerFacts = AnswerFacts()
