"""Challenges and other header fields."""

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regcache.challenge import Challenge, ChallengeError, parse_challenges
from regcache.upstream.fields import (
    clean_text,
    content_digest,
    content_length,
    content_range,
    error_detail,
    field_values,
    is_encoded,
    media_type,
    next_link,
    ratelimit_count,
    retry_after,
)


class ChallengeTests(SynchronousTestCase):
    """RFC 9110, 11.6.1."""

    def test_table(self) -> None:
        """Well-formed headers are read, in several lines and with several challenges."""
        table: list[tuple[list[str], list[Challenge]]] = [
            (["Basic"], [Challenge("basic")]),
            (['Basic realm="x"'], [Challenge("basic", {"realm": "x"})]),
            (["Negotiate abc=="], [Challenge("negotiate")]),
            (
                ['Bearer realm="https://a/t",service="s, t",scope="repository:x:pull,push"'],
                [
                    Challenge(
                        "bearer",
                        {
                            "realm": "https://a/t",
                            "service": "s, t",
                            "scope": "repository:x:pull,push",
                        },
                    )
                ],
            ),
            (
                ["bearer Realm = tok , SERVICE=x", 'BASIC realm="a\\"b"'],
                [
                    Challenge("bearer", {"realm": "tok", "service": "x"}),
                    Challenge("basic", {"realm": 'a"b'}),
                ],
            ),
            (
                [", , Negotiate, NTLM dG9r, Basic realm=x,,"],
                [Challenge("negotiate"), Challenge("ntlm"), Challenge("basic", {"realm": "x"})],
            ),
            ([""], []),
            ([], []),
        ]
        for values, expected in table:
            self.assertEqual(parse_challenges(values), expected, values)

    def test_malformed(self) -> None:
        """What breaks the grammar or the bounds gives no challenge at all."""
        for value in (
            'Bearer realm="open',
            'Bearer realm="a" service="b"',
            'Bearer realm="a",realm="b"',
            'Bearer realm="a\x00b"',
            "=x",
            '"quoted"',
            "Bearer realm=a;b",
            "Basic " + "x" * 9000,
            ", ".join(["Basic realm=x"] * 17),
            "Digest " + ",".join(f"p{n}=x" for n in range(40)),
        ):
            self.assertRaises(ChallengeError, parse_challenges, [value])


class FieldTests(SynchronousTestCase):
    """Header fields."""

    def test_content_range(self) -> None:
        """Only a satisfied, possible byte range is read."""
        table = {
            "bytes 0-99/200": (0, 100, 200),
            "bytes 5-5/*": (5, 6, None),
            "bytes 0-0/1": (0, 1, 1),
            "bytes 100-99/200": None,
            "bytes 0-200/200": None,
            "bytes */200": None,
            "bytes 0-99": None,
            "bytes  0-9/10": None,
            "items 0-9/10": None,
            "bytes -1-9/10": None,
            "bytes +1-9/10": None,
            "bytes 0-9/10, bytes 1-2/10": None,
            "bytes 0-99999999999999999999/*": None,
            "bytes \u0660-9/10": None,
            "bytes 0-\xb2/10": None,
            "bytes 0-9/10\xa0": None,
            "": None,
        }
        for value, expected in table.items():
            self.assertEqual(content_range(value), expected, value)

    def test_retry_after(self) -> None:
        """Seconds and dates are read, and kept between a second and an hour."""
        now = 1_767_225_600.0  # Thu, 01 Jan 2026 00:00:00 GMT
        table = {
            "5": 5,
            "0": 1,
            "99999": 3600,
            "": 30,
            "soon": 30,
            "-5": 30,
            "Thu, 01 Jan 2026 00:02:00 GMT": 120,
            "Thu, 01 Jan 2025 00:00:00 GMT": 1,
            "Fri, 01 Jan 2027 00:00:00 GMT": 3600,
            "Thu, 99 Jan 2026 00:00:00 GMT": 30,
            "9" * 400: 30,
            "\xb2": 30,
            "\u0665": 30,
            "Thu, \xb2 Jan 2026 00:02:00 GMT": 30,
            "Thu, 01 Jan 0001 00:00:00 -2359": 1,
            "Fri, 31 Dec 9999 23:59:59 -9999": 30,
        }
        for value, expected in table.items():
            self.assertEqual(retry_after(value, now), expected, value)

    def test_ratelimit_count(self) -> None:
        """Docker Hub's form is read with and without its window."""
        table = {"100;w=21600": 100, "7": 7, " 0 ;w=1": 0, "": None, "x": None, "-1": None}
        table |= {"\xb2": None, "\xa01": None, "1\xb9;w=1": None}
        for value, expected in table.items():
            self.assertEqual(ratelimit_count(value), expected, value)

    def test_content_length(self) -> None:
        """A length has digits of ASCII only, and not too many."""
        table = {"0": 0, "007": 7, "": None, "-1": None, "1_0": None, "\xb2": None, "\u0661": None}
        for value, expected in {**table, "9" * 19: None}.items():
            self.assertEqual(content_length(value), expected, value)

    def test_field_values(self) -> None:
        """Only white space of HTTP is taken off the ends; any bytes may be between."""
        headers = Headers({b"Content-Length": [b" 5\t", b"\xa05", b"\xb2\x85"]})
        self.assertEqual(field_values(headers, "content-length"), ["5", "\xa05", "\xb2\x85"])

    def test_media_type(self) -> None:
        """Parameters and case are dropped, nonsense gives nothing."""
        table = {
            "Application/JSON; charset=utf-8": "application/json",
            "text/plain\x00": "",
            "text": "",
            "": "",
        }
        for value, expected in table.items():
            self.assertEqual(media_type(value), expected, value)

    def test_contradicting_digests(self) -> None:
        """Two different digests in the headers are none."""
        one, other = "sha256:" + "a" * 64, "sha256:" + "b" * 64
        self.assertEqual(str(content_digest(Headers({"Docker-Content-Digest": [one]}))), one)
        self.assertIsNone(content_digest(Headers({"Docker-Content-Digest": [one, other]})))
        self.assertIsNone(content_digest(Headers({"Docker-Content-Digest": ["md5:00"]})))

    def test_encoded(self) -> None:
        """Only identity is no encoding."""
        self.assertFalse(is_encoded(Headers({})))
        self.assertFalse(is_encoded(Headers({"Content-Encoding": ["Identity"]})))
        self.assertTrue(is_encoded(Headers({"Content-Encoding": ["identity", "gzip"]})))

    def test_next_link(self) -> None:
        """Only the link whose relation is next counts."""
        table = {
            '</v2/x/tags/list?last=a>; rel="next"': "/v2/x/tags/list?last=a",
            '<a>; rel="prev", <b>; rel=next': "b",
            '<a>; rel="prev"': None,
            "nonsense": None,
        }
        for value, expected in table.items():
            self.assertEqual(next_link([value]), expected, value)

    def test_clean_text(self) -> None:
        """A foreign message loses control and format characters, and is bounded."""
        self.assertEqual(clean_text("a\r\n\x1b[31mb\u202ec"), "a [31mb c")
        self.assertEqual(len(clean_text("x" * 5000)), 512)

    def test_error_detail(self) -> None:
        """OCI errors give their messages, text itself, and markup nothing."""
        table = {
            b'{"errors":[{"code":"DENIED","message":"no\\u0007 access"}]}': "no access",
            b'{"errors":[{"code":"DENIED"}]}': "DENIED",
            b'{"errors":[1]}': "",
            b"[" * 1000: "",
            b"plain\nwords": "plain words",
            b"<html>x</html>": "",
            b"\xff": "\ufffd",
        }
        for body, expected in table.items():
            self.assertEqual(error_detail(body), expected, body[:40])
