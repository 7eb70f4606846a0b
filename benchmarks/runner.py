"""Runs workloads: rounds interleaved over the peers, then the watchdog's."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import inf
from pathlib import Path

from benchmarks.figures import DIRECT, Figures
from benchmarks.gaps import Gaps, read_gaps
from benchmarks.load import LoadFailedError
from benchmarks.peers import KINDS, OtherRegcache, Peer, Regcache
from benchmarks.processes import ServerFailedError
from benchmarks.profiling import make_profiler
from benchmarks.sampler import Sampler
from benchmarks.timings import TOTAL, Timings
from benchmarks.workload import Bench, UnavailableError, Workload


class Runner:
    """Measures workloads one after the other.

    :param peers: the letters of those who take part.
    :ivar gaps: by workload, how long the reactor was held.
    :ivar failures: what could not be measured, and why.
    :ivar left_out: what cannot be measured on this machine, and why.
    :ivar profiles: by workload, the name of the file.
    :ivar timings: where the time went.
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
        self.timings = Timings()
        self._sampler = Sampler(self.timings)

    def run(self, kind: type[Workload]) -> None:
        """All rounds of one workload, and the watchdog's."""
        workload = kind(self._bench)
        names = [name for name in taking_part(workload.peers) if name in self._peers]
        _say(f"{workload.name}: {workload.title}")
        try:
            with self.timings.step(workload.name, TOTAL), workload.surroundings():
                self._all_rounds(workload, names)
                if self._watchdog and workload.watched and "R" in names and not self._bench.quick:
                    self._try(self._watch, workload, self._peer(workload, "R"))
        except UnavailableError as error:
            self.left_out.append(f"{workload.name}: {error}")
        _say(f" ({self.timings.total(workload.name):.0f} s)", end="\n")

    def _all_rounds(self, workload: Workload, names: list[str]) -> None:
        with ExitStack() as stack:
            peers = [self._peer(workload, name) for name in names]
            for peer in peers:
                stack.callback(self._sampler.end, workload, peer)
            limit = self._bench.content.sizes.once_seconds if workload.shortened else inf
            for number in range(self._rounds):
                # Two that differ by little: neither is always the first.
                backwards = self._bench.other is not None and number % 2
                for peer in reversed(peers) if backwards else peers:
                    if not has_long_sample(self._figures, workload.name, peer.name, limit):
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
        upstream_certificate = self._bench.certificate if workload.upstream_tls else None
        peer = KINDS[name](folder, workload.upstream_port, certificate, upstream_certificate)
        peer.sets_aside = workload.many_files
        if isinstance(peer, OtherRegcache) and self._bench.other:
            peer.checkout = self._bench.other
        if isinstance(peer, Regcache) and self._bench.quick:
            peer.watched = self._watchdog and workload.watched
        return peer

    def _round(self, workload: Workload, peer: Peer) -> None:
        """One sample, on a new cache where the workload wants that."""
        _say(f" {peer.name}")
        is_due = workload.fresh or not peer.running
        seconds = self._sampler.begin(workload, peer) if is_due else 0.0
        began = time.monotonic()
        self._figures.add(workload.name, peer.name, self._sampler.sample(workload, peer, seconds))
        self._note_gaps(workload, peer, began)
        if workload.fresh:
            self._sampler.end(workload, peer)

    def _direct(self, workload: Workload) -> None:
        with self.timings.step(workload.name, "direct"):
            values = workload.direct()
        if values:
            self._figures.add(workload.name, DIRECT, values)

    def _watch(self, workload: Workload, peer: Peer) -> None:
        """Once more for the watchdog, whose own work must not count anywhere else.

        The server has one core for itself alone: what comes late is nobody else's fault.
        """
        _say(" watchdog")
        assert isinstance(peer, Regcache)
        peer.watched = True
        try:
            with self._all_on(self._bench.client_cores):
                self._sampler.begin(workload, peer)
                peer.server.pin(self._bench.server_cores)
                began = time.monotonic()
                with self.timings.step(workload.name, "watchdog"):
                    workload.measure(peer, 0.0)
                    peer.server.settled_cpu_seconds()
                self._note_gaps(workload, peer, began)
        finally:
            self._sampler.end(workload, peer)

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
                self._sampler.begin(workload, peer)
                profiler.begin(peer)
                workload.measure(peer, 0.0)
                profiler.end(peer)
            self.profiles[workload.name] = profiler.text.name
        except (LoadFailedError, ServerFailedError) as error:
            self.failures.append(f"{workload.name}, profile: {error}")
        finally:
            self._sampler.end(workload, peer)
        _say("", end="\n")

    def _note_gaps(self, workload: Workload, peer: Peer, began: float) -> None:
        if isinstance(peer, Regcache) and peer.watched:
            found = read_gaps(peer.gaps, began, time.monotonic())
            known = self.gaps.get(workload.name)
            self.gaps[workload.name] = known.worse(found) if known else found


def taking_part(peers: str) -> str:
    """Who may take part in a workload: that of another checkout wherever regcache does."""
    return peers.replace("R", "OR")


def has_long_sample(figures: Figures, workload: str, server: str, limit: float) -> bool:
    """Whether a sample took more than ``limit`` seconds: then what is there has to do."""
    metrics = figures.samples.get(workload, {}).get(server, {})
    return any(seconds > limit for seconds in metrics.get("seconds", ()))


def _say(text: str, end: str = "") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
