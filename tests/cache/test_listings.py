"""Lists: how many questions they cost, and what is kept of the answers."""

import json
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.defer import CancelledError

from regcache.cache import listings
from regcache.cache.listings import MOST_LEFT
from regcache.cache.policy import LONGEST_LIST, Policy, TagTtl
from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamNotFound,
    UpstreamServerError,
)
from regcache.manifest_body import MOST_DESCRIPTORS
from regcache.media_types import OCI_INDEX
from tests.cache.cases import APP, CacheTestCase

SUBJECT = Digest.of(b"subject")


def referrers_of(*members: dict[str, Any]) -> bytes:
    """An index of referrers."""
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members}
    return json.dumps(body).encode()


def referrer(name: str, artifact_type: str) -> dict[str, Any]:
    """A referrer of some type."""
    digest = str(Digest.of(name.encode()))
    return {"mediaType": "a/b", "digest": digest, "size": 5, "artifactType": artifact_type}


class ListingCase(CacheTestCase):
    """An upstream with a list of tags and one of referrers."""

    def setUp(self) -> None:
        super().setUp()
        self.registry.tag_lists[APP] = ["b", "a", "c"]
        self.members = [referrer("sbom", "x/sbom"), referrer("seal", "x/seal")]
        self.registry.referrers[SUBJECT] = referrers_of(*self.members)

    def tags(self, repository: str = APP, after: str = "", limit: int = 1000) -> Any:
        """A page of tags."""
        return self.caches.listings.tags(self.caches.served(repository), after, limit)

    def referrers(self, artifact_type: str = "", digest: Digest = SUBJECT) -> Any:
        """Referrers."""
        return self.caches.listings.referrers(self.caches.served(APP), digest, artifact_type)

    def outcomes(self, *asking: Any) -> list[str]:
        """How answers to questions that are asked at once came about."""
        waiting = [self.start(each) for each in asking]
        self.caches.run(turns=20)
        return [self.successResultOf(each).status.outcome for each in waiting]


class SharingTests(ListingCase):
    """One question for all who ask."""

    def test_tags(self) -> None:
        """Twenty who ask at once for pages of a list cost one question; later ones none."""
        outcomes = self.outcomes(*(self.tags(after=str(n), limit=n) for n in range(20)))
        self.assertEqual(outcomes, ["miss"] + ["collapsed"] * 19)
        self.assertEqual(self.outcomes(self.tags(), self.tags(after="a")), ["hit"] * 2)
        self.assertEqual(self.asked(), ["list_tags"])

    def test_referrers(self) -> None:
        """Questions for all types of referrers are one question upstream."""
        kinds = ["", "x/sbom", "x/seal", "x/none"]
        outcomes = self.outcomes(*(self.referrers(kinds[n % 4]) for n in range(20)))
        self.assertEqual(outcomes, ["miss"] + ["collapsed"] * 19)
        for kind in kinds:
            found = self.result(self.referrers(kind))
            wanted = [each for each in self.members if kind in ("", each["artifactType"])]
            self.assertEqual(json.loads(found.content)["manifests"], wanted)
            self.assertEqual(found.status.text, "regcache; hit")
        self.assertEqual(self.asked(), ["get_referrers"])

    def test_fallback_tag(self) -> None:
        """What the fallback tag names is kept as a list is; each of both is asked for once."""
        del self.registry.referrers[SUBJECT]
        tag = f"sha256-{SUBJECT.hex}"
        self.registry.add_manifest(APP, tag, referrers_of(*self.members), OCI_INDEX)
        self.outcomes(*(self.referrers() for _ in range(20)))
        self.assertEqual(self.asked(), ["get_referrers", "get_manifest"])
        self.assertEqual(self.outcomes(self.referrers("x/seal")), ["hit"])
        self.assertEqual(self.asked(), [])

    def test_failures(self) -> None:
        """All who wait get the failure; it is not kept, and the next one asks again."""
        self.registry.failure = UpstreamServerError("up.test", "ill", status=500)
        for ask, question in ((self.tags, "list_tags"), (self.referrers, "get_referrers")):
            waiting = [self.start(ask()) for _ in range(20)]
            self.caches.run(turns=20)
            for each in waiting:
                self.failureResultOf(each, UpstreamServerError)
            self.refusal(ask(), UpstreamServerError)
            self.assertEqual(self.asked(), [question] * 2)

    def test_what_is_not_there(self) -> None:
        """That there is no such list is remembered for ``negative_ttl``."""
        del self.registry.referrers[SUBJECT]
        for _ in range(3):
            self.refusal(self.tags("org/none"), UpstreamNotFound)
            found = self.result(self.referrers())
            self.assertEqual(json.loads(found.content)["manifests"], [])
        self.assertEqual(self.asked(), ["list_tags", "get_referrers", "get_manifest"])
        self.clock.advance(self.policy.negative_ttl)
        self.registry.tag_lists["org/none"] = ["x"]
        self.registry.referrers[SUBJECT] = referrers_of(*self.members)
        self.assertEqual(self.result(self.tags("org/none")).tags, ("x",))
        self.assertNotEqual(self.result(self.referrers()).content, found.content)

    def test_too_many_referrers(self) -> None:
        """A list of thousands of referrers is a bad answer, and the reason is told."""
        many = [self.members[0]] * (MOST_DESCRIPTORS + 1)
        self.registry.referrers[SUBJECT] = referrers_of(*many)
        refusal = self.refusal(self.referrers(), UpstreamBadAnswer)
        self.assertIn("more than 4,096 descriptors", str(refusal))


class KeptTests(ListingCase):
    """For how long, and for whom, a list is kept."""

    def assert_kept_for(self, seconds: float) -> None:
        """Both lists are asked for again after so long."""
        for ask in (self.tags, self.referrers):
            self.result(ask())
            self.asked()
            self.clock.advance(seconds - 1)
            self.assertEqual(self.outcomes(ask()), ["hit"])
            self.clock.advance(1)
            self.assertEqual(self.outcomes(ask()), ["miss"])
            self.assertEqual(len(self.asked()), 1)

    def test_a_minute(self) -> None:
        """A list is kept for a minute where tags are fresh for longer."""
        self.assert_kept_for(LONGEST_LIST)

    def test_shorter(self) -> None:
        """It is kept for no longer than any of the tags in it is fresh."""
        self.restart(Policy(tag_ttls=(TagTtl("*-rc*", 15.0), TagTtl("*", 300.0))))
        self.assert_kept_for(15.0)

    def test_not_at_all(self) -> None:
        """Where a tag is never fresh a list is asked for each time."""
        self.restart(Policy(tag_ttls=(TagTtl("*", 0.0),)))
        for ask in (self.tags, self.referrers):
            self.assertEqual(self.outcomes(ask(), ask()), ["miss", "collapsed"])
            self.assertEqual(self.outcomes(ask()), ["miss"])
            self.assertEqual(len(self.asked()), 2)

    def test_what_was_selected(self) -> None:
        """Referrers of one type are kept no longer than the list that they come from."""
        self.result(self.referrers())
        self.clock.advance(50)
        self.result(self.referrers("x/seal"))
        self.registry.referrers[SUBJECT] = referrers_of()
        self.clock.advance(15)
        found = self.result(self.referrers("x/seal"))
        self.assertEqual(json.loads(found.content)["manifests"], [])

    def test_slow_answers(self) -> None:
        """The time of a list counts from when it was asked for."""
        self.registry.delay = 50.0
        asking = self.start(self.tags())
        self.caches.run(51, turns=20)
        self.successResultOf(asking)
        self.clock.advance(10)
        self.registry.delay = 0.001
        self.assertEqual(self.outcomes(self.tags()), ["miss"])

    def test_other_credentials(self) -> None:
        """What one user was told is not shown by another one's eyes."""
        self.registry.serve_private = True
        self.restart()
        self.result(self.tags())
        self.registry.credentials = "somebody.else"
        self.assertEqual(self.outcomes(self.tags()), ["miss"])

    def test_closed_meanwhile(self) -> None:
        """A list that is kept is not shown of a repository that was closed."""
        self.registry.credentials = "me"
        self.registry.serve_private = True
        self.restart()
        self.result(self.tags())
        self.caches.closed_repositories.close(self.caches.served(APP).identity)
        self.registry.closed.add(APP)
        self.refusal(self.tags(), UpstreamDenied)

    def test_bounded(self) -> None:
        """Many lists, and long ones, fill the memory that is set aside for them, and no more."""
        self.patch(listings, "TAG_MEMORY", 20_000)
        self.patch(listings, "REFERRER_MEMORY", 20_000)
        self.restart()
        for number in range(50):
            name, digest = f"org/{number}", Digest.of(str(number).encode())
            self.registry.tag_lists[name] = [f"{tag}" for tag in range(number)]
            self.registry.referrers[digest] = referrers_of(*self.members * 4)
            self.result(self.tags(name))
            self.result(self.referrers(f"x/{number}", digest))
        kept = self.caches.listings
        for each in (kept.kept_tags, kept.kept_referrers):
            self.assertLessEqual(each.weight, 20_000)
            self.assertGreater(each.weight, 10_000)

    def test_left(self) -> None:
        """Of the lists that nobody waits for any more the latest go on, and are kept."""
        self.registry.delay = 1.0
        for number in range(MOST_LEFT + 20):
            self.registry.tag_lists[f"org/{number}"] = ["x"]
            asking = self.start(self.tags(f"org/{number}"))
            asking.cancel()
            self.failureResultOf(asking, CancelledError)
        self.assertEqual(len(self.caches.listings.kept_tags), MOST_LEFT)
        self.caches.run(1, turns=20)
        self.asked()
        self.assertEqual(self.outcomes(self.tags(f"org/{MOST_LEFT + 19}")), ["hit"])
        self.registry.delay = 0.001
        self.assertEqual(self.outcomes(self.tags("org/0")), ["miss"])


class PageTests(ListingCase):
    """Pages of the upstream's tags and ours."""

    _names = some.lists(some.sampled_from([f"t{number}" for number in range(12)]), unique=True)

    @given(_names, _names, some.sampled_from(["", "t", "t3", "t5x", "z"]), some.integers(0, 5))
    def test_merged(self, theirs: list[str], ours: list[str], after: str, limit: int) -> None:
        """A page has what both lists have behind a tag, sorted, once each, and no more."""
        repository = f"org/x{next(self.numbers)}"
        self.registry.tag_lists[repository] = theirs
        for tag in ours:
            self.successResultOf(
                self.index.record_tag(
                    self.caches.served(repository).identity, tag, self.digest, self.clock.seconds()
                )
            )
        found = self.result(self.tags(repository, after, limit))
        behind = [tag for tag in sorted({*theirs, *ours}) if tag > after]
        self.assertEqual(list(found.tags), behind[:limit])
        self.assertEqual(found.more, len(behind) > limit)

    numbers = count()

    def test_ours_alone(self) -> None:
        """While the upstream is ill a page behind all of our tags is empty, and no error."""
        identity = self.caches.served(APP).identity
        for tag in ("a", "b"):
            self.index.record_tag(identity, tag, self.digest, self.clock.seconds())
        self.registry.failure = UpstreamServerError("up.test", "ill", status=500)
        pages = [self.result(self.tags(after=after, limit=1)) for after in ("", "a", "b")]
        self.assertEqual(
            [(page.tags, page.more) for page in pages],
            [(("a",), True), (("b",), False), ((), False)],
        )

    def test_no_more_is_read_than_shown(self) -> None:
        """However many tags are cached, of the index a page and a few are asked for."""
        identity = self.caches.served(APP).identity
        for number in range(1000):
            self.index.record_tag(identity, f"t{number:04}", self.digest, self.clock.seconds())
        read: list[str] = []
        inner = self.index.tags

        def tags(*arguments: Any) -> Any:
            asked = inner(*arguments)
            read.extend(self.successResultOf(asked))
            return inner(*arguments)

        self.patch(self.index, "tags", tags)
        page = self.result(self.tags(after="t0500", limit=10))
        self.assertEqual((page.tags[0], page.more), ("t0501", True))
        self.assertLess(len(read), 150)
