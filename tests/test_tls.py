"""Certificates on the server side."""

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache import tls
from regcache.renewals import PATIENCE
from regcache.tls import CHECK_INTERVAL, CertificateStore, CertificateWatcher
from regcache.tls_context import CertificateError, CertificateFiles
from regcache.web.respond import send_text
from tests.support.certificates import Authority, Certificate
from tests.support.pools import ImmediatePool
from tests.support.web_client import MemoryTransport, make_site


def files_of(certificate: Certificate) -> CertificateFiles:
    """The paths of a certificate of the tests' authority."""
    return CertificateFiles(str(certificate.chain), str(certificate.key))


class TLSClient:
    """A TLS client on an in-memory transport.

    :ivar connection: the client's state.
    """

    def __init__(
        self,
        store: CertificateStore,
        name: str | None,
        protocols: tuple[bytes, ...] = (b"h2", b"http/1.1"),
        maximum: int | None = None,
        context: SSL.Context | None = None,
    ) -> None:
        clock = Clock()
        self.site = make_site(lambda request: send_text(request, str(request.isSecure())), clock)
        factory = TLSMemoryBIOFactory(store, False, self.site, clock)
        self.transport = MemoryTransport()
        self.server: Any = factory.buildProtocol(None)
        self.server.makeConnection(self.transport)
        self.clock = clock
        if context is None:
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.set_alpn_protos(list(protocols))
            if maximum is not None:
                context.set_max_proto_version(maximum)
        self.context = context
        self.connection = SSL.Connection(context, None)
        if name is not None:
            self.connection.set_tlsext_host_name(name.encode())
        self.connection.set_connect_state()

    def exchange(self, step: Any) -> Any:
        """Do a step, carrying bytes both ways until it succeeds."""
        for _ in range(10):
            try:
                return step()
            except SSL.WantReadError:
                self.carry()
        raise AssertionError("the step did not succeed")

    def carry(self) -> None:
        """Carry what is waiting on both sides."""
        with contextlib.suppress(SSL.WantReadError):
            self.server.dataReceived(self.connection.bio_read(1 << 20))
        self.clock.advance(0)
        if self.transport.value():
            self.connection.bio_write(self.transport.value())
            self.transport.clear()

    def handshake(self) -> "TLSClient":
        """Shake hands."""
        self.exchange(self.connection.do_handshake)
        return self

    @property
    def names(self) -> str:
        """The common name of the certificate that the server showed."""
        certificate = self.connection.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(name.value)


class TLSCase(SynchronousTestCase):
    """A store with two certificates."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.authority = Authority(folder)
        self.first = self.authority.issue("first.test", "*.first.test")
        self.second = self.authority.issue("second.test", "*.first.example", "192.0.2.1")
        self.store = CertificateStore([files_of(self.first), files_of(self.second)])
        self.store.load()

    def shown(self, name: str | None) -> str:
        """The certificate that is shown to a client that asks for a name."""
        return TLSClient(self.store, name).handshake().names


class ChoiceTests(TLSCase):
    """Which certificate a client sees, and what is negotiated."""

    def test_interface(self) -> None:
        """The store makes connections for Twisted's TLS factory."""
        self.assertTrue(verifyObject(IOpenSSLServerConnectionCreator, self.store))

    def test_by_name(self) -> None:
        """The name decides, in any case; a wildcard stands for one label; else the first."""
        for name, expected in (
            ("first.test", "first.test"),
            ("a.first.test", "first.test"),
            ("second.test", "second.test"),
            ("SECOND.test", "second.test"),
            ("x.first.example", "second.test"),
            ("x.y.first.example", "first.test"),
            ("unknown.test", "first.test"),
            (None, "first.test"),
        ):
            self.assertEqual(self.shown(name), expected, name)

    def test_alpn(self) -> None:
        """HTTP/1.1 is chosen from any offer, under every certificate."""
        for name in ("first.test", "second.test"):
            client = TLSClient(self.store, name).handshake()
            self.assertEqual(client.connection.get_alpn_proto_negotiated(), b"http/1.1")
        client = TLSClient(self.store, None, protocols=(b"h2",)).handshake()
        self.assertEqual(client.connection.get_alpn_proto_negotiated(), b"")

    def test_minimum(self) -> None:
        """TLS 1.2 is spoken, 1.1 is not, nor 1.2 where 1.3 is the minimum."""
        old = TLSClient(self.store, None, maximum=SSL.TLS1_2_VERSION).handshake()
        self.assertEqual(old.connection.get_protocol_version_name(), "TLSv1.2")
        strict = CertificateStore([files_of(self.first)], "TLSv1.3")
        strict.load()
        for store, maximum in (
            (self.store, SSL.TLS1_1_VERSION),
            (strict, SSL.TLS1_2_VERSION),
        ):
            client = TLSClient(store, None, maximum=maximum)
            self.assertRaises(SSL.Error, client.handshake)

    def test_no_session(self) -> None:
        """No session is given out that would outlive a certificate."""
        client = TLSClient(self.store, None, maximum=SSL.TLS1_2_VERSION).handshake()
        again = TLSClient(self.store, None, context=client.context)
        session = client.connection.get_session()
        assert session is not None
        again.connection.set_session(session)
        again.handshake()
        self.assertNotEqual(client.connection.master_key(), again.connection.master_key())

    def test_request(self) -> None:
        """A request over TLS is answered over TLS."""
        client = TLSClient(self.store, "second.test").handshake()
        client.connection.send(b"GET / HTTP/1.1\r\nHost: second.test\r\n\r\n")
        answer = client.exchange(lambda: client.connection.recv(65536))
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(answer.endswith(b"True"))

    def test_abort(self) -> None:
        """An aborted answer cuts the transport itself, below TLS."""
        client = TLSClient(self.store, None).handshake()
        request_line = b"GET / HTTP/1.1\r\nHost: first.test\r\n\r\n"
        client.site.dispatch = lambda request: request.abort("wrong digest")
        client.connection.send(request_line)
        client.carry()
        self.assertTrue(client.transport.aborted)

    def test_covers(self) -> None:
        """Whether some certificate is valid for a host can be asked."""
        for host, covered in (
            ("first.test", True),
            ("a.first.test", True),
            ("A.First.Test.", True),
            ("192.0.2.1", True),
            ("a.b.first.test", False),
            ("a.second.test", False),
        ):
            self.assertEqual(self.store.covers(host), covered, host)


class LoadingTests(TLSCase):
    """Files that cannot be used."""

    def assert_unusable(self, files: CertificateFiles, why: str) -> None:
        """Loading these files fails with one line that names the file and the reason."""
        error = self.assertRaises(CertificateError, CertificateStore([files]).load)
        self.assertIn(why, str(error))
        self.assertNotIn("\n", str(error))

    def test_errors(self) -> None:
        """Each fault is told with the file's name."""
        chain, key = str(self.first.chain), str(self.first.key)
        other = str(self.second.key)
        garbage = self.mktemp()
        Path(garbage).write_text("nothing")
        self.assert_unusable(CertificateFiles("/nonexistent", key), "/nonexistent: No such file")
        self.assert_unusable(CertificateFiles(chain, "/nonexistent"), "/nonexistent: No such file")
        self.assert_unusable(CertificateFiles(garbage, key), f"{garbage}: holds no PEM certificate")
        self.assert_unusable(CertificateFiles(chain, garbage), f"{garbage}: holds no usable PEM")
        self.assert_unusable(CertificateFiles(chain, other), f"{other}: does not belong to")


class RenewalTests(TLSCase):
    """Another store of files that are being renewed."""

    def setUp(self) -> None:
        super().setUp()
        self.known = self.store.pairs
        self.other = CertificateStore([pair.files for pair in self.known])

    def test_renewed(self) -> None:
        """Files that do not fit yet are what they were; the first look takes them as they are."""
        new = self.authority.issue("new.test")
        os.replace(new.chain, self.first.chain)
        self.assertRaises(CertificateError, self.other.load)
        self.other.load(self.known)
        self.assertIs(self.other.pairs[0], self.known[0])
        watcher = CertificateWatcher(self.other, ImmediatePool(), Clock())
        os.replace(new.key, self.first.key)
        watcher.startService()
        self.addCleanup(watcher.stopService)
        self.assertEqual(self.other.pairs[0].names, ("new.test",))

    def test_lasting(self) -> None:
        """What did not fit a minute ago is wrong, and so is what was never read."""
        os.replace(self.authority.issue("new.test").chain, self.first.chain)
        self.assertRaises(CertificateError, self.other.load, self.known[1:])
        later = time.time() + PATIENCE + 1
        self.patch(tls.time, "time", lambda: later)
        self.assertRaises(CertificateError, self.other.load, self.known)

    def test_missing(self) -> None:
        """A file that is gone for a moment counts by its folder."""
        self.first.key.unlink()
        self.other.load(self.known)
        self.assertIs(self.other.pairs[0], self.known[0])


class WatchingTests(TLSCase):
    """Files that change."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.pool = ImmediatePool()
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.note)
        self.addCleanup(globalLogPublisher.removeObserver, self.note)
        self.watcher = CertificateWatcher(self.store, self.pool, self.clock)
        self.watcher.startService()
        self.addCleanup(self.watcher.stopService)

    def note(self, event: LogEvent) -> None:
        """Keep what the watcher logs."""
        if event.get("log_namespace") == "regcache.tls.CertificateWatcher":
            self.events.append(event)

    def change(self, chain: bool = True, key: bool = True) -> None:
        """Write other files in place of the first certificate's, by rename."""
        new = self.authority.issue("new.test")
        for wanted, source, target in (
            (chain, new.chain, self.first.chain),
            (key, new.key, self.first.key),
        ):
            if wanted:
                os.replace(source, target)

    def test_replaced(self) -> None:
        """Changed files are used for new connections."""
        self.change()
        self.assertEqual(self.shown("unknown.test"), "first.test")
        self.clock.advance(CHECK_INTERVAL)
        self.assertEqual(self.shown("unknown.test"), "new.test")
        self.assertEqual(self.shown("second.test"), "second.test")
        changed = sorted([str(self.first.chain), str(self.first.key)])
        self.assertEqual([event["path"] for event in self.events], changed)

    def test_replaced_before_it_is_watched(self) -> None:
        """What changes between the reading of the files and the first look is seen by that."""
        self.change()
        watcher = CertificateWatcher(self.store, self.pool, Clock())
        watcher.startService()
        self.addCleanup(watcher.stopService)
        self.assertEqual(self.shown(None), "new.test")

    def test_unchanged(self) -> None:
        """Files that do not change are only looked at."""
        self.clock.pump([CHECK_INTERVAL] * 5)
        self.assertEqual(set(self.pool.jobs), {self.store.signature})

    def test_half_a_renewal(self) -> None:
        """A key that does not fit yet is no news; when it fits, both are used."""
        self.change(key=False)
        self.clock.pump([CHECK_INTERVAL] * 5)
        self.assertEqual(self.shown(None), "first.test")
        self.assertEqual(self.events, [])
        self.change()
        self.clock.advance(CHECK_INTERVAL)
        self.assertEqual(self.shown(None), "new.test")

    def test_lasting_fault(self) -> None:
        """Files that stay wrong are told once, after a minute; the old ones stay in use."""
        self.first.key.unlink()
        self.clock.pump([CHECK_INTERVAL] * int(3 * PATIENCE / CHECK_INTERVAL))
        (event,) = self.events
        self.assertEqual(event["log_level"].name, "warn")
        self.assertIn("No such file", event["why"])
        self.assertEqual(self.shown(None), "first.test")

    def test_stopped(self) -> None:
        """A stopped watcher leaves no timer."""
        self.watcher.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
