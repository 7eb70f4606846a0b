"""Which stored contents are images, and how many tags each has: true after each change."""

import os
import sqlite3
from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.plans import PlanSums
from regcache.retention import Selection
from regcache.store.image_schema import IMAGES as SCRIPT
from regcache.store.index_schema import MIGRATIONS, migrate
from tests.store.test_catalogue_sums import DIGESTS, IMAGES, INDEXES, STEPS, CacheStepsCase
from tests.support.catalogued import image_of
from tests.support.index_cases import repository_of

# As the tables say it, without what is kept.
_WANTED = """
SELECT p.content_id, iif(
    c.media_type != '' AND p.content_id NOT IN (
        SELECT k.id FROM places q JOIN mentions m ON m.manifest_id = q.content_id
        JOIN contents k ON k.digest = m.digest
    ), (SELECT count(*) FROM tags t WHERE t.digest = c.digest), NULL)
FROM places p JOIN contents c ON c.id = p.content_id ORDER BY p.content_id
"""
_KEPT = "SELECT content_id, tags FROM places ORDER BY content_id"

_MORE_STEPS = st.lists(
    st.one_of(st.tuples(st.just("forget"), st.sampled_from(sorted(DIGESTS, key=str)))), max_size=3
)


class ImagesTests(CacheStepsCase):
    """A cache that is filled step by step."""

    def _forget(self, digest: Digest) -> None:
        self.successResultOf(self.index.forget_content(digest))

    def check(self) -> None:
        """What is kept is what the tables say."""

        def both(connection: sqlite3.Connection) -> tuple[list[object], list[object]]:
            return connection.execute(_KEPT).fetchall(), connection.execute(_WANTED).fetchall()

        kept, wanted = self.file.read(both)
        self.assertEqual(kept, wanted)

    def sums(self) -> PlanSums:
        """What a purge comes to."""
        sums, _, _ = self.successResultOf(self.index.plans.sums(Selection(1e12)))
        assert isinstance(sums, PlanSums)
        return sums

    def test_each_change(self) -> None:
        """What an index lists is no image while the index is stored; tags count where they name."""
        self._put("team/a", IMAGES[0], "1", None)
        self.assertEqual((self.sums().images, self.sums().tags), (1, 1))
        self._put("team/a", INDEXES[0], "2", (0,))
        self.assertEqual((self.sums().images, self.sums().tags), (1, 1))
        self._tag("team/b", "1", INDEXES[0])
        self._tag("team/b", "1", INDEXES[0])
        self.assertEqual((self.sums().images, self.sums().tags), (1, 2))
        self._evict(INDEXES[0].digest)
        self.assertEqual((self.sums().images, self.sums().tags), (1, 1))
        self._tag("team/a", "1", INDEXES[1])
        self.assertEqual(self.sums().tags, 0)
        self.check()

    def test_known_later(self) -> None:
        """Content that was found on the disk is an image once its manifest is recorded."""
        image = image_of("found", [])
        self.tag("team/a", "1", image.digest)
        self.successResultOf(self.index.record_stored(image.digest, 5, 1.0))
        self.assertEqual((self.sums().images, self.sums().tags), (0, 0))
        self.put("team/a", image)
        self.assertEqual((self.sums().images, self.sums().tags), (1, 1))
        self.successResultOf(self.index.drop_tag(repository_of("team/a"), "1"))
        self.assertEqual((self.sums().images, self.sums().tags), (1, 0))
        self.check()

    @settings(
        max_examples=int(os.environ.get("REGCACHE_EXAMPLES", "60")),
        deadline=None,
        derandomize="REGCACHE_EXAMPLES" not in os.environ,
    )
    @given(STEPS, _MORE_STEPS, STEPS)
    def test_random(
        self,
        first: list[tuple[object, ...]],
        forgotten: list[tuple[object, ...]],
        last: list[tuple[object, ...]],
    ) -> None:
        """The rows are right after random fetches, tags, removals, evictions and damage."""
        self.setUp()
        for step in (*first, *forgotten, *last):
            self.apply(step)
            self.check()
        self.doCleanups()


class OlderIndexTests(SynchronousTestCase):
    """An index from before this was kept."""

    def test_migrated(self) -> None:
        """What was stored then is counted by the tables."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            migrate(connection, MIGRATIONS[: MIGRATIONS.index(SCRIPT)])
            connection.executescript(
                "INSERT INTO contents (id, digest, media_type) VALUES"
                " (1, x'01', 'index'), (2, x'02', 'm'), (3, x'03', 'm'), (4, x'04', '');"
                "INSERT INTO places (content_id, place, size, since, priority)"
                " SELECT id, 'disk', 1, 1, 1 FROM contents;"
                "INSERT INTO mentions VALUES (1, x'02', 1, '', 0), (2, x'04', 1, '', 0);"
                "INSERT INTO tags VALUES (1, 'a', x'01', 1), (1, 'b', x'01', 1),"
                " (1, 'c', x'02', 1);"
            )
            migrate(connection)
            kept = connection.execute(_KEPT).fetchall()
            self.assertEqual(kept, [(1, 2), (2, None), (3, 0), (4, None)])
            self.assertEqual(kept, connection.execute(_WANTED).fetchall())
