"""What a workload says of itself, and what it may use."""

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks.certificate import Certificate
from benchmarks.content import Content, blob_path
from benchmarks.load import Fetch, Fetched, LoadFailedError
from benchmarks.peers import Peer
from benchmarks.tokens import AUTHORIZATION
from benchmarks.upstreams import Upstream

GIB = 1 << 30
PACE = 125e6
"""Bytes per second of the paced upstream: a link of 1 Gbit/s."""

LATE = 0.020
"""Seconds by which each of its answers is late."""


@dataclass(frozen=True)
class Bench:
    """All that the workloads share.

    :ivar folder: for what the servers store.
    :ivar kept: for what later runs may use again.
    :ivar other: the checkout of regcache that takes part beside this one, if any.
    :ivar server_cores: where a pinned server runs; the client runs on ``client_cores`` then.
    """

    folder: Path
    kept: Path
    content: Content
    sink: Path
    certificate: Certificate
    fast: Upstream
    paced: Upstream
    quick: bool
    server_cores: frozenset[int]
    client_cores: frozenset[int]
    other: Path | None = None

    @property
    def all_cores(self) -> frozenset[int]:
        """Where the benchmark may run."""
        return frozenset(os.sched_getaffinity(0))


class UnavailableError(Exception):
    """This machine cannot measure a workload."""


class Workload:
    """One line of the table.

    :cvar name: on the command line and in the results.
    :cvar title: for people.
    :cvar peers: who takes part, in the order of a round.
    :cvar tls: whether the clients come over TLS.
    :cvar upstream_tls: whether the upstream is asked over TLS.
    :cvar fresh: whether each sample begins with a restart on an empty cache.
    :cvar is_paced: whether the upstream is the paced one.
    :cvar pinned: whether server and client get a core each.
    :cvar counted: whether what a sample costs upstream is of interest.
    :cvar watched: whether the reactor's watchdog looks on once.
    :cvar shortened: whether one round has to do where samples are long.
    :cvar many_files: whether what is stored are thousands of files.
    """

    name = ""
    title = ""
    peers = "DNVR"
    tls = False
    upstream_tls = False
    fresh = False
    is_paced = False
    pinned = False
    counted = True
    watched = True
    shortened = True
    many_files = False

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    @property
    def upstream(self) -> Upstream:
        """What the peers fetch from."""
        return self.bench.paced if self.is_paced else self.bench.fast

    @property
    def upstream_port(self) -> int:
        """Where the peers fetch from it."""
        return self.upstream.tls_port if self.upstream_tls else self.upstream.port

    @property
    def stored_bytes(self) -> int:
        """What a sample has a server write, about (bytes)."""
        return 0

    def surroundings(self) -> AbstractContextManager[None]:
        """What has to be there as long as the workload is measured.

        :raises UnavailableError: on entering, if it cannot be.
        """
        return nullcontext()

    def furnish(self, peer: Peer) -> None:
        """Put into the empty cache, before the start, what has to be there."""

    def prepare(self, peer: Peer) -> None:
        """Bring a started peer to where the measurement begins: its token is fetched."""
        self.fetch(peer.port, [self.bench.content.primer])

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        """One sample.

        :param start_seconds: how long the peer took to start.
        """
        raise NotImplementedError

    def direct(self) -> Mapping[str, float]:
        """The same without any cache; nothing where that makes no sense."""
        return {}

    def fetch(
        self, port: int, digests: Iterable[str], connections: int = 1, header: str = ""
    ) -> Fetched:
        """Fetch blobs as this workload's clients do.

        :param header: of requests to the upstream itself.
        """
        fetch = Fetch(
            port,
            [blob_path(digest) for digest in digests],
            connections,
            self.upstream_tls if header else self.tls,
            header=header,
            cores=self.bench.client_cores if self.pinned else (),
        )
        return fetch.run(self.bench.sink)

    def fetch_direct(self, digests: Iterable[str], connections: int = 1) -> Fetched:
        """The same from the upstream itself, which wants the token."""
        return self.fetch(self.upstream_port, digests, connections, header=AUTHORIZATION)

    def warm_up(self, peer: Peer, digests: Iterable[str]) -> None:
        """Fetch until nothing is asked of the upstream any more: some store behind the answer."""
        wanted = list(digests)
        for _ in range(20):
            self.upstream.mark()
            self.fetch(peer.port, wanted)
            peer.server.settled_cpu_seconds()
            if not self.upstream.traffic().blob_gets:
                return
        raise LoadFailedError(f"{peer.name} never keeps a blob")


def transfer(fetched: Fetched) -> dict[str, float]:
    """What is said of every transfer."""
    return {
        "mb_s": fetched.megabytes_per_second,
        "seconds": fetched.seconds,
        "bytes": fetched.bytes,
        "first_byte_ms": fetched.first_byte_ms["p50"],
        "slowest_first_byte_ms": fetched.first_byte_ms["max"],
    }
