"""``limits.rate``: how exactly it is kept, and what it costs beside a daemon without it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from shutil import which

from benchmarks.content import blob_path
from benchmarks.http2_fetch import Http2Fetch
from benchmarks.load import Fetch, Fetched
from benchmarks.peers import Peer, Regcache
from benchmarks.workload import GIB, UnavailableError, Workload, transfer

SECONDS = 10
"""How long the large blob takes at the rate."""


class RatePlain(Workload):
    """One client that takes all it gets; a daemon without a limit, with one that takes as much.

    :cvar header: of the requests to the limited one.
    :cvar http2: whether the client speaks HTTP/2.
    """

    name = "rate-plain"
    title = f"a blob that takes {SECONDS} s at limits.rate, 1 connection, plain"
    peers = "R"
    counted = False
    watched = False
    header = ""
    http2 = False

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
        self._open.http2 = self.http2
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
            peer.http2 = self.http2

    def prepare(self, peer: Peer) -> None:
        self.warm_up(peer, [self.bench.content.big])

    def fetch_big(self, port: int, *, rate: int = 0, header: str = "") -> Fetched:
        """Fetch the blob, taking no more than ``rate`` bytes a second if it is not 0."""
        paths = [blob_path(self.bench.content.big)]
        return Fetch(port, paths, tls=self.tls, rate=rate, header=header).run(self.bench.sink)

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        limited = self.fetch_big(peer.port, header=self.header)
        return {
            **transfer(limited),
            "of_rate": limited.bytes / limited.seconds / self.rate,
            "gap_ms": limited.longest_gap_ms,
            "open_cpu_s_gib": self._cost(self.rate),
            "fastest_cpu_s_gib": self._cost(0),
        }

    def _cost(self, rate: int) -> float:
        """What the daemon without a limit takes for it (CPU seconds per GiB)."""
        before = self._open.server.cpu_seconds()
        fetched = self.fetch_big(self._open.port, rate=rate)
        return (self._open.server.cpu_seconds() - before) / fetched.bytes * GIB


class RateTls(RatePlain):
    """The same over TLS."""

    name = "rate-tls"
    title = "the same over TLS"
    tls = True


class RateHttp2(RateTls):
    """One stream of HTTP/2."""

    name = "rate-h2"
    title = "the same over HTTP/2"
    http2 = True

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        if which("curl") is None:
            raise UnavailableError("curl is not here: apt install curl")
        with super().surroundings():
            yield

    def fetch_big(self, port: int, *, rate: int = 0, header: str = "") -> Fetched:
        return Http2Fetch(port, blob_path(self.bench.content.big), rate).run()
