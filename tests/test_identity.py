"""Tests for who an upstream is, and for what crosses from the web to the cache."""

import pickle

from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.listings import LOCAL, ReferrerList, TagPage
from regcache.cache.opened import BlobHead
from regcache.cache.served_manifests import Served, ServedHead
from regcache.cache.status import hit
from regcache.digests import Digest
from regcache.facts import Manifest
from regcache.identity import (
    Repository,
    RepositoryContent,
    UpstreamIdentity,
    same_credentials,
    user_of,
)
from regcache.media_types import OCI_MANIFEST
from tests.cache.cases import manifest_of

A, B, C = "https://a.test", "https://b.test", "https://c.test"
CORP = UpstreamIdentity("corp", (A, B), frozenset(["u"]), serve_private=True)


def corp(*urls: str, users: str = "", serve_private: bool = False) -> UpstreamIdentity:
    """An upstream with that name."""
    return UpstreamIdentity("corp", urls, frozenset(users.split()), serve_private)


class IdentityTests(SynchronousTestCase):
    """What makes an upstream another one."""

    def test_equal(self) -> None:
        """Every part tells upstreams apart."""
        self.assertEqual(CORP, corp(A, B, users="u", serve_private=True))
        for other in (
            UpstreamIdentity("other", CORP.urls, CORP.users, serve_private=True),
            corp(A, users="u", serve_private=True),
            corp(B, A, users="u", serve_private=True),
            corp(A, B, users="v", serve_private=True),
            corp(A, B, users="u"),
        ):
            self.assertNotEqual(CORP, other)
            self.assertNotEqual(Repository(CORP, "a"), Repository(other, "a"))

    def test_continues(self) -> None:
        """It goes on with what it left if a URL stayed, and nobody sees less than before."""
        rows = (
            ("a mirror more", corp(A), corp(B, A), True),
            ("a mirror less", corp(A, B), corp(A), True),
            ("another mirror", corp(A, B), corp(A, C), True),
            ("another registry", corp(A), corp(B), False),
            ("another account for the quota", corp(A, users="u"), corp(A, users="v"), True),
            ("no account any more", corp(A, users="u"), corp(A), True),
            (
                "another account whose private images are shown",
                corp(A, users="u", serve_private=True),
                corp(A, users="v", serve_private=True),
                False,
            ),
            (
                "one account more",
                corp(A, users="u", serve_private=True),
                corp(A, users="u v", serve_private=True),
                True,
            ),
            (
                "one account less",
                corp(A, users="u v", serve_private=True),
                corp(A, users="u", serve_private=True),
                False,
            ),
            (
                "private from now on",
                corp(A, users="u"),
                corp(A, users="u", serve_private=True),
                True,
            ),
            (
                "public from now on",
                corp(A, users="u", serve_private=True),
                corp(A, users="u"),
                False,
            ),
        )
        for what, before, now, goes_on in rows:
            with self.subTest(what=what):
                self.assertEqual(now.continues(before), goes_on)
                self.assertTrue(before.continues(before))
        self.assertFalse(UpstreamIdentity("other", CORP.urls).continues(corp(A, B)))

    def test_shown(self) -> None:
        """People see names."""
        content = RepositoryContent(Repository(CORP, "org/app"), Digest.of(b""))
        self.assertEqual(str(content), f"corp/org/app@{Digest.of(b'')}")

    def test_credentials(self) -> None:
        """A fingerprint says whose it is, unless it is from before it could."""
        self.assertEqual([user_of(each) for each in ("", "old", "u.new")], ["", "", "u"])
        self.assertTrue(same_credentials("one", "u.one"))
        self.assertTrue(same_credentials("u.one", "u.one"))
        self.assertFalse(same_credentials("u.one", "u.two"))
        self.assertFalse(same_credentials("", "u.two"))


class CrossingTests(SynchronousTestCase):
    """What the web and the cache hand to each other besides readers."""

    def test_pickled(self) -> None:
        """Every value comes out of a pickle as it went in: it may cross to another process."""
        content = manifest_of()
        manifest = Manifest(Digest.of(content), OCI_MANIFEST, content)
        repository = Repository(CORP, "org/app")
        for value in (
            CORP,
            repository,
            RepositoryContent(repository, manifest.digest),
            Served(manifest, hit(3)),
            ServedHead(manifest.digest, 3, OCI_MANIFEST, hit(3)),
            BlobHead(None, hit(0)),
            TagPage(("latest",), False, LOCAL),
            ReferrerList(b"{}", LOCAL),
        ):
            with self.subTest(kind=type(value).__name__):
                copy = pickle.loads(pickle.dumps(value))
                self.assertEqual(copy, value)
        self.assertEqual(hash(pickle.loads(pickle.dumps(repository))), hash(repository))
