"""What goes with a manifest goes at once: few statements, and all that is kept of it is right."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from regcache.digests import Digest
from regcache.manifest_body import MOST_DESCRIPTORS
from regcache.removals import RemovalEffect, RemovalTarget, manifest_of, tag_of
from regcache.store import index_contents, index_removal, removed_blobs
from regcache.store.index_contents import forget_content
from regcache.store.index_triggers import MANY, without_triggers
from tests.store.test_catalogue_sums import (
    DIGESTS,
    IMAGES,
    MADE,
    REPOSITORIES,
    STEPS,
    CacheStepsCase,
)
from tests.store.test_large_lists import APP, LargeListCase, large_image
from tests.support.index_cases import repository_of
from tests.support.removal_steps import never, remove_whole

TARGETS = st.one_of(
    st.builds(
        lambda name, made: manifest_of(repository_of(name), made.digest),
        st.sampled_from(REPOSITORIES),
        st.sampled_from(MADE),
    ),
    st.builds(
        lambda name, tag: tag_of(repository_of(name), tag),
        st.sampled_from(REPOSITORIES),
        st.sampled_from(("1", "2")),
    ),
)


def rows_of(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    """All that an index has, by table; its scripts are in ``sqlite_master``."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    found = {
        name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
        for (name,) in tables
    }
    scripts = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    return {**found, "sqlite_master": sorted(scripts)}


# What is said once for many rows.
ROWS = (
    "INSERT OR IGNORE INTO temp.falling (digest) VALUES",
    "INSERT OR IGNORE INTO following ",
)
STEP = "a step"


@contextmanager
def copied(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A copy of an index, in memory."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
        connection.backup(copy)
        yield copy


class StatementTests(LargeListCase):
    """How many statements a removal takes."""

    def statements(self, layers: int) -> int:
        """That many at most in one step, of an image of so many layers that nothing else lists."""
        made = self.put(APP, large_image(layers), tag="1", blobs=[])
        self.store(made.descriptors)
        said: list[str] = []
        target = manifest_of(repository_of(APP), made.digest)

        def change(step: Callable[[sqlite3.Connection], RemovalEffect]) -> RemovalEffect:
            effects: list[RemovalEffect] = []

            def traced(connection: sqlite3.Connection) -> None:
                connection.set_trace_callback(said.append)
                effects.append(step(connection))
                connection.set_trace_callback(None)

            said.append(STEP)
            self.assertEqual(self.file.write([traced]), [None])
            return effects[0]

        effects = [change(lambda connection: index_removal.remove(connection, target, 1, never))]
        while effects[-1].unfinished:
            effects.append(change(lambda connection: index_removal.remove_further(connection, 1)))
        self.assertEqual(sum(len(each.gone) for each in effects), layers + 1)
        counted = [each for each in said if not each.startswith(ROWS)]
        steps = [place for place, each in enumerate(counted) if each == STEP]
        return max(end - start for start, end in pairwise([*steps, len(counted)]))

    def test_few(self) -> None:
        """A step takes as many statements for the largest image as for one of few layers, triggers
        included.
        """
        few, many = self.statements(MANY), self.statements(MOST_DESCRIPTORS)
        self.assertLess(many, few + 10)


class SameTests(CacheStepsCase):
    """With triggers and without."""

    def after(
        self,
        connection: sqlite3.Connection,
        change: Callable[[sqlite3.Connection], object],
        many: int,
    ) -> dict[str, list[Any]]:
        """What an index has behind a change."""
        for module in (removed_blobs, index_contents):
            self.patch(module, "MANY", many)
        with copied(connection) as copy:
            copy.execute("BEGIN")
            change(copy)
            copy.execute("COMMIT")
            return rows_of(copy)

    def compare(
        self, connection: sqlite3.Connection, change: Callable[[sqlite3.Connection], object]
    ) -> None:
        """A change comes to the same; it marks as many repositories at least."""
        by_each, at_once = (self.after(connection, change, many) for many in (10**9, 0))
        marked, marked_at_once = (
            {number for number, _ in rows.pop("outdated")} for rows in (by_each, at_once)
        )
        self.assertEqual(by_each, at_once)
        self.assertLessEqual(marked, marked_at_once)

    def test_marked(self) -> None:
        """What is shown of others that have a layer is due, though its manifest stays for some."""
        image = IMAGES[0]
        self._put("team/a", image, "1", None)
        self._tag("other/c", "1", image)
        self.blob("team/b", image.descriptors[1].digest, size=image.descriptors[1].size)
        self._evict(image.digest)
        self.page()
        target = tag_of(repository_of("team/a"), "1")
        self.file.read(
            lambda connection: self.compare(connection, lambda copy: remove_whole(copy, target))
        )

    @settings(
        max_examples=int(os.environ.get("REGCACHE_EXAMPLES", "40")),
        deadline=None,
        derandomize="REGCACHE_EXAMPLES" not in os.environ,
    )
    @given(STEPS, TARGETS, st.sampled_from(sorted(DIGESTS, key=str)))
    def test_random(
        self, steps: list[tuple[object, ...]], target: RemovalTarget, lost: Digest
    ) -> None:
        """After random fetches and removals all rows are the same, and the triggers are there."""
        self.setUp()
        for step in steps:
            self.apply(step)
        self.page()  # nothing is due
        for change in (
            lambda connection: remove_whole(connection, target),
            lambda connection: forget_content(connection, lost),
        ):
            self.file.read(lambda connection, change=change: self.compare(connection, change))
        self.doCleanups()


class TriggerTests(CacheStepsCase):
    """Triggers that are left out."""

    def test_taken_back(self) -> None:
        """If the change fails they are there, and so is what was changed."""

        def change(connection: sqlite3.Connection) -> None:
            with without_triggers(connection, ["links_removed"]):
                raise sqlite3.OperationalError("a fault")

        before = self.file.read(rows_of)
        (failure,) = self.file.write([change])
        self.assertIn("a fault", str(failure))
        self.assertEqual(self.file.read(rows_of), before)
