"""The decision about a cached tag: one pure function, and its table.

It is called before the upstream is asked (``answer`` None), and again with each answer. The
first row that fits decides; docs/operations.md shows what clients get for each.

====================================  ======================================================
what is known                         decision
====================================  ======================================================
younger than ``tag_ttl``              hit
nothing yet                           ask; wait for ``deadline``, or, if the copy is too old
                                      for ``stale_if_error``, as long as it takes
the same digest                       revalidated: fresh again
another digest                        moved: serve that
good credentials refused, and what    closed: the upstream's 403 for the whole repository
is known to be good there, too
404; 401 or 403 to us anonymous, or   gone, unless ``on_missing: stale``
for this tag alone
a failure, and too old a copy         failed: the failure is passed on
no answer within ``deadline``         stale, overdue: the answer is taken when it comes
breaker open, Retry-After running,    stale, unasked
a refusal remembered
connection error, time-out, 5xx,      stale, asked in vain
429, nonsense; 404 to be kept
====================================  ======================================================
"""

from enum import Enum

from regcache.cache.policy import Policy
from regcache.digests import Digest
from regcache.errors import UpstreamDenied, UpstreamFailure, UpstreamNotFound
from regcache.light_dataclass import dataclass


class TagDecision(Enum):
    """What to do for a request for a cached tag."""

    HIT = "serve the copy"
    ASK = "ask, and wait for the deadline"
    ASK_AND_WAIT = "ask, and wait: the copy is too old to be served unasked"
    REVALIDATED = "serve the copy, which is fresh again"
    MOVED = "serve what the tag names now"
    STALE_OVERDUE = "serve the copy; the upstream has not answered in time"
    STALE_UNASKED = "serve the copy; the upstream is known to be no use now"
    STALE_FAILED = "serve the copy; the upstream was asked in vain"
    GONE = "pass the upstream's refusal on, and forget the tag"
    CLOSED = "pass the upstream's refusal on; the repository is closed"
    FAILED = "pass the failure on; the copy is too old"


class Overdue(Enum):
    """The upstream has not answered within the deadline."""

    OVERDUE = "no answer within the deadline"


@dataclass(frozen=True, slots=True)
class Copy:
    """The cached copy of what a tag names.

    :ivar age: seconds since the upstream last confirmed it.
    :ivar ttl: for how many seconds such a tag is fresh.
    """

    digest: Digest
    age: float
    ttl: float


#: What the upstream has said so far: nothing, a digest, how it failed, or nothing in time.
Answer = Digest | UpstreamFailure | Overdue | None


def decide(copy: Copy, policy: Policy, answer: Answer = None) -> TagDecision:
    """The decision for a request for a cached tag."""
    if is_fresh(copy.age, copy.ttl):
        return TagDecision.HIT
    young_enough = policy.may_be_stale(copy.age)
    if answer is None:
        return TagDecision.ASK if young_enough else TagDecision.ASK_AND_WAIT
    if isinstance(answer, Digest):
        return TagDecision.REVALIDATED if answer == copy.digest else TagDecision.MOVED
    if isinstance(answer, Overdue):
        return TagDecision.STALE_OVERDUE if young_enough else TagDecision.ASK_AND_WAIT
    return _decide_failure(answer, policy, young_enough)


def _decide_failure(failure: UpstreamFailure, policy: Policy, young_enough: bool) -> TagDecision:
    if closes(failure):
        return TagDecision.CLOSED
    if isinstance(failure, UpstreamDenied | UpstreamNotFound) and not policy.keep_missing:
        return TagDecision.GONE
    if not young_enough:
        return TagDecision.FAILED
    return TagDecision.STALE_FAILED if failure.asked else TagDecision.STALE_UNASKED


def is_fresh(age: float, ttl: float) -> bool:
    """Whether a copy validated ``age`` seconds ago needs no question.

    A negative age means that the clock was set back; then the upstream is asked.
    """
    return 0 <= age < ttl


def closes(failure: UpstreamFailure) -> bool:
    """Whether a failure closes the repository: good credentials are refused all of it."""
    return isinstance(failure, UpstreamDenied) and failure.closes


def takes_back(failure: UpstreamFailure, policy: Policy) -> bool:
    """Whether the upstream answered, and refuses what it gave before."""
    refused = isinstance(failure, UpstreamDenied | UpstreamNotFound)
    return closes(failure) or (refused and not policy.keep_missing)
