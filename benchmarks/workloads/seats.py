"""Seats: how exactly the rate of one is kept, and how two accounts share ``limits.rate``."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace

from benchmarks.content import blob_path
from benchmarks.load import Fetch
from benchmarks.peers import Peer, Regcache
from benchmarks.workload import Workload
from benchmarks.workloads.rates import SECONDS, RatePlain

KEY = "rc_" + "k" * 40
ONE, MANY = 1, 10
"""Connections of the two who share."""
_SEATS = """
access:
  seats: {file}
  rules: [{{accounts: [anonymous]}}, {{accounts: ["*"]}}]
"""


def header_of(name: str) -> str:
    """The login of a seat."""
    return "Authorization: Basic " + b64encode(f"{name}:{KEY}".encode()).decode()


def seats(peer: Peer, **limits: str) -> str:
    """Write a file of two seats; the lines of configuration that name it.

    :param limits: of each, as the file has them.
    """
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    own = "".join(f", {name}: {value}" for name, value in limits.items())
    lines = [f'{name}: {{keys: ["sha256:{digest}"]{own}}}' for name in ("alice", "bob")]
    file = peer.folder / "seats.yml"
    file.write_text("\n".join(lines) + "\n")
    file.chmod(0o600)
    return _SEATS.format(file=file)


class SeatRate(RatePlain):
    """The rate of a seat, beside a daemon without any limit."""

    name = "rate-seat"
    title = f"a blob that takes {SECONDS} s at the rate of a seat, 1 connection, plain"
    header = header_of("alice")

    def furnish(self, peer: Peer) -> None:
        if isinstance(peer, Regcache):
            peer.more = seats(peer, rate=f"{self.rate}B")


class FairShares(Workload):
    """Two accounts with one connection and with ten: what the one gets of it all."""

    name = "rate-fair"
    title = f"limits.rate, {ONE} and {MANY} connections of two accounts for {SECONDS} s"
    peers = "R"
    counted = False
    watched = False

    def furnish(self, peer: Peer) -> None:
        rate = self.bench.content.sizes.big // SECONDS
        if isinstance(peer, Regcache):
            peer.more = seats(peer) + f"limits: {{rate: {rate}B}}"

    def prepare(self, peer: Peer) -> None:
        self.warm_up(peer, [self.bench.content.big])

    def measure(self, peer: Peer, start_seconds: float) -> Mapping[str, float]:
        path = blob_path(self.bench.content.big)
        alone = Fetch(peer.port, [path], ONE, seconds=SECONDS, header=header_of("alice"))
        crowd = replace(alone, paths=[path] * MANY, connections=MANY, header=header_of("bob"))
        running = crowd.start(self.bench.sink)
        one, many = alone.run(self.bench.sink), running.wait()
        return {
            "share": one.bytes / (one.bytes + many.bytes),
            "gap_ms": max(one.longest_gap_ms, many.longest_gap_ms),
            "seconds": one.seconds,
        }
