"""Random caches: what is shown of sizes is what removals free, and what is kept is what is true."""

import os
import sqlite3
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from regcache.digests import Digest
from regcache.removals import manifest_of
from regcache.store import catalogue_summaries, index_holdings
from regcache.store.catalogue_pins import View
from regcache.store.identities import find_names
from regcache.store.index_places import drop_place
from tests.support.catalogued import CatalogueCase, MadeImage, image_of, index_of
from tests.support.index_cases import repository_of
from tests.support.removal_steps import remove_whole, removed

REPOSITORIES = ("team/a", "team/b", "other/c")
LAYERS = tuple((f"layer {number}", 10**number) for number in range(1, 5))
IMAGES = tuple(
    image_of(f"image {number}", [LAYERS[number % 4], LAYERS[(number * 3 + 1) % 4]])
    for number in range(5)
)
INDEXES = tuple(
    index_of(f"index {number}", [("linux/amd64", IMAGES[number]), ("linux/arm64", IMAGES[4])])
    for number in range(3)
)
MADE: tuple[MadeImage, ...] = (*IMAGES, *INDEXES)
DIGESTS = tuple(
    {each for image in MADE for each in (image.digest, *(one.digest for one in image.descriptors))}
)

_REPOSITORY = st.sampled_from(REPOSITORIES)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            _REPOSITORY,
            st.sampled_from(MADE),
            st.sampled_from(("", "1", "2")),
            st.sampled_from((None, (0, 1))),
        ),
        st.tuples(st.just("tag"), _REPOSITORY, st.sampled_from(("1", "2")), st.sampled_from(MADE)),
        st.tuples(st.just("untag"), _REPOSITORY, st.sampled_from(("1", "2"))),
        st.tuples(st.just("remove"), _REPOSITORY, st.sampled_from(MADE)),
        st.tuples(st.just("evict"), st.sampled_from(sorted(DIGESTS, key=str))),
        st.tuples(st.just("look")),
    ),
    max_size=14,
)


def undone(connection: sqlite3.Connection, change: Callable[[], int]) -> int:
    """What a change comes to, which is not made."""
    connection.execute("SAVEPOINT tried")
    try:
        return change()
    finally:
        connection.execute("ROLLBACK TO tried")
        connection.execute("RELEASE tried")


class CacheStepsCase(CatalogueCase):
    """A cache that is filled step by step."""

    def apply(self, step: tuple[object, ...]) -> None:
        """One step."""
        kind, *rest = step
        getattr(self, f"_{kind}")(*rest)

    def _put(
        self, repository: str, image: MadeImage, tag: str, blobs: tuple[int, ...] | None
    ) -> None:
        self.put(repository, image, tag=tag, blobs=blobs)

    def _tag(self, repository: str, tag: str, image: MadeImage) -> None:
        self.tag(repository, tag, image.digest)

    def _untag(self, repository: str, tag: str) -> None:
        self.successResultOf(self.index.drop_tag(repository_of(repository), tag))

    def _remove(self, repository: str, image: MadeImage) -> None:
        target = manifest_of(repository_of(repository), image.digest)
        removed(self, self.index, target)

    def _evict(self, digest: Digest) -> None:
        def change(connection: sqlite3.Connection) -> None:
            row = connection.execute(
                "SELECT id FROM contents WHERE digest = ?",
                (bytes([1]) + bytes.fromhex(digest.hex),),
            ).fetchone()
            if row is not None:
                drop_place(connection, row[0])

        self.assertEqual(self.file.write([change]), [None])

    def _look(self) -> None:
        self.page()


class SumTests(CacheStepsCase):
    """Sums, by brute force."""

    def freed(self, connection: sqlite3.Connection, name: str) -> int:
        """The bytes that the removal of all of a repository frees."""
        repository, freed, after = repository_of(name), 0, None
        while True:
            after = index_holdings.left_in(connection, repository, after)
            if after is None:
                return freed
            effect = remove_whole(connection, after)
            freed += sum(each.size for each in effect.gone)

    def check(self, connection: sqlite3.Connection) -> None:
        """All that is shown is right."""
        view = View((), self.clock.seconds())
        for name in REPOSITORIES:
            upstream, _ = find_names(connection, repository_of(name))
            row = connection.execute(
                "SELECT r.id, s.stored, s.own, s.tags, s.partial, s.details FROM repositories r"
                " LEFT JOIN summaries s ON s.repository_id = r.id"
                " WHERE r.upstream = ? AND r.name = ?",
                (upstream, name),
            ).fetchone()
            if row is None:
                continue
            true = catalogue_summaries.values_of(connection, row[0], upstream, view)
            kept = ("stored", "own", "tags", "partial", "details")
            self.assertEqual(row[1:], tuple(true[each] for each in kept), name)
            freed = undone(connection, lambda name=name: self.freed(connection, name))
            self.assertEqual(true["own"], freed, name)

    def check_images(self) -> None:
        """What the removal of an image frees is what is said of it."""
        for name in REPOSITORIES:
            page = self.images(name)
            for row in page.items if page else ():
                target = manifest_of(repository_of(name), row.digest)
                effect = self.successResultOf(self.index.removals.look(target))
                self.assertEqual(row.frees, sum(each.size for each in effect.gone), str(target))

    def test_goes_with_an_index(self) -> None:
        """An image that goes with its index stays only for what is stored, not for what was."""
        self._put("team/a", IMAGES[4], "1", None)
        self._put("team/b", INDEXES[2], "", (0, 1))
        self._evict(INDEXES[2].digest)
        self._put("team/a", INDEXES[0], "2", None)
        self.page()
        self.file.read(self.check)

    def test_goes_with_an_index_without_a_right(self) -> None:
        """The same where the other repository has the index by a tag alone."""
        self._tag("team/a", "2", INDEXES[0])
        self._put("team/b", INDEXES[0], "2", None)
        self._evict(INDEXES[0].digest)
        self._put("team/b", IMAGES[0], "1", (0, 1))
        self.page()
        self.file.read(self.check)

    def test_removed_before(self) -> None:
        """What a repository has no right to any more does not go with what still lists it there."""
        self._put("other/c", IMAGES[4], "", (0, 1))
        self._put("team/a", INDEXES[1], "", (0, 1))
        self._remove("team/a", IMAGES[4])
        self._evict(IMAGES[4].digest)
        self.page()
        self.file.read(self.check)

    def test_removed_before_from_several(self) -> None:
        """The same where others have the index, too."""
        self._put("other/c", INDEXES[0], "2", None)
        self._put("team/b", INDEXES[0], "1", (0, 1))
        self._put("other/c", IMAGES[4], "1", (0, 1))
        self._remove("other/c", IMAGES[4])
        self._evict(IMAGES[4].digest)
        self.page()
        self.file.read(self.check)

    def test_kept_by_what_was_evicted(self) -> None:
        """What an index keeps that is not here any more stays, as long as another one has that."""
        self._put("other/c", INDEXES[1], "2", None)
        self._put("other/c", IMAGES[1], "2", None)
        self._put("team/b", INDEXES[1], "2", None)
        self._evict(INDEXES[1].digest)
        self._evict(IMAGES[1].digest)
        self.page()
        self.file.read(self.check)

    @settings(
        max_examples=int(os.environ.get("REGCACHE_EXAMPLES", "40")),
        deadline=None,
        derandomize="REGCACHE_EXAMPLES" not in os.environ,
    )
    @given(STEPS)
    def test_random(self, steps: list[tuple[object, ...]]) -> None:
        """The sums are right after random fetches, tags, removals and evictions."""
        self.setUp()
        for step in steps:
            self.apply(step)
        self.page()
        self.file.read(self.check)
        self.check_images()
        self.doCleanups()
