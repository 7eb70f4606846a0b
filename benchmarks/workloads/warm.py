"""Hits: large blobs, manifests, and clients on slow links."""

import time
from collections.abc import Mapping

from benchmarks.content import MANIFEST_TYPE, TAG, blob_path, manifest_path
from benchmarks.load import Fetch, LoadFailedError, run_wrk
from benchmarks.peers import Peer
from benchmarks.sockets import queued_bytes, tcp_memory_bytes
from benchmarks.workload import GIB, Workload, transfer

MIB = 1 << 20
ACCEPT = f"Accept: {MANIFEST_TYPE}"
"""docker-registry says 404 to clients that do not name the type of the manifest."""

SLOW_CLIENTS = 200
SLOW_RATE = 64 * 1024


class WarmPlain(Workload):
    """One client, one connection, one blob again and again: a GiB, when quick a quarter."""

    name = "warm-plain"
    title = "warm 1 GiB, 1 connection, plain"
    pinned = True

    def prepare(self, peer: Peer) -> None:
        self.warm_up(peer, [self.bench.content.big])

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        whole = GIB // 4 if self.bench.quick else GIB
        repeated = max(1, whole // self.bench.content.sizes.big)
        return transfer(self.fetch(peer.port, [self.bench.content.big] * repeated))


class WarmTls(WarmPlain):
    """The same over TLS 1.3."""

    name = "warm-tls"
    title = "warm 1 GiB, 1 connection, TLS"
    peers = "DNR"
    tls = True


class Warm16Plain(Workload):
    """16 connections at once, on all cores."""

    name = "warm16-plain"
    title = "warm, 16 connections, plain"

    def prepare(self, peer: Peer) -> None:
        self.warm_up(peer, [self.bench.content.each])

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        return transfer(self.fetch(peer.port, [self.bench.content.each] * 16, 16))


class Warm16Tls(Warm16Plain):
    """The same over TLS 1.3."""

    name = "warm16-tls"
    title = "warm, 16 connections, TLS"
    peers = "DNR"
    tls = True


class Digest(Workload):
    """Manifest requests by digest, 64 connections."""

    name = "digest"
    title = "manifest by digest, 64 connections"

    def prepare(self, peer: Peer) -> None:
        path = manifest_path(self._reference())
        for _ in range(3):
            Fetch(peer.port, [path], header=ACCEPT).run(self.bench.sink)

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        self.upstream.mark()
        seconds = max(1, round(self.bench.content.sizes.request_seconds))
        seen = run_wrk(self._url(peer), 64, seconds, ACCEPT)
        return {
            "requests_s": seen.per_second,
            "p50_ms": seen.p50_ms,
            "p99_ms": seen.p99_ms,
            "seconds": seconds,
            "upstream_requests_each": self.upstream.traffic().requests
            / (seen.per_second * seconds),
        }

    def _url(self, peer: Peer) -> str:
        return f"http://127.0.0.1:{peer.port}{manifest_path(self._reference())}"

    def _reference(self) -> str:
        return self.bench.content.manifest


class Tag(Digest):
    """The same by tag, within the time that a tag is fresh."""

    name = "tag"
    title = "manifest by tag within its ttl, 64 connections"

    def _reference(self) -> str:
        return TAG


class SlowPlain(Workload):
    """200 clients that take 64 KiB/s each: what they hold in the server and in the kernel."""

    name = "slow-plain"
    title = "200 clients at 64 KiB/s, plain"
    peers = "DNR"

    def prepare(self, peer: Peer) -> None:
        self.warm_up(peer, [self.bench.content.each])

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        seconds = self.bench.content.sizes.slow_seconds
        paths = [blob_path(self.bench.content.each)] * SLOW_CLIENTS
        fetch = Fetch(peer.port, paths, SLOW_CLIENTS, self.tls, SLOW_RATE, seconds)
        peer.server.forget_peak()
        memory = tcp_memory_bytes()
        running = fetch.start(self.bench.sink)
        queued, held = 0, 0
        end = time.monotonic() + seconds - 0.5
        while time.monotonic() < end:
            time.sleep(0.5)
            queued = max(queued, queued_bytes(peer.port))
            held = max(held, tcp_memory_bytes() - memory)
        taken = running.wait().bytes
        wanted = SLOW_RATE * SLOW_CLIENTS * seconds
        if taken < 0.1 * wanted:
            raise LoadFailedError(f"{peer.name} starves slow clients: {taken} bytes in all")
        return {
            "taken": taken / wanted,
            "seconds": seconds,
            "bytes": taken,
            "socket_mib": queued / MIB,
            "all_socket_mib": held / MIB,
        }


class SlowTls(SlowPlain):
    """The same over TLS."""

    name = "slow-tls"
    title = "200 clients at 64 KiB/s, TLS"
    tls = True
