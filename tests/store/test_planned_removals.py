"""Random caches: what many removals come to together is what they free, one after the other."""

import os
import sqlite3
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.removals import RemovalTarget, blob_of, manifest_of, tag_of
from regcache.store import index_plans, planned_removals
from regcache.store.planned_removals import RemovalWork
from tests.store.test_catalogue_sums import (
    DIGESTS,
    IMAGES,
    INDEXES,
    LAYERS,
    MADE,
    REPOSITORIES,
    STEPS,
    CacheStepsCase,
    undone,
)
from tests.support.catalogued import blob_named, image_of, index_of
from tests.support.index_cases import repository_of
from tests.support.removal_steps import make_steps_small, never, remove_whole

TARGETS = st.lists(
    st.one_of(
        st.builds(
            lambda name, tag: tag_of(repository_of(name), tag),
            st.sampled_from(REPOSITORIES),
            st.sampled_from(("1", "2")),
        ),
        st.builds(
            lambda name, made: manifest_of(repository_of(name), made.digest),
            st.sampled_from(REPOSITORIES),
            st.sampled_from(MADE),
        ),
        st.builds(
            lambda name, digest: blob_of(repository_of(name), digest),
            st.sampled_from(REPOSITORIES),
            st.sampled_from(sorted(DIGESTS, key=str)),
        ),
    ),
    min_size=1,
    max_size=8,
)


def freed(connection: sqlite3.Connection, targets: Sequence[RemovalTarget]) -> dict[Digest, int]:
    """What removals free, one after the other."""
    gone: dict[Digest, int] = {}
    for target in targets:
        effect = remove_whole(connection, target)
        gone.update({each.digest: in_blocks(each.size) for each in effect.gone if each.size})
    return gone


class PlannedRemovalCase(CacheStepsCase):
    """Compares what is shown with what is done."""

    def planned(
        self, connection: sqlite3.Connection, targets: Sequence[RemovalTarget]
    ) -> dict[Digest, int]:
        """What is shown."""
        looked = [
            (target, *index_plans.look(connection, [target], lambda *_: False))
            for target in targets
        ]
        work = RemovalWork([each for each in looked if each[1].found])
        while not work.over:
            planned_removals.step(connection, work)
        found = work.result()
        self.assertEqual(len(found.each), len(work.waiting))
        self.assertEqual(sum(each.freed for each in found.each), sum(found.gone.values()))
        return dict(found.gone)

    def compare(self, connection: sqlite3.Connection, targets: Sequence[RemovalTarget]) -> None:
        """What is shown is what is done."""
        shown = self.planned(connection, targets)
        self.assertEqual(shown, undone(connection, lambda: freed(connection, targets)))


class PlannedRemovalTests(PlannedRemovalCase):
    """Each was looked at alone."""

    def test_last_tags(self) -> None:
        """With the last of its tags an image goes, though each of them alone takes nothing."""
        image = IMAGES[0]
        self._put("team/a", image, "1", None)
        self._put("team/a", image, "2", None)
        targets = [tag_of(repository_of("team/a"), tag) for tag in ("1", "2")]
        (shown,) = [self.file.read(self.planned, targets)]
        sizes = [len(image.manifest.content), *(each.size for each in image.descriptors)]
        self.assertEqual(sum(shown.values()), sum(map(in_blocks, sizes)))
        self.file.read(self.compare, targets)

    def test_shared(self) -> None:
        """What two repositories, or two images, share goes with the last of them."""
        for name in ("team/a", "team/b"):
            self._put(name, IMAGES[0], "1", None)
            self._put(name, IMAGES[4], "2", None)
        every = [
            tag_of(repository_of(name), tag) for name in ("team/a", "team/b") for tag in ("1", "2")
        ]
        for targets in (every, every[:2], every[1:], every[::-1]):
            self.file.read(self.compare, targets)
        shown = self.file.read(self.planned, every)
        self.assertIn(blob_named(LAYERS[0][0]), shown)

    def test_index(self) -> None:
        """Images of two indexes go with both of these."""
        for index in INDEXES[:2]:
            self._put("team/a", index, str(INDEXES.index(index) + 1), None)
        for image in (IMAGES[0], IMAGES[1], IMAGES[4]):
            self._put("team/a", image, "", None)
        targets = [tag_of(repository_of("team/a"), tag) for tag in ("1", "2")]
        self.file.read(self.compare, targets)
        self.assertIn(IMAGES[4].digest, self.file.read(self.planned, targets))

    def test_many_listers(self) -> None:
        """One look takes few statements, however many manifests list the same layer."""
        tags = [str(number) for number in range(60)]
        for number in tags:
            self._put("team/a", image_of(f"many {number}", LAYERS[:1]), number, None)
            self._put("team/b", image_of(f"others {number}", LAYERS[:1]), number, None)
        every = [tag_of(repository_of("team/a"), each) for each in tags]
        for targets in (every, every[:-1], every[:1]):
            self.file.read(self.compare, targets)
            self.assertLess(self.file.read(self.statements, targets), 12)

    def statements(self, connection: sqlite3.Connection, targets: Sequence[RemovalTarget]) -> int:
        """How many the longest of its looks takes."""
        effects = [index_plans.look(connection, [each], never)[0] for each in targets]
        work = RemovalWork(list(zip(targets, effects, strict=True)))
        most, said = 0, list[str]()
        self.patch(planned_removals, "STEP", 0.0)  # a step is one look
        connection.set_trace_callback(said.append)
        try:
            while not work.over:
                said.clear()
                planned_removals.step(connection, work)
                most = max(most, len(said))
        finally:
            connection.set_trace_callback(None)
        return most

    def test_many_above(self) -> None:
        """So many manifests above one are looked at, each once, and no more."""
        images = [image_of(f"many {number}", LAYERS[:1]) for number in range(20)]
        every = [(f"linux/v{number}", image) for number, image in enumerate(images)]
        for number in range(20):
            self._put("team/b", index_of(f"many {number}", every), "", None)
        for image in images:
            self._put("team/a", image, "", None)
        targets = [manifest_of(repository_of("team/a"), each.digest) for each in images]
        self.file.read(self.compare, targets)
        for most in (1, 30, 1000):
            self.patch(planned_removals, "MOST_ABOVE", most)
            self.assertLess(self.file.read(self.statements, targets), 12)


class SmallStepTests(PlannedRemovalTests):
    """The same where each removal takes many steps, of which only the first was looked at."""

    def setUp(self) -> None:
        """Nothing is here yet."""
        super().setUp()
        make_steps_small(self)


class RandomTests(PlannedRemovalCase):
    """Anything."""

    @settings(
        max_examples=int(os.environ.get("REGCACHE_EXAMPLES", "40")),
        deadline=None,
        derandomize="REGCACHE_EXAMPLES" not in os.environ,
    )
    @given(STEPS, TARGETS, st.booleans())
    def test_random(
        self, steps: list[tuple[object, ...]], targets: list[RemovalTarget], small: bool
    ) -> None:
        """Plans and removals agree after random fetches and removals in any order."""
        self.setUp()
        if small:
            make_steps_small(self)
        for step in steps:
            self.apply(step)
        self.file.read(self.compare, list(dict.fromkeys(targets)))
        self.doCleanups()
