"""Hits over a long, fat link: what is held back for slow clients must not slow these."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

from benchmarks.content import blob_path
from benchmarks.links import HERE, NAMESPACE, long_link
from benchmarks.load import Fetch, Fetched
from benchmarks.peers import Peer
from benchmarks.workload import Workload, transfer

TOGETHER = 8
"""Connections that share the link: one alone is limited by the kernel's largest buffer."""


class LongLink(Workload):
    """Clients behind 100 ms and 1 Gbit/s: one alone, and some together."""

    name = "long-link"
    title = "warm, link of 100 ms and 1 Gbit/s, plain"
    peers = "NR"

    def surroundings(self) -> AbstractContextManager[None]:
        return long_link(self.bench.kept)

    def furnish(self, peer: Peer) -> None:
        peer.address = HERE

    def prepare(self, peer: Peer) -> None:
        for _ in range(3):
            self._fetch(peer, 1, distant=False)
            peer.server.settled_cpu_seconds()

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        alone = self._fetch(peer, 1)
        together = self._fetch(peer, TOGETHER)
        return {**transfer(alone), "together_mb_s": together.megabytes_per_second}

    def _fetch(self, peer: Peer, connections: int, distant: bool = True) -> Fetched:
        paths = [blob_path(self.bench.content.paced)] * connections
        fetch = Fetch(peer.port, paths, connections, self.tls)
        namespace = NAMESPACE if distant else ""
        return replace(fetch, host=peer.address, namespace=namespace).run(self.bench.sink)


class LongLinkTls(LongLink):
    """The same over TLS."""

    name = "long-link-tls"
    title = "warm, link of 100 ms and 1 Gbit/s, TLS"
    tls = True
