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
a large piece        wanted, if enough is   reading on is not       (none comes)
                     to come                worth it: stays
nothing to write                            lent; reading, if the
                                            body cannot be lent
the job ends                                                        see below
stop, drop           reading                reading                 the body is aborted, so the
                                                                    job ends soon
===================  =====================  ======================  ==========================

The stretch is claimed before the job, so no other fill writes there; what the job did not bring is
given back after it. It ends where anything is claimed, and where another fill begins, even if that
has no answer yet: no byte is fetched twice. It ends before the last bytes of the body, which come
through the parser of HTTP: so that sees the end of each body. Behind a job that brought much there
is another one; else the reactor receives again, until the pieces are large.
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

#: Less than that is not lent (bytes).
LEAST = 1024 * 1024
#: The last bytes of each body are not lent.
TAIL = 64 * 1024
#: Nor are the first, so that readers have them at once (bytes).
HEAD = 1024 * 1024
#: A body that comes in pieces of this size is fast (bytes).
LARGE = 128 * 1024


@dataclass(frozen=True, slots=True)
class JobBounds:
    """How much one job does.

    :ivar most: what it receives at most (bytes). Readers are woken after each job.
    :ivar seconds: for about how long.
    :ivar least: what it has to bring, so that there is another one (bytes).
    """

    most: int
    seconds: float
    least: int


#: Where threads run beside the reactor.
BESIDE = JobBounds(16 * 1024 * 1024, 0.05, 1024 * 1024)
#: On a single core the jobs of several bodies and the reactor take turns, so each job takes several
#: times as long as it works; what it has brought waits meanwhile, and so do its readers.
BY_TURNS = JobBounds(4 * 1024 * 1024, 0.015, 320 * 1024)

Told = Callable[[int, BaseException | None], None]


def bounds_now() -> JobBounds:
    """Those for the cores that there are. They may become fewer while the daemon runs."""
    return BY_TURNS if usable_cores() == 1 else BESIDE


class Lending:
    """What of one body is received by threads.

    :param target: where the bytes belong.
    :param plan: where other fills are.
    :ivar wanted: whether the body is to be lent as soon as nothing waits to be written.
    :ivar end: behind the stretch that is lent; None when none is.
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
        """A body begins."""
        self._not_before = body.start + HEAD

    def consider(self, body: IBlobBody, position: int, length: int) -> bool:
        """Whether to pause the body and to lend it: a piece of this length has come."""
        if length >= LARGE and position >= self._not_before:
            self.wanted = self._stretch_end(body, position) - position >= LEAST
        return self.wanted

    def lend_or_resume(self, body: IBlobBody, position: int, told: Told) -> None:
        """Lend the body, from ``position`` on, or have the reactor read on.

        :param told: called when a thread has received so many bytes, with the fault, if any.
        """
        if not self._begin(body, position, told):
            body.resume()

    def _begin(self, body: IBlobBody, position: int, told: Told) -> bool:
        """Lend the body. Returns whether it was; then its job may have ended already."""
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
        """Whether a job that brought so many bytes is worth another one."""
        return count >= self._bounds.least

    def _stretch_end(self, body: IBlobBody, position: int) -> int:
        """The end of what may be lent: not claimed, asked for by another fill, or of the last."""
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
