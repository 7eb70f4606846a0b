"""Plans: what they show, and that no more than that is done."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from unittest import mock

from twisted.internet.defer import CancelledError, Deferred

from regcache.cache.eviction import deletion_plans
from regcache.cache.eviction.deletion_plans import MOST_ITEMS, MOST_SKIPPED
from regcache.cache.eviction.planner import MOST_PLANS
from regcache.cache.forgetting import Forgotten, Kind
from regcache.digests import Digest
from regcache.pins import Pin
from regcache.plans import (
    LASTS,
    NothingPlannedError,
    Plan,
    PlanAction,
    PlanChangedError,
    PlanExpiredError,
    PlanOutcome,
    PlanRequest,
)
from regcache.removals import manifest_of, tag_of
from tests.cache.eviction.test_sweeps import DAY, SweepCase
from tests.support.evictions import MIB
from tests.support.index_cases import HUB, QUAY, repository_of

APP = repository_of("a")


class Holding:
    """Takes its time to forget."""

    def __init__(self, held: "list[Deferred[None]]") -> None:
        self._held = held

    def forget(self, _message: Forgotten) -> "Deferred[None]":
        """Wait."""
        waiting: Deferred[None] = Deferred()
        self._held.append(waiting)
        return waiting


class PlannerCase(SweepCase):
    """The image of the sweeps, three days old, and a new one that shares a layer with it."""

    def setUp(self) -> None:
        super().setUp()
        self.storage.tag("old", self.image[0])
        self.clock.advance(3 * DAY)
        layer = self.storage.add_blob("own layer", MIB)
        self.newer = self.storage.add_manifest("newer", layer, self.image[1])
        self.new = [self.newer.digest, layer]
        self.storage.tag("new", self.newer.digest)

    def plan(self, action: PlanAction, **more: Any) -> Plan:
        """Make a plan."""
        plan: Plan = self.result(self.storage.planner.make(PlanRequest(action, **more)))
        return plan

    def run_plan(self, plan: Plan) -> PlanOutcome:
        """Run it."""

        before, told = self.taken(), [0]

        async def run() -> PlanOutcome:
            taken = await self.storage.planner.take(plan.id)
            return await self.storage.planner.run(taken, told.append)

        outcome: PlanOutcome = self.result(run())
        self.assertEqual(told, sorted(told))
        freed = before - self.taken()
        self.assertEqual((told[-1], outcome.freed), (freed, freed))
        return outcome

    def taken(self) -> int:
        """Bytes of disk that are taken."""
        return self.storage.on_disk() + self.storage.ledger.parked

    def gone(self) -> set[Digest]:
        """What is not stored any more."""
        return {each for each in (*self.image, *self.new) if each not in self.storage.files()}


class SweepPlanTests(PlannerCase):
    """Sweeps and purges."""

    def test_age(self) -> None:
        """A plan by age shows what was unused for so long, and frees that when it is run."""
        self.storage.index.touch(self.newer.digest, self.clock.seconds())
        plan = self.plan(PlanAction.SWEEP, unused_for=DAY)
        self.assertEqual((plan.sums.contents, plan.sums.images, plan.sums.tags), (2, 1, 1))
        (item,) = plan.items
        self.assertEqual((item.name, item.tags, item.reason), ("docker.io/a", ("old",), "age"))
        self.assertEqual((item.size // MIB, item.frees // MIB), (2, 1))
        self.assertEqual(item.shared_with, ("docker.io/a",))
        self.assertEqual(plan.kept, self.storage.on_disk() - plan.sums.freed)
        self.assertEqual(self.gone(), set())
        outcome = self.run_plan(plan)
        self.assertEqual(self.gone(), {self.image[0], self.image[2]})
        self.assertEqual((outcome.contents, outcome.skipped), (2, ()))
        self.assertEqual(outcome.freed, plan.sums.freed)

    def test_purge(self) -> None:
        """A purge takes all but pins, and names those."""
        pinning = self.storage.index.pins.pin(APP, "new", Pin("", 1.0))
        self.successResultOf(pinning)
        plan = self.plan(PlanAction.PURGE)
        self.assertEqual(
            [(each.name, each.reference, each.why) for each in plan.skipped],
            [("docker.io/a", "new", "pinned")],
        )
        self.run_plan(plan)
        self.assertEqual(self.gone(), {self.image[0], self.image[2]})

    def test_to_size(self) -> None:
        """Down to a size what is used least goes."""
        for _ in range(9):
            self.storage.index.touch(self.newer.digest, self.clock.seconds())
        plan = self.plan(PlanAction.SWEEP, to_bytes=5 * MIB // 2)
        self.assertEqual({each.reason for each in plan.items} - {"size"}, set())
        self.run_plan(plan)
        self.assertEqual(self.gone() & {self.image[2]}, {self.image[2]})
        self.assertLessEqual(self.storage.ledger.contents, 5 * MIB // 2)
        self.assertFalse(set(self.new) & self.gone())
        self.assertEqual(self.plan(PlanAction.SWEEP, to_bytes=100 * MIB).sums.contents, 0)

    def test_of_an_upstream_to_size(self) -> None:
        """Of an upstream so much goes that no more than that is left in all."""
        other = self.storage.add_blob("other", 3 * MIB, repository=repository_of("b", QUAY))
        stored = self.storage.ledger.contents
        self.assertGreater(stored, 6 * MIB)
        plan = self.plan(PlanAction.SWEEP, upstream=HUB, to_bytes=stored - 2 * MIB)
        self.assertGreaterEqual(plan.sums.freed, 2 * MIB)
        self.assertLess(plan.sums.freed, 4 * MIB)
        self.run_plan(plan)
        self.assertIn(other, self.storage.files())
        self.assertLessEqual(self.storage.ledger.contents, stored - 2 * MIB)

    def test_pages(self) -> None:
        """More of what goes can be told of, until the plan is run."""
        for number in range(MOST_ITEMS + 5):
            self.storage.add_manifest(f"manifest {number}")
        plan = self.plan(PlanAction.PURGE)
        self.assertEqual((len(plan.items), len(plan.entries)), (MOST_ITEMS, MOST_ITEMS + 7))
        _, rest = self.result(self.storage.planner.page(plan.id, MOST_ITEMS, 50))
        shown = [each.digest for each in (*plan.items, *rest)]
        self.assertEqual((len(rest), len(set(shown))), (7, MOST_ITEMS + 7))
        self.assertEqual({each.reason for each in rest}, {"asked"})
        self.run_plan(plan)
        self.refusal(self.storage.planner.page(plan.id, 0, 50), PlanExpiredError)

    def test_part(self) -> None:
        """An image that stays without a layer is told of, with what it loses."""
        for digest in (self.newer.digest, self.image[0]):
            self.storage.index.touch(digest, self.clock.seconds())
        left = self.storage.ledger.contents - MIB // 2
        plan = self.plan(PlanAction.SWEEP, to_bytes=left)
        self.assertEqual((plan.sums.contents, plan.sums.images), (1, 0))
        (freed,) = {each.frees for each in plan.items}
        self.assertEqual({(each.whole, each.reason) for each in plan.items}, {(False, "size")})
        self.assertEqual(freed, plan.sums.freed)
        self.assertEqual({each.name for each in plan.items}, {"docker.io/a"})
        _, page = self.result(self.storage.planner.page(plan.id, 0, 50))
        self.assertEqual(page, list(plan.items))
        self.run_plan(plan)
        named = {each.digest for each in plan.items}
        self.assertEqual(len(self.gone()), 1)
        self.assertFalse(named & self.gone())

    def test_of_an_upstream(self) -> None:
        """Only what one upstream gave."""
        self.assertEqual(self.plan(PlanAction.PURGE, upstream=QUAY).sums.contents, 0)
        self.assertEqual(self.plan(PlanAction.PURGE, upstream=HUB).sums.contents, 5)

    def test_partials(self) -> None:
        """What is left of downloads is shown, of the upstream alone that is meant, and goes."""
        self.storage.add_partial("one", 10_000)
        self.storage.add_partial("other", MIB, QUAY)
        contents = self.plan(PlanAction.SWEEP, to_bytes=0).sums.freed
        plan = self.plan(PlanAction.PURGE, upstream=QUAY)
        self.assertEqual((plan.partials, plan.sums.freed), ((1, MIB), MIB))
        self.assertEqual(plan.kept, self.storage.on_disk())
        self.run_plan(plan)
        plan = self.plan(PlanAction.PURGE)
        self.assertEqual((plan.partials, plan.sums.freed), ((1, 12_288), contents + 12_288))
        self.assertEqual(self.run_plan(plan).freed, plan.sums.freed)
        self.assertEqual(self.taken(), 0)
        self.storage.add_partial("young", 10_000)
        self.assertEqual(self.plan(PlanAction.SWEEP, unused_for=DAY).partials, (0, 0))

    def test_partials_of_a_deleted_upstream(self) -> None:
        """With an upstream goes what is left of its downloads, where nothing else is here, too."""
        self.storage.add_partial("one", 10_000)
        self.storage.add_partial("other", MIB, QUAY)
        plan = self.plan(PlanAction.DELETE, upstream=HUB)
        self.assertEqual((plan.partials, plan.sums.contents), ((1, 12_288), 5))
        self.assertEqual(plan.kept, 0)
        self.assertEqual(self.run_plan(plan).freed, plan.sums.freed)
        self.assertEqual(self.taken(), MIB)
        plan = self.plan(PlanAction.DELETE, upstream=QUAY)
        self.assertEqual((plan.partials, plan.sums.freed), ((1, MIB), MIB))
        self.run_plan(plan)
        self.assertEqual(self.taken(), 0)
        request = PlanRequest(PlanAction.DELETE, upstream=QUAY)
        making = Deferred.fromCoroutine(self.storage.planner.make(request))
        self.failureResultOf(making, NothingPlannedError)

    def test_partials_of_a_deleted_repository(self) -> None:
        """With a repository alone what is left of downloads stays."""
        self.storage.add_partial("one", 10_000)
        plan = self.plan(PlanAction.DELETE, repositories=(APP,))
        self.assertEqual(plan.partials, (0, 0))
        self.run_plan(plan)
        self.assertEqual(self.storage.ledger.parked, 12_288)

    def test_partial_that_is_open(self) -> None:
        """A download that goes on stays, and nothing of it is shown."""
        digest = self.storage.add_partial("one", 10_000)
        file = self.successResultOf(self.storage.store.open_partial(digest, HUB))
        self.assertEqual(self.plan(PlanAction.PURGE).partials, (0, 0))
        file.close()

    def test_busy(self) -> None:
        """What is in use is named as what stays; at a run it stays, and is told of."""
        self.storage.busy = [(self.image[1], "open")]
        file = self.successResultOf(self.storage.store.look_up(self.image[1], MIB)).file
        plan = self.plan(PlanAction.PURGE)
        (skipped,) = plan.skipped
        self.assertEqual((skipped.name, skipped.why), ("docker.io/a", "open"))
        outcome = self.run_plan(plan)
        self.assertEqual([each.reference for each in outcome.skipped], [str(self.image[1])])
        self.assertNotIn(self.image[1], self.gone())
        file.close()

    def test_between_plan_and_run(self) -> None:
        """What is used, pinned or comes between plan and run stays; what was shown is reported."""
        plan = self.plan(PlanAction.PURGE)
        self.clock.advance(1)
        self.storage.index.touch(self.newer.digest, self.clock.seconds())
        pinning = self.storage.index.pins.pin(APP, str(self.image[0]), Pin("", 1.0))
        self.successResultOf(pinning)
        later = self.storage.add_blob("later", MIB)
        outcome = self.run_plan(plan)
        self.assertEqual((outcome.contents, outcome.skipped_more), (0, 0))
        self.assertEqual(
            {(each.name, each.reference, each.why) for each in outcome.skipped},
            {
                ("docker.io/a", str(self.image[0]), "pinned"),
                ("docker.io/a", str(self.newer.digest), "used"),
            },
        )
        self.assertIn(later, self.storage.files())
        self.assertEqual(self.gone(), set())

    def test_once(self) -> None:
        """A plan is run once, within five minutes."""
        plan = self.plan(PlanAction.PURGE)
        self.run_plan(plan)
        for later in (plan, self.plan(PlanAction.PURGE)):
            self.clock.advance(LASTS)
            self.refusal(self.storage.planner.take(later.id), PlanExpiredError)

    def test_called_off(self) -> None:
        """A run that is called off at any moment leaves nothing half gone, and nobody waiting."""
        for turn in range(12):
            self.setUp()
            held: list[Deferred[None]] = []
            self.storage.forgetting.subscribe(Holding(held))
            plan = self.plan(PlanAction.PURGE)
            running = Deferred.fromCoroutine(self.storage.planner.run(plan, lambda freed: None))
            for _ in range(turn):
                self.clock.advance(0)
                if held and turn % 2:
                    held.pop().callback(None)
            running.cancel()
            running.addErrback(lambda failure: failure.trap(CancelledError))
            while held:
                held.pop().callback(None)
                self.clock.pump([0] * 20)
            self.clock.pump([0] * 20)
            files = self.storage.files()
            for digest in (*self.image, *self.new):
                found = self.storage.store.look_up(digest, None)
                self.clock.pump([0] * 20)
                file = self.successResultOf(found).file
                self.assertEqual(file is not None, digest in files, turn)
                if file is not None:
                    file.close()
            self.assertEqual(self.storage.ledger.contents, self.storage.on_disk())

    def test_bounded(self) -> None:
        """Of very many plans the last ones can be run."""
        first = self.plan(PlanAction.PURGE)
        for _ in range(MOST_PLANS):
            self.plan(PlanAction.PURGE)
        self.refusal(self.storage.planner.take(first.id), PlanExpiredError)


class DeletionPlanTests(PlannerCase):
    """Deletions."""

    def test_tag(self) -> None:
        """A tag goes with its manifest, and with what nothing else lists."""
        plan = self.plan(PlanAction.DELETE, targets=(tag_of(APP, "old"),))
        self.assertEqual((plan.sums.contents, plan.sums.tags), (2, 1))
        self.assertEqual(plan.also_lost, ())
        self.assertEqual(self.gone(), set())
        self.run_plan(plan)
        self.assertEqual(self.gone(), {self.image[0], self.image[2]})

    def test_also_lost(self) -> None:
        """Tags that go though nobody named them are told."""
        self.storage.tag("same", self.image[0])
        plan = self.plan(PlanAction.DELETE, targets=(manifest_of(APP, self.image[0]),))
        self.assertEqual(plan.also_lost, ("old", "same"))

    def test_described(self) -> None:
        """What goes is told with its digest, its size, its last use and what shares the rest."""
        self.storage.index.touch(self.image[0], self.clock.seconds())
        plan = self.plan(PlanAction.DELETE, targets=(tag_of(APP, "old"),))
        (item,) = plan.items
        self.assertEqual((item.name, item.digest), ("docker.io/a", self.image[0]))
        self.assertEqual((item.tags, item.last_use), (("old",), self.clock.seconds()))
        self.assertEqual((item.size // MIB, item.frees // MIB), (2, 1))
        self.assertEqual(item.shared_with, ("docker.io/a",))
        self.assertEqual(item.frees, plan.sums.freed)

    def test_unknown_use(self) -> None:
        """A last use that is not known is none."""
        with closing(sqlite3.connect(self.storage.paths.index)) as index:
            index.execute("DELETE FROM uses")
            index.commit()
        (item,) = self.plan(PlanAction.DELETE, targets=(tag_of(APP, "old"),)).items
        self.assertIsNone(item.last_use)

    def test_many(self) -> None:
        """Of very much the first ones are described, and all counts."""
        for number in range(MOST_ITEMS + 1):
            self.storage.tag(f"t{number}", self.newer.digest)
        plan = self.plan(PlanAction.DELETE, repositories=(APP,))
        self.assertEqual(len(plan.items), MOST_ITEMS)
        self.assertEqual((plan.sums.tags, plan.sums.images), (MOST_ITEMS + 3, 2))
        self.assertEqual((plan.sums.freed, plan.kept), (self.storage.on_disk(), 0))
        _, rest = self.result(self.storage.planner.page(plan.id, MOST_ITEMS, 50))
        tags = {tag for each in (*plan.items, *rest) for tag in each.tags}
        self.assertEqual(len(tags), MOST_ITEMS + 3)
        self.assertEqual(self.run_plan(plan).freed, plan.sums.freed)

    def test_moved_meanwhile(self) -> None:
        """A tag that names something else by now is a change, and so is what it now takes along."""
        self.storage.tag("same", self.image[0])
        plans = [
            self.plan(PlanAction.DELETE, targets=(tag_of(APP, each),)) for each in ("new", "same")
        ]
        self.assertEqual((plans[1].sums.freed, plans[1].sums.images), (0, 0))
        self.storage.tag("new", self.image[0])
        self.refusal(self.storage.planner.take(plans[0].id), PlanChangedError)
        for tag in ("old", "new"):
            self.run_plan(self.plan(PlanAction.DELETE, targets=(tag_of(APP, tag),)))
        changed = self.refusal(self.storage.planner.take(plans[1].id), PlanChangedError)
        self.assertGreater(changed.plan.sums.freed, 0)
        self.assertIn(self.image[0], self.storage.files())

    def test_same_tag_elsewhere(self) -> None:
        """A tag that goes along is told though one of its name is named in another repository."""
        other = repository_of("b")
        self.storage.tag("old", self.newer.digest, "b")
        targets = (manifest_of(APP, self.image[0]), tag_of(other, "old"))
        self.assertEqual(self.plan(PlanAction.DELETE, targets=targets).also_lost, ("old",))

    def test_one_by_one(self) -> None:
        """What a removal takes along is no item of its own, however many are looked at at once."""
        for number in range(3):
            self.storage.tag(f"t{number}", self.newer.digest)
        for at_once in (1, 2, 20):
            self.patch(deletion_plans, "AT_ONCE", at_once)
            plan = self.plan(PlanAction.DELETE, repositories=(APP,))
            named = [each.tags for each in plan.items]
            self.assertEqual(named, [("new",), ("old",), ("t0",), ("t1",), ("t2",)], at_once)
            self.assertEqual(sum(each.frees for each in plan.items), plan.sums.freed, at_once)

    def test_less_meanwhile(self) -> None:
        """What went meanwhile is no change, though other removals are looked at together then."""
        for number in range(7):
            self.storage.tag(f"a{number}", self.image[0])
        self.patch(
            deletion_plans, "AT_ONCE", 7
        )  # the last tag and all below it are looked at at once
        plan = self.plan(PlanAction.DELETE, repositories=(APP,))
        self.run_plan(self.plan(PlanAction.DELETE, targets=(tag_of(APP, "a0"),)))
        self.run_plan(plan)
        self.assertEqual(self.storage.files(), {})

    def test_repository(self) -> None:
        """All of a repository, but for what is pinned, and what memory knows of it."""
        plan = self.plan(PlanAction.DELETE, repositories=(APP,))
        self.run_plan(plan)
        self.assertIn((Kind.REPOSITORY, APP), [(m.kind, m.key) for m in self.storage.memories.told])
        self.assertEqual(self.gone(), {*self.image, *self.new})

    def test_upstream(self) -> None:
        """All of an upstream."""
        self.run_plan(self.plan(PlanAction.DELETE, upstream=HUB))
        self.assertEqual(self.storage.files(), {})

    def test_pinned(self) -> None:
        """What is pinned stays, and is named."""
        pinning = self.storage.index.pins.pin(APP, "old", Pin("", 1.0))
        self.successResultOf(pinning)
        plan = self.plan(PlanAction.DELETE, targets=(tag_of(APP, "old"),))
        self.assertEqual([each.why for each in plan.skipped], ["pinned"])
        self.assertEqual((plan.items, plan.skipped_more), ((), 0))

    def test_many_pinned(self) -> None:
        """Of very much that stays some is named, and how much more there is."""
        self.storage.index.pins.set_patterns(["docker.io/a:*"])
        for number in range(MOST_SKIPPED + 1):
            self.storage.tag(f"t{number}", self.newer.digest)
        self.successResultOf(self.storage.index.pins.settle())
        for action, more in (
            (PlanAction.DELETE, {"repositories": (APP,)}),
            (PlanAction.PURGE, {}),
        ):
            plan = self.plan(action, **more)
            self.assertEqual(len(plan.skipped), MOST_SKIPPED, action)
            self.assertGreaterEqual(plan.skipped_more, 3, action)
            self.assertEqual(plan.sums.freed, 0)

    def test_not_here(self) -> None:
        """What is not here is no plan."""
        request = PlanRequest(PlanAction.DELETE, targets=(tag_of(APP, "none"),))
        self.refusal(self.storage.planner.make(request), NothingPlannedError)

    def test_changed(self) -> None:
        """If more would go than was shown nothing goes, and the new plan is told; it can be run."""
        plan = self.plan(PlanAction.DELETE, repositories=(APP,))
        self.storage.tag("later", self.newer.digest)
        changed = self.refusal(self.storage.planner.take(plan.id), PlanChangedError)
        self.assertEqual(self.gone(), set())
        self.run_plan(changed.plan)
        self.assertEqual(self.gone(), {*self.image, *self.new})

    @contextmanager
    def held_looks(self) -> "Iterator[list[Deferred[None]]]":
        """Each look at a plan begins when the test says so."""
        held: list[Deferred[None]] = []

        def settle() -> "Deferred[None]":
            held.append(Deferred())
            return held[-1]

        with mock.patch.object(self.storage.index.pins, "settle", settle):
            yield held

    def begin(self, plan: Plan) -> "Deferred[Plan]":
        """Take it; it is being looked at."""
        taking = Deferred.fromCoroutine(self.storage.planner.take(plan.id))
        self.clock.pump([0] * 50)
        return taking

    def release(self, waiting: "Deferred[None]") -> None:
        """A look goes on to its end."""
        waiting.callback(None)
        self.clock.pump([0] * 50)

    def test_taken_twice(self) -> None:
        """Of two who run a plan at once the first gets it, whether it is looked at yet or not."""
        for looked_first in (True, False):
            plan = self.plan(PlanAction.DELETE, targets=(tag_of(APP, "old"),))
            self.storage.tag(f"kept {looked_first}", self.image[0])
            with self.held_looks() as held:
                first = self.begin(plan)
                if looked_first:
                    self.release(held.pop())
                second = self.begin(plan)
                self.failureResultOf(second, PlanExpiredError)
                while held:
                    self.release(held.pop())
            self.assertEqual(self.successResultOf(first).id, plan.id)
            self.refusal(self.storage.planner.take(plan.id), PlanExpiredError)

    def test_given_back(self) -> None:
        """A plan that changed, could not be looked at, or whose asker left, can be taken again."""
        plan = self.plan(PlanAction.DELETE, repositories=(APP,))
        with self.held_looks() as held:
            failing = self.begin(plan)
            held.pop().errback(OSError())
            self.failureResultOf(failing, OSError)
            leaving = self.begin(plan)
            leaving.cancel()
            self.failureResultOf(leaving, CancelledError)
            held.clear()
            self.storage.tag("later", self.newer.digest)
            changing = self.begin(plan)
            self.release(held.pop())
            self.failureResultOf(changing, PlanChangedError)
        self.run_plan(self.plan(PlanAction.DELETE, targets=(tag_of(APP, "later"),)))
        self.assertEqual(self.result(self.storage.planner.take(plan.id)).id, plan.id)

    def test_expired_meanwhile(self) -> None:
        """A plan that expires while it is looked at is run, or else is not there any more."""
        for fails in (False, True):
            plan = self.plan(PlanAction.DELETE, repositories=(APP,))
            with self.held_looks() as held:
                taking = self.begin(plan)
                self.clock.advance(LASTS)
                if fails:
                    held.pop().errback(OSError())
                    self.failureResultOf(taking, OSError)
                else:
                    self.release(held.pop())
                    self.assertEqual(self.successResultOf(taking).id, plan.id)
            self.refusal(self.storage.planner.take(plan.id), PlanExpiredError)

    def test_reloaded_meanwhile(self) -> None:
        """What another configuration pins while a plan is looked at stays."""
        plan = self.plan(PlanAction.DELETE, repositories=(APP,))
        with self.held_looks() as held:
            taking = self.begin(plan)
            self.storage.index.pins.set_patterns(["docker.io/a:old"])
            waiting = held.pop()
        self.successResultOf(self.storage.index.pins.settle())
        self.release(waiting)
        taken = self.successResultOf(taking)
        outcome = self.result(self.storage.planner.run(taken, lambda freed: None))
        self.assertEqual({each.why for each in outcome.skipped}, {"pinned"})
        self.assertFalse(set(self.image) & self.gone())

    def test_less(self) -> None:
        """If less is there than was shown, that goes."""
        plan = self.plan(PlanAction.DELETE, repositories=(APP,))
        self.run_plan(self.plan(PlanAction.DELETE, targets=(tag_of(APP, "old"),)))
        self.run_plan(plan)
        self.assertEqual(self.storage.files(), {})
