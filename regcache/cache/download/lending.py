"""Lends the connection of a fill to a thread, for large bodies that come fast.

==========  ========================================================================
state       meaning
==========  ========================================================================
reading     the reactor receives the body, piece by piece
wanted      the body is paused; it is lent when what has come is written
lent        threads receive, decrypt, hash and write a stretch of the content
==========  ========================================================================

===================  =====================  ======================  ==========================
event                reading                wanted                  lent
===================  =====================  ======================  ==========================
a large piece        wanted, if enough is   stays wanted            (does not happen)
                     to come
all is written                              lent; reading, if the
                                            body cannot be lent
the job ends                                                        see below
stop, drop           reading                reading                 the body is aborted, so the
                                                                    job ends soon
===================  =====================  ======================  ==========================

The stretch is claimed before the job, so no other fill writes there. The part that the job did not
receive is released after it. The stretch ends where anything is claimed, and where another fill
begins, even if that has no answer yet, so that no byte is fetched twice. It ends before the last
bytes of the body; these go through the parser of HTTP, which has to see the end of each body. If a
job received much, another one follows; else the reactor receives again, until pieces are large.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.python.failure import Failure

from regcache.cache.download.planning import FillPlan
from regcache.cache.download.target import FillTarget
from regcache.cores import usable_cores
from regcache.interfaces import IBlobBody, IBodyLoan, Received
from regcache.light_dataclass import dataclass

#: A shorter stretch is not lent (bytes).
LEAST = 1024 * 1024
#: So many bytes at the end of each body are not lent.
TAIL = 64 * 1024
#: So many bytes at its beginning are not lent, so that readers get them at once.
HEAD = 1024 * 1024
#: A body with a piece of this size is fast (bytes).
LARGE = 128 * 1024


@dataclass(frozen=True, slots=True)
class JobBounds:
    """Limits how much one job does.

    :ivar most: how much it receives at most (bytes). Readers are woken after each job.
    :ivar seconds: how long it receives, about.
    :ivar least: how much it has to receive for another job to follow (bytes).
    """

    most: int
    seconds: float
    least: int


#: The bounds if threads run at the same time as the reactor.
BESIDE = JobBounds(16 * 1024 * 1024, 0.05, 1024 * 1024)
#: The bounds on a single core. There the jobs of several bodies and the reactor take turns, so each
#: job takes several times as long as it works, and its readers wait for its bytes until it ends.
BY_TURNS = JobBounds(4 * 1024 * 1024, 0.015, 320 * 1024)

Told = Callable[[int, BaseException | None], None]


def bounds_now() -> JobBounds:
    """Choose the bounds by the usable cores, whose number may change while the daemon runs."""
    return BY_TURNS if usable_cores() == 1 else BESIDE


class Lending:
    """Has threads receive stretches of one body.

    :param target: the target of the bytes.
    :param plan: knows where other fills are.
    :ivar wanted: whether the body is to be lent as soon as nothing waits to be written.
    :ivar end: the end of the stretch that is lent; None if none is.
    """

    def __init__(
        self,
        target: FillTarget,
        plan: FillPlan[Any],
    ) -> None:
        self._target = target
        self._plan = plan
        self._not_before = 0
        self._bounds = BESIDE
        self.wanted = False
        self.end: int | None = None

    def flow(self, body: IBlobBody) -> None:
        """Begin with a body."""
        self._not_before = body.start + HEAD

    def consider(self, body: IBlobBody, position: int, length: int) -> bool:
        """Decide after a piece of this length whether to pause the body and to lend it."""
        if length >= LARGE and position >= self._not_before:
            self.wanted = self._stretch_end(body, position) - position >= LEAST
        return self.wanted

    def lend_or_resume(self, body: IBlobBody, position: int, told: Told) -> None:
        """Lend the body, from ``position`` on, or have the reactor read on.

        :param told: called after the job with the number of its bytes, and the fault, if any.
        """
        if not self._begin(body, position, told):
            body.resume()

    def _begin(self, body: IBlobBody, position: int, told: Told) -> bool:
        """Lend the body. Return whether it was lent; then its job may have ended already."""
        self.wanted = False
        self._bounds = bounds_now()
        end = self._stretch_end(body, position)
        loan = body.lend() if end - position >= LEAST else None
        if loan is None:
            self._not_before = position + BESIDE.most
            return False
        self.end = end
        self._target.claimed.add(position, end)
        source = partial(loan.receive, seconds=self._bounds.seconds)
        receiving = self._target.file.receive(position, end, source)
        receiving.addBoth(self._ended, loan, position, told)
        return True

    def is_fast(self, count: int) -> bool:
        """Return whether another job is to follow one that received so many bytes."""
        return count >= self._bounds.least

    def _stretch_end(self, body: IBlobBody, position: int) -> int:
        """Return the end of the stretch that may be lent from here on."""
        if body.end is None or self._target.file.size is None or self._target.file.in_memory:
            return position
        end = min(position + self._bounds.most, body.end - TAIL)
        met = self._target.claimed.next_start(position), self._plan.next_fill(position)
        return min([end, *(each for each in met if each is not None)])

    def _ended(
        self, outcome: Received | Failure, loan: IBodyLoan, position: int, told: Told
    ) -> None:
        received = Received(0, outcome.value) if isinstance(outcome, Failure) else outcome
        end, self.end = self.end, None
        assert end is not None
        self._target.claimed.remove(position + received.count, end)
        loan.give_back()
        told(received.count, received.fault)
