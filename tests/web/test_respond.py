"""Whole small answers."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.errors import (
    DeniedError,
    NameUnknownError,
    RangeNotSatisfiableError,
    TooManyRequestsError,
)
from regcache.web import respond
from tests.support.web_client import Answer, MemoryClient, RecordList, make_site

ETAG = '"sha256:abc"'


class RespondCase(SynchronousTestCase):
    """A site whose handler is the test's."""

    def get(self, handler: Any, method: str = "GET", *lines: str) -> Answer:
        """The answer that a handler gives."""
        self.recorder = RecordList()
        self.client = MemoryClient(make_site(handler, recorders=[self.recorder]))
        self.client.request(method, "/v2/", *lines)
        return self.client.answer(heads_only=method == "HEAD")


class ErrorTests(RespondCase):
    """Errors in the OCI form."""

    def test_error(self) -> None:
        """An error has a status, a code, a message, a detail and its headers."""
        error = DeniedError("no", detail={"key": 1}, headers={"Retry-After": "5"})
        answer = self.get(lambda request: respond.send_error(request, error))
        self.assertEqual(answer.status, 403)
        self.assertEqual(
            answer.json, {"errors": [{"code": "DENIED", "message": "no", "detail": {"key": 1}}]}
        )
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.headers["retry-after"], "5")
        self.assertEqual(answer.headers["docker-distribution-api-version"], "registry/2.0")
        self.assertEqual(self.recorder.last.outcome, "denied")

    def test_noted(self) -> None:
        """What the client is told is noted for the access log."""
        self.get(lambda request: respond.send_error(request, NameUnknownError("no such name")))
        self.assertEqual(self.recorder.last.error, "no such name")

    def test_reason(self) -> None:
        """Every status has its words, those too that are newer than HTTP/1.1."""
        self.get(lambda request: respond.send_error(request, TooManyRequestsError("slow down")))
        self.assertIn(b"HTTP/1.1 429 Too Many Requests\r\n", self.client.raw)

    def test_no_detail(self) -> None:
        """Without a detail there is no such member."""
        answer = self.get(lambda request: respond.send_error(request, NameUnknownError("no")))
        self.assertEqual(answer.json, {"errors": [{"code": "NAME_UNKNOWN", "message": "no"}]})
        self.assertEqual(self.recorder.last.outcome, "error")

    def test_outcome_is_kept(self) -> None:
        """An outcome that the handler has noted stays."""

        def handler(request: Any) -> None:
            request.facts.outcome = "stale"
            respond.send_error(request, RangeNotSatisfiableError(5))

        answer = self.get(handler)
        self.assertEqual(answer.headers["content-range"], "bytes */5")
        self.assertEqual(self.recorder.last.outcome, "stale")

    def test_head(self) -> None:
        """HEAD gets the headers of the error alone."""
        answer = self.get(
            lambda request: respond.send_error(request, NameUnknownError("no")), "HEAD"
        )
        self.assertEqual((answer.status, answer.body), (404, b""))
        self.assertEqual(self.client.raw.partition(b"\r\n\r\n")[2], b"")
        self.assertGreater(int(answer.headers["content-length"]), 0)
        self.assertEqual(self.recorder.last.body_bytes, 0)


class BodyTests(RespondCase):
    """Bodies that are in memory."""

    def body(self, method: str = "GET", *lines: str) -> Answer:
        """The answer with a body and an entity tag."""
        return self.get(
            lambda request: respond.send_body(
                request, b"hello", "text/x", etag=ETAG, headers={"X-A": "b\r\nSet-Cookie: c\u2028"}
            ),
            method,
            *lines,
        )

    def test_body(self) -> None:
        """A body comes with its type, length and tag; header values cannot add a header."""
        answer = self.body()
        self.assertEqual((answer.status, answer.body), (200, b"hello"))
        self.assertEqual(answer.headers["content-type"], "text/x")
        self.assertEqual(answer.headers["content-length"], "5")
        self.assertEqual(answer.headers["etag"], ETAG)
        self.assertEqual(answer.headers["x-a"], "b Set-Cookie: c")
        self.assertNotIn("set-cookie", answer.headers)
        self.assertNotIn("transfer-encoding", answer.headers)
        self.assertEqual(self.recorder.last.body_bytes, 5)

    def test_head_equals_get(self) -> None:
        """HEAD has the headers of GET."""
        headers = self.body().headers
        self.assertEqual(self.body("HEAD").headers, headers)

    def test_not_modified(self) -> None:
        """A matching If-None-Match in any of its lines gives 304 without a body."""
        for line in (f"If-None-Match: {ETAG}", f'If-None-Match: "x", W/{ETAG}', "If-None-Match: *"):
            answer = self.body("GET", 'If-None-Match: "y"' if "*" not in line else "X: y", line)
            self.assertEqual((answer.status, answer.body), (304, b""))
            self.assertEqual(answer.headers["etag"], ETAG)
            self.assertNotIn("content-length", answer.headers)

    def test_modified(self) -> None:
        """Any other is a full answer."""
        self.assertEqual(self.body("GET", 'If-None-Match: "x"').status, 200)
        self.assertEqual(self.body("GET", "If-None-Match: sha256:abc").status, 200)

    def test_only_reads_are_conditional(self) -> None:
        """If-None-Match means nothing here for other methods."""
        self.assertEqual(self.body("POST", "If-None-Match: *").status, 200)

    def test_json(self) -> None:
        """JSON is plain ASCII."""
        answer = self.get(lambda request: respond.send_json(request, {"name": "é"}, status=202))
        self.assertEqual((answer.status, answer.json), (202, {"name": "é"}))
        self.assertTrue(answer.body.isascii())

    def test_client_gone(self) -> None:
        """Nothing happens where the client has gone."""
        kept: list[Any] = []
        client = MemoryClient(make_site(kept.append)).request("GET", "/v2/")
        client.leave()
        respond.send_text(kept[0], "late")
        respond.send_error(kept[0], NameUnknownError("late"))
        self.assertEqual(client.raw, b"")


class EntityTagTests(SynchronousTestCase):
    """If-None-Match (RFC 9110, 13.1.2)."""

    def test_lists(self) -> None:
        """Tags are compared weakly, in lists over several lines."""
        for lines, expected in (
            ([], False),
            ([""], False),
            (["*"], True),
            (['"a"'], True),
            (['W/"a"'], True),
            (['"b"', '"a"'], True),
            (['"b" , "a"'], True),
            (['"b","a"'], True),
            (['"aa"'], False),
            (["a"], False),
            (['"a'], False),
            (['"b" "a"'], False),
            (['"*"'], False),
        ):
            self.assertEqual(respond.etag_matches(lines, '"a"'), expected, lines)
        self.assertTrue(respond.etag_matches(['"a"'], 'W/"a"'))

    def test_header_values(self) -> None:
        """Only printable ASCII is left of a value."""
        self.assertEqual(respond.safe_header_value(" a\r\n b\x00\x7fé "), "a  b")
