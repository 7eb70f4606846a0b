"""Refuses new GETs of manifests and blobs to a principal that has used up a quota.

=============================  ==============================================================
an account over its quota      gets
=============================  ==============================================================
HEAD, tags, referrers, …       the usual answer: it needs no bodies of images
GET without If-None-Match      429, before anything is looked up
GET by digest with one         304 if it has this digest, else 429
GET by tag with one            304 if the tag names what it has, which is looked up; else 429
an answer under way            the rest of it
=============================  ==============================================================
"""

import math

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from regcache.access.principals import Decision
from regcache.access.quotas import QuotaBook, ReachedQuota
from regcache.causes import over_quota
from regcache.digests import is_digest
from regcache.errors import QuotaReachedError, ServiceUnavailableError
from regcache.facts import in_units
from regcache.seats import Seat
from regcache.web.request import Request
from regcache.web.respond import is_not_modified

#: How long a request waits until it is known what was served before this process (seconds).
LONGEST_WAIT = 5.0
_COUNTED = frozenset({"manifest", "blob"})


class QuotaGate:
    """It comes after the decision who asks, and before all look-ups."""

    def __init__(self, book: QuotaBook, clock: IReactorTime) -> None:
        self.book = book
        self._clock = clock

    def is_open_for(self, decision: Decision) -> bool:
        """Whether it is known what was served to the principal, as far as that matters."""
        return self.book.opened.open or not _has_quota(decision.seat)

    async def wait_for(self, decision: Decision) -> None:
        """Wait until it is known.

        :raises ServiceUnavailableError: if that takes too long.
        """
        if self.is_open_for(decision):
            return
        waiting: Deferred[None] = self.book.opened.wait()
        waiting.addTimeout(LONGEST_WAIT, self._clock)
        try:
            await waiting
        except TimeoutError:
            raise ServiceUnavailableError(
                "it is not known yet how much of the quota is used", headers={"Retry-After": "5"}
            ) from None

    def check(self, request: Request, decision: Decision) -> None:
        """Refuse a request, or follow its answer.

        :raises QuotaReachedError: if a quota is used up. Where a tag has to be looked up first, the
            error is noted in the facts of the request, for who has looked.
        """
        seat, facts = decision.seat, request.facts
        if seat is None or not _has_quota(seat):
            return
        if request.method != b"GET" or facts.kind not in _COUNTED:
            return
        reached = self.book.reached(seat)
        if reached is None:
            self.book.begin(seat.name, request.serial, lambda: request.body_bytes_sent)
            return
        if not request.field_lines(b"if-none-match"):
            raise _error(reached)
        if not is_digest(facts.reference):
            facts.unless_not_modified = _error(reached)
        elif not is_not_modified(request, f'"{facts.reference}"'):
            raise _error(reached)


def _has_quota(seat: Seat | None) -> bool:
    return seat is not None and (seat.daily is not None or seat.monthly is not None)


def _error(reached: ReachedQuota) -> QuotaReachedError:
    seconds = max(1, math.ceil(reached.seconds))
    return QuotaReachedError(
        f"the {reached.name} quota of {in_units(reached.limit)} is used up;"
        f" there is more in {_in_words(seconds)}",
        headers={"Retry-After": str(seconds)},
        cause=over_quota(reached.name, seconds),
    )


def _in_words(seconds: int) -> str:
    for length, word in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds // length} {word}"
    return f"{seconds} seconds"
