"""Answers and lists of tags from an upstream that means no good."""

import json

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.parsing import MOST_VALUES
from tests.upstream.cases import (
    UpstreamTestCase,
)
from tests.upstream.network import Seen, response


class HostileAnswerTests(UpstreamTestCase):
    """attacks.md: CVE-2017-11468 and what else an answer may be."""

    def test_cve_2017_11468_gigantic_manifest(self) -> None:
        """A manifest over 4 MiB is refused, announced or not, and its connection closed."""
        announced = response(200, b"", Content_Length=str(4 * 1024 * 1024 + 1))
        silent = response(200, b"", Content_Length="absent") + b"x" * (4 * 1024 * 1024 + 1)
        for answer in (announced, silent):
            self.serve(lambda _, answer=answer: answer)
            self.failure(self.registry().get_manifest("x", "latest"), UpstreamBadAnswer)
            self.assertTrue(self.network.lines[-1].closed_by_client)

    def test_dripping_manifest(self) -> None:
        """A body that drips comes to an end nevertheless."""
        head = response(200, b"", Content_Length="1000")
        self.serve(lambda _: head)
        waiting = self.registry().get_manifest("x", "latest")
        self.network.settle()
        for _ in range(31):
            self.assertNoResult(waiting) if _ < 29 else None
            self.network.lines[0].send(b"x")
            self.network.pass_time(1)
        self.failure(waiting, UpstreamTimedOut)
        self.assertTrue(self.network.lines[0].closed_by_client)

    def test_compressed(self) -> None:
        """Compressed content is refused unread (gzip and zstd bombs)."""
        for coding in ("gzip", "zstd", "br", "identity, gzip"):
            self.serve(lambda _, coding=coding: response(200, b"x", Content_Encoding=coding))
            self.failure(self.registry().get_manifest("x", "latest"), UpstreamBadAnswer)

    def test_cut_off(self) -> None:
        """A body shorter than announced is no answer."""
        self.serve(lambda _: response(200, b"x", Content_Length="10"))
        waiting = self.registry().get_manifest("x", "latest")
        self.network.settle()
        self.network.lines[0].close()
        self.failure(waiting, UpstreamUnreachable)

    def test_not_http(self) -> None:
        """Bytes that are no HTTP are a bad answer."""
        for junk in (b"SSH-2.0-x y z\r\n\r\n", b"HTTP/1.1 abc X\r\n\r\n"):
            self.serve(lambda _, junk=junk: junk)
            self.failure(self.registry().get_manifest("x", "latest"), UpstreamBadAnswer)

    def test_contradicting_lengths(self) -> None:
        """Two different lengths are request smuggling backwards, and refused."""
        self.serve(lambda _: b"HTTP/1.1 200 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx")
        self.failure(self.registry().get_manifest("x", "latest"), UpstreamBadAnswer)

    def test_headers_without_end(self) -> None:
        """Headers are bounded; the connection is closed beyond that."""
        self.serve(lambda _: b"HTTP/1.1 200 X\r\n")
        waiting = self.registry().get_manifest("x", "latest")
        self.network.settle()
        for _ in range(100):
            self.network.lines[0].send(b"X-Filler: " + b"x" * 1000 + b"\r\n")
        self.failure(waiting, UpstreamBadAnswer)
        self.assertTrue(self.network.lines[0].closed_by_client)
        self.assertEqual(len(self.network.requests), 1)

    def test_many_interim_answers(self) -> None:
        """1xx answers without end are bounded likewise."""
        self.serve(lambda _: b"HTTP/1.1 100 X\r\n\r\n" * 5000)
        self.failure(self.registry().get_manifest("x", "latest"), UpstreamBadAnswer)

    def test_other_statuses(self) -> None:
        """What is no status for a GET is a bad answer."""
        for status in (204, 206, 304, 300, 416, 418):
            self.serve(lambda _, status=status: response(status))
            failure = self.failure(self.registry().get_manifest("x", "latest"), UpstreamBadAnswer)
            self.assertEqual(failure.status, status)


class TagsTests(UpstreamTestCase):
    """Lists of tags."""

    def page(self, *tags: object, link: str = "") -> bytes:
        """One page."""
        body = json.dumps({"name": "x", "tags": tags}).encode()
        return response(200, body, **({"Link": link} if link else {}))

    def test_pages(self) -> None:
        """Relative Links are followed; only their query is used."""

        def handler(seen: Seen) -> bytes:
            if "last=b" in seen.target:
                return self.page("c")
            return self.page("a", "b", link='</v2/elsewhere/tags/list?n=2&last=b>; rel="next"')

        self.serve(handler)
        self.assertEqual(self.outcome(self.registry().list_tags("x")), ["a", "b", "c"])
        self.assertEqual(
            self.targets(),
            ["GET /v2/x/tags/list?n=1000", "GET /v2/x/tags/list?n=2&last=b"],
        )

    def test_what_is_no_tag(self) -> None:
        """Entries that are no tags are left out; null is an empty list."""
        self.serve(lambda _: self.page("ok", 5, None, "a/b", "x\n", "", "y" * 129, {}))
        self.assertEqual(self.outcome(self.registry().list_tags("x")), ["ok"])
        self.serve(lambda _: response(200, b'{"name":"x","tags":null}'))
        self.assertEqual(self.outcome(self.registry().list_tags("x")), [])

    def test_link_to_elsewhere(self) -> None:
        """A Link to another host or resource is not followed."""
        self.name("evil.test", "203.0.113.66")
        self.serve(lambda _: self.page("evil"), "203.0.113.66")
        for target in (
            "http://evil.test/v2/x/tags/list?last=a",
            "//evil.test/v2/x/tags/list",
            "/v2/x/manifests/latest",
            "file:///tags/list",
            "",
        ):
            self.serve(lambda _, t=target: self.page("a", link=f'<{t}>; rel="next"'))
            self.failure(self.registry().list_tags("x"), UpstreamBadAnswer)
        self.assertEqual({host for host, _ in self.network.dialled}, {"203.0.113.5"})

    def test_without_end(self) -> None:
        """Pages without end, in a circle or not, come to one."""
        count = iter(range(10_000))
        self.serve(lambda _: self.page("a", link=f'<?last={next(count)}>; rel="next"'))
        self.failure(self.registry().list_tags("x"), UpstreamBadAnswer)
        self.assertEqual(len(self.network.requests), 100)
        self.serve(lambda _: self.page("a", link='<?n=1000>; rel="next"'))
        self.failure(self.registry().list_tags("x"), UpstreamBadAnswer)
        self.assertEqual(len(self.network.requests), 101)

    def test_malformed(self) -> None:
        """What is no list of tags is a bad answer."""
        for body in (b"", b"[]", b"{}", b'{"tags":{}}', b'{"tags":"abc"}', b"[" * 100_000):
            self.serve(lambda _, body=body: response(200, body))
            self.failure(self.registry().list_tags("x"), UpstreamBadAnswer)
        self.serve(lambda _: response(200, b'{"tags":[' + b"1," * MOST_VALUES + b"1]}"))
        self.failure(self.registry().list_tags("x"), UpstreamBadAnswer)

    def test_dripping_pages(self) -> None:
        """However each page drips, the whole list has a minute."""
        self.serve(lambda _: None)
        count = iter(range(10_000))
        waiting = self.registry().list_tags("x")
        for _ in range(4):
            self.network.pass_time(18, 1)
            self.network.lines[0].send(self.page("a", link=f'<?last={next(count)}>; rel="next"'))
        self.failure(waiting, UpstreamTimedOut)
        self.assertEqual(len(self.network.requests), 4)

    def test_gigantic(self) -> None:
        """A page over its bound is refused while it arrives."""
        self.serve(lambda _: response(200, b"x" * (4 * 1024 * 1024 + 1), Content_Length="absent"))
        self.failure(self.registry().list_tags("x"), UpstreamBadAnswer)
