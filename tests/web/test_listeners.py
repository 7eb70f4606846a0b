"""Where the daemon listens."""

import contextlib
import errno
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from regcache.tls import CertificateStore
from regcache.web.binding import BACKLOG
from regcache.web.listener_spec import ListenError, ListenerSpec
from regcache.web.listeners import ACCEPT_PAUSE, Listeners
from tests.support.bound_sockets import FakeSocket
from tests.support.web_client import make_site


class FakePort:
    """An open listener.

    :ivar stopped: whether it has been closed.
    :ivar reading: whether it accepts connections.
    """

    def __init__(self, opened: Any) -> None:
        self.socket: Any = opened
        self.stopped = False
        self.numberAccepts = 1
        self.reading = True

    def doRead(self) -> None:
        """Accept the clients that wait."""
        with contextlib.suppress(BlockingIOError):
            self.socket.accept()

    def stopReading(self) -> None:
        """Accept nobody for now."""
        self.reading = False

    def startReading(self) -> None:
        """Accept again."""
        self.reading = True

    def stopListening(self) -> "Deferred[None]":
        """Close it."""
        self.stopped = True
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done


class FakeReactor(MemoryReactorClock):
    """A reactor that opens listeners, or fails to; and what takes their addresses before.

    :ivar faults: errno by (address, port): it cannot be had.
    :ivar late_faults: errno by (address, port): it cannot be listened on.
    :ivar bound: the addresses that were taken.
    :ivar opened: (address, port, factory) of what was opened.
    :ivar backlogs: of the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.v6only = 0
        self.faults: dict[tuple[str, int], int] = {}
        self.late_faults: dict[tuple[str, int], int] = {}
        self.bound: list[FakeSocket] = []
        self.opened: list[tuple[str, int, Any]] = []
        self.backlogs: list[int] = []
        self.ports: list[FakePort] = []

    def bind(self, interface: str, number: int) -> Any:
        """Take an address."""
        fault = self.faults.get((interface, number))
        if fault is not None:
            raise OSError(fault, os.strerror(fault))
        late = self.late_faults.get((interface, number), 0)
        self.bound.append(FakeSocket(interface, number, self.v6only, late))
        return self.bound[-1]

    def adoptStreamPort(self, descriptor: Any, family: int, factory: Any) -> Any:
        """Open a listener on a socket that listens."""
        assert descriptor.family == family
        assert descriptor.backlog is not None
        self.opened.append((*descriptor.address, factory))
        self.backlogs.append(descriptor.backlog)
        self.ports.append(FakePort(descriptor))
        return self.ports[-1]

    def listenUNIX(self, address: Any, factory: Any, backlog: int = 50, **options: Any) -> Any:
        """Open a listener, unless the folder is missing."""
        if "missing" in str(address):
            raise CannotListenError(None, address, OSError(errno.ENOENT, "No such file"))
        self.opened.append((str(address), 0, factory))
        self.backlogs.append(backlog)
        self.ports.append(FakePort(FakeSocket("", 0, 0)))
        return self.ports[-1]


class ListenerCase(SynchronousTestCase):
    """Listeners of a fake reactor."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.site = make_site(lambda request: None)

    def open(self, *endpoints: str | int) -> Listeners:
        """Open some plain listeners."""
        specs = [ListenerSpec(endpoint, self.site) for endpoint in endpoints]
        listeners = Listeners(self.reactor, specs, self.reactor.bind)
        listeners.open()
        return listeners

    def addresses(self) -> list[tuple[str, int]]:
        """What was opened."""
        return [(interface, port) for interface, port, factory in self.reactor.opened]

    def assert_fails(self, endpoint: str | int, text: str) -> None:
        """Opening this fails with exactly this line."""
        error = self.assertRaises(ListenError, self.open, endpoint)
        self.assertEqual(str(error), text)


class OpeningTests(ListenerCase):
    """Endpoint strings and port numbers."""

    def test_endpoints(self) -> None:
        """Endpoint strings of Twisted are opened as they say."""
        self.open("tcp:80:interface=127.0.0.1", "tcp6:81", "unix:/run/x.sock", "haproxy:tcp:82")
        self.assertEqual(
            self.addresses(), [("127.0.0.1", 80), ("::", 81), ("/run/x.sock", 0), ("", 82)]
        )
        self.assertIs(self.reactor.opened[0][2].behind, self.site)
        self.assertIsNot(self.reactor.opened[3][2], self.site)

    def test_backlog(self) -> None:
        """Many may come at once, unless the endpoint says how many, by name or by position."""
        self.open("tcp:80", "tcp6:81", "unix:/run/x", "haproxy:tcp:82:interface=127.0.0.1", 83)
        self.assertEqual(self.reactor.backlogs, [BACKLOG] * 5)
        self.open("tcp:84:backlog=7", "tcp:85:127.0.0.1:8")
        self.assertEqual(self.reactor.backlogs[5:], [7, 8])

    def test_number(self) -> None:
        """A port number is one socket for both families, or two where the system separates them."""
        self.open(5000, "5001")
        self.assertEqual(self.addresses(), [("::", 5000), ("::", 5001)])
        self.reactor.v6only = 1
        self.open(5002)
        self.assertEqual(self.addresses()[2:], [("::", 5002), ("", 5002)])

    def test_number_without_ipv6(self) -> None:
        """Without IPv6 a port number is IPv4 alone."""
        for number, fault in ((80, errno.EAFNOSUPPORT), (81, errno.EADDRNOTAVAIL)):
            self.reactor.faults["::", number] = fault
            self.open(number)
        self.assertEqual(self.addresses(), [("", 80), ("", 81)])

    def test_tls(self) -> None:
        """A TLS listener wraps its factory on any endpoint; one service opens both kinds."""
        specs = [
            ListenerSpec("tcp:443", self.site, CertificateStore([])),
            ListenerSpec(443, self.site, CertificateStore([])),
            ListenerSpec("unix:/run/x", self.site, CertificateStore([])),
            ListenerSpec("tcp:80", self.site),
        ]
        Listeners(self.reactor, specs, self.reactor.bind).open()
        behind = [each[2].behind for each in self.reactor.opened]
        wrapped = [isinstance(each, TLSMemoryBIOFactory) for each in behind]
        self.assertEqual(wrapped, [True, True, True, False])
        self.assertIs(behind[0].wrappedFactory, self.site)


class FailureTests(ListenerCase):
    """Listeners that cannot be opened."""

    def test_port_in_use(self) -> None:
        """A port in use is one line that names listener and address."""
        self.reactor.faults["127.0.0.1", 80] = errno.EADDRINUSE
        self.assert_fails(
            "tcp:80:interface=127.0.0.1",
            "listener tcp:80:interface=127.0.0.1: address already in use (127.0.0.1:80):"
            " see who listens there with: ss -ltnp sport = :80",
        )
        self.reactor.faults["::", 5000] = errno.EADDRINUSE
        self.assert_fails(
            5000,
            "listener 5000: address already in use ([::]:5000):"
            " see who listens there with: ss -ltnp sport = :5000",
        )

    def test_low_port(self) -> None:
        """So is a port that the user may not have."""
        self.reactor.faults["", 80] = errno.EACCES
        self.assert_fails(
            "tcp:80",
            "listener tcp:80: permission denied (*:80):"
            " type: sysctl -w net.ipv4.ip_unprivileged_port_start=80",
        )

    def test_unix(self) -> None:
        """So is a path that cannot be made."""
        self.assert_fails(
            "unix:/missing/x",
            "listener unix:/missing/x: no such file or directory (/missing/x):"
            " type: mkdir -p /missing",
        )

    def test_nonsense(self) -> None:
        """A text that is no endpoint is told."""
        for text in ("nonsense:1", "tcp:port=x", "tcp", "systemd:domain=INET:index=7"):
            error = self.assertRaises(ListenError, self.open, text)
            self.assertTrue(str(error).startswith(f"listener {text}: "), str(error))
            self.assertNotIn("\n", str(error))

    def test_all_or_nothing(self) -> None:
        """If one listener fails those already open are closed."""
        self.reactor.faults["", 81] = errno.EADDRINUSE
        self.assertRaises(ListenError, self.open, "tcp:80", "tcp:81", "tcp:82")
        self.assertEqual([each.closed for each in self.reactor.bound], [True])
        self.assertEqual(self.reactor.ports, [])

    def test_second_family(self) -> None:
        """So it is where only one of two families can be had."""
        self.reactor.v6only = 1
        self.reactor.faults["", 81] = errno.EADDRINUSE
        self.assertRaises(ListenError, self.open, 81)
        self.assertEqual([each.closed for each in self.reactor.bound], [True])

    def test_somebody_else_listens_since(self) -> None:
        """An address that two have taken belongs to who listens first; all others are closed."""
        self.reactor.late_faults["", 81] = errno.EADDRINUSE
        error = self.assertRaises(ListenError, self.open, "tcp:80", "tcp:81", "tcp:82")
        self.assertIn("address already in use (*:81)", str(error))
        self.assertEqual([port.stopped for port in self.reactor.ports], [True])
        self.assertEqual([each.closed for each in self.reactor.bound], [True] * 3)


class ServiceTests(ListenerCase):
    """Listeners as a service."""

    def test_start_and_stop(self) -> None:
        """Addresses are taken before privileges go, opened at the start, and closed at the end."""
        listeners = Listeners(self.reactor, [ListenerSpec("tcp:80", self.site)], self.reactor.bind)
        self.assertFalse(listeners.is_listening)
        listeners.privilegedStartService()
        listeners.privilegedStartService()
        self.assertEqual([each.backlog for each in self.reactor.bound], [None])
        self.assertFalse(listeners.is_listening)
        listeners.startService()
        self.assertEqual(len(self.reactor.ports), 1)
        self.assertTrue(listeners.is_listening)
        self.successResultOf(listeners.stopService())
        self.assertTrue(self.reactor.ports[0].stopped)
        self.assertFalse(listeners.is_listening)

    def test_stopped_before_it_listens(self) -> None:
        """What was taken is given back, though nobody was ever let in."""
        specs = [ListenerSpec("tcp:80", self.site), ListenerSpec("unix:/run/x", self.site)]
        listeners = Listeners(self.reactor, specs, self.reactor.bind)
        listeners.privilegedStartService()
        self.successResultOf(listeners.stopService())
        self.assertEqual([each.closed for each in self.reactor.bound], [True])
        self.assertEqual(self.reactor.opened, [])

    def test_start_unprivileged(self) -> None:
        """Started alone, the service opens them as well."""
        listeners = Listeners(self.reactor, [ListenerSpec("tcp:80", self.site)], self.reactor.bind)
        listeners.startService()
        self.assertTrue(listeners.is_listening)
        self.successResultOf(listeners.stop_listening())
        self.successResultOf(listeners.stopService())

    def test_no_room(self) -> None:
        """A port that cannot accept is left alone for a moment, and that is said now and then."""
        self.open("tcp:80")
        (port,) = self.reactor.ports
        with capturedLogs() as logged:
            for _ in range(41):
                port.doRead()
                self.assertFalse(port.reading)
                self.reactor.advance(ACCEPT_PAUSE)
                self.assertTrue(port.reading)
        told = "clients wait, since no connection can be accepted: Too many open files"
        lines = [formatEvent(event) for event in logged]
        self.assertEqual(lines, [told, f"{told} (39 more since this was said)"])

    def test_stopped_without_room(self) -> None:
        """A port that is closed while it is left alone stays so."""
        listeners = self.open("tcp:80")
        (port,) = self.reactor.ports
        port.doRead()
        self.successResultOf(listeners.stop_listening())
        self.assertEqual(self.reactor.getDelayedCalls(), [])
