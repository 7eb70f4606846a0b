"""Misses: from a fast upstream, from one behind a link, for many at once, and small ones."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.peers import Peer
from benchmarks.workload import Workload, transfer

CROWD = 50
TINY_CONNECTIONS = 16
LAYER_CONNECTIONS = 4
"""Layers that a client fetches at once; docker and containerd fetch three or more."""


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


class ColdTls(Cold):
    """The same from an upstream that speaks TLS, as every public registry does."""

    name = "cold-tls"
    title = "cold 1 GiB, TLS upstream"
    peers = "DNR"
    upstream_tls = True


class ColdTlsBoth(ColdTls):
    """TLS on both sides."""

    name = "cold-tls-both"
    title = "cold 1 GiB, TLS upstream and clients"
    tls = True


class ColdLayers(Workload):
    """The layers of one image, several at once."""

    name = "cold-layers"
    title = "8 cold layers of 64 MiB, 4 connections, plain upstream"
    peers = "DNR"
    fresh = True

    @property
    def stored_bytes(self) -> int:
        return self.bench.content.sizes.layer * len(self.bench.content.layers)

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        return transfer(self.fetch(peer.port, self.bench.content.layers, LAYER_CONNECTIONS))

    def direct(self) -> Mapping[str, float]:
        return transfer(self.fetch_direct(self.bench.content.layers, LAYER_CONNECTIONS))


class ColdLayersTls(ColdLayers):
    """The same from an upstream that speaks TLS."""

    name = "cold-layers-tls"
    title = "8 cold layers of 64 MiB, 4 connections, TLS upstream"
    upstream_tls = True


class ColdLayersOneCore(ColdLayersTls):
    """The same with one core for the server, as its users have, and the others for the rest."""

    name = "cold-layers-one-core"
    title = "the same, server on one core"
    pinned = True

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        """The upstream keeps off the server's core."""
        self.upstream.pin(self.bench.client_cores)
        try:
            yield
        finally:
            self.upstream.pin(self.bench.all_cores)


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


class TinyTls(Tiny):
    """The same from an upstream that speaks TLS."""

    name = "tiny-tls"
    title = "cold blobs of 4 KiB, 16 connections, TLS upstream"
    peers = "DNR"
    upstream_tls = True
