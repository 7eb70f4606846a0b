"""Who may be shown stored bytes."""

from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, succeed

from regcache.cache.forgetting import Kind
from regcache.cache.sight import rights
from regcache.cache.sight.proofs import agrees
from regcache.cache.sight.rights import HEAD_FOR, PIECE
from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
    UpstreamUnreachable,
)
from regcache.facts import ContentHead
from regcache.media_types import OCI_MANIFEST
from tests.cache.cases import APP, DAY, manifest_of
from tests.cache.rights_cases import AWAY, EVIL, SECRET, RightsTestCase
from tests.support.bodies import Fault
from tests.support.registries import FakeRegistry


class LinkTests(RightsTestCase):
    """Links, and the proofs that make and renew them."""

    def test_own_repository(self) -> None:
        """The repository that brought the bytes is shown them, over restarts."""
        self.restart()
        self.assertEqual(self.pull(self.blob), "hit")
        self.assertEqual(self.asked(), [])

    def test_another_repository(self) -> None:
        """One that holds them as well proves it with one HEAD, which is kept."""
        self.holders.add(("org/b", self.blob))
        self.assertEqual(self.pull(self.blob, "org/b"), "hit")
        self.assertEqual(self.asked(), ["head_blob"])
        self.restart()
        self.assertEqual(self.pull(self.blob, "org/b"), "hit")
        self.assertEqual(self.asked(), [])

    def test_manifest_of_another_repository(self) -> None:
        """For manifests likewise."""
        self.registry.add_manifest("org/b", "latest", self.content, OCI_MANIFEST)
        self.assertEqual(self.status_of(self.by_digest(repository="org/b")), "regcache; hit")
        self.refusal(self.by_digest(repository=EVIL), UpstreamNotFound)
        self.assertEqual(self.asked(), ["head_manifest"] * 2)

    def answer(self, head: ContentHead) -> None:
        """Have every HEAD answered like this."""
        for method in ("head_blob", "head_manifest"):
            self.patch(self.registry, method, lambda *_: succeed(head))

    def link(self, digest: Digest, repository: str = "org/b") -> object:
        """The link of a repository to something, if any."""
        return self.successResultOf(
            self.index.content(self.caches.served(repository).content(digest))
        ).link

    def test_an_answer_to_everything(self) -> None:
        """A HEAD that names neither digest nor size proves nothing of a blob, nor another's."""
        other = Digest.of(b"other")
        for head in (
            ContentHead(None, 7, "text/html"),
            ContentHead(None, None, "text/html"),
            ContentHead(other, len(SECRET), ""),
            ContentHead(self.blob, 7, ""),
        ):
            self.answer(head)
            self.refusal(self.open(self.blob, "org/b"), UpstreamNotFound)
            self.assertIsNone(self.link(self.blob))
            self.clock.advance(10.0)

    def test_given_whole(self) -> None:
        """What a HEAD does not prove the bytes do: they are fetched once, and noted."""
        self.holders.add(("org/b", self.blob))
        self.answer(ContentHead(None, 7, "text/html"))
        self.asked()
        self.assertEqual([self.pull(self.blob, "org/b") for _ in range(3)], ["miss", "hit", "hit"])
        self.assertEqual(self.asked(), ["get_blob"])
        self.assertIsNotNone(self.link(self.blob))

    def test_size_alone(self) -> None:
        """Storage behind a redirect names no digest; the size that is known is as good."""
        self.answer(ContentHead(None, len(SECRET), "application/octet-stream"))
        self.assertEqual(self.pull(self.blob, "org/b"), "hit")

    def test_an_answer_to_everything_for_a_manifest(self) -> None:
        """A manifest is fetched unless HEAD speaks of one, and of this one."""
        size = len(self.content)
        for head in (
            ContentHead(None, 7, "text/html"),
            ContentHead(None, size, "text/html"),
            ContentHead(None, None, OCI_MANIFEST),
            ContentHead(None, size + 1, OCI_MANIFEST),
            ContentHead(Digest.of(b"other"), size, OCI_MANIFEST),
        ):
            self.answer(head)
            self.refusal(self.by_digest(repository="org/b"), UpstreamNotFound)
            self.assertIsNone(self.link(self.digest))
            self.clock.advance(10.0)
        self.answer(ContentHead(None, size, OCI_MANIFEST))
        self.assertEqual(self.status_of(self.by_digest(repository="org/b")), "regcache; hit")

    def test_an_answer_to_everything_while_it_is_fetched(self) -> None:
        """What proves nothing joins no download of another repository's blob."""
        private = self.registry.add(b"another secret " * 20_000)
        self.holders.add((APP, private))
        self.registry.login_page = lambda repository, _: repository == EVIL
        owner = self.start(self.open(private))
        self.caches.run(turns=20)
        self.refusal(self.open(private, EVIL), UpstreamNotFound)
        self.caches.run()
        self.successResultOf(owner).reader.leave()
        self.assertIsNone(self.link(private, EVIL))

    def test_joins_with_a_proof(self) -> None:
        """A repository that shows that it holds what is being fetched shares the download."""
        shared = self.registry.add(b"shared " * 40_000)
        self.holders.add((APP, shared))
        owner = self.start(self.open(shared))
        self.caches.run(turns=20)
        self.answer(ContentHead(None, len(self.registry.blobs[shared]), ""))
        joining = self.result(self.open(shared, "org/b"))
        self.assertEqual(joining.status.outcome, "collapsed")
        joining.reader.leave()
        self.successResultOf(owner).reader.leave()
        self.caches.run()

    def test_many_join_with_one_proof(self) -> None:
        """Twenty who join at once, and who joins within a minute, share one HEAD."""
        shared = self.registry.add(b"shared " * 400_000)
        self.holders |= {(APP, shared), ("org/b", shared), ("org/c", shared)}
        owner = self.start(self.open(shared))
        self.caches.run(turns=20)
        self.asked()
        joining = [self.start(self.open(shared, "org/b")) for _ in range(20)]
        self.caches.run(turns=20)
        joined = [self.successResultOf(each) for each in joining]
        joined.append(self.result(self.open(shared, "org/b")))
        self.assertEqual({each.status.outcome for each in joined}, {"collapsed"})
        self.assertEqual(self.asked(), ["head_blob"])
        joined.append(self.result(self.open(shared, "org/c")))
        self.assertEqual(self.asked(), ["head_blob"])
        self.clock.advance(HEAD_FOR)
        joined.append(self.result(self.open(shared, "org/b")))
        self.assertEqual(self.asked(), ["head_blob"])
        for each in (*joined, self.successResultOf(owner)):
            each.reader.leave()
        self.caches.run()

    def test_many_heads(self) -> None:
        """Twenty who ask for the size of a blob that nobody has fetched share one HEAD."""
        blob = self.registry.add(b"not fetched")
        self.holders.add((APP, blob))
        asking = [
            self.start(self.caches.blobs.head(self.caches.served(APP), blob)) for _ in range(20)
        ]
        self.caches.run(turns=20)
        self.assertEqual({self.successResultOf(each).size for each in asking}, {11})
        self.assertEqual(self.asked(), ["head_blob"])

    def test_nothing_is_remembered_over_a_removal(self) -> None:
        """What an operator removes is asked for anew, also by who asked a moment before."""
        blob, served = self.registry.add(b"not fetched"), self.caches.served(APP)
        self.holders.add((APP, blob))
        self.result(self.caches.rights.head_to_join(served, blob, 11))
        self.caches.forgetting.remove(Kind.RIGHT, served.content(blob))
        asking = self.start(self.caches.rights.head_to_join(served, blob, 11))
        self.assertEqual(self.asked(), ["head_blob"] * 2)
        self.caches.forgetting.remove(Kind.RIGHT, served.content(blob))
        self.caches.run()
        self.successResultOf(asking)
        self.result(self.caches.rights.head_to_join(served, blob, 11))
        self.assertEqual(self.asked(), ["head_blob"])

    def test_nothing_is_remembered_of_a_page(self) -> None:
        """A page that answers everything is forgotten as soon as it is gone."""
        blob, served = self.registry.add(b"not fetched"), self.caches.served(APP)
        self.holders.add((APP, blob))
        for page in (True, False):
            self.registry.login_page = lambda *_, page=page: page
            head = self.result(self.caches.rights.head_to_join(served, blob, 11))
            self.assertEqual(agrees(head, blob, 11), not page)
        self.assertEqual(self.asked(), ["head_blob"] * 2)

    def test_heads_are_bounded(self) -> None:
        """Of very many blobs that are asked for the latest answers are remembered."""
        self.patch(rights, "MOST_HEADS", 5)
        self.restart()
        blobs = [self.registry.add(bytes([number])) for number in range(20)]
        self.holders |= {(APP, each) for each in blobs}
        served = self.caches.served(APP)
        for _ in range(2):
            for each in blobs:
                self.result(self.caches.rights.head_to_join(served, each, 1))
        self.assertEqual(len(self.asked()), 40)
        for each in blobs[-5:]:
            self.result(self.caches.rights.head_to_join(served, each, 1))
        self.assertEqual(self.asked(), [])

    def test_complete_partial_file(self) -> None:
        """What another repository left behind, complete, is not shown on a login page's word."""
        private = self.registry.add(b"another secret " * 20_000)
        size = len(self.registry.blobs[private])
        partial = self.successResultOf(
            self.caches.store.open_partial(private, self.registry.identity)
        )
        partial.set_size(size)
        self.successResultOf(partial.write(0, [self.registry.blobs[private]]))
        self.successResultOf(partial.save())
        partial.close()
        self.registry.login_page = lambda repository, _: repository == EVIL
        self.refusal(self.open(private, EVIL), UpstreamNotFound)
        self.assertIsNone(self.link(private, EVIL))

    def test_many_share_a_proof(self) -> None:
        """Who asks while a right is being proved waits for the same proof."""
        self.holders.add(("org/b", self.blob))
        opening = [self.start(self.open(self.blob, "org/b")) for _ in range(10)]
        self.caches.run(turns=20)
        for each in map(self.successResultOf, opening):
            each.reader.leave()
        self.assertEqual(self.asked(), ["head_blob"])

    def test_daily(self) -> None:
        """A right that credentials proved is proved again each day."""
        self.clock.advance(DAY - 1)
        self.pull(self.blob)
        self.assertEqual(self.asked(), [])
        self.clock.advance(1)
        for _ in range(2):
            self.assertEqual(self.pull(self.blob), "hit")
            self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.assertEqual(self.asked(), ["head_blob", "head_manifest"])

    def test_withdrawn(self) -> None:
        """What the upstream does not give any more is not shown any more."""
        self.clock.advance(DAY)
        self.holders.clear()
        self.registry.manifests.clear()
        self.refusal(self.open(self.blob), UpstreamNotFound)
        self.refusal(self.by_digest(), UpstreamNotFound)

    def test_kept_although_missing(self) -> None:
        """With on_missing: stale the last proof holds; good credentials refused end it."""
        self.restart(replace(self.policy, keep_missing=True))
        self.clock.advance(DAY)
        self.holders.clear()
        self.registry.manifests.clear()
        self.assertEqual(self.pull(self.blob), "hit")
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.clock.advance(DAY)
        self.registry.closed.add(APP)
        self.refusal(self.open(self.blob), UpstreamDenied)
        self.refusal(self.by_digest(), UpstreamDenied)

    def test_changed_credentials(self) -> None:
        """Other credentials have to prove the right themselves, at once."""
        self.registry.credentials = "robot.new"
        self.pull(self.blob)
        self.result(self.by_digest())
        self.assertEqual(self.asked(), ["head_blob", "head_manifest"])
        self.registry.credentials = "robot.third"
        self.registry.private.add(APP)
        self.registry.closed.add(APP)
        self.refusal(self.by_digest(), UpstreamDenied)
        self.refusal(self.open(self.blob), UpstreamFailure)

    def test_upstream_away(self) -> None:
        """While it is away the last proof holds, for the credentials that made it only."""
        self.clock.advance(10 * DAY)
        self.registry.failure = AWAY
        self.restart()
        self.assertEqual(self.pull(self.blob), "hit")
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.refusal(self.open(self.blob, "org/b"), UpstreamUnreachable)
        self.registry.credentials = "new robot"
        self.assert_refused(UpstreamUnreachable)

    def assert_shown(self) -> None:
        """The private image is a hit."""
        self.assertEqual(self.pull(self.blob), "hit")
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")

    def assert_refused(self, kind: type[Exception]) -> None:
        """It is refused."""
        self.refusal(self.open(self.blob), kind)
        self.refusal(self.by_digest(), kind)

    def pull_as(self, credentials: str) -> None:
        """Have the rights proved by other credentials."""
        self.registry.credentials = credentials
        self.pull(self.blob)
        self.result(self.by_digest())
        self.asked()

    def test_new_password(self) -> None:
        """While it is away a new password of the same user changes nothing, and proves nothing."""
        self.pull_as("robot.old")
        self.registry.credentials = "robot.new"
        self.registry.failure = AWAY
        for _ in range(2):
            self.assert_shown()
            self.restart()
        self.registry.failure = None
        self.asked()
        self.assert_shown()
        self.assertEqual(self.asked(), ["head_blob", "head_manifest"])

    def test_new_password_without_access(self) -> None:
        """When it is there again the new password has to prove what the old one did."""
        self.pull_as("robot.old")
        self.registry.credentials = "robot.new"
        self.registry.failure = AWAY
        self.assert_shown()
        self.registry.failure = None
        self.registry.closed.add(APP)
        self.assert_refused(UpstreamDenied)

    def test_another_user(self) -> None:
        """What another user proved holds for nobody else, nor for nobody at all."""
        self.pull_as("robot.old")
        self.registry.failure = AWAY
        for credentials in ("other.third", "fourth", ""):
            self.registry.credentials = credentials
            self.assert_refused(UpstreamUnreachable)

    def test_several_urls(self) -> None:
        """What one URL's credentials proved holds for all, and while they are away for longer."""
        self.pull_as("second.b")
        self.registry.credentials, self.registry.more_credentials = "first.a", ("second.b",)
        self.assert_shown()
        self.assertEqual(self.asked(), [])
        self.clock.advance(DAY)
        self.registry.failure = AWAY
        self.restart()
        self.assert_shown()
        self.registry.more_credentials = ("second.new",)
        self.assert_shown()
        self.registry.more_credentials = ("third.c",)
        self.assert_refused(UpstreamUnreachable)

    def test_url_without_its_credentials(self) -> None:
        """Memory, too, knows no right of credentials that no URL has any more."""
        self.pull_as("second.b")
        self.registry.credentials, self.registry.more_credentials = "first.a", ("second.b",)
        self.assert_shown()
        self.registry.more_credentials = ("second.c",)
        self.asked()
        self.assert_shown()
        self.assertEqual(self.asked(), ["head_blob", "head_manifest"])

    def test_lost_entry_renews_nothing(self) -> None:
        """Content that is found again is noted; the last proof grows no younger by it."""
        self.clock.advance(10 * DAY)
        self.registry.failure = AWAY
        before = self.link(self.blob, APP)
        self.index.forget_content(self.blob)
        self.assertEqual(self.pull(self.blob), "hit")
        content = self.caches.served().content(self.blob)
        facts = self.successResultOf(self.index.content(content))
        self.assertEqual((facts.size, facts.link), (len(SECRET), before))

    def test_lost_entry_that_cannot_be_noted(self) -> None:
        """Where the disk refuses to note it, it is shown all the same."""
        self.index.forget_content(self.blob)
        self.index.write_failure = OSError(28, "no space left")
        self.assertEqual(self.pull(self.blob), "hit")

    def test_answer_to_everything_after_a_day(self) -> None:
        """Behind a page that answers everything the last proof holds, and is not renewed."""
        self.clock.advance(DAY)
        self.registry.login_page = lambda *_: True
        for _ in range(2):
            self.assertEqual(self.pull(self.blob), "hit")
            self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        link: Any = self.link(self.blob, APP)
        self.assertLessEqual(link.proved_at, self.clock.seconds() - DAY)

    def test_upstream_silent(self) -> None:
        """Behind a silent upstream the last proof holds after the deadline."""
        self.clock.advance(DAY)
        self.registry.silent = True
        opening = self.start(self.open(self.blob))
        self.clock.advance(1.99)
        self.assertNoResult(opening)
        self.clock.advance(0.01)
        self.successResultOf(opening).reader.leave()

    def test_client_leaves(self) -> None:
        """A client that leaves in the middle of a proof takes it from nobody."""
        self.other.add(SECRET)
        for name, repository in (("up.test", "org/b"), ("other.test", "x/y")):
            self.holders.add((repository, self.blob))
            leaving = self.start(self.open(self.blob, repository, name))
            staying = self.start(self.open(self.blob, repository, name))
            leaving.cancel()
            self.failureResultOf(leaving, CancelledError)
            self.caches.run(turns=20)
            opened = self.successResultOf(staying)
            self.assertEqual(opened.status.outcome, "hit")
            opened.reader.leave()

    def test_public_bytes(self) -> None:
        """Bytes that were ever given without credentials need no proof anywhere."""
        public = self.other.add(b"public layer" * 1000)
        self.pull(public, "x/y", "other.test")
        self.assertEqual(self.pull(public, "org/b"), "hit")
        self.assertEqual(self.asked(), [])

    def test_public_bytes_where_rules_tell_repositories_apart(self) -> None:
        """There they need one, in each repository that did not bring them."""
        self.restart(replace(self.policy, tells_apart=True))
        public = self.registry.add(b"public layer" * 1000)
        self.registry.credentials = ""
        self.holders.add((APP, public))
        self.assertEqual(self.pull(public), "miss")
        self.asked()
        self.refusal(self.open(public, EVIL), UpstreamNotFound)
        self.holders.add(("org/b", public))
        self.assertEqual(self.asked(), ["head_blob"])
        for _ in range(2):
            self.assertEqual(self.pull(public, "org/b"), "hit")
        self.assertEqual(self.asked(), ["head_blob"])

    def test_disk_that_refuses(self) -> None:
        """A proof that cannot be noted holds for the request that made it."""
        self.holders.add(("org/b", self.blob))
        self.index.write_failure = OSError(28, "no space left")
        self.assertEqual(self.pull(self.blob, "org/b"), "hit")


class HeadTests(RightsTestCase):
    """HEAD of blobs: sizes are told to who may be shown the bytes."""

    def setUp(self) -> None:
        """A manifest that mentions a layer was pulled, but not the layer."""
        super().setUp()
        self.layer = self.registry.add(b"private layer " * 100)
        self.holders.add((APP, self.layer))
        descriptor = {"mediaType": "", "digest": str(self.layer), "size": 1400}
        image = manifest_of(layers=[descriptor])
        self.registry.add_manifest(APP, "image", image, OCI_MANIFEST)
        self.result(self.tag("image"))
        self.asked()

    def head(self, digest: Digest) -> Any:
        """HEAD of a blob."""
        return self.caches.blobs.head(self.caches.served(), digest)

    def told(self, digest: Digest) -> tuple[int | None, str]:
        """Size and Cache-Status of HEAD."""
        head = self.result(self.head(digest))
        return head.size, head.status.text.removeprefix("regcache; ")

    def test_descriptor(self) -> None:
        """For a day after the manifest was proved its descriptor tells the size."""
        self.assertEqual(self.told(self.layer), (1400, "hit; detail=descriptor"))
        self.assertEqual(self.asked(), [])
        self.clock.advance(DAY)
        self.assertEqual(self.told(self.layer), (1400, "fwd=uri-miss"))
        self.assertEqual(self.asked(), ["head_blob"])

    def test_withdrawn(self) -> None:
        """What the upstream does not give any more is not described either."""
        self.clock.advance(DAY)
        self.holders.clear()
        self.refusal(self.head(self.layer), UpstreamNotFound)
        self.refusal(self.head(self.blob), UpstreamNotFound)

    def test_kept_although_missing(self) -> None:
        """With on_missing: stale it is told on."""
        self.restart(replace(self.policy, keep_missing=True))
        self.clock.advance(DAY)
        self.holders.clear()
        self.assertEqual(self.told(self.layer), (1400, "hit; detail=descriptor"))
        self.assertEqual(self.told(self.blob), (len(SECRET), "hit"))

    def test_upstream_away(self) -> None:
        """While the upstream is away sizes are told as bytes are shown, to the same user only."""
        self.clock.advance(DAY)
        self.registry.failure = AWAY
        self.restart()
        self.assertEqual(self.told(self.layer), (1400, "hit; detail=descriptor"))
        self.assertEqual(self.told(self.blob), (len(SECRET), "hit"))
        self.registry.credentials = "other.robot2"
        self.refusal(self.head(self.layer), UpstreamUnreachable)
        self.refusal(self.head(self.blob), UpstreamUnreachable)

    def test_public(self) -> None:
        """What a manifest mentions that another upstream gives to everybody is no secret."""
        image = self.registry.manifests[APP, "image"][0]
        self.other.add_manifest("x/y", "image", image, OCI_MANIFEST)
        self.result(self.tag("image", "x/y", "other.test"))
        self.clock.advance(DAY)
        self.assertEqual(self.told(self.layer), (1400, "hit; detail=descriptor"))
        self.assertEqual(self.asked(), [])


class OtherUpstreamTests(RightsTestCase):
    """Bytes that another upstream brought: its word is not enough."""

    def test_shows_that_it_has_them(self) -> None:
        """An upstream that gives a piece as it is here may show all of it."""
        self.other.add(SECRET)
        self.assertEqual(self.pull(self.blob, "x/y", "other.test"), "hit")
        ((what, _, _, start, end),) = self.other.requests
        self.assertEqual((what, end - start), ("get_blob", PIECE))
        self.assertEqual(self.pull(self.blob, "x/y", "other.test"), "hit")
        self.assertEqual(len(self.other.requests), 1)

    def test_only_its_word(self) -> None:
        """One that says yes to every HEAD, or gives other bytes, opens nothing."""
        self.other.blobs[self.blob] = b"x" * len(SECRET)
        self.refusal(self.open(self.blob, "x/y", "other.test"), UpstreamBadAnswer)
        self.assertIsNone(self.link("x/y"))
        self.assertEqual(self.pull(self.blob), "hit")

    def test_one_chance_a_day(self) -> None:
        """Who failed once does not try until the piece is one that it happens to know."""
        self.other.blobs[self.blob] = b"x" * len(SECRET)
        for _ in range(5):
            self.refusal(self.open(self.blob, "x/y", "other.test"), UpstreamBadAnswer)
        pieces = [request for request in self.other.requests if request[4] is not None]
        self.assertEqual(len(pieces), 1)
        self.other.add(SECRET)
        self.clock.advance(DAY)
        self.assertEqual(self.pull(self.blob, "x/y", "other.test"), "hit")

    def test_piece_breaks_off(self) -> None:
        """A piece that breaks off proves nothing, is no fault of the bytes, and fails nobody."""
        self.other.add(SECRET)
        self.other.faults = [Fault(cut=0)]
        self.assertNotEqual(self.pull(self.blob, "x/y", "other.test"), "hit")
        self.assertEqual(self.pull(self.blob, "x/y", "other.test"), "hit")

    def test_other_size(self) -> None:
        """Nor does one that has something of another size under the digest."""
        self.other.blobs[self.blob] = SECRET + b"x"
        self.refusal(self.open(self.blob, "x/y", "other.test"), UpstreamBadAnswer)
        self.assertIsNone(self.link("x/y"))

    def test_without_ranges(self) -> None:
        """One that gives no pieces gives all of it, once: it is stored again, and noted."""
        self.other.add(SECRET)
        self.other.faults = [Fault(ignore_range=True)] * 10
        outcomes = [self.pull(self.blob, "x/y", "other.test") for _ in range(3)]
        self.assertEqual(outcomes, ["miss", "hit", "hit"])
        self.assertEqual([each[3:] for each in self.other.requests][1:], [(0, None)])
        self.assertEqual(self.pull(self.blob), "hit")

    def test_does_not_have_them(self) -> None:
        """One that does not have them answers for itself."""
        self.refusal(self.open(self.blob, "x/y", "other.test"), UpstreamNotFound)

    def test_manifest(self) -> None:
        """A manifest of another upstream is fetched and verified, so it has to be there."""
        self.refusal(self.by_digest(name="other.test"), UpstreamNotFound)
        self.other.add_manifest(APP, "latest", self.content, OCI_MANIFEST)
        self.clock.advance(10.0)
        status = self.status_of(self.by_digest(name="other.test"))
        self.assertEqual(status, "regcache; fwd=uri-miss; stored")

    def test_empty_blob(self) -> None:
        """Nothing has no pieces: there a HEAD is as good a proof."""
        empty = self.registry.add(b"")
        self.holders.add((APP, empty))
        self.pull(empty)
        self.other.add(b"")
        self.assertEqual(self.pull(empty, "x/y", "other.test"), "hit")
        self.assertEqual([each[0] for each in self.other.requests], ["head_blob"])

    def test_place_is_not_foreseen(self) -> None:
        """The piece is taken from anywhere in the content."""
        others = [FakeRegistry(self.clock, name=f"{number}.test") for number in range(8)]
        self.caches = self.make_caches(*others)
        for other in others:
            other.add(SECRET)
            self.assertEqual(self.pull(self.blob, "x/y", other.name), "hit")
        self.assertGreater(len({other.requests[0][3] for other in others}), 4)

    def link(self, repository: str) -> Any:
        """The link of a repository of the other upstream."""
        return self.successResultOf(
            self.index.content(self.caches.served(repository, "other.test").content(self.blob))
        ).link
