"""Heads that are read in one go mean what they mean when they are read line by line."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.web.http1.reading import LONGEST, MOST_FIELDS, parse_plain_head
from regcache.web.request import Request
from regcache.web.respond import send_text
from tests.support.web_client import MemoryClient, make_site

PLAIN = b"GET /v2/a/manifests/1?ns=x HTTP/1.1\r\nHost: a\r\nAccept: b, c\r\naccept:d\r\n\r\n"


class PlainTests(SynchronousTestCase):
    """What is plain."""

    def test_parts(self) -> None:
        """Method, target and fields come as they were sent, values without blanks before them."""
        head = parse_plain_head(PLAIN)
        assert head is not None
        self.assertEqual((head.method, head.target), (b"GET", b"/v2/a/manifests/1?ns=x"))
        fields = sorted(head.fields.headers.getAllRawHeaders())
        self.assertEqual(fields, [(b"Accept", [b"b, c", b"d"]), (b"Host", [b"a"])])

    def test_connection(self) -> None:
        """Fields that concern the connection are found, in upper and lower case."""
        for name in (b"Connection", b"connection", b"CONNECTION"):
            head = parse_plain_head(PLAIN.replace(b"accept", name))
            self.assertTrue(head is not None and head.fields.has_connection, name)
        for name in (b"accept", b"Proxy-Connection"):
            head = parse_plain_head(PLAIN.replace(b"accept", name))
            self.assertTrue(head is not None and not head.fields.has_connection, name)

    def test_same_fields(self) -> None:
        """Fields that come again are not parsed again; others are, though alike in length."""
        head = parse_plain_head(PLAIN)
        assert head is not None
        again = parse_plain_head(PLAIN.replace(b"GET /v2/a", b"HEAD /v2/bb"), head.fields)
        assert again is not None
        self.assertEqual((again.method, again.target), (b"HEAD", b"/v2/bb/manifests/1?ns=x"))
        self.assertIs(again.fields, head.fields)
        other = parse_plain_head(PLAIN.replace(b"Host: a", b"Host: b"), head.fields)
        assert other is not None
        self.assertEqual(other.fields.headers.getRawHeaders(b"host"), [b"b"])

    def test_not_plain(self) -> None:
        """Odd heads, incomplete heads, and heads with a possible body are left alone."""
        for data in (
            PLAIN[:-1],
            PLAIN + b"G",
            PLAIN + PLAIN,
            b"\r\n" + PLAIN,
            PLAIN.replace(b"GET", b"POST"),
            PLAIN.replace(b"GET", b"get"),
            PLAIN.replace(b"GET ", b"GET  "),
            PLAIN.replace(b"/v2/", b"v2/"),
            PLAIN.replace(b"/v2/", b"/v2/\xe9"),
            PLAIN.replace(b"/v2/", b"http://b/v2/"),
            PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
            PLAIN.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\n"),
            PLAIN.replace(b"Host:", b"Host :"),
            PLAIN.replace(b"Host:", b" Host:"),
            PLAIN.replace(b"Host: a", b"Host"),
            PLAIN.replace(b"Host: a", b": a"),
            PLAIN.replace(b"Host: a", b"Host: a "),
            PLAIN.replace(b"Host: a", b"Host: a\t"),
            PLAIN.replace(b"Host: a", b"Host: \x00"),
            PLAIN.replace(b"Host: a", b"Host: \xe9"),
            PLAIN.replace(b"Host: a", b"Host: a\rb"),
            PLAIN.replace(b"Host: a", b"Host: a\nb: c"),
            PLAIN.replace(b"Host: a", b"Host: a\r\n b"),
            PLAIN.replace(b"Accept:", b"Content-Length:"),
            PLAIN.replace(b"Accept:", b"TRANSFER-encoding:"),
            PLAIN.replace(b"Accept:", b"Expect:"),
            PLAIN.replace(b"Accept:", b"Cookie:"),
            PLAIN.replace(b"Accept:", b"Upgrade:"),
            PLAIN.replace(b"/v2/", b"/v2/" + b"x" * LONGEST),
            PLAIN.replace(b"accept:d\r\n", b"accept:d\r\n" * MOST_FIELDS),
            b"GET / HTTP/1.1\r\n\r\n",
            b"",
        ):
            self.assertIsNone(parse_plain_head(data), data)
            known = parse_plain_head(PLAIN)
            assert known is not None
            self.assertIsNone(parse_plain_head(data, known.fields), data)


def said(pieces: list[bytes]) -> tuple[list[Any], bytes]:
    """What a site makes of data that comes in these pieces: its requests, and its answers."""
    requests: list[Any] = []

    def answer(request: Request) -> None:
        fields = sorted(request.requestHeaders.getAllRawHeaders())
        requests.append((request.method, request.uri, request.clientproto, fields))
        send_text(request, "ok")

    client = MemoryClient(make_site(answer, Clock()))
    for piece in pieces:
        client.send(piece)
    written = client.raw
    client.leave()
    return requests, written


LINE = st.one_of(
    st.sampled_from(
        [
            b"Host: a",
            b"Host:a",
            b"host: b",
            b"Connection: close",
            b"Connection: keep-alive",
            b"Accept: a/b",
            b"Expect: 100-continue",
            b"Content-Length: 0",
            b"Transfer-Encoding: chunked",
            b"X: \t y \t",
            b"X:",
            b" folded",
        ]
    ),
    st.binary(max_size=12),
)
START = st.one_of(
    st.sampled_from([b"GET /a HTTP/1.1", b"HEAD /v2/ HTTP/1.1", b"GET /a?b#c HTTP/1.0"]),
    st.binary(max_size=12),
)


class SameTests(SynchronousTestCase):
    """One meaning, however it is read."""

    @given(START, st.lists(LINE, max_size=4))
    def test_same(self, start: bytes, lines: list[bytes]) -> None:
        """A head in one piece has the requests and answers that it has in two pieces."""
        data = b"\r\n".join([start, *lines, b"", b""])
        self.assertEqual(said([data]), said([data[:1], data[1:]]))

    @given(st.lists(st.tuples(START, st.lists(LINE, max_size=3)), max_size=5))
    def test_same_connection(self, heads: list[tuple[bytes, list[bytes]]]) -> None:
        """Heads that follow each other have the same meaning, whatever came before them."""
        data = [b"\r\n".join([start, *lines, b"", b""]) for start, lines in heads]
        data = [each for each in data for _ in range(2)]
        pieces = [part for each in data for part in (each[:1], each[1:])]
        self.assertEqual(said(data), said(pieces))

    def test_next_request(self) -> None:
        """Behind a plain head any other may follow, and behind that a plain one again."""
        odd = PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\nxx")
        requests, written = said([PLAIN, odd, PLAIN, PLAIN[:9], PLAIN[9:], PLAIN + PLAIN])
        self.assertEqual(len(requests), 6)
        self.assertEqual(written.count(b"HTTP/1.1 200 OK"), 6)
        self.assertEqual([fields for *_, fields in requests].count(requests[0][3]), 5)
