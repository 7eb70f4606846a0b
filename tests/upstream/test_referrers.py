"""Referrers in pages."""

import json

from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer, UpstreamTimedOut
from regcache.upstream.manifest_requests import OCI_INDEX
from tests.upstream.cases import DIGEST, UpstreamTestCase
from tests.upstream.network import Seen, response


class ReferrersTests(UpstreamTestCase):
    """Referrers in pages."""

    def page(self, *names: str, link: str = "", **headers: str) -> bytes:
        """One page."""
        manifests = [{"digest": str(Digest.of(name.encode())), "size": 1} for name in names]
        body = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
        if link:
            headers["Link"] = f'<{link}>; rel="next"'
        return response(200, body, Content_Type=OCI_INDEX, **headers)

    def test_one_page(self) -> None:
        """A single page comes as it is."""
        whole = self.page("a")
        self.serve(lambda _: whole)
        answer = self.outcome(self.registry().get_referrers("x", DIGEST))
        self.assertTrue(whole.endswith(answer.content))

    def test_pages(self) -> None:
        """Further pages are added to the first; of their Links only the query is used."""

        def handler(seen: Seen) -> bytes:
            if "last=2" in seen.target:
                return self.page("c")
            if "last=1" in seen.target:
                return self.page(
                    "b", link=f"/v2/y/referrers/{str(DIGEST).replace(':', '%3A')}?last=2"
                )
            return self.page("a", link="?last=1", Docker_Content_Digest=str(DIGEST))

        self.serve(handler)
        answer = self.outcome(self.registry().get_referrers("x", DIGEST))
        found = [each["digest"] for each in json.loads(answer.content)["manifests"]]
        self.assertEqual(found, [str(Digest.of(name)) for name in (b"a", b"b", b"c")])
        self.assertEqual(answer.media_type, OCI_INDEX)
        self.assertIsNone(answer.claimed)
        targets = [target.partition("?")[2] for target in self.targets()]
        self.assertEqual(targets, ["", "last=1", "last=2"])
        self.assertEqual(
            {seen.path for seen in self.network.requests}, {f"/v2/x/referrers/{DIGEST}"}
        )

    def test_link_to_elsewhere(self) -> None:
        """A Link to another host or resource, or in a circle, is not followed."""
        for link in ("http://evil.test/", "//evil.test/v2/x/referrers/y", "/v2/x/tags/list", "?"):
            answer = self.page("a", link=link)
            self.serve(lambda _, answer=answer: answer)
            self.failure(self.registry().get_referrers("x", DIGEST), UpstreamBadAnswer)
        self.assertEqual({host for host, _ in self.network.dialled}, {"203.0.113.5"})

    def test_without_end(self) -> None:
        """Pages without end come to one, by number and by size."""
        count = iter(range(10_000))
        self.serve(lambda _: self.page("a", link=f"?last={next(count)}"))
        self.failure(self.registry().get_referrers("x", DIGEST), UpstreamBadAnswer)
        self.assertEqual(len(self.network.requests), 100)
        large = ["x" * 5] * 20_000
        self.serve(lambda _: self.page(*large, link=f"?last={next(count)}"))
        self.failure(self.registry().get_referrers("x", DIGEST), UpstreamBadAnswer)
        self.assertLess(len(self.network.requests), 104)

    def test_broken_page(self) -> None:
        """A further page that is missing or malformed spoils the list: half of it is a lie."""
        for second in (response(404), response(200, b"{}"), response(200, b"junk")):
            self.serve(
                lambda seen, second=second: (
                    second if "last" in seen.target else self.page("a", link="?last=1")
                )
            )
            self.failure(self.registry().get_referrers("x", DIGEST), UpstreamBadAnswer)

    def test_dripping_pages(self) -> None:
        """However each page drips, the whole list has a minute."""
        self.serve(lambda _: None)
        count = iter(range(10_000))
        waiting = self.registry().get_referrers("x", DIGEST)
        for _ in range(4):
            self.network.pass_time(18, 1)
            self.network.lines[0].send(self.page("a", link=f"?last={next(count)}"))
        self.failure(waiting, UpstreamTimedOut)
