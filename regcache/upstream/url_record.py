"""What is remembered of how one URL of an upstream answered."""

from collections.abc import Callable

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamServerError,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.upstream_health import UrlError

#: What a failure is called; any other one is an answer.
_CODES: tuple[tuple[type[UpstreamFailure], str], ...] = (
    (UpstreamUnreachable, "unreachable"),
    (UpstreamTimedOut, "timeout"),
    (UpstreamServerError, "status"),
    (UpstreamRateLimited, "limited"),
    (UpstreamBadAnswer, "bad-answer"),
)


class UrlRecord:
    """Remembers the last failure, and since when there was nothing else.

    :param now: Unix seconds.
    :ivar asked: whether there was any answer or failure.
    :ivar failing_since: the first failure since the last answer (Unix seconds), or None.
    :ivar last_error: None as long as there was none.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.asked = False
        self.failing_since: float | None = None
        self.last_error: UrlError | None = None

    def answered(self) -> None:
        """It answered."""
        self.asked = True
        self.failing_since = None

    def failed(self, failure: UpstreamFailure) -> None:
        """It failed, or gave an answer that is a refusal of what was asked for."""
        if not failure.asked:
            return
        code = next((code for kind, code in _CODES if isinstance(failure, kind)), None)
        if code is None:
            self.answered()
            return
        self.asked = True
        now = self._now()
        self.last_error = UrlError(now, code, failure.reason)
        if self.failing_since is None:
            self.failing_since = now
