"""What is said where no daemon answers, or something else does."""

import errno
import json
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from regcache.ctl import daemon_client
from regcache.ctl.client import NoDaemonError, RefusedError
from regcache.ctl.daemon_client import ANSWER_SECONDS, BODY_SECONDS, DaemonClient
from regcache.ctl.locating import DaemonAddress

_OK = b"HTTP/1.1 200 OK\r\n"


class NoDaemonTests(TestCase):
    """Where nothing listens."""

    async def test_the_error_says_how_to_name_another_place(self) -> None:
        """It has the path that was tried, the reason, and the options that name another one."""
        path = f"/nowhere/{self.id()}/admin.sock"
        client = DaemonClient(reactor, DaemonAddress(path))
        with self.assertRaises(NoDaemonError) as caught:
            await Deferred.fromCoroutine(client.get("status"))
        self.assertRegex(
            str(caught.exception),
            f"^no daemon answers at {path}: No such file or directory; --socket, --url or -c says",
        )


class ForbiddenTests(SynchronousTestCase):
    """Tests a socket that the user may not open."""

    def test_who_may(self) -> None:
        """It says whom it is for."""
        reactor = MemoryReactorClock()
        asked = Deferred.fromCoroutine(DaemonClient(reactor, DaemonAddress("/s")).get("status"))
        refused = ConnectError(errno.EACCES, "forbidden")
        reactor.unixClients[0][1].clientConnectionFailed(reactor.connectors[0], Failure(refused))
        error = self.failureResultOf(asked, NoDaemonError)
        self.assertIn("Permission denied: that takes root, or a member of", str(error.value))


class AnswerTests(SynchronousTestCase):
    """Tests all kinds of answers."""

    def ask(self, content: bytes) -> "Deferred[Any]":
        """Ask for the status, and be sent this."""
        self.reactor = MemoryReactorClock()
        client = DaemonClient(self.reactor, DaemonAddress("/admin.sock"), ("root", "hunter2"))
        asked = Deferred.fromCoroutine(client.get("status"))
        factory = self.reactor.unixClients[0][1]
        protocol = factory.buildProtocol(None)
        self.transport = StringTransport()
        protocol.makeConnection(self.transport)
        self.assertIn(b"GET /api/v1/status", self.transport.value())
        protocol.dataReceived(content)
        self.protocol = protocol
        return asked

    def test_answer(self) -> None:
        """What a daemon answers."""
        body = json.dumps({"a": 1}).encode()
        head = _OK + b"Content-Length: %d\r\n\r\n" % len(body)
        self.assertEqual(self.successResultOf(self.ask(head + body)), {"a": 1})

    def test_redirect(self) -> None:
        """None is followed; it is told without its path, in which a secret may be."""
        for location, where in (
            (b"https://other.test/a?secret", "to https://other.test, which"),
            (b"/a?secret", "to elsewhere"),
            (b"http://[", "to elsewhere"),
        ):
            head = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location
            error = self.failureResultOf(self.ask(head), RefusedError)
            self.assertIn(where, str(error.value))
            self.assertNotIn("secret", str(error.value))
            connected = len(self.reactor.unixClients) + len(self.reactor.tcpClients)
            self.assertEqual(connected, 1)

    def test_endless(self) -> None:
        """An answer that does not end, in bytes or in time, is given up."""
        asked = self.ask(_OK + b"\r\n")
        with patch.object(daemon_client, "MOST_BYTES", 100_000):
            self.protocol.dataReceived(b"[" * 100_000)
            self.assertNoResult(asked)
            self.protocol.dataReceived(b"[")
        self.assertIn("more than", str(self.failureResultOf(asked, RefusedError).value))
        asked = self.ask(_OK + b"\r\n")
        self.reactor.advance(BODY_SECONDS - 1)
        self.protocol.dataReceived(b"[")
        self.assertNoResult(asked)
        self.reactor.advance(1)
        self.assertIn("in time", str(self.failureResultOf(asked, NoDaemonError).value))
        asked = self.ask(b"")
        self.reactor.advance(ANSWER_SECONDS)
        self.assertIn("in time", str(self.failureResultOf(asked, NoDaemonError).value))

    def test_no_json(self) -> None:
        """What is no JSON, or is nested without end, is no answer."""
        for body in (b"<html>", b"[" * 200_000, b"\xff\xfe"):
            head = _OK + b"Content-Length: %d\r\n\r\n" % len(body)
            error = self.failureResultOf(self.ask(head + body), RefusedError)
            self.assertIn("no answer of regcache", str(error.value))

    def test_another_server(self) -> None:
        """A refusal of another server, or of a listener for clients, says what --url has to be."""
        unknown = {"code": "UNKNOWN_CALL", "detail": "there is nothing under this path"}
        for answer in ({"errors": [{"code": "UNSUPPORTED"}]}, [], unknown):
            body = json.dumps(answer).encode()
            head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body)
            error = self.failureResultOf(self.ask(head + body), RefusedError)
            self.assertRegex(str(error.value), r"^/admin.sock gives no answer .*\(404\); --url is")
