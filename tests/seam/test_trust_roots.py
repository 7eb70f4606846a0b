"""Whom a client trusts, by handshakes in memory."""

from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import BrowserLikePolicyForHTTPS

from regcache.seam.trust_roots import PlatformAndFile
from regcache.tls import CertificateStore
from regcache.tls_context import CertificateFiles
from tests.support.certificates import Authority


class TrustTests(SynchronousTestCase):
    """A server whose certificate an authority of our own has signed."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.authority = Authority(Path(self.mktemp()))
        issued = self.authority.issue("registry.test")
        store = CertificateStore([CertificateFiles(str(issued.chain), str(issued.key))])
        store.load()
        self.server_side = store

    def shakes_hands(self, policy: BrowserLikePolicyForHTTPS) -> bool:
        """Whether a client with this policy takes the server for what it says."""
        creator = policy.creatorForNetloc(b"registry.test", 443)
        ends: list[Any] = []
        for tls, is_client in ((self.server_side, False), (creator, True)):
            factory = TLSMemoryBIOFactory(tls, is_client, Factory.forProtocol(Protocol), self.clock)
            end: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
            end.makeConnection(StringTransport())
            ends.append(end)
        while any(end.transport.value() for end in ends):
            for end, other in (ends, ends[::-1]):
                data = end.transport.value()
                end.transport.clear()
                if data:
                    other.dataReceived(data)
        return all(not end.transport.disconnecting for end in ends)

    def test_trusted(self) -> None:
        """An authority of the file is trusted."""
        trust = PlatformAndFile(str(self.authority.file))
        self.assertTrue(self.shakes_hands(BrowserLikePolicyForHTTPS(trustRoot=trust)))

    def test_not_trusted(self) -> None:
        """Another one, or one that is in no file, is not."""
        other = PlatformAndFile(str(Authority(Path(self.mktemp())).file))
        self.assertFalse(self.shakes_hands(BrowserLikePolicyForHTTPS(trustRoot=other)))
        self.assertFalse(self.shakes_hands(BrowserLikePolicyForHTTPS()))

    def test_system(self) -> None:
        """The authorities of the system stay trusted."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        asked: list[str] = []
        self.patch(SSL.Context, "set_default_verify_paths", lambda _: asked.append("system"))
        PlatformAndFile(str(self.authority.file))._addCACertsToContext(context)
        self.assertEqual(asked, ["system", "system"])

    def test_unusable(self) -> None:
        """A file that is missing, or holds no certificate, is an error at once."""
        empty = self.mktemp()
        Path(empty).touch()
        for path in (self.mktemp(), empty):
            self.assertRaises(SSL.Error, PlatformAndFile, path)
