"""Names, attempts to connect, and how a response is cut off."""

from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import BrowserLikePolicyForHTTPS
from zope.interface.verify import verifyObject

from regcache.upstream.agent import tls_policy
from regcache.upstream.dialling import Dialler
from regcache.upstream.resolver import INames, SystemNames
from tests.upstream.network import Network

FIRST = IPv4Address("TCP", "203.0.113.1", 80)
SECOND = IPv4Address("TCP", "203.0.113.2", 80)


class DiallerTests(SynchronousTestCase):
    """Happy eyeballs."""

    def setUp(self) -> None:
        self.network = Network()

    def connect(self, *addresses: IPv4Address) -> "Deferred[Protocol]":
        """Dial."""
        return Dialler(self.network, addresses, Factory.forProtocol(Protocol), 10.0).connect()

    def test_refused_at_once(self) -> None:
        """One refused connection is a failure without further waiting."""
        waiting = self.connect(FIRST)
        self.network.settle()
        self.failureResultOf(waiting, ConnectionRefusedError)

    def test_next_when_refused(self) -> None:
        """A refused address is followed by the next at once."""
        self.network.serve(SECOND.host, 80, lambda _: None)
        waiting = self.connect(FIRST, SECOND)
        self.network.settle()
        self.successResultOf(waiting)

    def test_next_when_slow(self) -> None:
        """An address that keeps us waiting is overtaken by the next, and then given up."""
        self.network.serve(FIRST.host, 80, None)
        self.network.serve(SECOND.host, 80, lambda _: None)
        waiting = self.connect(FIRST, SECOND)
        self.network.settle()
        self.assertEqual(len(self.network.dialled), 1)
        self.network.pass_time(0.5)
        self.successResultOf(waiting)
        self.network.pass_time(11)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Cancelling gives up every attempt, and begins no other."""
        self.network.serve(FIRST.host, 80, None)
        waiting = self.connect(FIRST, SECOND)
        self.network.settle()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.network.pass_time(11)
        self.assertEqual(self.network.dialled, [(FIRST.host, 80)])
        self.assertEqual(self.network.getDelayedCalls(), [])


class FakeReactor:
    """A reactor whose resolver finds two addresses and something else."""

    @property
    def nameResolver(self) -> "FakeReactor":
        return self

    def resolveHostName(self, receiver, hostName, portNumber=0, *rest):  # type: ignore[no-untyped-def]
        receiver.resolutionBegan(self)
        for address in (FIRST, "nonsense", IPv6Address("TCP", "2001:db8::1", portNumber)):
            receiver.addressResolved(address)
        receiver.resolutionComplete()


class NamesTests(SynchronousTestCase):
    """From names to addresses."""

    def test_system(self) -> None:
        """What the reactor finds is collected."""
        names = SystemNames(FakeReactor())
        self.assertTrue(verifyObject(INames, names))
        found = self.successResultOf(names.lookup("x.test", 80))
        self.assertEqual([each.host for each in found], ["203.0.113.1", "2001:db8::1"])


class TlsTests(SynchronousTestCase):
    """Trust roots."""

    def test_unreadable_file(self) -> None:
        """A file that cannot be read, or holds no certificate, is an error at the start."""
        empty = self.mktemp()
        open(empty, "w").close()
        for path in (self.mktemp(), empty):
            self.assertRaises(SSL.Error, tls_policy, path)

    def test_connections_verify(self) -> None:
        """The creator of TLS connections is made once per host."""
        policy = tls_policy()
        first = policy.creatorForNetloc(b"registry.test", 443)
        self.assertIs(first, policy.creatorForNetloc(b"registry.test", 443))
        self.assertIsInstance(policy._policyForHTTPS, BrowserLikePolicyForHTTPS)
