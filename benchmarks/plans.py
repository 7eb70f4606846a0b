"""How long plans take over a large index, and for how long they hold the reactor.

    python -m benchmarks.plans [--images 20000]

Each image has four layers of its own. What is measured is what an operator waits for: the plan of a
purge, of a sweep by age, and of one down to half of what is stored, with all uses written before.
"""

import argparse
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react

from benchmarks.index_maker import make_index
from regcache.collecting import spare_what_is_there
from regcache.retention import Selection
from regcache.store.index import SqliteIndex
from regcache.store.index_file import IndexFile
from regcache.store.pool import WorkPool

LOOK = 0.002
"""Seconds between two looks whether the reactor is on time."""

PLAN_IN, HELD_FOR = 0.2, 0.02
"""Seconds that a plan may take, and that it may hold the reactor."""


class Lateness:
    """How late the reactor was at worst (seconds)."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._due = time.perf_counter()
        self._loop = LoopingCall(self._look)
        self._loop.start(LOOK)

    def _look(self) -> None:
        now = time.perf_counter()
        self.worst = max(self.worst, now - self._due - LOOK)
        self._due = now

    def stop(self) -> float:
        """Look no more."""
        self._loop.stop()
        return self.worst


async def measure(index: SqliteIndex) -> dict[str, tuple[float, float]]:
    """For each plan its seconds, and those for which the reactor was held at worst."""
    now = time.time()
    stored = await index.occupied_bytes()

    async def down_to_half() -> None:
        until = await index.plans.end_of(stored // 2, Selection(now))
        await index.plans.sums(Selection(now, until=until))

    plans: dict[str, Callable[[], Awaitable[Any]]] = {
        "purge": lambda: index.plans.sums(Selection(now)),
        "sweep": lambda: index.plans.sums(Selection(now, now - 30 * 86_400.0)),
        "to half": down_to_half,
        "sums by upstream and age": lambda: index.plans.stored(now),
    }
    found = {}
    for name, plan in plans.items():
        lateness, began = Lateness(), time.perf_counter()
        await plan()
        found[name] = (time.perf_counter() - began, lateness.stop())
    return found


@asynccontextmanager
async def opened(reactor: Any, path: str) -> AsyncIterator[SqliteIndex]:
    """An index, with threads of its own."""
    pools = [WorkPool(reactor, name, 1) for name in ("index", "disk")]
    for pool in pools:
        pool.startService()
    index = SqliteIndex(IndexFile(path), *pools, reactor)
    await index.open()
    try:
        yield index
    finally:
        await index.close()
        for pool in pools:
            stopping: Any = pool.stopService()
            if isinstance(stopping, Deferred):
                await stopping


async def run(reactor: Any, path: str) -> None:
    """Measure, and print."""
    async with opened(reactor, path) as index:
        for name, (seconds, held) in (await measure(index)).items():
            over = seconds > PLAN_IN or held > HELD_FOR
            print(f"{name}: {seconds * 1000:.0f} ms, reactor held {held * 1000:.1f} ms", "!" * over)


@contextmanager
def made_index(about: str) -> Iterator[str]:
    """Make the index that the command line asks for; its path.

    :param about: what is measured with it, for ``--help``.
    """
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--images", type=int, default=20_000)
    arguments = parser.parse_args()
    spare_what_is_there()  # as the daemon does
    with tempfile.TemporaryDirectory() as folder:
        made = make_index(Path(folder) / "made.sqlite", arguments.images)
        path = str(Path(folder) / "index.sqlite")
        copyfile(made, path)
        yield path


def main() -> None:
    """Make the index, and measure."""
    with made_index(__doc__ or "") as path:
        react(lambda reactor: Deferred.fromCoroutine(run(reactor, path)))


if __name__ == "__main__":
    main()
