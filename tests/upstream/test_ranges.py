"""Blobs: what was asked for and what comes."""

from zope.interface.verify import verifyObject

from regcache.errors import (
    UpstreamNotFound,
)
from regcache.interfaces import IBlobBody
from tests.upstream.blob_cases import SIZE, BlobTestCase, blob_server
from tests.upstream.cases import BLOB, DIGEST
from tests.upstream.network import response
from tests.upstream.recorders import Consumer


class RangeTests(BlobTestCase):
    """What was asked for and what comes."""

    def test_whole(self) -> None:
        """Without a range the whole blob comes, and no Range is sent."""
        self.serve(blob_server)
        body = self.outcome(self.registry().get_blob("x", DIGEST))
        self.assertTrue(verifyObject(IBlobBody, body))
        self.assertEqual(
            (body.start, body.end, body.size, body.credentials, body.url_index),
            (0, SIZE, SIZE, "", 0),
        )
        body.deliver(self.consumer)
        self.network.settle()
        self.assertEqual((self.consumer.content, self.consumer.ended), (BLOB, 1))
        self.assertNotIn("range", self.network.requests[0].headers)
        self.assertEqual(self.targets(), [f"GET /v2/x/blobs/{DIGEST}"])
        self.assertEqual(self.meter.sent, SIZE)

    def test_parts(self) -> None:
        """Parts come from where they were asked."""
        self.serve(blob_server)
        for start, end, header in ((5, None, "bytes=5-"), (0, 9, "bytes=0-8"), (7, 8, "bytes=7-7")):
            consumer = Consumer()
            body = self.outcome(self.registry().get_blob("x", DIGEST, start, end))
            body.deliver(consumer)
            self.network.settle()
            self.assertEqual((body.start, body.end, body.size), (start, end or SIZE, SIZE))
            self.assertEqual(consumer.content, BLOB[start:end])
            self.assertEqual(self.network.requests[-1].headers["range"], header)

    def test_range_ignored(self) -> None:
        """200 to a Range is the whole blob from its start."""
        body = self.begin(response(200, BLOB), 500, 600)
        self.assertEqual((body.start, body.end, body.size), (0, SIZE, SIZE))
        body.abort()

    def test_length_unknown(self) -> None:
        """Without a length, or chunked, the end is unknown, and the end of the body is one."""
        chunked = response(200, b"", Content_Length="absent", Transfer_Encoding="chunked")
        for answer in (
            chunked + b"3\r\nabc\r\n0\r\n\r\n",
            response(200, b"", Content_Length="absent") + b"abc",
        ):
            consumer = Consumer()
            body = self.begin(answer)
            self.assertEqual((body.start, body.end, body.size), (0, None, None))
            body.deliver(consumer)
            self.network.settle()
            self.line.close()
            self.network.settle()
            self.assertEqual((consumer.content, consumer.ended), (b"abc", 1))

    def test_wrong_parts(self) -> None:
        """A part that is not what was asked for is refused, and its connection closed."""
        for content_range, size in (
            ("bytes 0-9/100", 10),
            ("bytes 6-15/100", 10),
            ("bytes 5-24/100", 20),
            ("bytes 5-14/100", 9),
            ("bytes 5-14/10", 10),
            ("bytes */100", 10),
            ("nonsense", 10),
            ("", 10),
        ):
            self.refused(response(206, b"x" * size, Content_Range=content_range), 5, 15)
            self.assertTrue(self.line.closed_by_client or not self.line.transport.gone)

    def test_part_unasked(self) -> None:
        """206 to a GET without Range is a bad answer."""
        self.refused(response(206, b"x", Content_Range="bytes 0-0/1"))

    def test_multipart(self) -> None:
        """Several parts at once were not asked for."""
        self.refused(response(206, b"x", Content_Type="multipart/byteranges; boundary=x"), 5, 15)

    def test_not_satisfiable(self) -> None:
        """416 is a bad answer with its status."""
        failure = self.refused(response(416, Content_Range="bytes */5"), 100)
        self.assertEqual(failure.status, 416)

    def test_compressed(self) -> None:
        """A blob that comes compressed is not what its digest names (bombs)."""
        self.refused(response(200, BLOB, Content_Encoding="gzip"))

    def test_not_found(self) -> None:
        """404 is not found, and gives the place back."""
        self.serve(lambda _: response(404))
        registry = self.registry(max_downloads=1)
        for _ in range(3):
            self.failure(registry.get_blob("x", DIGEST), UpstreamNotFound)


class HeadTests(BlobTestCase):
    """HEAD of a blob."""

    def test_head(self) -> None:
        """The size is in the headers."""
        self.serve(blob_server)
        head = self.outcome(self.registry().head_blob("x", DIGEST))
        self.assertEqual(head.size, SIZE)
        self.assertEqual(self.targets(), [f"HEAD /v2/x/blobs/{DIGEST}"])

    def test_storage_without_head(self) -> None:
        """Where the storage behind a redirect takes GET only, one byte is asked for."""
        self.name("cdn.test", "203.0.113.7")
        self.serve(lambda _: response(307, Location="http://cdn.test/b"))
        self.serve(
            lambda seen: response(403) if seen.method == "HEAD" else blob_server(seen),
            "203.0.113.7",
        )
        registry = self.registry()
        head = self.outcome(registry.head_blob("x", DIGEST))
        self.assertEqual(head.size, SIZE)
        self.assertEqual(self.network.requests[-1].headers["range"], "bytes=0-0")
        self.outcome(registry.close())
        self.assertEqual(self.network.getDelayedCalls(), [])
