"""A blob under way, for the tests of its ranges and of its flow."""

from regcache.errors import (
    UpstreamBadAnswer,
)
from regcache.upstream.blob_body import BlobBody
from tests.upstream.cases import BLOB, DIGEST, UpstreamTestCase
from tests.upstream.network import Line, Seen, response
from tests.upstream.recorders import Consumer

SIZE = len(BLOB)


def blob_server(seen: Seen) -> bytes:
    """A server that knows ranges."""
    wanted = seen.headers.get("range")
    if wanted is None:
        return response(200, BLOB, ETag='"e"')
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last) + 1 if last else SIZE, SIZE)
    return response(206, BLOB[start:end], Content_Range=f"bytes {start}-{end - 1}/{SIZE}")


class BlobTestCase(UpstreamTestCase):
    """A body under way."""

    def setUp(self) -> None:
        super().setUp()
        self.consumer = Consumer()

    def begin(self, answer: bytes, start: int = 0, end: int | None = None) -> BlobBody:
        """Have a GET answered, with the body undelivered."""
        self.serve(lambda _: answer)
        body = self.outcome(self.registry().get_blob("x", DIGEST, start, end))
        assert isinstance(body, BlobBody)
        return body

    @property
    def line(self) -> Line:
        """The latest connection."""
        return self.network.lines[-1]

    def refused(self, answer: bytes, start: int = 0, end: int | None = None) -> Exception:
        """Have a GET answered with something that is no answer; the connection is not kept."""
        self.serve(lambda _: answer)
        return self.failure(self.registry().get_blob("x", DIGEST, start, end), UpstreamBadAnswer)
