"""Random sequences of clients, faults, stops and kills, against what must always hold."""

import os
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download import (
    fetching,
    fill,
    lending,
    planning,
    reader,
    readers,
    relay,
    retries,
    target,
    unwritten,
)
from regcache.cache.sight import rights
from regcache.errors import UpstreamNotFound
from regcache.store import interval_saver, spooled, trailing_hash
from tests.support.bodies import Fault
from tests.support.pipeline_events import BREAKS, EVENTS, TROUBLES, sequences, worlds
from tests.support.scenarios import Breaking, Relaying, Scenario, Troubled

KIB = 1024

#: Everything is a thousandth of its size, so that small blobs meet every case.
SMALL: list[tuple[Any, str, Any]] = [
    (planning, "NEAR", 8 * KIB),
    (planning, "WINDOW", 16 * KIB),
    (planning, "SKIP", 2 * KIB),
    (retries, "SKIP", 2 * KIB),
    (fetching, "MOST_FILLS", 4),
    (fill, "QUEUE_HIGH", 8 * KIB),
    (fill, "QUEUE_LOW", 2 * KIB),
    (unwritten, "WRITE_SIZE", 4 * KIB),
    (unwritten, "BATCH", 1 * KIB),
    (lending, "usable_cores", lambda: 2),
    (lending, "BESIDE", lending.JobBounds(8 * KIB, 0.05, 1 * KIB)),
    (lending, "BY_TURNS", lending.JobBounds(2 * KIB, 0.05, 1 * KIB)),
    (lending, "LEAST", 1 * KIB),
    (lending, "TAIL", 4 * KIB),
    (lending, "HEAD", 2 * KIB),
    (lending, "LARGE", 1400),
    (readers, "WITHHELD", 4 * KIB),
    (readers, "WOKEN_AT_ONCE", 2),
    (target, "WITHHELD", 4 * KIB),
    (relay, "WITHHELD", 4 * KIB),
    (spooled, "MEMORY", 4 * KIB),
    (interval_saver, "SAVE_BEHIND", 8 * KIB),
    (target, "STEP", 16 * KIB),
    (target, "UNRESERVED", 8 * KIB),
    (rights, "PIECE", 200),
    (trailing_hash, "LARGE", 2 * KIB),
    (trailing_hash, "MOST_BEHIND", 4 * KIB),
    (reader, "LEAST_READ", 2 * KIB),
    (reader, "MOST_READ", 8 * KIB),
]

#: REGCACHE_EXAMPLES=700 plays so many sequences of each kind: 10^5 steps in all.
PROFILE = settings(
    max_examples=int(os.environ.get("REGCACHE_EXAMPLES", "120")),
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


PULL = ("pull", 0, "org/app", [], False, False)


def world(size: int, shared: bool = False) -> dict[str, Any]:
    """Upstreams with a blob of a size, sent in chunks of 500 bytes."""
    return {"sizes": [size], "finish": None, "chunk": 500, "second": None, "shared": shared}


#: An upstream that sends more than it announced, behind the end of what is complete.
SURPLUS_BEHIND_NOTHING = [
    ("upstream_errs", 0, Fault(surplus=b"x")),
    PULL,
    ("turn", 2),
    ("wait", 0.3),
]
#: A pause after which the upstream's refusal is known already, and ends the download at once.
REFUSED_AT_ONCE = [
    ("upstream_errs", 0, Fault(refuse=UpstreamNotFound("up.test", "not found", status=404))),
    PULL,
    ("upstream_errs", 1, Fault(cut=0)),
    ("wait", 0.3),
    ("pull", 1, "org/app", [], False, False),
    ("turn", 5),
    ("upstream_errs", 1, Fault(refuse=UpstreamNotFound("up.test", "not found", status=404))),
    ("pull", 0, "org/app", [], False, False),
    ("remove", 0),
    ("pull", 1, "org/app", [], False, False),
    ("turn", 41),
]
#: A download that was forsaken gives the right bytes, and the one behind it the wrong ones.
WRONG_BEHIND_REMOVED = [
    PULL,
    ("turn", 3),
    ("remove", 0),
    ("upstream_errs", 0, Fault(hide_size=True, ends=0)),
    PULL,
    ("turn", 5),
]


class PipelinePropertyTests(SynchronousTestCase):
    """Checks what has to hold after any events in any order."""

    def setUp(self) -> None:
        """A small world."""
        for module, name, value in SMALL:
            self.patch(module, name, value)
        self.directory = os.path.abspath(self.mktemp())
        os.makedirs(self.directory)

    def test_clients_that_come_and_go(self) -> None:
        """Without faults everything is right, ends, and is fetched hardly more than once."""

        @PROFILE
        @given(worlds, sequences(EVENTS))
        def play(world: dict[str, Any], events: list[tuple[Any, ...]]) -> None:
            Scenario(self.directory, **world).play(events)

        play()

    def test_answers_that_break_off(self) -> None:
        """What breaks off goes on; clients see a pause, and everything else holds, too."""

        @PROFILE
        @given(worlds, sequences(EVENTS, BREAKS))
        @example(world(0), SURPLUS_BEHIND_NOTHING)
        def play(world: dict[str, Any], events: list[tuple[Any, ...]]) -> None:
            Breaking(self.directory, **world).play(events)

        play()

    def test_relays_that_break_off(self) -> None:
        """So does what is passed through and not stored."""

        @PROFILE
        @given(worlds, sequences(EVENTS, BREAKS))
        def play(world: dict[str, Any], events: list[tuple[Any, ...]]) -> None:
            Relaying(self.directory, **world).play(events)

        play()

    def test_faults_of_upstreams_and_disks(self) -> None:
        """With faults of every kind nothing wrong is completed or kept, and nothing hangs."""

        @PROFILE
        @given(worlds, sequences(EVENTS, TROUBLES))
        @example(world(20_000, shared=True), REFUSED_AT_ONCE)
        @example(world(20_000), WRONG_BEHIND_REMOVED)
        def play(world: dict[str, Any], events: list[tuple[Any, ...]]) -> None:
            Troubled(self.directory, **world).play(events)

        play()
