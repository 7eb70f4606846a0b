"""``limits.rate``: how exactly it is kept, and what it costs beside a daemon without it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.content import blob_path
from benchmarks.load import Fetch
from benchmarks.peers import Peer, Regcache
from benchmarks.workload import GIB, Workload, transfer
from benchmarks.workloads.http2 import H2loadWorkload

SECONDS = 10
"""How long the large blob takes at the rate."""


class RatePlain(Workload):
    """One client that takes all it gets; a daemon without a limit, with one that takes as much.

    :cvar header: of the requests to the limited one.
    """

    name = "rate-plain"
    title = f"a blob that takes {SECONDS} s at limits.rate, 1 connection, plain"
    peers = "R"
    counted = False
    watched = False
    header = ""

    @property
    def rate(self) -> int:
        """Bytes a second."""
        return self.bench.content.sizes.big // SECONDS

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        folder = self.bench.folder / f"{self.name}-open"
        folder.mkdir(parents=True, exist_ok=True)
        certificate = self.bench.certificate if self.tls else None
        self._open = Regcache(folder, self.upstream_port, certificate)
        self._open.start()
        try:
            self.warm_up(self._open, [self.bench.content.big])
            yield
        finally:
            self._open.stop()
            self._open.wipe()

    def furnish(self, peer: Peer) -> None:
        if isinstance(peer, Regcache):
            peer.more = f"limits: {{rate: {self.rate}B}}"

    def prepare(self, peer: Peer) -> None:
        self.warm_up(peer, [self.bench.content.big])

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        fetch = Fetch(
            peer.port, [blob_path(self.bench.content.big)], tls=self.tls, header=self.header
        )
        limited = fetch.run(self.bench.sink)
        without = replace(fetch, port=self._open.port, header="")
        return {
            **transfer(limited),
            "of_rate": limited.bytes / limited.seconds / self.rate,
            "gap_ms": limited.longest_gap_ms,
            "open_cpu_s_gib": self._cost(replace(without, rate=self.rate)),
            "fastest_cpu_s_gib": self._cost(without),
        }

    def _cost(self, fetch: Fetch) -> float:
        """What the daemon without a limit takes for it (CPU seconds per GiB)."""
        before = self._open.server.cpu_seconds()
        fetched = fetch.run(self.bench.sink)
        return (self._open.server.cpu_seconds() - before) / fetched.bytes * GIB


class RateTls(RatePlain):
    """The same over TLS."""

    name = "rate-tls"
    title = "the same over TLS"
    tls = True


class RateHttp2(H2loadWorkload):
    """One stream of HTTP/2."""

    name = "rate-h2"
    title = "the same over HTTP/2"
    peers = "R"
    options = ("-c1", "-m1", "-W30", "-w22")
    pinned = False
    counted = False

    def furnish(self, peer: Peer) -> None:
        super().furnish(peer)
        if isinstance(peer, Regcache):
            peer.more = f"limits: {{rate: {self._rate}B}}"

    def prepare(self, peer: Peer) -> None:
        self.warm_up(peer, [self.bench.content.big])

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        size = self.bench.content.sizes.big
        seconds = self.load(peer, blob_path(self.bench.content.big), 1)["seconds"]
        speed = size / seconds
        return {
            "mb_s": speed / 1e6,
            "seconds": seconds,
            "bytes": size,
            "of_rate": speed / self._rate,
        }

    @property
    def _rate(self) -> int:
        return self.bench.content.sizes.big // SECONDS
