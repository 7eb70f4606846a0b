"""Removals in many steps: they come to the same as one, and all is right between two of them."""

import os
import sqlite3
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.pins import Pin
from regcache.removals import RemovalEffect, RemovalTarget, manifest_of, tag_of
from tests.store import test_index_removal
from tests.store.test_catalogue_sums import (
    DIGESTS,
    IMAGES,
    INDEXES,
    LAYERS,
    REPOSITORIES,
    STEPS,
    CacheStepsCase,
)
from tests.store.test_index_removal import BASE, OWN, A, image
from tests.store.test_removed_blobs import TARGETS, copied, rows_of
from tests.support.catalogued import MadeImage, image_of, index_of
from tests.support.index_cases import repository_of
from tests.support.removal_steps import (
    combined,
    make_steps_small,
    remove_whole,
    removed,
)

EXAMPLES = settings(
    max_examples=int(os.environ.get("REGCACHE_EXAMPLES", "40")),
    deadline=None,
    derandomize="REGCACHE_EXAMPLES" not in os.environ,
)
MEANWHILE = st.lists(
    st.one_of(
        st.just(("nothing",)),
        st.just(("restart",)),
        st.tuples(
            st.just("put"),
            st.sampled_from(REPOSITORIES),
            st.sampled_from((*IMAGES, *INDEXES)),
            st.sampled_from(("", "3", "4")),
            st.just(None),
        ),
        st.tuples(
            st.just("tag"),
            st.sampled_from(REPOSITORIES),
            st.sampled_from(("1", "2")),
            st.sampled_from((*IMAGES, *INDEXES)),
        ),
        st.tuples(st.just("evict"), st.sampled_from(sorted(DIGESTS, key=str))),
        st.tuples(
            st.just("pin"), st.sampled_from(REPOSITORIES), st.sampled_from((*IMAGES, *INDEXES))
        ),
    ),
    max_size=12,
)


class SmallTagTests(test_index_removal.TagTests):
    """Tags, one content at a time."""

    def setUp(self) -> None:
        """Nothing is here yet."""
        super().setUp()
        make_steps_small(self)

    def test_looked_at(self) -> None:
        """A look sees the first step, and changes nothing."""
        digest = self.put(A, image(BASE, OWN), "1")
        effect = self.successResultOf(self.index.removals.look(tag_of(A, "1")))
        self.assertEqual((effect.going, effect.gone, effect.unfinished), ((digest,), (), True))
        self.assertFalse(self.successResultOf(self.index.removals.look_further()).found)
        self.assertEqual(self.stored(digest, BASE, OWN), [True, True, True])


class SmallManifestTests(test_index_removal.ManifestTests):
    """Manifests, one content at a time."""

    def setUp(self) -> None:
        """Nothing is here yet."""
        super().setUp()
        make_steps_small(self)


class SmallPinTests(test_index_removal.PinTests):
    """Pins, while one content goes at a time."""

    def setUp(self) -> None:
        """Nothing is here yet."""
        super().setUp()
        make_steps_small(self)


def faults(connection: sqlite3.Connection) -> list[Any]:
    """What is wrong in an index: sums, and what a repository is shown without a right to it."""
    blocks, stored = connection.execute(
        "SELECT blocks, (SELECT ifnull(sum((size + 4095) / 4096), 0) FROM places) FROM totals"
    ).fetchone()
    found: list[Any] = [] if blocks == stored else [(blocks, stored)]
    found += connection.execute(
        "SELECT id, stored FROM repositories r WHERE stored != (SELECT count(*) FROM links l"
        " JOIN places p ON p.content_id = l.content_id WHERE l.repository_id = r.id)"
    ).fetchall()
    found += connection.execute(
        "SELECT s.repository_id, s.manifest_id FROM shown s WHERE NOT EXISTS ("
        "SELECT 1 FROM links l JOIN mentions m ON m.manifest_id = l.content_id"
        " WHERE l.repository_id = s.repository_id AND l.content_id = s.manifest_id"
        " AND m.digest = s.digest AND m.size = s.size)"
    ).fetchall()
    found += connection.execute(
        "SELECT f.repository_id FROM following f"
        " WHERE f.repository_id NOT IN (SELECT id FROM repositories)"
    ).fetchall()
    return found


class SameTests(CacheStepsCase):
    """Many steps, and one."""

    def after(
        self, connection: sqlite3.Connection, target: RemovalTarget
    ) -> tuple[RemovalEffect, dict[str, list[Any]]]:
        """What a removal comes to, and what the index has then, by digests."""
        with copied(connection) as copy:
            copy.execute("BEGIN")
            effect = remove_whole(copy, target)
            copy.execute("COMMIT")
            self.assertEqual(faults(copy), [])
            rows = rows_of(copy)
            for table in ("places", "links", "withdrawn", "uses", "ghosts"):
                rows[table] = copy.execute(
                    f"SELECT c.digest, t.* FROM {table} t JOIN contents c ON c.id = t.content_id"
                ).fetchall()
                numbers = [each[0] for each in copy.execute(f"SELECT * FROM {table}").description]
                place = numbers.index("content_id") + 1
                rows[table] = sorted(each[:place] + each[place + 1 :] for each in rows[table])
            rows["contents"] = sorted(each[1:] for each in rows["contents"])
            return effect, rows

    def compare(self, connection: sqlite3.Connection, target: RemovalTarget) -> None:
        """They come to the same."""
        whole, rows = self.after(connection, target)
        make_steps_small(self)
        steps, small_rows = self.after(connection, target)
        for name in ("found", "pinned", "named", "tags"):
            self.assertEqual(getattr(whole, name), getattr(steps, name))
        for name in ("withdrawn", "gone"):
            self.assertEqual(set(getattr(whole, name)), set(getattr(steps, name)))
        for changed in (rows, small_rows):
            del changed["outdated"]  # what is due is marked oftener
        self.assertEqual(rows, small_rows)

    @EXAMPLES
    @given(STEPS, TARGETS)
    def test_random(self, steps: list[tuple[object, ...]], target: RemovalTarget) -> None:
        """Removals in steps are right for random content in any order."""
        self.setUp()
        for step in steps:
            self.apply(step)
        self.page()
        self.file.read(self.compare, target)
        self.doCleanups()


class MeanwhileTests(CacheStepsCase):
    """What happens between two steps."""

    def _nothing(self) -> None:
        """The next step follows."""

    def _restart(self) -> None:
        self.successResultOf(self.index.close())
        self.index = self.open()

    def _pin(self, repository: str, image: MadeImage) -> None:
        pin = Pin("somebody", 5.0)
        reference = str(image.digest)
        self.successResultOf(self.index.pins.pin(repository_of(repository), reference, pin))

    def stored(self, digest: Digest) -> bool:
        """Whether the index has it."""
        return self.facts("team/a", digest).size is not None

    def check(self) -> None:
        """Nothing is wrong."""
        self.assertEqual(self.file.read(faults), [])

    def go_on(self) -> bool:
        """One more step; whether more is left."""
        effect = self.successResultOf(self.index.removals.remove_further(1))
        self.check()
        return bool(effect.unfinished)

    def begin(self, target: RemovalTarget) -> bool:
        """The first step; whether more is left."""
        make_steps_small(self)
        effect = self.successResultOf(self.index.removals.remove(target, 1))
        self.check()
        return bool(effect.unfinished)

    @EXAMPLES
    @given(STEPS, TARGETS, MEANWHILE)
    def test_random(
        self,
        steps: list[tuple[object, ...]],
        target: RemovalTarget,
        meanwhile: list[tuple[Any, ...]],
    ) -> None:
        """All is right behind each step, it ends, and what a tag brings meanwhile is whole."""
        self.setUp()
        for step in steps:
            self.apply(step)
        pulled: dict[tuple[str, str], MadeImage] = {}
        unfinished = self.begin(target)
        for event in meanwhile:
            self.apply(event)
            self.check()
            if event[0] == "put" and event[3]:
                pulled[event[1], event[3]] = event[2]
            elif event[0] == "evict":
                pulled = {
                    key: made
                    for key, made in pulled.items()
                    if event[1] not in (made.digest, *(each.digest for each in made.descriptors))
                }
            unfinished = unfinished and self.go_on()
        while unfinished:
            unfinished = self.go_on()
        self.assertEqual(self.file.read(rows_of)["following"], [])
        for made in pulled.values():
            whole = [made.digest]
            if made in IMAGES:
                whole += [each.digest for each in made.descriptors]
            self.assertEqual([each for each in whole if not self.stored(each)], [])
        self.doCleanups()

    def large(self) -> MadeImage:
        """An index of two images; both are here."""
        images = [image_of(f"member {number}", LAYERS[:2]) for number in range(2)]
        for each in images:
            self._put("team/a", each, "", None)
        index = index_of("large", [(f"linux/v{place}", one) for place, one in enumerate(images)])
        self._put("team/a", index, "1", None)
        self.members = images
        return index

    def test_named_again(self) -> None:
        """What was named and is pulled again stays, and so does what is still here of it."""
        index = self.large()
        self.assertTrue(self.begin(manifest_of(repository_of("team/a"), index.digest)))
        self._put("team/a", index, "1", None)
        while self.go_on():
            pass
        expected = [index.digest, *(each.digest for each in self.members)]
        self.assertEqual([self.stored(each) for each in expected], [True] * 3)
        self.assertEqual(self.tags("team/a"), ["1"])

    def test_pulled_by_another(self) -> None:
        """What another repository pulls meanwhile stays for that one alone."""
        index = self.large()
        self.begin(manifest_of(repository_of("team/a"), index.digest))
        self._put("team/b", index, "1", None)
        while self.go_on():
            pass
        self.assertTrue(self.stored(index.digest))
        self.assertIsNone(self.facts("team/a", self.members[0].digest).link)
        self.assertTrue(self.facts("team/a", self.members[0].digest).withdrawn)

    def test_blob_that_is_a_manifest(self) -> None:
        """What is found to be a manifest only after the first step goes as one."""
        member = image_of("late", LAYERS[:2])
        index = index_of("early", [("linux/amd64", member)])
        self._put("team/a", index, "1", None)
        self.begin(manifest_of(repository_of("team/a"), index.digest))
        self._put("team/a", member, "", None)
        while self.go_on():
            pass
        self.assertFalse(self.stored(member.digest))
        self.assertFalse(self.stored(member.descriptors[0].digest))

    def test_closed(self) -> None:
        """Where the index is closed between two steps, the rest is found when it is opened."""
        index = self.large()
        self.begin(manifest_of(repository_of("team/a"), index.digest))
        self._restart()
        seen = self.successResultOf(self.index.removals.look_further())
        self.assertTrue(seen.found)
        while self.go_on():
            pass
        self.assertEqual(self.file.read(rows_of)["places"], [])
        self.assertEqual(self.file.read(rows_of)["repositories"], [])
        self.assertFalse(self.successResultOf(self.index.removals.look_further()).found)

    def test_ledger(self) -> None:
        """What the steps free together is what was stored."""
        index = self.large()
        before = self.successResultOf(self.index.occupied_bytes())
        make_steps_small(self)
        effects = removed(self, self.index, manifest_of(repository_of("team/a"), index.digest))
        self.assertGreater(len(effects), 5)
        freed = sum(in_blocks(each.size) for each in combined(effects).gone)
        self.assertEqual((freed, self.successResultOf(self.index.occupied_bytes())), (before, 0))


class BoundTests(CacheStepsCase):
    """How much one step does."""

    def test_members(self) -> None:
        """Of an index of very many images each step removes a few."""
        images = [image_of(f"member {number}", LAYERS[:1]) for number in range(200)]
        for each in images:
            self._put("team/a", each, "", None)
        index = index_of("large", [(f"linux/v{place}", one) for place, one in enumerate(images)])
        self._put("team/a", index, "1", None)
        effects = removed(self, self.index, manifest_of(repository_of("team/a"), index.digest))
        manifests = {each.digest for each in (index, *images)}
        counted = [sum(each.digest in manifests for each in effect.gone) for effect in effects]
        self.assertEqual(sum(counted), 201)
        self.assertLessEqual(max(counted), 33)

    def test_few(self) -> None:
        """An image of the usual size goes at once."""
        self._put("team/a", IMAGES[0], "1", None)
        target = manifest_of(repository_of("team/a"), IMAGES[0].digest)
        self.assertEqual(len(removed(self, self.index, target)), 1)
