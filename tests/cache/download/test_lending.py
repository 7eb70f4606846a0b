"""Tests for regcache.cache.download.lending: when a body is lent, and what holds meanwhile."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download import lending
from regcache.cache.download.fill import Fill
from regcache.cache.download.lending import BESIDE, BY_TURNS, HEAD, LARGE, LEAST, TAIL
from regcache.cache.download.planning import Stretch
from regcache.errors import UpstreamFailure
from regcache.interfaces import Received
from regcache.intervals import Intervals

MIB = 1024 * 1024
SIZE = 64 * MIB
MOST = BESIDE.most


class File:
    """A file on the disk. Writes are done at once; jobs end when the test says so."""

    size: int | None = SIZE
    in_memory = False

    def __init__(self) -> None:
        self.jobs: list[tuple[int, int, Deferred[Received]]] = []
        self.sources: list[Callable[..., None]] = []
        self.held: Deferred[None] | None = None

    def write(self, offset: int, chunks: Any) -> "Deferred[None]":
        """Done, unless the disk is held."""
        return self.held or succeed(None)

    def receive(self, offset: int, end: int, source: Callable[..., None]) -> "Deferred[Received]":
        """Note the job."""
        self.sources.append(source)
        self.jobs.append((offset, end, Deferred()))
        return self.jobs[-1][2]


class Target:
    """Takes everything."""

    def __init__(self) -> None:
        self.file = File()
        self.claimed = Intervals()
        self.on_wrote: Callable[[], None] = lambda: None

    def wrote(self, position: int, end: int | None) -> None:
        """Tell the test."""
        self.on_wrote()


class Loan:
    """A loan that notes when it is given back."""

    def __init__(self, body: "Body") -> None:
        self.body = body

    def receive(self, put: Callable[[memoryview], None], most: int, seconds: float) -> None:
        """The test says what comes. Note for how long it may."""
        self.body.seconds = seconds

    def give_back(self) -> None:
        """Note it."""
        self.body.lent -= 1


class Body:
    """A body that notes what becomes of it."""

    start = 0
    end: int | None = SIZE
    paused = aborted = False
    lendable = True
    lent = 0
    seconds = 0.0

    def deliver(self, consumer: object) -> None:
        """The test delivers."""

    def pause(self) -> None:
        """Note it."""
        self.paused = True

    def resume(self) -> None:
        """Note it."""
        assert not self.lent
        self.paused = False

    def abort(self) -> None:
        """Note it."""
        self.aborted = True

    def lend(self) -> Loan | None:
        """Lend it."""
        assert self.paused
        assert not self.lent
        if not self.lendable:
            return None
        self.lent += 1
        return Loan(self)


class LendingTests(SynchronousTestCase):
    """One fill of 64 MiB."""

    def setUp(self) -> None:
        """Its body flows; there are two cores."""
        self.cores = 2
        self.patch(lending, "usable_cores", lambda: self.cores)
        self.over: list[UpstreamFailure | None] = []
        self.refused: list[BaseException | None] = []
        self.meets = False
        self.others: int | None = None
        self.body: Any = Body()
        self.target: Any = Target()
        owner: Any = self
        self.plan = self
        self.fill = Fill(owner, self.target, Stretch(0, None), upstream="up.test", clock=Clock())
        self.fill.flow(self.body)

    def met_present(self, position: int) -> bool:
        """As the test says."""
        return self.meets

    def next_fill(self, position: int) -> int | None:
        """As the test says."""
        return self.others

    def fill_over(self, fill: Fill, failure: UpstreamFailure | None) -> None:
        """Note the end."""
        self.over.append(failure)

    def fill_cannot_write(self, error: BaseException | None) -> None:
        """Note it."""
        self.refused.append(error)

    def come(self, count: int, piece: int = LARGE) -> None:
        """So many bytes come, until the body is paused."""
        for _ in range(0, count, piece):
            if not self.body.paused:
                self.fill.body_chunk(bytes(piece))

    @property
    def jobs(self) -> list[tuple[int, int]]:
        """The stretches that were lent."""
        return [(start, end) for start, end, _ in self.target.file.jobs]

    def bring(self, count: int, fault: BaseException | None = None) -> None:
        """The last job ends."""
        self.target.file.jobs[-1][2].callback(Received(count, fault))

    def test_first_bytes(self) -> None:
        """The first bytes are not lent; then a large piece has the body lent."""
        self.come(HEAD - LARGE)
        self.assertEqual(self.jobs, [])
        self.come(LARGE)
        self.assertEqual(self.jobs, [(HEAD, HEAD + MOST)])
        self.assertTrue(self.body.paused)

    def test_small_pieces(self) -> None:
        """A body that comes in small pieces is never lent."""
        self.come(8 * MIB, LARGE // 2)
        self.assertEqual(self.jobs, [])

    def test_what_came_before(self) -> None:
        """It is not lent before all that has come is written."""
        self.come(HEAD - LARGE)
        self.target.file.held = held = Deferred[None]()
        self.come(LARGE)
        self.assertEqual((self.jobs, self.body.paused), ([], True))
        self.target.file.held = None
        held.callback(None)
        self.assertEqual(self.jobs, [(HEAD, HEAD + MOST)])

    def test_claims(self) -> None:
        """The stretch is claimed meanwhile; what did not come is given back."""
        self.come(HEAD)
        self.assertEqual(list(self.target.claimed), [(0, HEAD + MOST)])
        self.assertEqual(self.fill.stretch.start, HEAD + MOST)
        self.bring(LEAST - 1)
        self.assertEqual(list(self.target.claimed), [(0, HEAD + LEAST - 1)])
        self.assertEqual(self.fill.position, HEAD + LEAST - 1)

    def test_much(self) -> None:
        """Behind a job that brought much there is another one, until the last bytes."""
        self.come(HEAD)
        while self.body.lent:
            start, end = self.jobs[-1]
            self.bring(end - start)
        self.assertFalse(self.body.paused)
        self.assertGreater(self.jobs[-1][1], SIZE - TAIL - LEAST - MOST)
        self.assertLessEqual(self.jobs[-1][1], SIZE - TAIL)

    def test_little(self) -> None:
        """Behind one that brought little the reactor reads."""
        self.come(HEAD)
        self.bring(0)
        self.assertFalse(self.body.paused)
        self.assertEqual((self.body.lent, len(self.jobs)), (0, 1))

    def receive(self) -> float:
        """A thread begins the last job; for how long it may receive."""
        self.target.file.sources[-1](lambda piece: None, MIB)
        return float(self.body.seconds)

    def test_single_core(self) -> None:
        """On a single core a job is shorter, and has to bring less for another one."""
        self.cores = 1
        self.come(HEAD)
        self.assertEqual(self.jobs, [(HEAD, HEAD + BY_TURNS.most)])
        self.assertEqual(self.receive(), BY_TURNS.seconds)
        self.bring(BY_TURNS.least)
        start = HEAD + BY_TURNS.least
        self.assertEqual(self.jobs[1:], [(start, start + BY_TURNS.most)])
        self.bring(BY_TURNS.least - 1)
        self.assertEqual((len(self.jobs), self.body.paused), (2, False))

    def test_cores_change(self) -> None:
        """If the cores become more or fewer, the next job is for those that there are."""
        self.cores = 1
        self.come(HEAD)
        self.cores = 2
        self.bring(BY_TURNS.most)
        start = HEAD + BY_TURNS.most
        self.assertEqual(self.jobs[1:], [(start, start + BESIDE.most)])
        self.assertEqual(self.receive(), BESIDE.seconds)

    def test_cannot_be_lent(self) -> None:
        """If it cannot be lent the reactor reads on, and asks again later."""
        self.body.lendable = False
        self.come(HEAD + 2 * MIB)
        self.assertEqual((self.jobs, self.body.paused), ([], False))
        self.body.lendable = True
        self.come(MOST)
        self.assertEqual(len(self.jobs), 1)

    def test_next_is_claimed(self) -> None:
        """What another fill has claimed is not lent."""
        self.target.claimed.add(HEAD + 2 * MIB, HEAD + 3 * MIB)
        self.come(HEAD)
        self.assertEqual(self.jobs, [(HEAD, HEAD + 2 * MIB)])
        self.meets = True
        self.bring(2 * MIB)
        self.assertEqual((self.body.aborted, self.body.lent), (True, 0))
        self.assertEqual(self.over, [None])

    def test_stopped(self) -> None:
        """A stop aborts the body; the fill is over when the job has ended, with what it brought."""
        self.come(HEAD)
        self.fill.stop()
        self.assertEqual((self.body.aborted, self.over), (True, []))
        self.bring(5000)
        self.assertEqual((self.over, self.fill.position), ([None], HEAD + 5000))
        self.assertEqual(list(self.target.claimed), [(0, HEAD + 5000)])

    def test_dropped(self) -> None:
        """Of what is dropped nothing is told; the connection is given back all the same."""
        self.come(HEAD)
        self.fill.drop()
        self.assertEqual((self.body.aborted, self.body.lent), (True, 1))
        self.bring(MOST)
        self.assertEqual((self.over, self.refused, self.body.lent), ([], [], 0))

    def test_full_disk(self) -> None:
        """A fault of the disk is that of a write; what came before it counts."""
        self.come(HEAD)
        full = OSError(28, "No space left on device")
        self.bring(3 * MIB, full)
        self.assertEqual((self.refused, self.over), ([full], []))
        self.assertEqual((self.body.aborted, self.body.lent), (True, 0))

    def test_pool_is_stopped(self) -> None:
        """A job that was never begun gives everything back."""
        self.come(HEAD)
        self.target.file.jobs[-1][2].errback(RuntimeError("stopped"))
        self.assertEqual(self.body.lent, 0)
        self.assertEqual(list(self.target.claimed), [(0, HEAD)])
        self.assertEqual(len(self.refused), 1)

    def test_stopped_by_what_it_brought(self) -> None:
        """Who stops the fill as it reports what came is obeyed: what was lent again ends soon."""
        self.come(HEAD)
        self.target.on_wrote = self.fill.stop
        self.bring(MOST)
        self.assertEqual((len(self.jobs), self.body.aborted, self.over), (2, True, []))
        self.bring(0)
        self.assertEqual((len(self.jobs), self.body.lent, self.over), (2, 0, [None]))

    def test_next_fill(self) -> None:
        """It ends where another fill begins, also if that has no answer yet."""
        self.others = HEAD + 2 * MIB
        self.come(HEAD)
        self.assertEqual(self.jobs, [(HEAD, HEAD + 2 * MIB)])

    def test_unknown_end(self) -> None:
        """A body without a length is not lent, nor content in memory."""
        for owner, name, value in (
            (self.body, "end", None),
            (self.target.file, "size", None),
            (self.target.file, "in_memory", True),
        ):
            self.patch(owner, name, value)
            self.come(MIB)
            self.assertEqual(self.jobs, [])
