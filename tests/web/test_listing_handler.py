"""Lists as a client sees them."""

import json
import re
from itertools import chain
from urllib.parse import quote

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.errors import UpstreamDenied, UpstreamNotFound, UpstreamUnreachable
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from tests.support.front import MAIN, OTHER, Front, Setting
from tests.support.indexes import MemoryIndex
from tests.support.web_client import Answer
from tests.test_manifest_body import descriptor, image, index

IMAGE = json.dumps(image()).encode()
SUBJECT = Digest.of(b"subject")
TAGS, REFERRERS = "/v2/org/app/tags/list", f"/v2/org/app/referrers/{SUBJECT}"
GONE = UpstreamUnreachable(MAIN, "no route")


class PagedIndex(MemoryIndex):
    """Is an index with small pages, for any asked size."""

    def repositories(
        self, upstream: str | None, after: tuple[str, str], limit: int
    ) -> "Deferred[list[tuple[str, str]]]":
        """At most three."""
        return super().repositories(upstream, after, min(limit, 3))


class ListCase(SynchronousTestCase):
    """Lists of both upstreams."""

    setting = Setting()

    def setUp(self) -> None:
        self.front = Front(self.mktemp(), self.setting)
        self.addCleanup(self.front.stop)

    def follow(self, target: str, key: str, host: str = "localhost") -> list[list[str]]:
        """All pages, following the relative Links."""
        pages = []
        while target:
            answer = self.front.get(target, host=host)
            self.assertEqual(answer.status, 200)
            pages.append(answer.json[key])
            target = self.next_of(answer)
            self.assertLess(len(pages), 50, "the list goes in a circle")
        return pages

    def next_of(self, answer: Answer) -> str:
        """Where the list goes on, "" at its end."""
        link = answer.headers.get("link")
        if link is None:
            return ""
        match = re.fullmatch(r'<(/v2/[!-~]+)>; rel="next"', link)
        assert match is not None, link
        return match[1]


class TagsTests(ListCase):
    """``tags/list``."""

    def setUp(self) -> None:
        super().setUp()
        main = self.front.main
        main.tag_lists["org/app"] = ["b", "a", "1.0"]
        main.add_manifest("org/app", "cached", IMAGE, OCI_MANIFEST)
        main.add_manifest("org/app", "a", IMAGE, OCI_MANIFEST)

    def test_merged(self) -> None:
        """The upstream's tags and ours, sorted, once each, under the name as asked."""
        for tag in ("cached", "a"):
            self.front.get(f"/v2/org/app/manifests/{tag}")
        answer = self.front.get(TAGS)
        self.assertEqual(answer.json, {"name": "org/app", "tags": ["1.0", "a", "b", "cached"]})
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.headers["cache-control"], "no-cache")
        self.assertEqual(answer.headers["cache-status"], "regcache; fwd=uri-miss")
        named = self.front.get(f"/v2/{MAIN}/org/app/tags/list")
        self.assertEqual(named.json["name"], f"{MAIN}/org/app")

    def test_head(self) -> None:
        """HEAD has the headers of GET."""
        self.front.get(TAGS)
        got, head = self.front.get(f"{TAGS}?n=1"), self.front.head(f"{TAGS}?n=1")
        self.assertEqual((head.status, head.headers), (200, got.headers))

    def test_kept(self) -> None:
        """The upstream's list is kept for a while, and says how old it is; ours is always new."""
        self.front.get(TAGS)
        self.front.pass_time(40)
        self.front.get("/v2/org/app/manifests/cached")
        answer = self.front.get(TAGS)
        self.assertEqual(answer.json["tags"], ["1.0", "a", "b", "cached"])
        self.assertEqual(answer.headers["cache-status"], "regcache; hit")
        self.assertIn(int(answer.headers["age"]), (40, 41))
        self.assertEqual(self.front.main.count("list_tags"), 1)

    def test_upstream_down(self) -> None:
        """While the upstream is ill ours are answered; without any its failure is."""
        self.front.get("/v2/org/app/manifests/cached")
        self.front.fail(GONE)
        answer = self.front.get(TAGS)
        self.assertEqual(answer.json["tags"], ["cached"])
        self.assertIn("fwd=stale", answer.headers["cache-status"])
        self.assertNotIn("age", answer.headers)
        self.assertEqual(self.front.records.last.outcome, "stale")
        self.assertEqual(self.front.get("/v2/org/none/tags/list").code, "UNAVAILABLE")

    def test_refused(self) -> None:
        """An upstream that has no such repository, or does not show it, is believed."""
        self.front.get("/v2/org/app/manifests/cached")
        for failure, status, code in (
            (UpstreamNotFound(MAIN, "not found", status=404), 404, "NAME_UNKNOWN"),
            (UpstreamDenied(MAIN, "no", status=401), 403, "DENIED"),
        ):
            self.front.fail(failure)
            answer = self.front.get(TAGS)
            self.assertEqual((answer.status, answer.code), (status, code))
            self.front.pass_time(100)

    def test_pages(self) -> None:
        """Pages of any size hold all tags, once each; the Link is relative."""
        for size in (1, 2, 3, 4, 1000):
            pages = self.follow(f"{TAGS}?n={size}", "tags")
            self.assertEqual(list(chain(*pages)), ["1.0", "a", "b"])
            self.assertTrue(all(len(page) <= size for page in pages))
        self.assertEqual(self.front.get(f"{TAGS}?n=2").headers["link"].count("://"), 0)
        self.assertEqual(self.front.get(f"{TAGS}?last=a").json["tags"], ["b"])
        self.assertEqual(self.front.get(f"{TAGS}?last=zzz").json["tags"], [])

    def test_namespace(self) -> None:
        """The Link keeps the ns, without which it would lead elsewhere."""
        self.front.other.tag_lists["org/app"] = ["x", "y"]
        self.assertEqual(self.follow(f"{TAGS}?n=1&ns={OTHER}", "tags"), [["x"], ["y"]])

    def test_sizes(self) -> None:
        """0 is an empty page, large ones are clamped, and what is no number is 400."""
        self.front.main.tag_lists["org/app"] = [f"{number:05}" for number in range(1500)]
        for size, count in (
            ("0", 0),
            ("000", 0),
            ("007", 7),
            ("1000", 1000),
            ("1001", 1000),
            ("10000", 1000),
            (str(2**31), 1000),
            (str(2**63), 1000),
            ("9" * 1000, 1000),
        ):
            answer = self.front.get(f"{TAGS}?n={size}")
            self.assertEqual(len(answer.json["tags"]), count, size)
            self.assertEqual("link" in answer.headers, count > 0)
        self.assertEqual(len(self.front.get(TAGS).json["tags"]), 1000)
        self.assertEqual(len(list(chain(*self.follow(TAGS, "tags")))), 1500)
        signs = (quote("\u0661"), quote("\xb2"))
        for size in ("-1", "1e9", "", "x", "1.0", "%2B1", "+1", "0x1", "1&n=2", *signs):
            answer = self.front.get(f"{TAGS}?n={size}")
            self.assertEqual((answer.status, answer.code), (400, "PAGINATION_NUMBER_INVALID"), size)


class CatalogCase(ListCase):
    """What the cache holds."""

    def hold(self, upstream: str, *repositories: str) -> None:
        """The cache holds something of these."""
        known = self.front.caches.upstreams.get(upstream)
        identity = known.identity if known else UpstreamIdentity(upstream)
        for repository in repositories:
            self.front.caches.index.record_blob(
                RepositoryContent(Repository(identity, repository), SUBJECT),
                5,
                credentials="",
                public=True,
                now=self.front.clock.seconds(),
            )

    def names(self, target: str = "/v2/_catalog", host: str = "localhost") -> list[str]:
        """The names on one page."""
        names: list[str] = self.front.get(target, host=host).json["repositories"]
        return names


class CatalogTests(CatalogCase):
    """``_catalog``."""

    setting = Setting(default_namespace="library", index=None)

    def setUp(self) -> None:
        super().setUp()
        self.hold(MAIN, "library/x", "org/app", "zz/last")
        self.hold(OTHER, "org/app", "base")
        self.hold("removed.test", "org/app")

    def test_names(self) -> None:
        """Names are those by which one would pull, sorted; upstreams that are gone have none."""
        self.assertEqual(
            self.names(),
            ["library/x", "org/app", "other.test/base", "other.test/org/app", "zz/last"],
        )
        self.assertEqual(self.front.main.requests, [])

    def test_named_upstream(self) -> None:
        """Under a Host or ns it is that upstream's, with plain names."""
        self.assertEqual(self.names(host="other.example.com"), ["base", "org/app"])
        self.assertEqual(self.names(f"/v2/_catalog?ns={OTHER}"), ["base", "org/app"])
        self.assertEqual(self.names(host="main.example.com"), ["library/x", "org/app", "zz/last"])

    def test_no_default_here(self) -> None:
        """Where the default upstream does not answer its names have a prefix, too."""
        self.assertEqual(
            self.names(host="some.name.test"),
            [
                "main.test/library/x",
                "main.test/org/app",
                "main.test/zz/last",
                "other.test/base",
                "other.test/org/app",
            ],
        )

    def test_names_lead_back(self) -> None:
        """Each listed name can be asked for by that name, under the same Host."""
        for host in ("localhost", "some.name.test", "other.example.com"):
            for name in self.names(host=host):
                self.front.get(f"/v2/{name}/manifests/at-{host}", host=host)
                record = self.front.records.last
                self.assertEqual(record.status, 404)
                self.assertTrue(record.upstream, name)
                asked = self.front.main if record.upstream == MAIN else self.front.other
                self.assertEqual(asked.requests[-1][1], record.repository)

    def test_pages(self) -> None:
        """Pages of any size hold all names, once each, under every Host."""
        for host in ("localhost", "some.name.test", "other.example.com"):
            whole = self.names(host=host)
            for size in range(1, 7):
                pages = self.follow(f"/v2/_catalog?n={size}", "repositories", host)
                self.assertEqual(list(chain(*pages)), whole)
                self.assertTrue(all(len(page) <= size for page in pages))
        self.assertEqual(
            self.follow(f"/v2/_catalog?n=1&ns={OTHER}", "repositories"), [["base"], ["org/app"]]
        )

    def test_last(self) -> None:
        """``last`` need not be on the list."""
        self.assertEqual(self.names("/v2/_catalog?last=other.test"), self.names()[2:])
        self.assertEqual(self.names("/v2/_catalog?last=other.test/c"), self.names()[3:])
        self.assertEqual(self.names("/v2/_catalog?last=zzz"), [])

    def test_sizes(self) -> None:
        """As for tags; an empty cache has an empty list."""
        answer = self.front.get("/v2/_catalog?n=0")
        self.assertEqual((answer.json, answer.headers.get("link")), ({"repositories": []}, None))
        for size in ("-1", "x", "1&n=1"):
            answer = self.front.get(f"/v2/_catalog?n={size}")
            self.assertEqual((answer.status, answer.code), (400, "PAGINATION_NUMBER_INVALID"))
        self.assertEqual(len(self.names("/v2/_catalog?n=10000")), 5)

    def test_many(self) -> None:
        """More than the largest page are told of by a Link."""
        self.hold(MAIN, *(f"many/{number:04}" for number in range(1200)))
        pages = self.follow("/v2/_catalog?n=10000", "repositories")
        self.assertEqual([len(page) for page in pages], [1000, 205])


class SmallPagesTests(CatalogTests):
    """The same with an index that gives small pages only."""

    setting = Setting(default_namespace="library")

    def setUp(self) -> None:
        self.setting = Setting(default_namespace="library", index=PagedIndex())
        super().setUp()


class AmbiguousTests(CatalogCase):
    """A repository of the default upstream that begins like the name of another one."""

    setting = Setting(aliases=("team",))

    def test_prefix(self) -> None:
        """It is shown with the upstream's name, and paging does not stumble over it."""
        self.hold(MAIN, "a/b", "team/app", "team", "x.y/z", "zz")
        whole = ["a/b", "team", "main.test/team/app", "main.test/x.y/z", "zz"]
        self.assertEqual(self.names(), whole)
        for size in range(1, 6):
            pages = self.follow(f"/v2/_catalog?n={size}", "repositories")
            self.assertEqual(list(chain(*pages)), whole)


class ReferrersTests(ListCase):
    """``referrers``."""

    def setUp(self) -> None:
        super().setUp()
        self.sbom = descriptor(Digest.of(b"sbom"), artifactType="a/sbom", annotations={"k": "v"})
        self.seal = descriptor(Digest.of(b"seal"), artifactType="a/seal")
        self.content = json.dumps(index(self.sbom, self.seal)).encode()

    def test_api(self) -> None:
        """The upstream's index, with all that is said of its members."""
        self.front.main.referrers[SUBJECT] = self.content
        answer = self.front.get(REFERRERS)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], OCI_INDEX)
        self.assertEqual(answer.json["manifests"], [self.sbom, self.seal])
        self.assertEqual((answer.json["schemaVersion"], answer.json["mediaType"]), (2, OCI_INDEX))
        self.assertNotIn("oci-filters-applied", answer.headers)
        got, head = self.front.get(REFERRERS), self.front.head(REFERRERS)
        self.assertEqual(head.headers, got.headers)

    def test_filter(self) -> None:
        """The filter is applied here, and said to be."""
        self.front.main.referrers[SUBJECT] = self.content
        answer = self.front.get(f"{REFERRERS}?artifactType=a%2Fsbom")
        self.assertEqual(answer.json["manifests"], [self.sbom])
        self.assertEqual(answer.headers["oci-filters-applied"], "artifactType")
        none = self.front.get(f"{REFERRERS}?artifactType=application/x%2Bjson")
        self.assertEqual((none.status, none.json["manifests"]), (200, []))

    def test_fallback_tag(self) -> None:
        """Without the API the tag that stands for it is asked, and filtered just so."""
        tag = f"sha256-{SUBJECT.hex}"
        self.front.main.add_manifest("org/app", tag, self.content, OCI_INDEX)
        answer = self.front.get(f"{REFERRERS}?artifactType=a/seal")
        self.assertEqual(answer.json["manifests"], [self.seal])
        self.assertEqual(answer.headers["oci-filters-applied"], "artifactType")

    def test_neither(self) -> None:
        """Nothing there, or something else under that tag, is an empty index and 200."""
        for _ in range(2):
            answer = self.front.get(REFERRERS)
            self.assertEqual((answer.status, answer.json["manifests"]), (200, []))
            self.assertEqual(answer.headers["content-type"], OCI_INDEX)
            tag = f"sha256-{SUBJECT.hex}"
            self.front.main.add_manifest("org/app", tag, IMAGE, OCI_MANIFEST)

    def test_credentials(self) -> None:
        """A digest that is nowhere has no referrers, also where privacy is asked about first."""
        self.front.main.credentials = "0123456789abcdef"
        answer = self.front.get(REFERRERS)
        self.assertEqual((answer.status, answer.json["manifests"]), (200, []))

    def test_malformed(self) -> None:
        """An answer that is no index is the upstream's fault."""
        for content in (b"x", IMAGE, json.dumps(index({"digest": "x"})).encode()):
            self.front.main.referrers[SUBJECT] = content
            answer = self.front.get(REFERRERS)
            self.assertEqual((answer.status, answer.code), (502, "UNAVAILABLE"))

    def test_upstream_down(self) -> None:
        """While the upstream is ill those are answered that were pulled through here."""
        seal = json.dumps(image(subject=descriptor(SUBJECT), artifactType="a/seal")).encode()
        self.front.main.add_manifest("org/app", "seal", seal, OCI_MANIFEST)
        self.front.get("/v2/org/app/manifests/seal")
        self.front.fail(GONE)
        answer = self.front.get(REFERRERS)
        (member,) = answer.json["manifests"]
        self.assertEqual(
            (member["digest"], member["artifactType"]), (str(Digest.of(seal)), "a/seal")
        )
        self.assertIn("fwd=stale", answer.headers["cache-status"])
        other = f"/v2/org/app/referrers/{Digest.of(b'other')}"
        self.assertEqual(self.front.get(other).status, 502)

    def test_denied(self) -> None:
        """A refusal is passed on."""
        self.front.fail(UpstreamDenied(MAIN, "no", status=403))
        self.assertEqual(self.front.get(REFERRERS).status, 403)
