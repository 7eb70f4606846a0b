"""The walk of a byte: how many calls of Python the reactor's thread makes for it.

    python -m benchmarks.walk [--other CHECKOUT]

Each way is walked with one client and one connection, over plain HTTP on both sides, from an
upstream that is as fast as the machine. What the daemon does by itself is left out: it is counted
first, for as long. Calls depend less on what else the machine does than times; but a body that
comes in smaller pieces costs more of them.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import call_counter
from benchmarks.__main__ import prepare
from benchmarks.content import MIB, Content, blob_path, manifest_path
from benchmarks.load import Fetch
from benchmarks.machine import extend_path
from benchmarks.peers import Regcache, python_of
from benchmarks.processes import ServerFailedError, ask_by_signal
from benchmarks.upstreams import CHECKOUT
from benchmarks.workload import Bench
from benchmarks.workloads.warm import ACCEPT

SMALL, OFTEN = 100, 1000
"""How many small blobs are fetched, and how often what is in memory is asked for."""

_REST = 4.0
"""Seconds after which what followed from an answer is over: syncing begins 2 s behind it."""

_BEGINS = 0.2
"""Seconds in which a signal has come."""

_SETTLES = 1.0
"""Seconds for which calls are counted after the last answer."""

_OURS = "/regcache/"

Calls = Mapping[str, int]
"""How often functions were called, by the file that they are in."""


@dataclass(frozen=True)
class Way:
    """Something that is asked for.

    :ivar targets: of all requests.
    :ivar units: how many MiB or requests that is.
    """

    name: str
    targets: Sequence[str]
    units: int


@dataclass(frozen=True)
class Walk:
    """What a unit of a way costs.

    :ivar calls: of functions of Python.
    :ivar ours: those of regcache among them.
    :ivar modules: how many modules of regcache were called at all.
    """

    calls: float
    ours: float
    modules: int


class CountedRegcache(Regcache):
    """A daemon that counts calls.

    :ivar checkout: whose daemon it is.
    """

    @property
    def _counts(self) -> str:
        return str(self.folder / "calls.json")

    def _command(self) -> list[str]:
        _twistd, *options = super()._command()
        counter = [str(python_of(self.checkout)), "-P", call_counter.__file__, self._counts]
        return [*counter, *options]

    def begin(self) -> None:
        """Count from now on."""
        os.kill(self.server.tree()[0], call_counter.TURN)
        time.sleep(_BEGINS)

    def end(self) -> Calls:
        """Count no more."""
        found: Calls = ask_by_signal(self.server.tree()[0], call_counter.TURN, self._counts)
        return found


def ways(content: Content) -> list[Way]:
    """All of them, in an order in which what is fetched by one is there for the next."""
    layer, manifest = blob_path(content.layers[0]), manifest_path(content.manifest)
    first, *others = map(blob_path, content.tiny[: SMALL + 1])
    size = content.sizes.layer // MIB
    return [
        Way("cold, each MiB", [layer], size),
        Way("warm, each MiB", [layer], size),
        Way("the first 4 KiB blob", [first], 1),
        Way("4 KiB blob, miss", others, SMALL),
        Way("4 KiB blob, hit", [first] * OFTEN, OFTEN),
        Way("manifest, hit", [manifest] * OFTEN, OFTEN),
    ]


def walk_of(calls: Calls, idle: Calls, units: int) -> Walk:
    """What a unit costs, without what is called anyway."""
    own = {file: count - idle.get(file, 0) for file, count in calls.items()}
    ours = {file: count for file, count in own.items() if _OURS in file and count > 0}
    return Walk(sum(own.values()) / units, sum(ours.values()) / units, len(ours))


def walk(daemon: CountedRegcache, bench: Bench) -> dict[str, Walk]:
    """Walk all ways of one daemon."""

    def count(targets: Sequence[str]) -> Calls:
        time.sleep(_REST)
        daemon.begin()
        if targets:
            Fetch(daemon.port, targets, header=ACCEPT).run(bench.sink)
        time.sleep(_SETTLES)
        return daemon.end()

    content = bench.content
    for target in (blob_path(content.primer), *[manifest_path(content.manifest)] * 2):
        Fetch(daemon.port, [target], header=ACCEPT).run(bench.sink)
    idle = count(())
    return {way.name: walk_of(count(way.targets), idle, way.units) for way in ways(content)}


def report(found: Mapping[str, Mapping[str, Walk]]) -> str:
    """A table: a row for each way, and for each daemon its calls, ours among them, and modules."""
    lines = ["| way | " + " | ".join(f"{each}: calls · ours · modules" for each in found) + " |"]
    lines.append("|---" * (len(found) + 1) + "|")
    for name in next(iter(found.values())):
        cells = [walks[name] for walks in found.values()]
        texts = [f"{each.calls:,.0f} · {each.ours:,.0f} · {each.modules}" for each in cells]
        lines.append("| " + " | ".join([name, *texts]) + " |")
    return "\n".join(lines)


def main() -> int:
    """Walk, and print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.walk", description=__doc__)
    parser.add_argument("--other", type=Path, help="a checkout that is walked first")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build")
    options = parser.parse_args()
    options.quick = True
    extend_path()
    checkouts = {"now": CHECKOUT}
    if options.other is not None:
        options.other = options.other.resolve()
        checkouts = {"before": options.other, "now": CHECKOUT}
    with ExitStack() as stack:
        try:
            bench = prepare(options, stack)
            found = {}
            for name, checkout in checkouts.items():
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=bench.folder)))
                daemon = CountedRegcache(folder, bench.fast.port)
                daemon.checkout = checkout
                daemon.start()
                found[name] = walk(daemon, bench)
                daemon.stop()
        except ServerFailedError as error:
            print(error, file=sys.stderr)
            return 1
    print(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
