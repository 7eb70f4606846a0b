"""Tests for partial files of one digest that several upstreams give."""

import os
from math import inf
from typing import Any

from regcache.digests import Digest
from regcache.identity import UpstreamIdentity
from regcache.store.partials import PartialInUseError
from tests.store.stores import StoreTestCase

CONTENT = bytes(range(256)) * 100
DIGEST = Digest.of(CONTENT)
A = UpstreamIdentity("a.test", ("https://a.test",))
B = UpstreamIdentity("b.test", ("https://b.test",))


class UpstreamsTests(StoreTestCase):
    """Each upstream's word has a file of its own."""

    def begin(self, upstream: UpstreamIdentity | None, data: bytes = b"") -> Any:
        """A file with a beginning, closed at the end of the test."""
        file: Any = self.successResultOf(self.store.open_partial(DIGEST, upstream))
        self.addCleanup(file.close)
        if data:
            self.successResultOf(file.write(0, [data]))
        return file

    def is_partial(self, upstream: UpstreamIdentity | None) -> bool:
        """Whether there is something to resume."""
        looking = self.store.look_up(DIGEST, None, upstream=upstream)
        return bool(self.successResultOf(looking).partial)

    def names(self) -> list[str]:
        """What lies in the folder, but for what is known of it."""
        names = os.listdir(self.paths.partials)
        return sorted(name for name in names if not name.endswith(".json"))

    def test_side_by_side(self) -> None:
        """Several are open at a time, and none holds what another was given."""
        files = [self.begin(each, bytes([65 + n]) * 10) for n, each in enumerate((A, B, None))]
        self.assertEqual([file.read_now(0, 10)[:1] for file in files], [b"A", b"B", b"C"])
        self.assertEqual(len(self.names()), 3)
        self.failureResultOf(self.store.open_partial(DIGEST, A), PartialInUseError)

    def test_resumed(self) -> None:
        """Who left a file finds it again, and nobody else does."""
        file = self.begin(A, CONTENT[:1000])
        self.successResultOf(file.save())
        file.close()
        self.assertEqual([self.is_partial(each) for each in (A, B, None)], [True, False, False])
        self.assertEqual(self.begin(B).present.total, 0)
        self.assertEqual(self.begin(A).present.total, 1000)

    def test_first_that_is_verified(self) -> None:
        """One gets its name; the other is not disturbed, and removed without a trace."""
        first, second = self.begin(A, CONTENT), self.begin(B, CONTENT[:1000])
        first.set_size(len(CONTENT))
        self.assertTrue(self.successResultOf(first.verify()))
        self.successResultOf(first.commit())
        self.assertEqual(second.read_now(0, 1000), CONTENT[:1000])
        self.successResultOf(second.discard())
        self.assertEqual(self.names(), [])
        self.assertEqual(self.found(DIGEST), CONTENT)

    def test_name_that_another_upstream_had(self) -> None:
        """After a change of the configuration one may be fetching under the name of the other."""
        other = UpstreamIdentity("a.test", ("https://elsewhere.test",))
        files = [self.begin(A, b"A" * 10), self.begin(other, b"B" * 10)]
        self.assertEqual([file.read_now(0, 1) for file in files], [b"A", b"B"])
        self.failureResultOf(self.store.open_partial(DIGEST, other), PartialInUseError)

    def test_removed(self) -> None:
        """All of a digest that is not open can be removed at once, and nothing of another one."""
        other = self.open_partial(Digest.of(b"other"))
        self.successResultOf(other.save())
        for upstream in (A, B, None):
            file = self.begin(upstream, CONTENT[:5000])
            self.successResultOf(file.save())
            if upstream is not B:
                file.close()
        freed = self.successResultOf(self.store.remove_partials(DIGEST))
        self.assertGreaterEqual(freed, 10_000)
        self.assertEqual(len(self.names()), 2)

    def test_swept(self) -> None:
        """All of them are found by who cleans up."""
        for upstream in (A, B, None):
            file = self.begin(upstream, CONTENT[:1000])
            self.successResultOf(file.save())
            file.close()
        self.assertEqual(self.successResultOf(self.store.old_partials(inf)).files, 3)
        self.successResultOf(self.store.sweep_partials(2.0**40))
        self.assertEqual(os.listdir(self.paths.partials), [])

    def test_swept_of_one(self) -> None:
        """Of one upstream what it gave goes, and what another one of its name did before it."""
        other = UpstreamIdentity("a.test", ("https://elsewhere.test",))
        files = [self.begin(each, CONTENT[:5000]) for each in (A, other, B)]
        for file in files:
            self.successResultOf(file.save())
            file.close()
        told = self.successResultOf(self.store.old_partials(2.0**40, "a.test"))
        self.assertEqual(told, (2, 2 * 8192))
        freed = self.successResultOf(self.store.sweep_partials(2.0**40, "a.test"))
        self.assertEqual((freed, len(self.names())), (told.bytes, 1))
        self.assertEqual(self.successResultOf(self.store.old_partials(2.0**40)), (1, 8192))
        self.assertEqual(self.successResultOf(self.store.old_partials(0)), (0, 0))
