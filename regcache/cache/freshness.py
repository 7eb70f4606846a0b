"""What decides about a cached tag: the table of pure decisions.

In this order: fresh → hit. Upstream known to be no use now → stale at once. Else it is
asked; no answer within the deadline → stale now. The answer decides:

===============================  =====================================================
answer                           decision
===============================  =====================================================
same digest                      hit, and fresh again
other digest                     fetch it and serve it
connection error, time-out,      stale, if young enough for ``stale_if_error``
5xx, 429, nonsense
404; 401 or 403 to us anonymous  gone, or stale with ``on_missing: stale``
401 or 403 to good credentials   closed
===============================  =====================================================
"""

from enum import Enum

from regcache.cache.policy import Policy
from regcache.errors import UpstreamDenied, UpstreamFailure, UpstreamNotFound


class Decision(Enum):
    """What to do about a cached tag after the upstream failed to confirm it."""

    STALE = "serve the cached copy"
    GONE = "pass the upstream's refusal on and forget the tag"
    CLOSED = "pass the upstream's refusal on; the repository is closed to us"
    FAIL = "pass the failure on; the copy is too old"


def is_fresh(age: float, ttl: float) -> bool:
    """Whether a copy validated ``age`` seconds ago needs no question.

    A negative age is a clock that was set back; such a copy is asked about.
    """
    return 0 <= age < ttl


def decide(failure: UpstreamFailure, age: float, policy: Policy) -> Decision:
    """The decision for a copy of ``age`` seconds after the upstream answered so."""
    if isinstance(failure, UpstreamDenied) and failure.credentials_used:
        return Decision.CLOSED
    if isinstance(failure, UpstreamDenied | UpstreamNotFound) and not policy.keep_missing:
        return Decision.GONE
    return Decision.STALE if policy.may_be_stale(age) else Decision.FAIL
