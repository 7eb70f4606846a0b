"""Tests for regcache.upstream.wire: requests as they go onto the wire."""

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from regcache.upstream.exchange import UpstreamRequest
from regcache.upstream.urls import Origin, Url, parse_url
from regcache.upstream.wire import WireRequest, encode_head

URL = parse_url("https://registry.test/v2/app/blobs/sha256:ab?ns=x")


class EncodeHeadTests(SynchronousTestCase):
    """Tests for :func:`encode_head`."""

    def test_fields(self) -> None:
        """A head has Host first, then what is common, then what is secret."""
        request = UpstreamRequest(b"GET", URL, (("Accept", "*/*"), ("Range", "bytes=5-")))
        self.assertEqual(
            encode_head(request.authorised("Bearer abc")),
            b"GET /v2/app/blobs/sha256:ab?ns=x HTTP/1.1\r\nHost: registry.test\r\n"
            b"Accept: */*\r\nRange: bytes=5-\r\nAuthorization: Bearer abc\r\n\r\n",
        )

    def test_hosts(self) -> None:
        """Host has the port where that is not the scheme's own, and brackets around IPv6."""
        for url, host in (
            ("http://registry.test:80/", b"registry.test"),
            ("http://registry.test:5000/", b"registry.test:5000"),
            ("https://[2001:db8::1]/", b"[2001:db8::1]"),
        ):
            head = encode_head(UpstreamRequest(b"HEAD", parse_url(url)))
            self.assertEqual(head, b"HEAD / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)

    def test_values_stay_in_their_line(self) -> None:
        """A value with line breaks becomes one line: it cannot add a field, or end the head."""
        for value in ("Bearer a\r\nX-Evil: 1", "Bearer a\nX-Evil: 1", "Bearer a\r\n\r\nX-Evil: 1"):
            head = encode_head(UpstreamRequest(b"GET", URL).authorised(value))
            self.assertEqual(head.count(b"\r\n"), 4)
            self.assertEqual(head.count(b"\n"), 4)
            self.assertIn(b"\r\nAuthorization: Bearer a X-Evil: 1\r\n\r\n", head)

    def test_targets(self) -> None:
        """What no URL parser would have let through is not sent."""
        origin = Origin("https", "registry.test", 443)
        for path in ("/a b", "/a\r\nX: y", "/a\x00", "a", "", "/\u00e9", "/a\n"):
            with self.assertRaises(ValueError):
                encode_head(UpstreamRequest(b"GET", Url(origin, path)))


class WireRequestTests(SynchronousTestCase):
    """Tests for :class:`WireRequest`."""

    def test_written_at_once(self) -> None:
        """It is written before the call returns, and there is nothing to be stopped."""
        transport = StringTransport()
        request = WireRequest(UpstreamRequest(b"GET", URL))
        self.assertIsNone(self.successResultOf(request.writeTo(transport)))
        request.stopWriting()
        self.assertEqual(transport.value(), encode_head(UpstreamRequest(b"GET", URL)))
