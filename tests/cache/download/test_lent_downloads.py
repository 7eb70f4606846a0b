"""Downloads to which something happens while threads receive a stretch of their body."""

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download import lending
from tests.cache.test_pipeline_properties import PULL, SMALL, world
from tests.support.bodies import Fault
from tests.support.scenarios import Troubled

SIZE = 65_537
CHUNK = 4 * 1024
SECOND = ("pull", 0, "org/app", [], False, False)


class LentScenario(Troubled):
    """Begins with a client of a body that is lent; the disk takes its time."""

    most_faults = 3

    def until_lent(self) -> None:
        """Go on until threads receive a body."""
        for _ in range(500):
            if any(body.lent for body in self.daemon.registries[0].bodies):
                return
            self.daemon.turn(1)
        raise AssertionError("nothing is lent")

    def all_came(self) -> None:
        """Each client got all, but for those who left."""
        self.daemon.settle()
        outcomes = {client.outcome for client in self.clients} - {"gone"}
        assert outcomes == {"complete"}, outcomes

    def all_were_aborted(self) -> None:
        """Nobody takes a part for the whole, the upstream is left, and the space is free."""
        assert {client.outcome for client in self.clients} == {"aborted"}
        assert not any(body.open or body.lent for body in self.daemon.registries[0].bodies)
        assert all(claim.released for claim in self.daemon.spaces[-1].claims)
        assert os.listdir(os.path.join(self.daemon.directory, "partial")) == []

    def is_stored(self) -> None:
        """Check that the whole content is stored, at any pace of the clients."""
        assert len(self.daemon.caches.downloads) == 0
        assert os.listdir(os.path.join(self.daemon.directory, "blobs", "sha256"))

    def is_parked(self) -> None:
        """Nothing is fetched any more, and it did not all come."""
        assert len(self.daemon.caches.downloads) == 0
        assert not any(body.open for body in self.daemon.registries[0].bodies)
        assert self.daemon.registries[0].sent < SIZE

    def sent_once(self) -> None:
        """No byte was sent twice."""
        assert self.daemon.registries[0].sent == SIZE, self.daemon.registries[0].sent

    def hardly_any_twice(self) -> None:
        """Where one fill meets another, a chunk may be on its way; no stretch comes twice."""
        sent, fills = self.daemon.registries[0].sent, len(self.daemon.registries[0].bodies)
        assert fills > 1, "nobody asked for the range"
        assert sent <= SIZE + fills * CHUNK, f"{sent} bytes for {fills} fills"


class LentDownloadTests(SynchronousTestCase):
    """What holds is what :class:`Scenario` checks, after each event and in the end."""

    def setUp(self) -> None:
        """A small world."""
        for module, name, value in SMALL:
            self.patch(module, name, value)
        self.directory = os.path.abspath(self.mktemp())
        os.makedirs(self.directory)

    def play(self, *events: tuple[Any, ...], finish: int | None = None) -> LentScenario:
        """A client comes, its body is lent, and then all this happens."""
        options = {**world(SIZE), "chunk": CHUNK, "finish": finish}
        scenario = LentScenario(self.directory, **options)
        scenario.play([("change_disk", 0.03), PULL, ("until_lent",), *events])
        return scenario

    def test_nothing_happens(self) -> None:
        """It is lent several times, and each byte is sent once."""
        scenario = self.play(("all_came",), ("sent_once",))
        self.assertGreater(scenario.daemon.registries[0].loans, 3)
        self.assertEqual(scenario.daemon.registries[0].count("get_blob"), 1)

    def test_stopped(self) -> None:
        """The daemon stops: what came is kept, and fetched no more."""
        self.play(("restart",), SECOND, ("turn", 200))

    def test_killed(self) -> None:
        """The daemon is killed before, and after, the threads have written."""
        for done in (0, 1):
            self.play(("kill", done), SECOND, ("turn", 200))

    def test_evicted(self) -> None:
        """Eviction of the same digest meanwhile changes nothing."""
        self.play(("evict", 0), ("all_came",), ("sent_once",))

    def test_removed(self) -> None:
        """A blob that is removed meanwhile is not stored; who comes later gets it all the same."""
        self.play(("remove", 0), SECOND, ("turn", 300))

    def test_client_leaves(self) -> None:
        """Its last client leaves: what came is kept, and the next one goes on from there."""
        self.play(
            ("leave", 0),
            ("turn", 500),
            ("is_parked",),
            SECOND,
            ("all_came",),
            ("sent_once",),
            finish=0,
        )

    def test_clients_take_nothing(self) -> None:
        """A client that takes nothing does not hold the download back, nor fill the memory."""
        self.play(("pause", 0), ("turn", 2000), ("is_stored",), ("resume", 0), ("sent_once",))

    def test_second_fill(self) -> None:
        """A range far ahead has a fill of its own, where the stretch ends: no byte comes twice."""
        far = ("pull", 0, "org/app", [(800, 900)], False, False)
        self.play(far, ("turn", 300), ("all_came",), ("hardly_any_twice",))

    def test_joined(self) -> None:
        """Who asks for what is being received waits for that."""
        near = ("pull", 0, "org/app", [(50, 150)], False, False)
        self.play(near, SECOND, ("all_came",), ("sent_once",))

    def test_full_disk(self) -> None:
        """The disk refuses what threads receive: answers are aborted, and nothing of it is kept."""
        self.play(("disk_errs", 1), ("turn", 300), ("all_were_aborted",))

    def test_upstream_errs(self) -> None:
        """The next answers break off, are too long, stall, or lie, in a stretch."""
        for fault in (Fault(cut=700), Fault(stall=500), Fault(surplus=b"more"), Fault(flip=600)):
            options = {**world(SIZE), "chunk": CHUNK}
            scenario = LentScenario(self.directory, **options)
            first = ("upstream_errs", 0, fault)
            scenario.play([first, PULL, ("until_lent",), ("wait", 40.0), ("wait", 40.0)])


class SingleCoreTests(LentDownloadTests):
    """The same on a single core: more jobs, each of less."""

    def setUp(self) -> None:
        """A small world with one core."""
        super().setUp()
        self.patch(lending, "usable_cores", lambda: 1)
