"""Replays a trace of pulls through the order of eviction that regcache uses, and through LRU.

    python -m benchmarks.eviction [--seeds 6] [--pulls 12000]

The trace is made up: repositories of very different popularity, whose images share bases; tags
that move; builds that are pulled a few times and never again; a few repositories of very large
layers. Machines keep what they have pulled, as they do, and ask for the rest; some begin empty
each time.
"""

import argparse
import heapq
import random
from bisect import bisect
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count
from statistics import median
from typing import Protocol

from regcache.retention import YOUNG_FOR, count_now, priority, weight

KIB, MIB, GIB = 2**10, 2**20, 2**30
DAY = 86_400.0

SHARES = (0.03, 0.1, 0.2)
"""Sizes of the cache, as parts of all that is asked for."""

LARGEST_PART = 0.25
"""What is larger than this part of the cache is passed through."""

FEWER_MISSES, MORE_BYTES = 0.10, 0.01
"""By how much the misses of requests have to be fewer than with LRU at the smallest share, and by
how much those of bytes may be more."""


@dataclass(frozen=True, slots=True)
class Part:
    """Content: a layer, a configuration or a manifest."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Image:
    """What a tag names at a time.

    :ivar manifest: is asked for first, always.
    :ivar parts: what it lists.
    """

    manifest: Part
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Pull:
    """One pull.

    :ivar wanted: what of its parts the machine has not.
    """

    at: float
    image: Image
    wanted: tuple[Part, ...]


@dataclass(slots=True)
class Line:
    """One tag of a repository, and what it names as time passes.

    :ivar every: days between two moves.
    :ivar weight: how often it is pulled.
    :ivar fresh: the part of pulls by machines that have nothing.
    """

    base: list[Part]
    every: float
    weight: float
    fresh: float
    large: bool = False
    image: Image | None = None
    made: float = 0.0
    has: dict[int, set[int]] = field(default_factory=dict)


class Trace:
    """Makes up pulls, the same ones for the same seed."""

    def __init__(self, seed: int, pulls: int, days: float = 30.0) -> None:
        self._random = random.Random(seed)
        self._numbers = count()
        self._pulls = pulls
        self._days = days
        bases = [self._layers(self._random.randint(1, 4), 12 * MIB) for _ in range(25)]
        self._lines = [self._line(rank, bases) for rank in range(1, 401)]
        self._sums = list(accumulate(line.weight for line in self._lines))

    def __iter__(self) -> Iterator[Pull]:
        """The pulls, in order."""
        times = sorted(self._random.random() * self._days for _ in range(self._pulls))
        for at in times:
            place = bisect(self._sums, self._random.random() * self._sums[-1])
            yield self._pull(self._lines[place], at)

    def _part(self, typical: int, spread: float) -> Part:
        size = int(self._random.lognormvariate(0, spread) * typical)
        return Part(next(self._numbers), max(64, min(size, 10 * GIB)))

    def _layers(self, number: int, typical: int) -> list[Part]:
        return [self._part(typical, 1.5) for _ in range(number)]

    def _line(self, rank: int, bases: Sequence[list[Part]]) -> Line:
        kind = self._random.random()
        # A base that many use is chosen by many more.
        base = bases[min(int(self._random.expovariate(0.25)), len(bases) - 1)]
        popularity = rank**-0.9
        if kind < 0.15:  # builds: a new image each few hours, pulled by machines without anything
            return Line(base, self._random.uniform(0.1, 0.5), popularity, 0.9)
        if kind < 0.2:  # very large
            return Line(base, self._random.uniform(10, 60), popularity / 3, 0.5, large=True)
        return Line(base, self._random.uniform(2, 40), popularity, self._random.uniform(0.1, 0.6))

    def _pull(self, line: Line, at: float) -> Pull:
        if line.image is None or at - line.made > line.every:
            line.image, line.made = self._image(line), at
        image = line.image
        if self._random.random() < line.fresh:
            return Pull(at * DAY, image, image.parts)
        has = line.has.setdefault(self._random.randrange(12), set())
        wanted = tuple(part for part in image.parts if part.number not in has)
        has.update(part.number for part in wanted)
        return Pull(at * DAY, image, wanted)

    def _image(self, line: Line) -> Image:
        own = self._layers(self._random.randint(1, 6), GIB if line.large else 3 * MIB)
        kept = []
        if line.image is not None and self._random.random() < 0.5:
            own = own[-2:]  # what is installed seldom changes; what is built on it does
            kept = list(line.image.parts[len(line.base) + 1 : -2])
        parts = (self._part(8 * KIB, 0.5), *line.base, *kept, *own)
        return Image(self._part(2 * KIB, 0.3), parts)


class Cache(Protocol):
    """An order of eviction."""

    def pull(self, pull: Pull) -> None:
        """An image is being used."""

    def ask(self, part: Part, pull: Pull) -> bool:
        """Whether content is here; it is from then on."""


class LruCache:
    """Evicts what was used longest ago.

    :param room: bytes.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._free = room
        self._sizes: OrderedDict[int, int] = OrderedDict()

    def pull(self, pull: Pull) -> None:
        """A pull uses what it asks for."""

    def ask(self, part: Part, pull: Pull) -> bool:
        """Look it up, and store it."""
        if part.number in self._sizes:
            self._sizes.move_to_end(part.number)
            return True
        if part.size <= self._room * LARGEST_PART:
            while self._free < part.size:
                self._free += self._sizes.popitem(last=False)[1]
            self._sizes[part.number] = part.size
            self._free -= part.size
        return False


@dataclass(slots=True)
class Place:
    """What the index keeps with a place."""

    size: int
    since: float
    needed: bool
    priority: float


class PriorityCache:
    """Evicts as the index of regcache has it (regcache.retention, regcache.store.index_places).

    :param room: bytes.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._free = room
        self._floor = 0.0
        self._places: dict[int, Place] = {}
        self._counts: dict[int, float] = {}
        self._images: dict[int, Image] = {}
        self._listed: dict[int, set[int]] = {}
        self._heap: list[tuple[bool, float, int]] = []

    def pull(self, pull: Pull) -> None:
        """A use of the image, and of all that it lists."""
        for part in (pull.image.manifest, *pull.image.parts):
            self._counts[part.number] = self._counts.get(part.number, 0.0) + weight(pull.at, 0.0)
        worth = self._count(pull.image.manifest, pull.at)
        for part in (pull.image.manifest, *pull.image.parts):
            place = self._places.get(part.number)
            if place is not None:
                place.priority = max(place.priority, priority(self._floor, worth, part.size))

    def ask(self, part: Part, pull: Pull) -> bool:
        """Look it up, and store it."""
        if part.number in self._places:
            return True
        if part.size > self._room * LARGEST_PART:
            return False
        self._make_room(part.size, pull.at)
        if part is pull.image.manifest:
            self._images[part.number] = pull.image
            for each in pull.image.parts:
                self._listed.setdefault(each.number, set()).add(part.number)
                self._set_needed(each.number)
        needed = part is pull.image.manifest or bool(self._listed.get(part.number))
        worth = priority(self._floor, self._count(part, pull.at), part.size)
        self._places[part.number] = Place(part.size, pull.at, needed, worth)
        heapq.heappush(self._heap, (needed, worth, part.number))
        self._free -= part.size
        return False

    def _count(self, part: Part, now: float) -> float:
        return count_now(self._counts[part.number], 0.0, now)

    def _set_needed(self, number: int) -> None:
        place = self._places.get(number)
        needed = bool(self._listed.get(number))
        if place is not None and place.needed != needed:
            place.needed = needed
            heapq.heappush(self._heap, (needed, place.priority, number))

    def _make_room(self, size: int, now: float) -> None:
        young: list[tuple[bool, float, int]] = []
        while self._free < size and self._heap:
            entry = heapq.heappop(self._heap)
            place = self._places.get(entry[2])
            if place is None:
                continue
            if (place.needed, place.priority) != entry[:2]:
                if (place.needed, place.priority) > entry[:2]:
                    heapq.heappush(self._heap, (place.needed, place.priority, entry[2]))
            elif now - place.since < YOUNG_FOR:
                young.append(entry)
            else:
                self._evict(entry[2])
        for entry in young:
            if self._free < size:
                self._evict(entry[2])
            else:
                heapq.heappush(self._heap, entry)

    def _evict(self, number: int) -> None:
        place = self._places.pop(number)
        self._free += place.size
        self._floor = max(self._floor, place.priority)
        image = self._images.pop(number, None)
        for part in image.parts if image else ():
            self._listed[part.number].discard(number)
            self._set_needed(part.number)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a replay went: parts of all requests, bytes and pulls."""

    request_misses: float
    byte_misses: float
    whole_pulls: float

    def __str__(self) -> str:
        figures = (self.request_misses, self.byte_misses, self.whole_pulls)
        return "/".join(f"{figure:.3f}".lstrip("0") for figure in figures)


def replay(trace: Sequence[Pull], cache: Cache) -> Outcome:
    """Have a cache answer a trace."""
    requests = misses = asked = fetched = whole = 0
    for pull in trace:
        cache.pull(pull)
        missed = 0
        for part in (pull.image.manifest, *pull.wanted):
            requests += 1
            asked += part.size
            if not cache.ask(part, pull):
                misses += 1
                fetched += part.size
                missed += part is not pull.image.manifest
        whole += not missed
    return Outcome(misses / requests, fetched / asked, whole / len(trace))


def footprint(trace: Sequence[Pull]) -> int:
    """All that is asked for, each once (bytes)."""
    parts = {part for pull in trace for part in (pull.image.manifest, *pull.wanted)}
    return sum(part.size for part in parts)


def middle(outcomes: Sequence[Outcome]) -> Outcome:
    """The medians."""
    return Outcome(
        median(each.request_misses for each in outcomes),
        median(each.byte_misses for each in outcomes),
        median(each.whole_pulls for each in outcomes),
    )


def measure(seeds: int, pulls: int) -> dict[float, tuple[Outcome, Outcome]]:
    """For each share the medians of LRU and of regcache."""
    found: dict[float, tuple[list[Outcome], list[Outcome]]]
    found = {share: ([], []) for share in SHARES}
    for seed in range(seeds):
        trace = list(Trace(seed, pulls))
        total = footprint(trace)
        for share, (lru, ours) in found.items():
            lru.append(replay(trace, LruCache(int(total * share))))
            ours.append(replay(trace, PriorityCache(int(total * share))))
    return {share: (middle(lru), middle(ours)) for share, (lru, ours) in found.items()}


def shortcomings(measured: dict[float, tuple[Outcome, Outcome]]) -> list[str]:
    """What falls short of what eviction has to reach; one line each."""
    lru, ours = measured[SHARES[0]]
    lines = []
    if ours.request_misses > lru.request_misses * (1 - FEWER_MISSES):
        lines.append(f"misses of requests at {SHARES[0]:.0%}: {ours} beside {lru}")
    if ours.byte_misses > lru.byte_misses * (1 + MORE_BYTES):
        lines.append(f"misses of bytes at {SHARES[0]:.0%}: {ours} beside {lru}")
    return lines


def main() -> int:
    """Print the table; 1 where it falls short."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--pulls", type=int, default=12_000)
    arguments = parser.parse_args()
    measured = measure(arguments.seeds, arguments.pulls)
    print("| cache ÷ footprint | LRU | regcache |\n|---|---|---|")
    for share, (lru, ours) in measured.items():
        print(f"| {share:.0%} | {lru} | {ours} |")
    short = shortcomings(measured)
    for line in short:
        print("falls short:", line)
    return 1 if short else 0


if __name__ == "__main__":
    raise SystemExit(main())
