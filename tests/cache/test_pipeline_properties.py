"""Random sequences of clients, faults, stops and kills, against what must always hold."""

import os
import random
import shutil
import tempfile
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache import (
    allocation,
    audience,
    fetching,
    fill,
    keeping,
    planning,
    progress,
    reader,
    relay,
    retries,
)
from regcache.cache.relay import Relay
from regcache.errors import (
    UpstreamDenied,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamServerError,
    UpstreamUnreachable,
)
from tests.support.bodies import Fault
from tests.support.pipeline import Daemon
from tests.support.pullers import Puller

KIB = 1024

#: Everything is a thousandth of its size, so that small blobs meet every case.
SMALL: list[tuple[Any, str, int]] = [
    (planning, "NEAR", 8 * KIB),
    (planning, "WINDOW", 16 * KIB),
    (planning, "SKIP", 2 * KIB),
    (retries, "SKIP", 2 * KIB),
    (fetching, "MOST_FILLS", 4),
    (fill, "QUEUE_HIGH", 8 * KIB),
    (fill, "QUEUE_LOW", 2 * KIB),
    (fill, "WRITE_SIZE", 4 * KIB),
    (audience, "WITHHELD", 4 * KIB),
    (progress, "WITHHELD", 4 * KIB),
    (relay, "WITHHELD", 4 * KIB),
    (keeping, "SAVE_EVERY", 16 * KIB),
    (allocation, "STEP", 16 * KIB),
    (allocation, "UNRESERVED", 8 * KIB),
    (reader, "LEAST_READ", 2 * KIB),
    (reader, "MOST_READ", 8 * KIB),
]
#: What one fill may bring twice: what it reads through, and what is on its way when it stops.
OVERLAP = 2 * KIB + 2 * 4 * KIB
#: What a stop forgets: the queues of all fills.
FORGOTTEN = 4 * (8 * KIB + 4 * KIB + 4 * KIB)
#: What a kill forgets besides: what was written since the intervals were saved.
UNSAVED = 2 * 16 * KIB

PROFILE = settings(
    max_examples=120,
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

NAME = "up.test"
refusals = st.sampled_from(
    [
        UpstreamNotFound(NAME, "not found", status=404),
        UpstreamDenied(NAME, "no", status=403),
        UpstreamRateLimited(NAME, "slowly", retry_after=7),
        UpstreamServerError(NAME, "503", status=503),
        UpstreamUnreachable(NAME, "connection refused"),
    ]
)
places = st.integers(0, 70 * KIB)
flips = st.none() | places
faults = st.one_of(
    st.builds(Fault, refuse=refusals),
    st.builds(Fault, cut=places, flip=flips, ignore_range=st.booleans()),
    st.builds(Fault, stall=places, flip=flips, hide_size=st.booleans()),
    st.builds(Fault, flip=places),
    st.builds(Fault, shift=st.integers(1, 5000)),
    st.builds(Fault, claim_size=st.integers(1, 100 * KIB), flip=flips),
    st.builds(Fault, claim_start=st.integers(1, 5000)),
    st.builds(Fault, hide_size=st.just(True), cut=st.none() | places, flip=flips),
    st.builds(Fault, hide_size=st.just(True), ends=places, ignore_range=st.booleans()),
    st.builds(Fault, ignore_range=st.just(True), hide_size=st.booleans()),
    st.builds(Fault, surplus=st.binary(min_size=1, max_size=9)),
)
spans = st.tuples(st.integers(0, 1000), st.integers(0, 1000)).map(lambda pair: tuple(sorted(pair)))
parts = st.one_of(
    st.just([]),
    st.integers(1, 1000).map(lambda end: [(0, end)]),
    st.integers(0, 999).map(lambda start: [(start, 1000)]),
    st.integers(900, 999).map(lambda start: [(start, start + 1)]),
    st.lists(spans, min_size=1, max_size=3),
)
seldom = st.sampled_from([False, False, False, True])
choices = st.tuples(st.integers(0, 9))
numbers = st.integers(0, 1)

#: The methods of Scenario: how often they come, and what their arguments are.
EVENTS: dict[str, tuple[int, st.SearchStrategy[tuple[Any, ...]]]] = {
    "pull": (
        6,
        st.tuples(numbers, st.sampled_from(["org/app", "org/two"]), parts, seldom, seldom),
    ),
    "turn": (10, st.tuples(st.integers(1, 60))),
    "wait": (2, st.tuples(st.sampled_from([0.3, 5.0, 40.0]))),
    "begin_part": (2, choices),
    "pause": (1, choices),
    "resume": (3, choices),
    "leave": (2, choices),
    "change_disk": (1, st.tuples(st.sampled_from([0.0, 0.001, 0.03]))),
    "restart": (1, st.tuples()),
    "kill": (1, st.tuples(st.integers(0, 3))),
}
#: What goes wrong besides.
TROUBLES: dict[str, tuple[int, st.SearchStrategy[tuple[Any, ...]]]] = {
    "upstream_errs": (8, st.tuples(numbers, faults)),
    "disk_errs": (1, st.tuples(st.integers(1, 3))),
    "space_changes": (1, st.tuples(st.sampled_from([2**60, 30_000, 4 * KIB, 0]))),
    "evict": (2, st.tuples(numbers)),
}


def sequences(
    *kinds: dict[str, tuple[int, st.SearchStrategy[tuple[Any, ...]]]],
) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Random sequences of events: (name of a method of the scenario, its arguments ...)."""
    known = {name: entry for kind in kinds for name, entry in kind.items()}
    names = [name for name, (weight, _) in known.items() for _ in range(weight)]

    @st.composite
    def event(draw: st.DrawFn) -> tuple[Any, ...]:
        name = draw(st.sampled_from(names))
        return (name, *draw(known[name][1]))

    return st.lists(event(), min_size=20, max_size=70)


worlds = st.builds(
    dict,
    sizes=st.lists(
        st.sampled_from([65_537, 20_000, 5 * KIB, 4 * KIB, 3 * KIB, 1, 0]), min_size=1, max_size=2
    ),
    finish=st.sampled_from([None, 0, 10 * KIB]),
    chunk=st.sampled_from([500, 1500, 4 * KIB]),
)


class Scenario:
    """Clients come and go; the daemon stops and starts; nobody does anything wrong."""

    def __init__(self, directory: str, sizes: list[int], finish: int | None, chunk: int) -> None:
        contents = [random.Random(each).randbytes(size) for each, size in enumerate(sizes)]
        self.place = tempfile.mkdtemp(dir=directory)
        self.daemon = Daemon(self.place, contents, finish)
        for registry in self.daemon.registries:
            registry.chunk = chunk
            registry.stall_timeout = 30.0
        self.clients: list[Puller] = []
        self.evictions = 0

    def play(self, events: list[tuple[Any, ...]]) -> None:
        """Let everything happen, and look after each event."""
        try:
            for name, *arguments in events:
                getattr(self, name)(*arguments)
                self.check()
            self.end()
        finally:
            self.daemon.close()
            shutil.rmtree(self.place)

    def pull(
        self,
        number: int,
        repository: str,
        parts: list[tuple[int, int]],
        hesitant: bool,
        slow: bool,
    ) -> None:
        """A client comes."""
        number %= len(self.daemon.contents)
        client = Puller(self.daemon, number, repository, parts, hesitant)
        client.slow = slow
        self.clients.append(client)

    def turn(self, count: int) -> None:
        """Milliseconds pass."""
        self.daemon.turn(count)

    def wait(self, seconds: float) -> None:
        """Seconds pass."""
        self.daemon.clock.advance(seconds)
        self.daemon.turn(20)

    def _living(self, choice: int) -> list[Puller]:
        """Some client that is being served, if there is one."""
        living = [client for client in self.clients if client.outcome is None]
        return living[choice % len(living) :][:1] if living else []

    def begin_part(self, choice: int) -> None:
        """A client that hesitated begins."""
        for client in self._living(choice):
            client.begin()

    def pause(self, choice: int) -> None:
        """A client takes nothing for now."""
        for client in self._living(choice):
            client.pause()

    def resume(self, choice: int) -> None:
        """It takes more."""
        for client in self._living(choice):
            client.resume()

    def leave(self, choice: int) -> None:
        """A client goes."""
        for client in self._living(choice):
            client.leave()

    def change_disk(self, latency: float) -> None:
        """The disk becomes faster or slower."""
        self.daemon.disk.latency = latency

    def restart(self) -> None:
        """The daemon stops and starts."""
        self.daemon.stop()
        for client in self.clients:
            client.leave()
        self.daemon.settle()
        self.daemon.assert_nothing_left()
        self.daemon.start()

    def kill(self, jobs_done: int) -> None:
        """The daemon is killed and started."""
        self.daemon.kill(jobs_done)
        for client in self.clients:
            client.lose()
        self.daemon.start()

    def check(self) -> None:
        """What holds at any time."""
        daemon = self.daemon
        assert not daemon.problems, daemon.problems
        assert not daemon.faults, daemon.faults
        for sink in daemon.doomed:
            assert sink is None or sink.outcome is not None, "not aborted after a mismatch"
        daemon.doomed.clear()

    def end(self) -> None:
        """All faults end; every answer must, too, and every blob can be pulled."""
        daemon = self.daemon
        self.mend()
        for client in self.clients:
            client.hesitant = False
            client.resume()
            client.begin()
        daemon.settle()
        for client in self.clients:
            assert client.outcome is not None, "an answer never ends"
        self.check()
        daemon.clock.advance(700.0)
        for number in range(len(daemon.contents)):
            self.pull_at_last(number)
        daemon.stop()
        daemon.assert_nothing_left()
        daemon.assert_only_verified()
        for number in range(len(daemon.contents)):
            self.check_bytes(number)

    def pull_at_last(self, number: int) -> None:
        """A blob can be pulled; wrong bytes from an earlier day cost one attempt."""
        for spoilt in (True, False):
            client = Puller(self.daemon, number, "org/app", [])
            self.daemon.settle()
            self.check()
            if client.outcome == "complete":
                return
            assert spoilt and "fails its digest" in str(client.reason), client.error

    def mend(self) -> None:
        """Nothing goes wrong from now on."""
        if self.daemon.stops == 0:
            for client in self.clients:
                assert client.outcome not in ("refused", "aborted"), client.error

    def check_bytes(self, number: int) -> None:
        """No byte is fetched twice, but for what each event may cost."""
        daemon = self.daemon
        size, sent = len(daemon.contents[number]), daemon.registries[number].sent
        times = 1 + self.redone(number)
        allowed = times * size + len(daemon.bodies(number)) * OVERLAP
        allowed += daemon.stops * FORGOTTEN + daemon.kills * (FORGOTTEN + UNSAVED)
        assert sent <= allowed, f"{sent} bytes were sent of {size}, at most {allowed} are due"

    def redone(self, number: int) -> int:
        """How often a blob had to be fetched anew."""
        return 0


class Troubled(Scenario):
    """Upstreams lie, disks fill up."""

    def upstream_errs(self, number: int, fault: Fault) -> None:
        """One of the next answers goes wrong."""
        registries = self.daemon.registries
        registries[number % len(registries)].faults.append(fault)

    def disk_errs(self, count: int) -> None:
        """The disk fails."""
        self.daemon.disk.failing = count

    def space_changes(self, limit: int) -> None:
        """Blobs over another limit are not stored."""
        self.daemon.limit = self.daemon.spaces[-1].limit = limit

    def evict(self, number: int) -> None:
        """A stored blob is removed."""
        digest = self.daemon.digests[number % len(self.daemon.digests)]
        self.daemon.caches.store.remove(digest)
        self.evictions += 1

    def mend(self) -> None:
        """Nothing goes wrong from now on."""
        daemon = self.daemon
        daemon.disk.failing = 0
        daemon.limit = daemon.spaces[-1].limit = 2**60
        for registry in daemon.registries:
            registry.faults.clear()

    def redone(self, number: int) -> int:
        """Each event costs one blob at most."""
        daemon = self.daemon
        bodies = daemon.bodies(number)
        spoilt = sum(_spoils(body._fault) for body in bodies)
        relayed = sum(isinstance(body._consumer, Relay) for body in bodies)
        refused = sum(space.refused for space in daemon.spaces)
        return spoilt + relayed + refused + self.evictions + daemon.disk_failures()


def _spoils(fault: Fault) -> bool:
    """Whether an answer with this fault may cost what was fetched before."""
    lies = fault.flip is not None or fault.shift or fault.claim_size or fault.hide_size
    return bool(lies or fault.ignore_range or fault.surplus)


class PipelinePropertyTests(SynchronousTestCase):
    """What holds whatever happens in whatever order."""

    def setUp(self) -> None:
        """A small world."""
        for module, name, value in SMALL:
            self.patch(module, name, value)
        self.directory = os.path.abspath(self.mktemp())
        os.makedirs(self.directory)

    def test_clients_that_come_and_go(self) -> None:
        """Without faults everything is right, ends, and is fetched hardly more than once."""

        @PROFILE
        @given(worlds, sequences(EVENTS))
        def play(world: dict[str, Any], events: list[tuple[Any, ...]]) -> None:
            Scenario(self.directory, **world).play(events)

        play()

    def test_faults_of_upstreams_and_disks(self) -> None:
        """With faults of every kind nothing wrong is completed or kept, and nothing hangs."""

        @PROFILE
        @given(worlds, sequences(EVENTS, TROUBLES))
        def play(world: dict[str, Any], events: list[tuple[Any, ...]]) -> None:
            Troubled(self.directory, **world).play(events)

        play()
