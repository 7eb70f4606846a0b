"""One sample: a server that begins with an empty cache, the load, and what it cost."""

import os
import resource
from collections.abc import Mapping
from functools import partial

from benchmarks.machine import have_memory
from benchmarks.peers import Peer
from benchmarks.timings import Timings
from benchmarks.workload import GIB, Workload


class Sampler:
    """Takes samples.

    :param timings: notes how long each step takes.
    """

    def __init__(self, timings: Timings) -> None:
        self._timings = timings

    def begin(self, workload: Workload, peer: Peer) -> float:
        """An empty cache, furnished, started, prepared; the seconds that the start took.

        Nobody's writes are left to the disk when it begins, and memory is there.
        """
        step = partial(self._timings.step, workload.name)
        with step("wiping"):
            peer.wipe()
            os.sync()
        with step("furnishing"):
            peer.folder.mkdir(parents=True)
            workload.furnish(peer)
        with step("starting"):
            seconds = peer.start()
        with step("preparing"):
            workload.prepare(peer)
        with step("settling"):
            peer.server.settled_cpu_seconds()
        with step("settling"):
            have_memory(workload.stored_bytes * 3)
        if workload.pinned:
            peer.server.pin(workload.bench.server_cores)
        return seconds

    def sample(self, workload: Workload, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        """What the workload says, and what it cost the server and the client."""
        server = peer.server
        workload.upstream.mark()
        cpu, client = server.cpu_seconds(), _children_seconds()
        with self._timings.step(workload.name, f"measuring {peer.name}"):
            values = dict(workload.measure(peer, start_seconds))
        client = _children_seconds() - client
        with self._timings.step(workload.name, "settling"):
            spent = (server.settled_cpu_seconds() if workload.fresh else server.cpu_seconds()) - cpu
        if workload.fresh and workload.counted:
            traffic = workload.upstream.traffic()
            values["upstream_gets"] = traffic.blob_gets
            values["upstream_requests"] = traffic.requests
            values["upstream_mib"] = traffic.bytes / (1 << 20)
        if values.get("bytes"):
            values["cpu_s_gib"] = spent / values["bytes"] * GIB
        values["cpu_s"] = spent
        values["client_busy"] = client / values["seconds"]
        values["peak_rss_mib"] = server.resident_mib(peak=True)
        return values

    def end(self, workload: Workload, peer: Peer) -> None:
        """Stop it and remove what it stored."""
        with self._timings.step(workload.name, f"stopping {peer.name}"):
            peer.stop()
        with self._timings.step(workload.name, "wiping"):
            peer.wipe()


def _children_seconds() -> float:
    """Processor time of all load clients so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
