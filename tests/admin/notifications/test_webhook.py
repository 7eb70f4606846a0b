"""What becomes of a post: each way in which it may fail has words without the address."""

import errno
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived
from twisted.web.http_headers import Headers

from regcache.admin.notifications import webhook
from regcache.admin.notifications.notifier import NotTakenError
from regcache.admin.notifications.webhook import SECONDS, Webhook

URL = "https://hooks.test/T0KEN"


class Response:
    """An answer."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.headers = Headers()

    def deliverBody(self, protocol: Any) -> None:
        """Nobody reads it."""


class PostTests(SynchronousTestCase):
    """One post."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[tuple[bytes, bytes]] = []
        self.result: Deferred[Any] = Deferred()
        self.patch(webhook, "Agent", lambda *_, **__: self)

    def request(self, method: bytes, url: bytes, *_: Any, **__: Any) -> "Deferred[Any]":
        """What the client asks of its agent."""
        self.asked.append((method, url))
        return self.result

    def post(self) -> "Deferred[None]":
        """Begin one."""
        return Deferred.fromCoroutine(Webhook(self.clock).post(URL, {"text": "x"}))

    def refusal(self) -> NotTakenError:
        """Why it is not taken."""
        error = self.failureResultOf(self.post(), NotTakenError).value
        assert isinstance(error, NotTakenError)
        self.assertNotIn("T0KEN", str(error))
        return error

    def test_statuses(self) -> None:
        """2xx takes it; where the server is ill or busy another try may help, else none does."""
        for status, again in ((500, True), (503, True), (429, True), (404, False), (301, False)):
            self.result = Deferred()
            self.result.callback(Response(status))
            error = self.refusal()
            self.assertEqual((error.again, str(status) in str(error)), (again, True))
        for status in (200, 204):
            self.result = Deferred()
            self.result.callback(Response(status))
            self.assertIsNone(self.successResultOf(self.post()))
        self.assertEqual(set(self.asked), {(b"POST", URL.encode())})

    def test_faults(self) -> None:
        """Any fault of the connection allows another try."""
        tls = ResponseNeverReceived([Failure(SSL.Error([("x", "y", "certificate verify failed")]))])
        lost = ResponseNeverReceived([Failure(ConnectionLost())])
        for fault, words in (
            (ConnectionRefusedError(), "ConnectionRefusedError"),
            (ConnectionRefusedError(errno.ECONNREFUSED), "Connection refused"),
            (ConnectionRefusedError("refused by T0KEN"), "ConnectionRefusedError"),
            (DNSLookupError("no results for hooks.test"), "cannot be resolved"),
            (tls, "its certificate is not valid"),
            (lost, "the connection fails (ConnectionLost)"),
        ):
            self.result = fail(fault)
            error = self.refusal()
            self.assertIn(words, str(error))
            self.assertTrue(error.again)

    def test_hangs(self) -> None:
        """It takes no longer than its time, and is cancelled then."""
        posting = self.post()
        self.clock.advance(SECONDS - 1)
        self.assertNoResult(posting)
        self.clock.advance(2)
        self.assertIn("no answer within 10 s", str(self.failureResultOf(posting).value))
        self.assertTrue(self.result.called)

    def test_called_off(self) -> None:
        """As Twisted tells of a cancel while it connects or waits, time is over or it is ended."""
        address = HostnameAddress(b"hooks.test", 443)
        for fault in (
            ResponseNeverReceived([Failure(CancelledError())]),
            ConnectingCancelledError(address),
        ):
            for ended in (False, True):
                self.result = Deferred(lambda result, fault=fault: result.errback(fault))
                posting = self.post()
                if ended:
                    posting.cancel()
                    self.failureResultOf(posting, CancelledError)
                else:
                    self.clock.advance(SECONDS)
                    error = self.failureResultOf(posting, NotTakenError).value
                    self.assertEqual(str(error), "no answer within 10 s")
                self.assertEqual(self.clock.getDelayedCalls(), [])
