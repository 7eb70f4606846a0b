"""What an operator asks of an index of 100,000 contents while 50 transfers run."""

import json
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.content import blob_path
from benchmarks.index_maker import make_index
from benchmarks.load import Fetch, LoadFailedError
from benchmarks.peers import Peer, Regcache
from benchmarks.workload import Workload

IMAGES = 20_000
"""Of five contents each."""

TRANSFERS, RATE = 50, 512 * 1024
"""How many, and the bytes per second of each."""

REPEATED = 7
"""Requests of each kind, of which the median counts."""

SUMMED_WITHIN = 60.0
"""Seconds in which all repositories are summed up after the first question."""

_LAST_USED = "repositories?sort=last_used&limit=50"
_QUESTIONS: Mapping[str, tuple[str, str | None]] = {
    "status_ms": ("status", None),
    "by_use_ms": (_LAST_USED, None),
    "search_ms": ("repositories?q=app19999", None),
    "plan_ms": ("plans", '{"action": "purge"}'),
}


class _UnixConnection(HTTPConnection):
    """HTTP over the unix socket, where root is an administrator."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.host)


class Operating(Workload):
    """Status, the first page of repositories by last use, a search, and the plan of a purge."""

    name = "operating"
    title = f"an operator's questions, {IMAGES * 5:,} blobs in the index, {TRANSFERS} transfers"
    peers = "R"
    fresh = True
    counted = False

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        with TemporaryDirectory() as folder:
            self._socket = Path(folder) / "admin.sock"  # its path has to be short
            yield

    def furnish(self, peer: Peer) -> None:
        source = make_index(self.bench.kept / "index.sqlite", IMAGES)
        (peer.folder / "cache").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, peer.folder / "cache" / "index.sqlite")
        if isinstance(peer, Regcache):
            peer.admin = f"{{endpoint: null, socket: {self._socket}}}"

    def prepare(self, peer: Peer) -> None:
        super().prepare(peer)
        self.warm_up(peer, [self.bench.content.part])
        newest, end = f"app{IMAGES}", time.monotonic() + SUMMED_WITHIN
        while not self._ask(_LAST_USED, None)[1]["items"][0]["name"].endswith(newest):
            if time.monotonic() > end:
                raise LoadFailedError("the repositories were not summed up in time")
            time.sleep(0.5)

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        blob = blob_path(self.bench.content.part)
        running = Fetch(peer.port, [blob] * TRANSFERS, TRANSFERS, rate=RATE).start(self.bench.sink)
        began = time.monotonic()
        try:
            found = {
                name: median(self._ask(*question)[0] for _ in range(REPEATED))
                for name, question in _QUESTIONS.items()
            }
            took = time.monotonic() - began
        finally:
            fetched = running.wait()
        if fetched.done != TRANSFERS or fetched.seconds < took:
            raise LoadFailedError(f"{fetched.done} transfers took {fetched.seconds:.1f} s")
        return {**found, "seconds": took}

    def _ask(self, call: str, body: str | None) -> tuple[float, Any]:
        """How long an answer took (ms), and what it says."""
        headers = {"Host": "localhost", "X-Regcache": "1", "Content-Type": "application/json"}
        method = "GET" if body is None else "POST"
        with closing(_UnixConnection(str(self._socket))) as connection:
            began = time.perf_counter()
            connection.request(method, f"/api/v1/{call}", body, headers)
            answer = connection.getresponse()
            content = answer.read()
            took = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise LoadFailedError(f"{call}: {answer.status}")
        return took, json.loads(content)
