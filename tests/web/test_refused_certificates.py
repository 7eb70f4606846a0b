"""What the log says of client certificates that are not taken."""

import datetime

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from regcache.web.refused_certificates import SAID_EVERY, RefusedCertificates
from tests.test_tls import TLSClient
from tests.web.test_client_certificate import HandshakeCase, client_context


class RefusedTests(HandshakeCase):
    """Real handshakes, and others."""

    def setUp(self) -> None:
        super().setUp()
        self.lines: list[str] = []
        globalLogPublisher.addObserver(self.note)
        self.addCleanup(globalLogPublisher.removeObserver, self.note)

    def note(self, event: LogEvent) -> None:
        """Keep what is said of certificates."""
        if event.get("log_namespace", "").endswith("RefusedCertificates"):
            self.lines.append(formatEvent(event))

    def take(self, client: TLSClient) -> str:
        """Whom the server takes a client for, whose handshake has not begun."""
        return self.who(client.handshake())

    def test_told(self) -> None:
        """Another issuer and an end are told of, with the address and what to look at."""
        over = datetime.timedelta(seconds=-1)
        for shown in (self.other.issue("alice"), self.listed.issue("alice", life=over)):
            self.lines.clear()
            client = TLSClient(self.store, None, context=client_context(shown))
            self.assertRaises(SSL.Error, self.take, client)
            client.server.connectionLost(Failure(ConnectionDone()))
            (line,) = self.lines
            self.assertIn("from 192.168.1.1 was not taken", line)
            self.assertIn("client_ca", line)

    def test_not_told(self) -> None:
        """Nothing is said of those that are taken, nor of clients that leave or speak no TLS."""
        self.assertEqual(self.once(client_context(self.listed.issue("alice"))), "account 'alice'")
        client = self.connect(client_context(None))
        client.server.connectionLost(Failure(ConnectionDone()))
        other = self.connect(client_context(None))
        other.server.dataReceived(b"no TLS at all" * 100)
        self.assertEqual(self.lines, [])

    def test_sparingly(self) -> None:
        """A client that connects all the time does not fill the log."""
        clock = Clock()
        refused = RefusedCertificates(clock)
        reason = Failure(SSL.Error([("SSL routines", "", "certificate verify failed")]))
        for _ in range(100):
            refused.connection_lost(IPv4Address("TCP", "192.0.2.1", 1), reason)
        clock.advance(SAID_EVERY)
        refused.connection_lost(IPv4Address("TCP", "192.0.2.1", 1), reason)
        self.assertEqual(len(self.lines), 2)
        self.assertIn("(99 more", self.lines[1])
