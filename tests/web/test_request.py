"""How requests are checked, dispatched and recorded."""

import errno
from typing import Any

from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regcache.errors import NameUnknownError, UpstreamNotFound, UpstreamUnreachable
from regcache.web.http2.stream import Http2Stream
from regcache.web.request import AnswerChannel, Request
from regcache.web.respond import send_text
from regcache.web.site import ConnectionLimits
from tests.support.http2_client import Http2Client, make_http2_site
from tests.support.web_client import MemoryClient, RecordList, make_site


class RequestCase(SynchronousTestCase):
    """A site whose dispatcher a test sets."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.recorder = RecordList()
        self.requests: list[Request] = []
        self.site = make_site(self.requests.append, self.clock, recorders=[self.recorder])
        self.client = MemoryClient(self.site)

    def begin(self, method: str = "GET", target: str = "/v2/") -> Request:
        """A request that waits for its answer."""
        self.client.request(method, target)
        return self.requests[-1]


class HostTests(RequestCase):
    """The Host header (RFC 9112, 3.2)."""

    def test_host(self) -> None:
        """A handler finds the host normalised."""
        self.client.request("GET", "/", host="Example.COM.:5000")
        self.assertEqual(self.requests[0].hostname, "example.com")

    def test_refused(self) -> None:
        """A missing, doubled or invalid Host is a fixed 400, which repeats nothing of it."""
        for version, lines in (
            ("1.1", []),
            ("1.1", ["Host: a", "Host: a"]),
            ("1.1", ["Host: a", "Host: b"]),
            ("1.0", ["Host: a", "Host: b"]),
            ("1.1", ["Host: <script>"]),
            ("1.1", ["Host: a b"]),
            ("1.1", ["Host: \xe9"]),
        ):
            client = MemoryClient(self.site)
            client.request("GET", "/", *lines, host=None, version=version)
            self.assertEqual(client.answer().status, 400, lines)
            self.assertNotIn(b"script", client.raw)
        self.assertEqual(self.requests, [])

    def test_old_protocol(self) -> None:
        """HTTP/1.0 may come without a Host, and any version with an empty one."""
        MemoryClient(self.site).request("GET", "/", host=None, version="1.0")
        MemoryClient(self.site).request("GET", "/", host="")
        self.assertEqual([request.hostname for request in self.requests], [None, None])


class FailureTests(RequestCase):
    """What handlers raise."""

    def test_registry_error(self) -> None:
        """An error of the registry is the answer, raised at once or later."""
        for failure in (NameUnknownError("now"), None):
            waiting: Deferred[None] = Deferred()

            def dispatch(
                request: Request, failure: Any = failure, waiting: Any = waiting
            ) -> "Deferred[None]":
                if failure is not None:
                    raise failure
                return waiting  # type: ignore[no-any-return]

            self.site.dispatch = dispatch
            client = MemoryClient(self.site).request("GET", "/v2/")
            if failure is None:
                waiting.errback(NameUnknownError("later"))
            self.assertEqual(client.answer().code, "NAME_UNKNOWN")

    def test_coroutine(self) -> None:
        """A dispatcher may be a coroutine function."""

        async def dispatch(request: Request) -> None:
            send_text(request, "done")

        self.site.dispatch = dispatch
        self.assertEqual(self.client.request("GET", "/").answer().body, b"done")

    def test_upstream_failure(self) -> None:
        """A failure of an upstream is answered as section 10 says, by the kind of request."""
        for kind, failure, code in (
            ("manifest", UpstreamNotFound("u", "gone"), "MANIFEST_UNKNOWN"),
            ("blob", UpstreamNotFound("u", "gone"), "BLOB_UNKNOWN"),
            ("tags", UpstreamNotFound("u", "gone"), "NAME_UNKNOWN"),
            ("blob", UpstreamUnreachable("u", "down"), "UNAVAILABLE"),
        ):

            def dispatch(request: Request, kind: str = kind, failure: Any = failure) -> Any:
                request.facts.kind = kind
                return fail(failure)

            self.site.dispatch = dispatch
            client = MemoryClient(self.site).request("GET", "/v2/")
            self.assertEqual(client.answer().code, code)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_unexpected(self) -> None:
        """A fault of ours is a 500 with an id that the log has too, and no traceback."""

        def dispatch(request: Request) -> None:
            raise ZeroDivisionError("secret thing")

        self.site.dispatch = dispatch
        answer = self.client.request("GET", "/v2/").answer()
        (logged,) = self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual((answer.status, answer.code), (500, "UNKNOWN"))
        self.assertNotIn(b"secret", self.client.raw)
        self.assertNotIn(b"Traceback", self.client.raw)
        self.assertIn("under ", answer.json["errors"][0]["message"])
        self.assertIs(logged.type, ZeroDivisionError)

    def test_exhausted(self) -> None:
        """Where no file can be opened the answer is 503, and the log has a line now and then."""
        self.site.dispatch = lambda request: fail(OSError(errno.EMFILE, "Too many open files"))
        with capturedLogs() as logged:
            for _ in range(20):
                answer = MemoryClient(self.site).request("GET", "/v2/").answer()
                self.assertEqual((answer.status, answer.code), (503, "UNAVAILABLE"))
                self.assertEqual(answer.headers["retry-after"], "1")
            self.clock.advance(10)
            MemoryClient(self.site).request("GET", "/v2/")
        lines = [formatEvent(event) for event in logged]
        told = "a request was refused: Too many open files"
        self.assertEqual(lines, [told, f"{told} (19 more since this was said)"])

    def test_fault_of_the_disk(self) -> None:
        """A disk that fails is a 500 with an id, and one line that says why."""
        self.site.dispatch = lambda request: fail(OSError(errno.EIO, "the disk is ill"))
        with capturedLogs() as logged:
            answer = self.client.request("GET", "/v2/").answer()
        (line,) = [formatEvent(event) for event in logged]
        self.assertEqual((answer.status, answer.code), (500, "UNKNOWN"))
        self.assertIn("the disk is ill", line)
        self.assertIn(answer.json["errors"][0]["message"].rpartition(" ")[2], line)
        self.assertNotIn(b"the disk is ill", self.client.raw)

    def test_failure_after_headers(self) -> None:
        """Once the headers are out a failure cuts the connection."""

        def dispatch(request: Request) -> None:
            request.responseHeaders.setRawHeaders("Content-Length", ["10"])
            request.write(b"half")
            raise UpstreamUnreachable("u", "broke off")

        self.site.dispatch = dispatch
        self.client.request("GET", "/v2/")
        self.assertTrue(self.client.transport.aborted)
        self.client.leave()
        self.assertEqual(self.recorder.last.status, 200)
        self.assertIn("broke off", self.recorder.last.ended_early)
        self.assertEqual(self.recorder.last.body_bytes, 4)

    def test_failure_after_leaving(self) -> None:
        """A handler that fails because its client left disturbs nobody; other faults are logged."""
        for error, logged in ((CancelledError(), 0), (ZeroDivisionError(), 1)):
            client = MemoryClient(self.site)
            waiting: Deferred[None] = Deferred(lambda d, error=error: d.errback(error))
            self.site.dispatch = lambda request, waiting=waiting: waiting
            client.request("GET", "/")
            client.leave()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), logged)

    def test_finished_request_is_not_cancelled(self) -> None:
        """A Deferred that outlives its answer is left alone when the client leaves later."""
        cancelled: list[Any] = []

        def dispatch(request: Request) -> Any:
            send_text(request, "done")
            return Deferred(cancelled.append)

        self.site.dispatch = dispatch
        self.client.request("GET", "/")
        self.client.leave()
        self.assertEqual(cancelled, [])


class RoomTests(RequestCase):
    """The attributes of requests."""

    def test_attributes(self) -> None:
        """Python keeps 30 without a table for each request; Twisted sets some late."""
        request = self.begin()
        request.send_whole((), b"done")
        self.assertIn("sentLength", vars(request))
        self.assertLess(len(vars(request)), 28, sorted(vars(request)))


class LateTests(RequestCase):
    """Answers whose head is due."""

    def wait_for(self, begin: bool = False) -> "Deferred[None]":
        """A request whose handler waits, perhaps behind the head of its answer."""
        self.cancelled: list[object] = []
        waiting: Deferred[None] = Deferred(self.cancelled.append)

        def dispatch(request: Request) -> "Deferred[None]":
            self.requests.append(request)
            request.facts.upstream = "docker.io"
            if begin:
                request.write(b"")
            return waiting

        self.site.dispatch = dispatch
        self.begin("GET", "/v2/library/debian/manifests/1")
        return waiting

    def test_late(self) -> None:
        """504 when it is due, with a word on when to ask again; the handler waits no more."""
        waiting = self.wait_for()
        self.clock.advance(24.9)
        self.assertEqual(self.client.raw, b"")
        self.clock.advance(0.1)
        answer = self.client.answer()
        self.assertEqual((answer.status, answer.headers["retry-after"]), (504, "5"))
        self.assertEqual(answer.code, "UNAVAILABLE")
        self.assertIn(b"docker.io", answer.body)
        self.assertEqual(self.cancelled, [waiting])
        [record] = self.recorder.records
        self.assertEqual((record.status, record.outcome, record.seconds), (504, "error", 25))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_configured(self) -> None:
        """It is due when the configuration says so."""
        self.site.limits = ConnectionLimits(first_answer=3)
        self.wait_for()
        self.clock.advance(3)
        self.assertEqual(self.client.answer().status, 504)

    def test_begun(self) -> None:
        """From its head on an answer may take as long as it likes."""
        waiting = self.wait_for(begin=True)
        self.clock.advance(3600)
        self.assertFalse(waiting.called)
        self.client.leave()

    def test_in_time(self) -> None:
        """Nothing is left of the limit behind an answer, nor behind a client that left."""
        idle = len(self.clock.getDelayedCalls())
        waiting = self.wait_for()
        send_text(self.requests[-1], "here")
        waiting.callback(None)
        self.assertEqual(self.client.answer().status, 200)
        self.assertEqual(len(self.clock.getDelayedCalls()), idle)
        waiting = self.wait_for()
        self.client.leave()
        self.assertEqual(self.cancelled, [waiting])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class EndTests(RequestCase):
    """How requests end, and what is noted of them."""

    def test_record(self) -> None:
        """A record has what handlers learnt, and the times."""
        request = self.begin("GET", "/v2/a/blobs/x?token=secret")
        request.facts.kind, request.facts.upstream = "blob", "docker.io"
        request.facts.repository, request.facts.reference = "library/a", "sha256:1"
        request.facts.outcome, request.facts.cache_status = "miss", "regcache; fwd=uri-miss"
        self.clock.advance(2)
        request.responseHeaders.setRawHeaders("Content-Length", ["6"])
        request.write(b"abc")
        self.clock.advance(3)
        request.write(b"def")
        request.finish()
        (record,) = self.recorder.records
        self.assertEqual((record.kind, record.upstream), ("blob", "docker.io"))
        self.assertEqual((record.repository, record.reference), ("library/a", "sha256:1"))
        self.assertEqual((record.status, record.outcome, record.body_bytes), (200, "miss", 6))
        self.assertEqual((record.first_byte, record.seconds), (2.0, 5.0))
        self.assertEqual((record.method, record.ended_early), ("GET", ""))
        self.assertNotIn("secret", repr(record))

    def test_default_outcome(self) -> None:
        """A plain answer is no hit: it has no content."""
        send_text(self.begin(), "ok")
        self.assertEqual(self.recorder.last.outcome, "none")

    def test_recorded_once(self) -> None:
        """Finishing and then losing the connection is one record."""
        send_text(self.begin(), "ok")
        self.client.leave()
        self.assertEqual(len(self.recorder.records), 1)

    def test_abort(self) -> None:
        """An aborted request is over at once, closes nothing twice and keeps its first reason."""
        request = self.begin()
        request.write(b"half")
        self.assertFalse(request.over)
        request.abort("the digest is wrong")
        request.abort("again")
        self.assertTrue(self.client.transport.aborted)
        self.assertTrue(request.gone)
        self.assertTrue(request.over)
        self.client.leave()
        self.assertEqual(self.recorder.last.ended_early, "the digest is wrong")
        request.abort("afterwards")

    def test_gone(self) -> None:
        """A request whose client has left is gone; one that has been answered is over."""
        answered = self.begin()
        send_text(answered, "ok")
        waiting = self.begin()
        self.client.leave()
        self.assertTrue(answered.over)
        self.assertTrue(waiting.gone)

    def test_peers(self) -> None:
        """The record names the client's address, or that it came through a unix socket."""
        for peer, name in (
            (IPv6Address("TCP", "2001:db8::1", 1), "2001:db8::1"),
            (IPv6Address("TCP", "::ffff:192.0.2.1", 1), "192.0.2.1"),
            (UNIXAddress(None), "unix"),
        ):
            MemoryClient(self.site, peer=peer).request("GET", "/")
            send_text(self.requests[-1], "ok")
            self.assertEqual(self.recorder.last.peer, name)

    def test_form_is_not_parsed(self) -> None:
        """A broken multipart form is a body like any other."""
        self.client.request(
            "POST", "/x?a=%zz", "Content-Type: multipart/form-data; boundary=x", body=b"--x"
        )
        self.assertEqual(self.requests[0].args, {})


class ChannelTests(SynchronousTestCase):
    """What carries answers."""

    def test_protocol(self) -> None:
        """Connections of HTTP/1.1 and streams of HTTP/2 are the same to a request."""
        connection = MemoryClient(make_site(lambda request: None)).channel
        self.assertIsInstance(connection, AnswerChannel)
        begun: list[Request] = []
        client = Http2Client(make_http2_site(begun.append))
        client.request()
        self.assertIsInstance(begun[0].channel, AnswerChannel)
        self.assertIsInstance(begun[0].channel, Http2Stream)
        client.leave()
        connection.connectionLost(Failure(ConnectionLost()))
