"""What accounts cost: requests with a login, a token or without, beside a daemon without accounts;
and what strangers who guess passwords cost everybody else."""

import json
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from statistics import median

import bcrypt

from benchmarks.content import MANIFEST_TYPE, REPOSITORY, blob_path, manifest_path
from benchmarks.load import Fetch, LoadFailedError, run_wrk
from benchmarks.peers import Peer, Regcache
from benchmarks.upstreams import CHECKOUT
from benchmarks.workload import Workload

LOGIN = ("alice", "correct horse battery staple")
#: What htpasswd of apache2-utils takes with -C 10, so that a guess costs what it does elsewhere.
COST = 10
GUESSES = 200
_BASIC = "Basic " + b64encode(":".join(LOGIN).encode()).decode()
_ACCESS = """
access:
  htpasswd: {file}
  rules:
    - {{accounts: [anonymous], repositories: ["library/*"]}}
    - {{accounts: ["*"]}}
"""


def _token(port: int) -> str:
    """A token for the repository of the benchmarks."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        target = f"/token?scope=repository:{REPOSITORY}:pull"
        connection.request("GET", target, headers={"Authorization": _BASIC})
        answer = connection.getresponse()
        if answer.status != 200:
            raise LoadFailedError(f"no token: {answer.status}")
        return str(json.load(answer)["token"])


class _Restricted(Workload):
    """A daemon with one account; anybody may pull ``library/*``."""

    peers = "R"
    counted = False

    def furnish(self, peer: Peer) -> None:
        file = peer.folder / "htpasswd"
        hashed = bcrypt.hashpw(LOGIN[1].encode(), bcrypt.gensalt(COST)).decode()
        file.write_text(f"{LOGIN[0]}:{hashed}\n")
        if isinstance(peer, Regcache):
            peer.more = _ACCESS.format(file=file)

    def prepare(self, peer: Peer) -> None:
        super().prepare(peer)
        self.fetch_manifest(peer)

    def fetch_manifest(self, peer: Peer) -> None:
        """Have it in the cache, and in memory."""
        path = manifest_path(self.bench.content.manifest)
        for _ in range(3):
            Fetch(peer.port, [path], header=f"Accept: {MANIFEST_TYPE}").run(self.bench.sink)


class Access(_Restricted):
    """Manifest requests by digest: by password, by token, by nobody; and without accounts."""

    name = "access"
    title = "manifest by digest, 64 connections: with accounts, and without"

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        folder = self.bench.folder / "access-open"
        folder.mkdir(parents=True, exist_ok=True)
        self._open = Regcache(folder, self.upstream_port)
        self._open.start()
        try:
            super().prepare(self._open)
            yield
        finally:
            self._open.stop()
            self._open.wipe()

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        seconds = max(1, round(self.bench.content.sizes.request_seconds))
        shown = {
            "open": (self._open.port, ""),
            "anonymous": (peer.port, ""),
            "basic": (peer.port, f"Authorization: {_BASIC}"),
            "token": (peer.port, f"Authorization: Bearer {_token(peer.port)}"),
        }
        path = manifest_path(self.bench.content.manifest)
        found = {"seconds": float(seconds * len(shown))}
        for name, (port, header) in shown.items():
            seen = run_wrk(f"http://127.0.0.1:{port}{path}", 64, seconds, header)
            found[f"{name}_requests_s"] = seen.per_second
        return found


class WrongLogins(_Restricted):
    """How long pulls take while 200 strangers guess passwords, and while nobody does."""

    name = "wrong-logins"
    title = f"a pull while {GUESSES} wrong logins are in flight"
    watched = False

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        began = time.monotonic()
        count = 20 if self.bench.quick else 60
        token = f"Bearer {_token(peer.port)}"
        calm = self._pulls(peer, count, token)
        with _guessing(peer.port):
            attacked = self._pulls(peer, count, token)
        return {
            "calm_ms": median(calm),
            "calm_slowest_ms": max(calm),
            "attacked_ms": median(attacked),
            "attacked_slowest_ms": max(attacked),
            "seconds": time.monotonic() - began,
        }

    def _pulls(self, peer: Peer, count: int, token: str) -> list[float]:
        """Some pulls one after the other, by turns with a login, a token and nothing (ms)."""
        shown = ({"Authorization": _BASIC}, {"Authorization": token}, {})
        return [self._pull(peer, shown[number % len(shown)]) for number in range(count)]

    def _pull(self, peer: Peer, headers: Mapping[str, str]) -> float:
        began = time.monotonic()
        with closing(HTTPConnection("127.0.0.1", peer.port, timeout=60)) as connection:
            for path in (
                manifest_path(self.bench.content.manifest),
                blob_path(self.bench.content.primer),
            ):
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise LoadFailedError(f"a pull was answered {answer.status}")
        return 1000 * (time.monotonic() - began)


@contextmanager
def _guessing(port: int) -> Iterator[None]:
    """Strangers guess meanwhile."""
    path = manifest_path("latest").replace("library", "private")
    command = [sys.executable, "-m", "benchmarks.guesses", str(port), path, str(GUESSES)]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdin is not None
        if process.stdout.readline() != "begun\n":
            raise LoadFailedError("nobody guessed")
        yield
        if process.poll() is not None:
            raise LoadFailedError("those who guess gave up")
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
