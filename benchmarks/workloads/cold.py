"""Misses: from a fast upstream, from one behind a link, for many at once, and small ones."""

from collections.abc import Mapping

from benchmarks.peers import Peer
from benchmarks.workload import Workload, transfer

CROWD = 50
TINY_CONNECTIONS = 16


class Cold(Workload):
    """A large blob that is not there, from an upstream that is as fast as the machine."""

    name = "cold"
    title = "cold 1 GiB, fast upstream"
    fresh = True

    @property
    def stored_bytes(self) -> int:
        return self.bench.content.sizes.big

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        return transfer(self.fetch(peer.port, [self._digest()]))

    def direct(self) -> Mapping[str, float]:
        return transfer(self.fetch_direct([self._digest()]))

    def _digest(self) -> str:
        return self.bench.content.big


class Paced(Cold):
    """A blob that is not there, from an upstream behind a link of 1 Gbit/s and 20 ms."""

    name = "paced"
    title = "cold 100 MiB, upstream at 125 MB/s, 20 ms late"
    is_paced = True

    @property
    def stored_bytes(self) -> int:
        return self.bench.content.sizes.paced

    def _digest(self) -> str:
        return self.bench.content.paced


class Crowd(Workload):
    """50 clients want one blob that is not there."""

    name = "crowd"
    title = "50 clients, one cold 100 MiB blob"
    fresh = True

    @property
    def stored_bytes(self) -> int:
        return self.bench.content.sizes.crowd

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        return transfer(self.fetch(peer.port, [self.bench.content.crowd] * CROWD, CROWD))

    def direct(self) -> Mapping[str, float]:
        return transfer(self.fetch_direct([self.bench.content.crowd]))


class CrowdPaced(Crowd):
    """The same from behind the link.

    Without docker-registry, which fetches the blob for every client: that takes the link a minute.
    """

    name = "crowd-paced"
    peers = "NVR"
    title = "50 clients, one cold 100 MiB blob, upstream at 125 MB/s"
    is_paced = True


class Tiny(Workload):
    """Many blobs of 4 KiB that are not there."""

    name = "tiny"
    title = "cold blobs of 4 KiB, 16 connections"
    fresh = True
    many_files = True

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        fetched = self.fetch(peer.port, self.bench.content.tiny, TINY_CONNECTIONS)
        return {
            "fills_s": fetched.done / fetched.seconds,
            "p50_ms": fetched.total_ms["p50"],
            "p99_ms": fetched.total_ms["p99"],
            "seconds": fetched.seconds,
            "upstream_requests_each": self.upstream.traffic().requests / fetched.done,
        }
