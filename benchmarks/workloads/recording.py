"""What it costs to keep requests for the API: the ring, and the counts by minute and account."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

from benchmarks.content import MANIFEST_TYPE, blob_path, manifest_path
from benchmarks.load import Fetch, run_wrk
from benchmarks.peers import Peer, Regcache
from benchmarks.processes import ask_by_signal
from benchmarks.switched_recorders import TELL
from benchmarks.workload import Workload

CONNECTIONS, SECONDS = 64, 20
"""Connections that are kept, and how long they ask for each of both."""

Slices = Sequence[tuple[float, float]]
"""Microseconds of a request, by slice: (clock, processor)."""


class _Switched(Regcache):
    """A daemon that keeps requests in every other slice."""

    @property
    def _told(self) -> str:
        return str(self.folder / "slices.json")

    def _command(self) -> list[str]:
        _twistd, *options = super()._command()
        return [sys.executable, "-m", "benchmarks.switched_recorders", self._told, *options]

    def told(self) -> dict[str, Slices]:
        """What was seen since it was asked last."""
        seen: dict[str, Slices] = ask_by_signal(self.server.tree()[0], TELL, self._told)
        return seen


class Recording(Workload):
    """A manifest and a small blob in memory or on the disk, kept and not kept by turns."""

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
        content, found = self.bench.content, {"seconds": 2.0 * SECONDS}
        for kind, path in (
            ("manifest", manifest_path(content.manifest)),
            ("blob", blob_path(content.tiny[0])),
        ):
            self._load(path, 2)  # not counted: all is loaded behind it
            self._daemon.told()
            self._load(path, SECONDS)
            seen = self._daemon.told()
            for name, slices in ((kind, seen["kept"]), (f"{kind}_unrecorded", seen["not_kept"])):
                clock, processor = (median(each) for each in zip(*slices, strict=True))
                found |= {f"{name}_requests_s": 1e6 / clock, f"{name}_cpu_us": processor}
        return found

    def _load(self, path: str, seconds: int) -> None:
        run_wrk(f"http://127.0.0.1:{self._daemon.port}{path}", CONNECTIONS, seconds)
