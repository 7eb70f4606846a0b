"""Tests for when summaries of repositories are made, and of what is pinned in them."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock

from twisted.internet.defer import Deferred, succeed

from regcache.images import Undescribed
from regcache.pins import Pin
from regcache.store import summary_maker
from regcache.store.index_file import IndexUnavailableError
from regcache.store.summary_maker import EVERY, PATIENCE, SummaryMaker
from tests.support.catalogued import CatalogueCase, image_of
from tests.support.index_cases import repository_of

BASE = ("base", 5000)


class MakerTests(CatalogueCase):
    """Making."""

    def maker(self, reader: Any) -> SummaryMaker:
        """One that reads so."""
        made = SummaryMaker(reader, self.index._thread, self.clock, lambda: ())
        self.addCleanup(lambda: self.successResultOf(made.stop()))
        return made

    def test_patience(self) -> None:
        """Who asks waits a moment, and no longer; all who ask share the work."""
        reader, working = Mock(), [Deferred[Any](), Deferred[Any]()]
        waiting = iter(working)
        reader.read.side_effect = lambda *_: next(waiting)
        reader.close.side_effect = lambda: succeed(None)
        maker = self.maker(reader)
        first = Deferred.fromCoroutine(maker.make())
        second = Deferred.fromCoroutine(maker.make())
        self.assertNoResult(first)
        self.clock.advance(PATIENCE)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(reader.read.call_count, 1)
        third = Deferred.fromCoroutine(maker.make())
        working[0].callback([])
        self.successResultOf(third)

    def test_late(self) -> None:
        """Who asked and did not wait is told when there is more; who waited has it."""
        maker, told = self.index.catalogue.summaries, Mock()
        maker.told_late = told
        self.put("library/a", image_of("a", [BASE]), tag="1")
        self.assertEqual(self.repositories(), ["library/a"])
        told.assert_not_called()
        held = Deferred[Any]()
        waiting = [held]
        read = maker._reader.read

        def slow(*asked: Any) -> Any:
            return waiting.pop().addCallback(lambda _: read(*asked)) if waiting else read(*asked)

        self.put("library/b", image_of("b", [BASE]), tag="1")
        self.patch(maker._reader, "read", slow)
        asked = Deferred.fromCoroutine(maker.make())
        self.clock.advance(PATIENCE)
        self.successResultOf(asked)
        told.assert_not_called()
        held.callback(None)
        told.assert_called_once_with()
        self.assertEqual(self.repositories(), ["library/a", "library/b"])

    def test_stopped(self) -> None:
        """A stop waits for the step that runs, and begins no other."""
        reader, working = Mock(), Deferred[Any]()
        reader.read.return_value = working
        reader.close.side_effect = lambda: succeed(None)
        maker = self.maker(reader)
        asked = Deferred.fromCoroutine(maker.make())
        stopping = maker.stop()
        self.assertNoResult(stopping)
        working.callback([])
        self.successResultOf(stopping)
        self.successResultOf(asked)

    def test_pause(self) -> None:
        """Between steps there is a pause, which ends when somebody asks, or at a stop."""
        self.patch(summary_maker, "PAUSE", 1e6)
        for name in ("library/a", "library/b"):
            self.put(name, image_of(name, [BASE]), tag="1")
            self.assertIn(name, self.repositories())
        self.put("library/c", image_of("c", [BASE]), tag="1")
        self.clock.advance(EVERY)
        self.successResultOf(self.index.close())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unavailable(self) -> None:
        """If the index cannot be read, what was made before is shown."""
        self.put("library/a", image_of("a", [BASE]), tag="1")
        self.assertEqual(self.repositories(), ["library/a"])
        reader = Mock()
        reader.read.side_effect = IndexUnavailableError("no")
        reader.close.side_effect = lambda: succeed(None)
        self.index.catalogue.summaries = self.maker(reader)
        self.put("library/b", image_of("b", [BASE]), tag="1")
        self.assertEqual(self.repositories(), ["library/a"])

    def test_resting(self) -> None:
        """One that took long is not made anew for a while; others are."""
        self.patch(summary_maker, "LONG", -1.0)
        self.patch(summary_maker, "RESTS", 1e9)
        self.put("library/a", image_of("a", [BASE]), tag="1")
        self.assertEqual(self.page().items[0].tags, 1)
        self.put("library/a", image_of("b", [BASE]), tag="2")
        self.put("library/b", image_of("b", [BASE]), tag="2")
        self.assertEqual([each.tags for each in self.page().items], [1, 1])
        self.patch(summary_maker, "MOST_RESTING", 1)
        self.assertEqual([each.tags for each in self.page().items], [2, 1])

    def test_described(self) -> None:
        """Manifests of which too little is known are looked into, once."""
        asked: list[Undescribed] = []

        async def describe(manifests: Sequence[Undescribed]) -> None:
            asked.extend(manifests)
            for each in manifests:
                await self.index.catalogue.describe_image(each.digest, "linux/arm64")

        self.index.catalogue.summaries.describe = describe
        image = self.put("library/a", image_of("a", [BASE]), tag="1")
        self.put("library/b", image_of("b", [BASE]), tag="1", blobs=[1])  # no configuration
        self.assertEqual(self.summary("library/a").platforms[0].platform, "linux/arm64")
        self.assertEqual([each.digest for each in asked], [image.digest])


class PinnedTests(CatalogueCase):
    """What is pinned."""

    def test_by_hand(self) -> None:
        """A pin counts in the repository where it was set, by tag or by digest."""
        image = self.put("library/a", image_of("a", [BASE]), tag="1")
        self.put("library/b", image, tag="1")
        pins, repository = self.index.pins, repository_of("library/a")
        self.assertEqual(self.repositories(pinned=True), [])
        for reference in ("1", str(image.digest)):
            self.successResultOf(pins.pin(repository, reference, Pin("alice", 5.0)))
            self.assertEqual(self.repositories(pinned=True), ["library/a"])
            pin = self.shown("library/a", "1").pin
            assert pin is not None
            self.assertEqual((pin.by, pin.since), ("alice", 5.0))
            self.successResultOf(pins.unpin(repository, reference))
            self.assertEqual(self.repositories(pinned=True), [])

    def test_by_pattern(self) -> None:
        """Patterns count as soon as they are set."""
        self.put("library/a", image_of("a", [BASE]), tag="1")
        self.assertEqual(self.repositories(pinned=True), [])
        self.index.pins.set_patterns(["docker.io/library/*:1"])
        self.assertEqual(self.repositories(pinned=True), ["library/a"])
        pin = self.shown("library/a", "1").pin
        assert pin is not None
        self.assertEqual((pin.by, pin.since), ("storage.pin", None))
        self.index.pins.set_patterns([])
        self.assertEqual(self.repositories(pinned=True), [])
