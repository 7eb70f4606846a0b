"""What it costs to keep requests for the API: the ring, and the counts by minute and account."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median

from benchmarks.content import MANIFEST_TYPE, blob_path, manifest_path
from benchmarks.load import Fetch, LoadFailedError, run_wrk
from benchmarks.peers import Peer, Regcache
from benchmarks.switched_recorders import SWITCH
from benchmarks.workload import Workload

CONNECTIONS, TURNS = 64, 12
"""Connections that are kept, and turns with records and without."""


class _Switched(Regcache):
    """A daemon that hands requests to its metrics and its access log alone, where it is told to."""

    def _command(self) -> list[str]:
        _twistd, *options = super()._command()
        return [sys.executable, "-m", "benchmarks.switched_recorders", *options]

    def switch(self) -> None:
        """Have it keep requests no more, or again."""
        os.kill(self.server.tree()[0], SWITCH)


class Recording(Workload):
    """A manifest and a small blob in memory or on the disk, with and without records; by turns."""

    name = "recording"
    title = f"requests that are kept for the API, {CONNECTIONS} connections"
    peers = "R"
    counted = False
    watched = False

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        folder = self.bench.folder / "switched"
        folder.mkdir(parents=True, exist_ok=True)
        self._daemon = _Switched(folder, self.upstream_port)
        self._daemon.start()
        try:
            self.prepare(self._daemon)
            yield
        finally:
            self._daemon.stop()
            self._daemon.wipe()

    def prepare(self, peer: Peer) -> None:
        super().prepare(peer)
        paths = [manifest_path(self.bench.content.manifest), blob_path(self.bench.content.tiny[0])]
        for _ in range(3):
            Fetch(peer.port, paths, header=f"Accept: {MANIFEST_TYPE}").run(self.bench.sink)

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        content, found = self.bench.content, {"seconds": 0.0}
        for kind, path in (
            ("manifest", manifest_path(content.manifest)),
            ("blob", blob_path(content.tiny[0])),
        ):
            with_records, without = self._by_turns(path)
            found |= {
                f"{kind}_requests_s": median(rate for rate, _ in with_records),
                f"{kind}_cpu_us": median(cost for _, cost in with_records),
                f"{kind}_unrecorded_requests_s": median(rate for rate, _ in without),
                f"{kind}_unrecorded_cpu_us": median(cost for _, cost in without),
            }
            found["seconds"] += 2.0 * TURNS
        return found

    def _by_turns(self, path: str) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        _turn(self._daemon, path)  # not counted: all is loaded behind it
        with_records: list[tuple[float, float]] = []
        without: list[tuple[float, float]] = []
        for _ in range(TURNS // 2):  # first with, then without, and the other way round
            with_records.append(_turn(self._daemon, path))
            self._daemon.switch()
            without += [_turn(self._daemon, path) for _ in range(2)]
            self._daemon.switch()
            with_records.append(_turn(self._daemon, path))
        return with_records, without


def _turn(peer: Peer, path: str) -> tuple[float, float]:
    """Requests per second, and the processor time of each (microseconds)."""
    before = peer.server.cpu_seconds()
    rate = run_wrk(f"http://127.0.0.1:{peer.port}{path}", CONNECTIONS, 1).per_second
    used = peer.server.cpu_seconds() - before
    if not rate:
        raise LoadFailedError("no request was answered")
    return rate, used / rate * 1e6
