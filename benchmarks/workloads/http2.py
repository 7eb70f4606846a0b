"""HTTP/2 beside HTTP/1.1: the same client, the same server, the same content, over TLS."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.content import MANIFEST_TYPE, blob_path, manifest_path
from benchmarks.load import LoadFailedError, pinned, read_h2load
from benchmarks.peers import Peer, Regcache
from benchmarks.workload import GIB, UnavailableError, Workload

_TIMEOUT = 240
_REQUESTS = 20_000
#: 2**30 - 1 bytes, as Go's client has for a connection, and 4 MiB for each stream.
_WINDOWS = ("-W30", "-w22")


class H2loadWorkload(Workload):
    """What h2load measures.

    :cvar options: how it connects.
    """

    peers = "DR"
    tls = True
    pinned = True
    watched = False
    options: tuple[str, ...] = ()

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        if shutil.which("h2load") is None:
            raise UnavailableError("h2load is not here: apt install nghttp2-client")
        yield

    def furnish(self, peer: Peer) -> None:
        if isinstance(peer, Regcache):
            peer.http2 = True

    def load(self, peer: Peer, path: str, count: int) -> Mapping[str, float]:
        """Ask for one path so many times."""
        url = f"https://127.0.0.1:{peer.port}{path}"
        header = ["-H", f"accept: {MANIFEST_TYPE}"]
        command = ["h2load", *self.options, "-t1", f"-n{count}", *header, url]
        done = subprocess.run(
            pinned(command, self.bench.client_cores),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
        seconds = read_h2load(done.stdout + done.stderr, count)
        return {"seconds": seconds, "requests_s": count / seconds}


class WarmHttp2(H2loadWorkload):
    """One connection, one stream."""

    name = "warm-h2"
    title = "warm 1 GiB, 1 connection, HTTP/2"
    options = ("-c1", "-m1", *_WINDOWS)

    def prepare(self, peer: Peer) -> None:
        self.warm_up(peer, [self.bench.content.big])

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        size = self.bench.content.sizes.big
        count = max(1, (GIB // 2 if self.bench.quick else GIB) // size)
        seconds = self.load(peer, blob_path(self.bench.content.big), count)["seconds"]
        total = count * size
        return {"mb_s": total / seconds / 1e6, "seconds": seconds, "bytes": total}


class WarmHttp1(WarmHttp2):
    """The same by the same client over HTTP/1.1."""

    name = "warm-h1"
    title = "the same over HTTP/1.1"
    options = ("--h1", "-c1")


class DigestHttp2(H2loadWorkload):
    """Four connections with 16 streams each."""

    name = "digest-h2"
    title = "manifest by digest, 4 connections of 16 streams, HTTP/2"
    options = ("-c4", "-m16", *_WINDOWS)

    def prepare(self, peer: Peer) -> None:
        if self.load(peer, manifest_path(self.bench.content.manifest), 64)["seconds"] <= 0:
            raise LoadFailedError("h2load did nothing")

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        count = _REQUESTS // 5 if self.bench.quick or peer.name != "R" else _REQUESTS
        return self.load(peer, manifest_path(self.bench.content.manifest), count)


class DigestHttp1(DigestHttp2):
    """The same requests over 64 connections of HTTP/1.1."""

    name = "digest-h1"
    title = "manifest by digest, 64 connections of HTTP/1.1 over TLS"
    options = ("--h1", "-c64")
