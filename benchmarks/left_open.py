"""What the overview that is left open costs a daemon that is used, and whether something leaks.

The store holds images of 40 repositories; a client pulls a cached image every five seconds and a
new one twice a minute. First the daemon is alone with its client, then somebody looks as well: the
difference is what looking costs. CPU time is that of the daemon's process, whatever else runs.
"""

import itertools
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.support import images
from tests.support.devtools import Browser, Tab
from tests.support.registry_client import RegistryClient
from tests.support.servers import DockerRegistry, Regcache

UPSTREAM = "upstream.test"
REPOSITORIES = 40
KIB, MIB = 1 << 10, 1 << 20
#: Seconds between two pulls, and how many of them are of an image that was there before.
PAUSE, CACHED = 5.0, 6
#: Seconds after which what opening the page began has ended.
SETTLING = 60.0
#: The share of a core that a page which is left open may cost the daemon.
LEAST = 0.01
#: By how much what the daemon and the page hold may have grown between two halves (MiB).
GROWTH = 2.0
_THERE = "document.querySelector('.say h1') && document.querySelector('time-chart canvas')"


class Held(NamedTuple):
    """What daemon and page hold: MiB of both, nodes and listeners of the page."""

    daemon: float
    page: float
    nodes: int
    listeners: int

    def __str__(self) -> str:
        return (
            f"daemon {self.daemon:.1f} MiB; "
            f"page {self.page:.2f} MiB, {self.nodes} nodes, {self.listeners} listeners"
        )


def cpu_seconds(daemon: Regcache) -> float:
    """What the daemon's process has had."""
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def held(daemon: Regcache, tab: Tab) -> Held:
    """What both hold, the page after a collection."""
    pages = int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1])
    tab.ask("HeapProfiler.collectGarbage")
    counted = tab.ask("Memory.getDOMCounters")
    return Held(
        pages * os.sysconf("SC_PAGE_SIZE") / MIB,
        float(tab.ask("Runtime.getHeapUsage")["usedSize"]) / MIB,
        int(counted["nodes"]),
        int(counted["jsEventListeners"]),
    )


class Store:
    """A daemon with images in it, and a client that goes on pulling."""

    def __init__(self, ends: ExitStack) -> None:
        self._registry = DockerRegistry()
        ends.callback(self._registry.close)
        upstreams = {UPSTREAM: {"urls": [self._registry.url]}}
        self.daemon = Regcache({"upstreams": upstreams, "default_upstream": UPSTREAM})
        ends.callback(self.daemon.close)
        self.daemon.start()
        self._client = RegistryClient(f"http://{self.daemon.address}")
        self._pushed: dict[str, images.Image] = {}
        self._numbers = itertools.count()
        for _ in range(REPOSITORIES):
            self._pull(self._push())

    def _push(self) -> str:
        """Another image; returns the name of its repository."""
        name = f"team/app-{next(self._numbers)}"
        self._pushed[name] = images.mixed_image(name, 100 * KIB)
        self._registry.client().push(name, self._pushed[name], "1")
        return name

    def _pull(self, name: str) -> None:
        for tail in ("manifests/1", *(f"blobs/{each}" for each in self._pushed[name].all_blobs())):
            self._client.get(f"/v2/{UPSTREAM}/{name}/{tail}")

    def be_used(self, seconds: float) -> float:
        """Go on pulling for so long. Returns the share of a core that the daemon took."""
        used, began = cpu_seconds(self.daemon), time.monotonic()
        for number in itertools.count():
            due = began + number * PAUSE
            if due >= began + seconds:
                break
            time.sleep(max(0.0, due - time.monotonic()))
            known = list(self._pushed)
            self._pull(known[number % len(known)] if number % CACHED else self._push())
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        return (cpu_seconds(self.daemon) - used) / (time.monotonic() - began)


def left_open(browser: Browser, seconds: float) -> bool:
    """Leave the overview open; whether that is cheap, and nothing is left afterwards."""
    with ExitStack() as ends:
        store = Store(ends)
        daemon = store.daemon
        time.sleep(SETTLING)
        alone = store.be_used(seconds / 2)
        sockets = daemon.sockets()
        tab = browser.tab()
        tab.open(f"http://127.0.0.1:{daemon.admin_port}/")
        tab.wait(_THERE)
        time.sleep(SETTLING)
        shares, kept = [], []
        for _ in range(2):
            shares.append(store.be_used(seconds / 2))
            kept.append(held(daemon, tab))
        watched = sum(shares) / 2
        tab.close()
        left = _left_sockets(daemon, sockets)
    print(f"a client pulls: {alone:.2%} of a core for the daemon in {seconds / 2:.0f} s")
    print(f"and the overview is open: {watched:.2%} in {seconds:.0f} s")
    print(f"halfway: {kept[0]}\nat the end: {kept[1]}\nsockets left after closing: {left}")
    grown = max(kept[1].daemon - kept[0].daemon, kept[1].page - kept[0].page)
    return watched - alone < LEAST and grown < GROWTH and not left


def _left_sockets(daemon: Regcache, before: int) -> int:
    """How many more there are than before, once what the browser had is closed."""
    until = time.monotonic() + SETTLING
    while daemon.sockets() > before and time.monotonic() < until:
        time.sleep(0.5)
    return max(0, daemon.sockets() - before)
