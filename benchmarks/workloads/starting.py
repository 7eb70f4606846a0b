"""Starting, on an empty cache and on a very large index; and what a large cache costs."""

import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from math import inf
from statistics import median

from benchmarks.content import blob_path
from benchmarks.index_maker import make_index
from benchmarks.load import Fetch, LoadFailedError
from benchmarks.peers import Peer, Regcache
from benchmarks.workload import Workload
from regcache.config.enforcement import unwritable_keys
from regcache.retention import FIRST
from regcache.store.index_eviction import candidates
from regcache.store.index_opening import connect

IDLE_CONNECTIONS = 2000
TRANSFERS = 500
TRANSFER_RATE = 512 * 1024
REPEATED = 25
"""Single requests of each kind, of which the median counts."""


class Start(Workload):
    """From the start of the program until ``/v2/`` is answered."""

    name = "start"
    title = "start, empty cache"
    fresh = True
    counted = False
    watched = False
    shortened = False  # the first start may find nothing in the page cache

    def prepare(self, peer: Peer) -> None:
        """Nothing: it is measured as it comes."""

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        cpu = peer.server.cpu_seconds()
        time.sleep(self.bench.content.sizes.idle_seconds)
        return {
            "seconds": start_seconds,
            "start_cpu_s": cpu,
            "idle_rss_mib": peer.server.resident_mib(),
        }


class Growth(Start):
    """The same with 1,000,000 blobs and 200,000 repositories in the index, and some requests."""

    name = "growth"
    title = "start and requests, 1,000,000 blobs in the index"
    peers = "R"
    watched = True

    def furnish(self, peer: Peer) -> None:
        enforced = ("limits", "connections") not in {each.path for each in unwritable_keys()}
        if isinstance(peer, Regcache) and enforced:  # where not, the key would be refused
            peer.more = "limits: {connections: 8192, connections_per_address: 8192}"
        source = make_index(self.bench.kept / "index.sqlite")
        (peer.folder / "cache").mkdir(parents=True)
        shutil.copyfile(source, peer.folder / "cache" / "index.sqlite")

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        idle = dict(super().measure(peer, start_seconds))
        hit = blob_path(self.bench.content.primer)
        misses = [blob_path(digest) for digest in self.bench.content.tiny[:REPEATED]]
        return {
            **idle,
            "miss_ms": _milliseconds(peer.port, [hit, *misses]),
            "hit_ms": _milliseconds(peer.port, [hit] * REPEATED),
            "listing_ms": _milliseconds(peer.port, ["/v2/_catalog?n=100"] * REPEATED),
            "oldest_hundred_ms": _oldest(peer),
            **_idle_connections(peer, hit),
            **self._transfers(peer),
        }

    def _transfers(self, peer: Peer) -> dict[str, float]:
        """500 transfers of half a MiB per second at once, each to its end."""
        blob = self.bench.content.part
        self.warm_up(peer, [blob])
        peer.server.forget_peak()
        fetch = Fetch(peer.port, [blob_path(blob)] * TRANSFERS, TRANSFERS, rate=TRANSFER_RATE)
        fetched = fetch.run(self.bench.sink)
        if fetched.done != TRANSFERS:
            raise LoadFailedError(f"{fetched.done} of {TRANSFERS} transfers were complete")
        return {
            "transfers_rss_mib": peer.server.resident_mib(peak=True),
            "transfers_seconds": fetched.seconds,
        }


def _milliseconds(port: int, paths: Sequence[str]) -> float:
    """The median time of requests one after the other, each on a connection of its own."""
    return median(_one(port, path) for path in paths)


def _one(port: int, path: str) -> float:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.connect()
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise LoadFailedError(f"{path}: {answer.status}")
        return (time.perf_counter() - began) * 1000


def _oldest(peer: Peer) -> float:
    with closing(connect(str(peer.folder / "cache" / "index.sqlite"), create=False)) as index:
        began = time.perf_counter()
        candidates(index, FIRST, inf)
        return (time.perf_counter() - began) * 1000


def _idle_connections(peer: Peer, hit: str) -> dict[str, float]:
    """With 2,000 connections that have had one answer each: memory, and a hit by another one."""
    connections: list[socket.socket] = []
    with ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            opened = stack.enter_context(socket.create_connection(("127.0.0.1", peer.port), 10))
            opened.sendall(b"GET /v2/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            opened.recv(4096)
            opened.setblocking(False)
            connections.append(opened)
        milliseconds = _milliseconds(peer.port, [hit] * REPEATED)
        if not all(_is_open(each) for each in connections):
            raise LoadFailedError(f"{peer.name} closes connections that are idle")
        return {
            "idle_connections_rss_mib": peer.server.resident_mib(),
            "idle_connections_hit_ms": milliseconds,
        }


def _is_open(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False
