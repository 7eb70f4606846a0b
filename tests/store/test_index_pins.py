"""What pins cover, as tags move and manifests come."""

import sqlite3
from contextlib import closing
from itertools import count
from unittest.mock import Mock

from regcache.digests import Digest
from regcache.pins import Pin, check_pattern
from regcache.store import index_pins
from regcache.store.index_schema import digest_from_key
from regcache.store.pins_index import PinsIndex
from tests.support.index_cases import (
    BLOB,
    HUB,
    OTHER,
    QUAY,
    SqliteIndexCase,
    manifest_of,
    mention,
    repository_of,
)

APP = repository_of("library/app")
OLD, NEW, CHILD = manifest_of(old=1), manifest_of(new=1), manifest_of(child=1)
SOMEBODY = Pin("somebody", 5.0)


class PinsCase(SqliteIndexCase):
    """An index with a repository whose tag names an image."""

    pins: PinsIndex

    def setUp(self) -> None:
        super().setUp()
        self.pins = self.index.pins
        self.manifest(OLD, mention(BLOB, 5), repository="library/app")
        self.tag(OLD.digest)

    def tag(self, digest: Digest, tag: str = "1", name: str = "library/app") -> None:
        """A tag names a manifest."""
        self.successResultOf(self.index.record_tag(repository_of(name), tag, digest, 1.0))

    def pinned(self) -> set[Digest]:
        """What is covered."""
        with closing(sqlite3.connect(self.path)) as connection:
            return {
                digest_from_key(key) for (key,) in connection.execute("SELECT digest FROM pinned")
            }

    def settle(self) -> None:
        """Find what is covered no more."""
        self.successResultOf(self.pins.settle())


class ByHandTests(PinsCase):
    """Pins that somebody set."""

    def test_tag(self) -> None:
        """A pin of a tag covers the manifest and all that it lists; taken back, nothing."""
        self.successResultOf(self.pins.pin(APP, "1", SOMEBODY))
        self.assertEqual(self.pinned(), {OLD.digest, BLOB})
        self.assertTrue(self.successResultOf(self.pins.is_pinned(APP, "1")))
        self.successResultOf(self.pins.unpin(APP, "1"))
        self.settle()
        self.assertEqual(self.pinned(), set())
        self.assertFalse(self.successResultOf(self.pins.is_pinned(APP, "1")))

    def test_follows_the_tag(self) -> None:
        """When the tag moves, what it names then is covered at once, and the former no more."""
        self.successResultOf(self.pins.pin(APP, "1", SOMEBODY))
        self.manifest(NEW, mention(OTHER, 7), repository="library/app")
        self.tag(NEW.digest)
        self.assertLess({NEW.digest, OTHER}, self.pinned())
        self.settle()
        self.assertEqual(self.pinned(), {NEW.digest, OTHER})

    def test_before_it_is_here(self) -> None:
        """What is pinned before it comes is covered as it comes, level by level."""
        self.successResultOf(self.pins.pin(APP, "later", SOMEBODY))
        self.tag(NEW.digest, "later")
        self.manifest(NEW, mention(CHILD.digest, 1), repository="library/app")
        self.manifest(CHILD, mention(OTHER, 7), repository="library/app")
        self.assertEqual(self.pinned(), {NEW.digest, CHILD.digest, OTHER})
        self.settle()
        self.assertEqual(self.pinned(), {NEW.digest, CHILD.digest, OTHER})

    def test_digest(self) -> None:
        """A manifest can be pinned by its digest."""
        self.successResultOf(self.pins.pin(APP, str(OLD.digest), SOMEBODY))
        self.settle()
        self.assertEqual(self.pinned(), {OLD.digest, BLOB})

    def test_bytes(self) -> None:
        """What pins cover is added up, as far as it is stored."""
        self.blob(digest=BLOB, size=5_000)
        bytes_before = self.successResultOf(self.index.places.pinned_bytes())
        self.successResultOf(self.pins.pin(APP, "1", SOMEBODY))
        pinned = self.successResultOf(self.index.places.pinned_bytes())
        self.assertEqual((bytes_before, pinned), (0, 5_000 + len(OLD.content)))

    def test_while_a_round_runs(self) -> None:
        """What comes to be covered while a round runs is not dropped by it."""
        self.successResultOf(self.pins.pin(APP, "1", SOMEBODY))
        self.settle()
        self.manifest(NEW, mention(OTHER, 7), repository="library/app")
        self.tag(NEW.digest)
        for _ in range(2):
            self.settle()
            self.assertEqual(self.pinned(), {NEW.digest, OTHER})

    def test_list(self) -> None:
        """Pins are listed in pages, with what they name; the first who pinned is who did."""
        for reference in ("1", "gone", str(OLD.digest)):
            self.successResultOf(self.pins.pin(APP, reference, SOMEBODY))
        self.successResultOf(self.pins.pin(APP, "1", Pin("another", 9.0)))
        self.successResultOf(self.pins.pin(repository_of("a", QUAY), "1", SOMEBODY))
        found, after = [], ("", "", "")
        while page := self.successResultOf(self.pins.pins(after, 2)):
            found += page
            after = (page[-1].upstream, page[-1].repository, page[-1].reference)
        self.assertEqual(
            found,
            [
                Pin(
                    "somebody",
                    5.0,
                    upstream=HUB.name,
                    repository=APP.name,
                    reference="1",
                    digest=OLD.digest,
                ),
                Pin(
                    "somebody",
                    5.0,
                    upstream=HUB.name,
                    repository=APP.name,
                    reference="gone",
                    digest=None,
                ),
                Pin(
                    "somebody",
                    5.0,
                    upstream=HUB.name,
                    repository=APP.name,
                    reference=str(OLD.digest),
                    digest=OLD.digest,
                ),
                Pin(
                    "somebody", 5.0, upstream=QUAY.name, repository="a", reference="1", digest=None
                ),
            ],
        )


class PatternTests(PinsCase):
    """Pins by patterns."""

    def test_what_is_here(self) -> None:
        """Patterns cover what is here when they are set, and what comes."""
        self.manifest(NEW, mention(OTHER, 7), repository="library/app")
        self.tag(NEW.digest, "2")
        self.pins.set_patterns(["docker.io/library/*:1"])
        self.settle()
        self.assertEqual(self.pinned(), {OLD.digest, BLOB})
        self.tag(NEW.digest, "1", "library/other")
        self.assertEqual(self.pinned(), {OLD.digest, BLOB, NEW.digest, OTHER})
        self.pins.set_patterns([])
        self.settle()
        self.assertEqual(self.pinned(), set())

    def test_of_another_upstream(self) -> None:
        """A pattern names its upstream."""
        self.pins.set_patterns(["quay.io/library/*:*"])
        self.settle()
        self.assertEqual(self.pinned(), set())

    def test_many(self) -> None:
        """Very many tags are looked at in steps."""
        for number in range(1200):
            self.tag(OLD.digest if number == 1100 else NEW.digest, f"t{number:04}")
        self.pins.set_patterns(["docker.io/library/app:t1100"])
        self.settle()
        self.assertEqual(self.pinned(), {OLD.digest, BLOB})

    def test_tried_again(self) -> None:
        """Nothing loses its pin where each step of a round is taken back, and done once more."""
        self.tag(NEW.digest, "2")
        self.pins.set_patterns(["docker.io/library/app:1"])
        self.successResultOf(self.pins.pin(APP, "2", SOMEBODY))
        self.settle()
        self.find_full_at_first()
        moments = count()
        self.patch(index_pins, "PAGE", 1)
        self.patch(index_pins, "STEP", 1.5)
        clock = Mock(perf_counter=lambda: float(next(moments)))
        self.patch(index_pins, "time", clock)  # a step does one thing
        self.settle()
        self.assertEqual(self.pinned(), {OLD.digest, BLOB, NEW.digest})

    def test_checked(self) -> None:
        """A pattern has to name a tag."""
        for good in ("docker.io/library/alpine:*", "ghcr.io/*:v?"):
            self.assertEqual(check_pattern(good), good)
        for bad in ("alpine", "docker.io/library/alpine", "localhost:5000/a/b", "a:b", "a/b:", ":"):
            with self.assertRaises(ValueError):
                check_pattern(bad)
