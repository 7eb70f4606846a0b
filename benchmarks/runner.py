"""Runs workloads: rounds interleaved over the peers, and what each sample cost."""

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.figures import DIRECT, Figures
from benchmarks.gaps import Gaps, read_gaps
from benchmarks.load import LoadFailedError
from benchmarks.peers import KINDS, Peer, Regcache
from benchmarks.processes import ServerFailedError
from benchmarks.profiling import make_profiler
from benchmarks.workload import GIB, Bench, UnavailableError, Workload


class Runner:
    """Measures workloads one after the other.

    :param peers: the letters of those who take part.
    :ivar gaps: by workload, how long the reactor was held.
    :ivar failures: what could not be measured, and why.
    :ivar left_out: what cannot be measured on this machine, and why.
    :ivar profiles: by workload, the name of the file.
    """

    def __init__(
        self, bench: Bench, figures: Figures, peers: str, rounds: int, watchdog: bool = True
    ) -> None:
        self._bench = bench
        self._figures = figures
        self._peers = peers
        self._rounds = rounds
        self._watchdog = watchdog
        self.gaps: dict[str, Gaps] = {}
        self.failures: list[str] = []
        self.left_out: list[str] = []
        self.profiles: dict[str, str] = {}

    def run(self, kind: type[Workload]) -> None:
        """All rounds of one workload, and the watchdog's."""
        workload = kind(self._bench)
        names = [name for name in workload.peers if name in self._peers]
        began = time.monotonic()
        _say(f"{workload.name}: {workload.title}")
        try:
            with workload.surroundings():
                self._all_rounds(workload, names)
                if self._watchdog and workload.watched and "R" in names and not self._bench.quick:
                    self._try(self._watch, workload, self._peer(workload, "R"))
        except UnavailableError as error:
            self.left_out.append(f"{workload.name}: {error}")
        _say(f" ({time.monotonic() - began:.0f} s)", end="\n")

    def _all_rounds(self, workload: Workload, names: list[str]) -> None:
        with ExitStack() as stack:
            peers = [self._peer(workload, name) for name in names]
            for peer in peers:
                stack.callback(peer.wipe)
                stack.callback(peer.stop)
            for _ in range(self._rounds):
                for peer in peers:
                    self._try(self._round, workload, peer)
                self._direct(workload)

    def _try(self, step: Callable[[Workload, Peer], None], workload: Workload, peer: Peer) -> None:
        """One server that fails does not end the run: what it lacks is said in the report."""
        try:
            step(workload, peer)
        except (LoadFailedError, ServerFailedError) as error:
            _say(" failed")
            self.failures.append(f"{workload.name}, {peer.name}: {error}")
            peer.stop()

    def _peer(self, workload: Workload, name: str) -> Peer:
        certificate = self._bench.certificate if workload.tls else None
        folder = self._bench.folder / f"{workload.name}-{name}"
        peer = KINDS[name](folder, workload.upstream.port, certificate)
        if isinstance(peer, Regcache) and self._bench.quick:
            peer.watched = self._watchdog and workload.watched
        return peer

    def _round(self, workload: Workload, peer: Peer) -> None:
        """One sample, on a new cache where the workload wants that."""
        _say(f" {peer.name}")
        seconds = 0.0
        if workload.fresh or not peer.running:
            seconds = _begin(workload, peer)
        began = time.monotonic()
        self._figures.add(workload.name, peer.name, _sample(workload, peer, seconds))
        self._note_gaps(workload, peer, began)
        if workload.fresh:
            peer.stop()
            peer.wipe()

    def _direct(self, workload: Workload) -> None:
        values = workload.direct()
        if values:
            self._figures.add(workload.name, DIRECT, values)

    def _watch(self, workload: Workload, peer: Peer) -> None:
        """Once more for the watchdog, whose own work must not count anywhere else.

        The server has one core for itself alone: what comes late is nobody else's fault. (The
        short form has no time for that: there the watchdog looks on all the time.)
        """
        _say(" watchdog")
        assert isinstance(peer, Regcache)
        peer.watched = True
        try:
            with self._all_on(self._bench.client_cores):
                _begin(workload, peer)
                peer.server.pin(self._bench.server_cores)
                began = time.monotonic()
                workload.measure(peer, 0.0)
                peer.server.settled_cpu_seconds()
                self._note_gaps(workload, peer, began)
        finally:
            peer.stop()
            peer.wipe()

    @contextmanager
    def _all_on(self, cores: frozenset[int]) -> Iterator[None]:
        """Keep upstreams, clients and this program on some cores."""
        before = self._bench.all_cores
        upstreams = (self._bench.fast, self._bench.paced)
        os.sched_setaffinity(0, cores)  # of what is started from here on, too
        for upstream in upstreams:
            upstream.pin(cores)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)
            for upstream in upstreams:
                upstream.pin(before)

    def profile(self, kind: type[Workload], output: Path) -> None:
        """Once more for a profile, which counts for nothing else either.

        :param output: the folder that gets it.
        """
        workload = kind(self._bench)
        _say(f"{workload.name}: profile")
        peer, profiler = self._peer(workload, "R"), make_profiler(output / f"profile-{kind.name}")
        assert isinstance(peer, Regcache)
        peer.watched = False
        profiler.furnish(peer)
        try:
            with workload.surroundings():
                _begin(workload, peer)
                profiler.begin(peer)
                workload.measure(peer, 0.0)
                profiler.end(peer)
            self.profiles[workload.name] = profiler.text.name
        except (LoadFailedError, ServerFailedError) as error:
            self.failures.append(f"{workload.name}, profile: {error}")
        finally:
            peer.stop()
            peer.wipe()
        _say("", end="\n")

    def _note_gaps(self, workload: Workload, peer: Peer, began: float) -> None:
        if isinstance(peer, Regcache) and peer.watched:
            found = read_gaps(peer.gaps, began, time.monotonic())
            known = self.gaps.get(workload.name)
            self.gaps[workload.name] = known.worse(found) if known else found


def _begin(workload: Workload, peer: Peer) -> float:
    """An empty cache, furnished, started, prepared; the seconds that the start took."""
    peer.wipe()
    peer.folder.mkdir(parents=True)
    workload.furnish(peer)
    seconds = peer.start()
    workload.prepare(peer)
    peer.server.settled_cpu_seconds()
    if workload.pinned:
        peer.server.pin(workload.bench.server_cores)
    return seconds


def _sample(workload: Workload, peer: Peer, start_seconds: float) -> Mapping[str, float]:
    """What the workload says, and what it cost the server and the client."""
    server = peer.server
    workload.upstream.mark()
    cpu, client = server.cpu_seconds(), _children_seconds()
    values = dict(workload.measure(peer, start_seconds))
    client = _children_seconds() - client
    spent = (server.settled_cpu_seconds() if workload.fresh else server.cpu_seconds()) - cpu
    if workload.fresh and workload.counted:
        traffic = workload.upstream.traffic()
        values["upstream_gets"] = traffic.blob_gets
        values["upstream_requests"] = traffic.requests
        values["upstream_mib"] = traffic.bytes / (1 << 20)
    if values.get("bytes"):
        values["cpu_s_gib"] = spent / values["bytes"] * GIB
    values["cpu_s"] = spent
    values["client_busy"] = client / values["seconds"]
    values["peak_rss_mib"] = server.resident_mib(peak=True)
    return values


def _children_seconds() -> float:
    """Processor time of all load clients so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _say(text: str, end: str = "") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
