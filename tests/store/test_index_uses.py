"""What uses do in the index: to what they spread, and in which order content goes then."""

import sqlite3
from contextlib import closing
from math import inf

from regcache.digests import Digest
from regcache.facts import Manifest
from regcache.retention import FIRST, HALF_LIFE, count_now
from regcache.store.index_eviction import candidates
from regcache.store.index_schema import MIGRATIONS, digest_key, migrate
from regcache.store.index_uses import MOST_REACHED, landmark
from regcache.store.use_writer import MOST_PENDING
from tests.support.index_cases import (
    BLOB,
    OTHER,
    SqliteIndexCase,
    manifest_of,
    mention,
)

CHILD = manifest_of(child=1)
INDEX = Manifest(Digest.of(b"an index"), "application/vnd.oci.image.index.v1+json", b"an index")


class UsesCase(SqliteIndexCase):
    """An index with an image of two layers, below an index of images."""

    def setUp(self) -> None:
        super().setUp()
        self.manifest(INDEX, mention(CHILD.digest, 10), now=1.0)
        self.manifest(CHILD, mention(BLOB, 5), mention(OTHER, 7), now=2.0)
        for digest in (BLOB, OTHER):
            self.blob(digest=digest, now=3.0)

    def used(self, digest: Digest, *times: float) -> None:
        """Use content, and write that."""
        for moment in times:
            self.index.touch(digest, moment)
        self.successResultOf(self.index.places.write_uses())

    def rows(self, statement: str, *arguments: object) -> list[tuple[object, ...]]:
        """What the file says."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(statement, arguments).fetchall()

    def last_use(self, digest: Digest) -> object:
        """When content was used last."""
        ((moment,),) = self.rows(
            "SELECT max(last_use) FROM uses WHERE content_id ="
            " (SELECT id FROM contents WHERE digest = ?)",
            digest_key(digest),
        )
        return moment

    def count(self, digest: Digest, now: float) -> float:
        """How often it was used, as that counts at a moment."""
        ((total, since),) = self.rows(
            "SELECT u.count, w.landmark FROM uses u JOIN writers w ON w.id = u.writer"
            " WHERE content_id = (SELECT id FROM contents WHERE digest = ?)",
            digest_key(digest),
        )
        return count_now(total, since, now)  # type: ignore[arg-type]

    def order(self) -> list[Digest]:
        """What goes first, first."""
        with closing(sqlite3.connect(self.path)) as connection:
            page = candidates(connection, FIRST, inf)
        return [each.digest for each in page.candidates]


class SpreadTests(UsesCase):
    """A use of a manifest."""

    def test_of_the_index(self) -> None:
        """To use an index is to use all that it lists, and all that these list."""
        self.used(INDEX.digest, 50.0)
        for digest in (INDEX.digest, CHILD.digest, BLOB, OTHER):
            self.assertEqual((self.last_use(digest), self.count(digest, 50.0)), (50.0, 1.0))

    def test_of_a_child(self) -> None:
        """To use a manifest is to use its layers, and the index above it."""
        self.used(CHILD.digest, 50.0)
        for digest in (INDEX.digest, CHILD.digest, BLOB, OTHER):
            self.assertEqual(self.last_use(digest), 50.0)

    def test_of_a_layer(self) -> None:
        """To use a layer is to use that layer alone."""
        self.used(BLOB, 50.0)
        self.assertEqual(
            [self.last_use(digest) for digest in (BLOB, OTHER, CHILD.digest)], [50.0, 3.0, 2.0]
        )

    def test_one_pull(self) -> None:
        """A pull by index, manifest and layers is one use of each of them."""
        for digest in (INDEX.digest, CHILD.digest, BLOB, OTHER):
            self.index.touch(digest, 50.0)
        self.successResultOf(self.index.places.write_uses())
        for digest in (INDEX.digest, CHILD.digest, BLOB, OTHER):
            self.assertEqual(self.count(digest, 50.0), 1.0)

    def test_tried_again(self) -> None:
        """A batch that is written at the second attempt is written whole."""
        self.find_full_at_first()
        self.used(BLOB, 50.0)
        self.used(OTHER, 60.0)
        self.assertEqual((self.last_use(BLOB), self.last_use(OTHER)), (50.0, 60.0))

    def test_counts_halve(self) -> None:
        """What was used a half-life ago counts half."""
        self.used(BLOB, 50.0, 50.0)
        self.used(BLOB, 50.0 + HALF_LIFE)
        self.assertAlmostEqual(self.count(BLOB, 50.0 + HALF_LIFE), 2.0)

    def test_circle(self) -> None:
        """Manifests that claim to list each other are no endless way."""
        one, other = manifest_of(a=1), manifest_of(b=1)
        self.manifest(one, mention(other.digest, 1))
        self.manifest(other, mention(one.digest, 1))
        self.used(one.digest, 500.0)
        self.assertEqual(self.last_use(other.digest), 500.0)

    def test_bounded(self) -> None:
        """The contents that one use reaches have a bound, with any lists in manifests."""
        children = [manifest_of(number=number) for number in range(3)]
        self.manifest(INDEX, *[mention(each.digest, 1) for each in children])
        for place, child in enumerate(children):
            layers = [Digest.of(b"%d %d" % (place, number)) for number in range(500)]
            self.manifest(child, *[mention(each, 1) for each in layers])
            for each in layers:
                self.index.record_stored(each, 1, 1.0)
        self.used(INDEX.digest, 50.0)
        ((reached,),) = self.rows("SELECT count(*) FROM uses WHERE last_use = 50")
        self.assertLessEqual(reached, MOST_REACHED)  # type: ignore[operator]

    def test_overfilled(self) -> None:
        """Uses of very many contents take no more memory than their bound."""
        for number in range(2 * MOST_PENDING):
            self.index.touch(Digest.of(b"%d" % number), 1.0)
            self.assertLessEqual(len(self.index._uses), MOST_PENDING)

    def test_landmark_moves(self) -> None:
        """A clock that is ages ahead changes what a use weighs, and not what was counted."""
        self.used(BLOB, 0.0, 0.0)
        far = 600 * HALF_LIFE
        with closing(sqlite3.connect(self.path)) as connection:
            self.assertEqual(landmark(connection, far), far)
            connection.commit()
        self.used(BLOB, far)
        self.assertAlmostEqual(self.count(BLOB, far), 1.0)


class OrderTests(UsesCase):
    """What goes first."""

    def test_by_image(self) -> None:
        """Layers are worth what the most used image that needs them is worth."""
        lone = Digest.of(b"lone")
        rare = manifest_of(rare=1)
        self.manifest(rare, mention(lone, 5), now=3.0)
        self.blob(digest=lone, now=3.0)
        self.used(INDEX.digest, 60.0, 61.0, 62.0)
        order = self.order()
        self.assertLess(order.index(lone), order.index(BLOB))
        self.assertLess(order.index(rare.digest), order.index(CHILD.digest))

    def test_needless_first(self) -> None:
        """Content that no stored manifest lists goes before any other, however much it is used."""
        lone = Digest.of(b"lone")
        self.blob(digest=lone, now=3.0)
        self.used(lone, *[60.0] * 20)
        self.assertEqual(self.order()[0], lone)

    def test_needed_by_a_later_manifest(self) -> None:
        """A layer that came before its manifest is needed from then on."""
        lone = Digest.of(b"lone")
        self.blob(digest=lone, now=3.0)
        self.manifest(manifest_of(late=1), mention(lone, 5), now=3.0)
        self.used(lone, 60.0)
        self.assertNotEqual(self.order()[0], lone)

    def test_needless_when_its_manifest_goes(self) -> None:
        """With its last manifest a layer loses its place in the order, and not before."""
        self.manifest(manifest_of(another=1), mention(OTHER, 7), now=3.0)
        self.successResultOf(self.index.forget_content(CHILD.digest))
        order = self.order()
        self.assertEqual(order[0], BLOB)
        self.assertNotEqual(order[1], OTHER)

    def test_size(self) -> None:
        """Of two contents that were used alike the larger one goes first."""
        small, large = Digest.of(b"small"), Digest.of(b"large")
        self.blob(digest=small, size=10, now=3.0)
        self.blob(digest=large, size=10_000, now=3.0)
        self.assertEqual(self.order()[:2], [large, small])


class OldFileTests(SqliteIndexCase):
    """An index from before there were places."""

    def test_migrated(self) -> None:
        """What was stored is stored, in the order of its last use, with its total and its lists."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            migrate(connection, MIGRATIONS[:4])
            connection.executescript(
                "INSERT INTO repositories (id, upstream, name) VALUES (1, 'a', 'b');"
                "INSERT INTO contents (id, digest, size, media_type, committed_at, last_use) VALUES"
                " (1, x'01', 5000, '', 10, 30), (2, x'02', 1, 'm', 10, 20), (3, x'03', NULL, '',"
                " NULL, 5), (4, x'04', 7, '', 10, 99);"
                "INSERT INTO mentions VALUES (2, x'01', 5000, '');"
                "INSERT INTO links VALUES (1, 'a', 1, 1, ''), (3, 'a', 1, 1, '');"
            )
            migrate(connection)
            found = connection.execute(
                "SELECT content_id, size, since, needed FROM places"
                " ORDER BY place, needed, priority"
            ).fetchall()
            self.assertEqual(found, [(4, 7, 10.0, 0), (2, 1, 10.0, 1), (1, 5000, 10.0, 1)])
            used = connection.execute("SELECT content_id, last_use FROM uses").fetchall()
            self.assertEqual(used, [(1, 30.0), (2, 20.0), (3, 5.0), (4, 99.0)])
            ((stored, blocks),) = connection.execute(
                "SELECT stored, blocks FROM repositories, totals"
            ).fetchall()
            self.assertEqual((stored, blocks), (1, 4))


class ReturnTests(UsesCase):
    """Content that comes back."""

    def test_uses_last(self) -> None:
        """What was used before it went counts when it comes again."""
        self.used(BLOB, *[60.0] * 9)
        self.successResultOf(self.index.forget_content(BLOB))
        self.blob(digest=BLOB, now=61.0)
        self.assertAlmostEqual(self.count(BLOB, 60.0), 9.0)
        self.assertEqual(self.facts("library/a", BLOB).size, 5)
        order = self.order()
        self.assertLess(order.index(OTHER), order.index(BLOB))
