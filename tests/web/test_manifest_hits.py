"""Manifests from memory: what they cost, and when memory alone may not answer."""

from typing import Any

from regcache.cache import manifest_checker
from regcache.cache.policy import Policy, TagTtl
from regcache.cache.remembered_manifests import RIGHT_FOR
from regcache.digests import Digest
from regcache.errors import UpstreamUnreachable
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from regcache.web.distribution import Distribution
from regcache.web.manifest_handler import ACCEPT_MEMORY, MOST_HEADS, ManifestHandler
from regcache.web.request import LARGEST_WHOLE
from tests.support.front import MAIN, Setting
from tests.support.indexes import MemoryIndex
from tests.web.test_manifest_handler import (
    IMAGE,
    INDEX,
    MULTI,
    NO_INDEX,
    TAG,
    ManifestCase,
    path_of,
)


class WatchedIndex(MemoryIndex):
    """An index that knows whether it was asked.

    :ivar asked: the names of the methods that were called, but for that which asks nothing.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in ("asked", "write_failure", "touch"):
            self.asked.append(name)
        return super().__getattribute__(name)


class HitCase(ManifestCase):
    """An image and an index that were fetched, with an index that is watched."""

    def setUp(self) -> None:
        self.index = WatchedIndex()
        self.setting = Setting(
            policy=Policy(tag_ttls=(TagTtl("*", 300.0),), deadline=2.0), index=self.index
        )
        super().setUp()
        for path in (TAG, MULTI, path_of(IMAGE), path_of(INDEX)):
            self.front.get(path)
        self.index.asked.clear()

    def handler(self) -> ManifestHandler:
        """The handler under test."""
        dispatch = self.front.site.dispatch
        assert isinstance(dispatch, Distribution)
        return dispatch.manifests

    def at_once(self, target: str, *lines: str, method: str = "GET") -> Any:
        """The answer, without anything else having its turn."""
        client = self.front.begin(method, target, *lines)
        answer = client.answer(heads_only=method == "HEAD")
        client.leave()
        return answer


class CostTests(HitCase):
    """What a hit costs."""

    def test_nobody_asked(self) -> None:
        """A hit, by tag or digest, GET or HEAD, asks neither upstream nor index, and is at once."""
        asked = len(self.front.main.requests)
        for target, body in (
            (TAG, IMAGE),
            (MULTI, INDEX),
            (path_of(IMAGE), IMAGE),
            (path_of(INDEX), INDEX),
        ):
            for method, expected in (("GET", body), ("HEAD", b"")):
                answer = self.at_once(target, method=method)
                self.assertEqual((answer.status, answer.body), (200, expected), target)
                self.assertEqual(answer.headers["cache-status"], "regcache; hit")
        self.assertEqual(self.index.asked, [])
        self.assertEqual(len(self.front.main.requests), asked)

    def test_child(self) -> None:
        """Who takes no index gets the child as soon as that, and the index is not parsed again."""
        self.front.get(MULTI, *NO_INDEX)
        self.index.asked.clear()
        self.patch(manifest_checker, "parse_manifest", self.fail)
        for method, body in (("GET", IMAGE), ("HEAD", b"")):
            answer = self.at_once(MULTI, *NO_INDEX, method=method)
            self.assertEqual((answer.status, answer.body), (200, body))
            self.assertEqual(answer.headers["docker-content-digest"], str(Digest.of(IMAGE)))
            self.assertEqual(answer.headers["cache-status"], "regcache; hit")
        self.assertEqual(self.index.asked, [])

    def test_paths(self) -> None:
        """Records of one target share its path, which is kept once; others have their own."""
        self.front.records.records.clear()
        for target in (TAG, TAG, MULTI):
            self.at_once(target)
        first, second, other = (each.path for each in self.front.records.records)
        self.assertIs(first, second)
        self.assertEqual((first, other), (TAG.encode(), MULTI.encode()))

    def test_ages(self) -> None:
        """The head that is kept for one age is not the one for another."""
        ages = []
        for seconds in (0, 0, 10, 0, 1):
            self.front.pass_time(seconds)
            ages.append(int(self.at_once(TAG).headers["age"]))
        self.assertEqual([age - ages[0] for age in ages], [0, 0, 10, 10, 11])

    def test_not_modified(self) -> None:
        """304 has neither body nor length, though the head of 200 was kept before."""
        self.at_once(TAG)
        answer = self.at_once(TAG, f'If-None-Match: "{Digest.of(IMAGE)}"')
        self.assertEqual((answer.status, answer.body), (304, b""))
        self.assertNotIn("content-length", answer.headers)
        self.assertEqual(answer.headers["vary"], "Accept")
        self.assertEqual(self.at_once(TAG).headers["content-length"], str(len(IMAGE)))

    def test_strange_bytes(self) -> None:
        """Header values that are no text of any kind harm nothing."""
        for line in ("Accept: \xff\xfe", 'If-None-Match: "\xff", \xfe'):
            self.assertEqual(self.front.get(MULTI, line).status, 200)


class TurnTests(HitCase):
    """When memory alone may not answer."""

    def test_right_runs_out(self) -> None:
        """The right is looked up in the index again after a while."""
        self.front.pass_time(RIGHT_FOR + 1)
        self.assertEqual(self.front.get(path_of(IMAGE)).status, 200)
        self.assertIn("content", self.index.asked)

    def test_closed(self) -> None:
        """What is in memory is not shown where the repository was closed."""
        self.front.caches.closed_repositories.close(
            self.front.caches.served("org/app", MAIN).identity
        )
        self.front.fail(UpstreamUnreachable(MAIN, "gone"))
        for target in (TAG, path_of(IMAGE)):
            answer = self.front.get(target)
            self.assertEqual((answer.status, answer.code), (403, "DENIED"))

    def test_other_repository(self) -> None:
        """Whether another repository may show what is in memory the index is asked."""
        self.front.get(f"/v2/org/other/manifests/{Digest.of(IMAGE)}")
        self.assertIn("content", self.index.asked)

    def test_not_fresh(self) -> None:
        """A tag that is too old is asked about."""
        self.front.pass_time(301)
        self.assertIn("detail=revalidated", self.front.get(TAG).headers["cache-status"])

    def test_no_index_taken(self) -> None:
        """Who takes no index gets the child although the index is in memory, and the other way."""
        self.at_once(MULTI)
        self.assertEqual(self.front.get(MULTI, *NO_INDEX).body, IMAGE)
        self.assertEqual(self.at_once(MULTI).body, INDEX)


class BoundTests(HitCase):
    """What clients send is remembered within bounds."""

    def test_accept(self) -> None:
        """Accept lines, long and many."""
        takers = self.handler().index_takers
        for number in range(300):
            line = f"Accept: {OCI_MANIFEST};n={number}," + "x/y," * 500 + OCI_INDEX
            self.assertEqual(self.at_once(MULTI, line).body, INDEX)
        self.assertLessEqual(takers.weight, ACCEPT_MEMORY)
        self.assertLess(len(takers), 300)

    def test_heads(self) -> None:
        """Heads, one for each age of a tag."""
        heads = self.handler().heads
        for _ in range(MOST_HEADS // 250):
            self.front.pass_time(301)
            self.front.get(TAG)
            for _ in range(280):
                self.front.pass_time(1)
                self.front.get(TAG)
        self.assertLessEqual(len(heads), MOST_HEADS)


class LargeTests(ManifestCase):
    """Manifests of more than is written at once."""

    def test_whole(self) -> None:
        """All of it arrives, from upstream and from memory."""
        content = IMAGE[:-1] + b" " * (3 * LARGEST_WHOLE) + b"}"
        self.front.main.add_manifest("org/app", "large", content, OCI_MANIFEST)
        for _ in range(3):
            answer = self.front.get("/v2/org/app/manifests/large")
            self.assertEqual(answer.body, content)
            self.assertEqual(self.front.records.last.body_bytes, len(content))
        self.assertEqual(self.front.main.count("get_manifest"), 1)
