"""Sockets that the service manager has passed: the rows of the module's table."""

import contextlib
import os
import socket
import tempfile
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regcache.web.binding import BACKLOG
from regcache.web.listener_spec import ListenError, ListenerSpec, socket_spec
from regcache.web.listeners import Listeners
from regcache.web.passed_sockets import PassedSocket, PassedSockets, open_passed
from tests.support.bound_sockets import FakeSocket
from tests.support.web_client import make_site
from tests.web.test_listeners import FakePort


class FakePassed(FakeSocket):
    """A passed socket that is none.

    :ivar duplicates: how often a listener has taken it.
    """

    def __init__(self, interface: str, number: int, v6only: int = 0) -> None:
        super().__init__(interface, number, v6only)
        self.duplicates = 0
        self.backlog = 77
        if interface.startswith("/"):
            self.family = socket.AF_UNIX

    def getsockname(self) -> Any:
        """Its address."""
        return self.address[0] if self.family == socket.AF_UNIX else self.address

    def getsockopt(self, level: int, option: int) -> int:
        """Whether it listens, and the one option that others are asked for."""
        if option == 30:  # SO_ACCEPTCONN
            return int(self.backlog is not None)
        return super().getsockopt(level, option)

    def dup(self) -> "FakePassed":
        """The same once more."""
        self.duplicates += 1
        return self


class PassedReactor(MemoryReactorClock):
    """A reactor that notes what it listens on."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ports: list[tuple[tuple[str, int], Any, FakePort]] = []

    def adoptStreamPort(self, descriptor: Any, family: int, factory: Any) -> Any:
        """Listen."""
        port = FakePort(descriptor)
        self.ports.append((descriptor.address, factory, port))
        return port

    def open(self) -> list[tuple[str, int]]:
        """Where listeners answer."""
        return [address for address, factory, port in self.ports if _answers(factory, port)]

    def turning_away(self) -> list[tuple[str, int]]:
        """Where clients are turned away."""
        return [
            address
            for address, factory, port in self.ports
            if not _answers(factory, port) and not port.stopped and port.reading
        ]


def _answers(factory: Any, port: FakePort) -> bool:
    is_open = not port.stopped and port.reading
    return is_open and type(factory).__name__ != "_RefusingFactory"


class PassedCase(SynchronousTestCase):
    """Listeners, some of whose sockets were passed."""

    def setUp(self) -> None:
        self.reactor = PassedReactor()
        self.bound: list[tuple[str, int]] = []
        self.taken: set[tuple[str, int]] = set()

    def give(self, *addresses: tuple[str, int, str]) -> PassedSockets:
        """What was passed: interface, port and name of each."""
        self.sockets = [FakePassed(interface, number) for interface, number, _ in addresses]
        fakes: list[Any] = list(self.sockets)
        names = [name for _, _, name in addresses]
        given = [PassedSocket(one, name) for one, name in zip(fakes, names, strict=True)]
        self.passed = PassedSockets(self.reactor, given)
        return self.passed

    def bind(self, interface: str, number: int) -> Any:
        """What was not passed is bound."""
        if (interface, number) in self.taken:
            raise OSError(98, "Address already in use")
        self.bound.append((interface, number))
        return FakeSocket(interface, number, 0)

    def listen(self, *endpoints: str) -> Listeners:
        """Open some listeners, and turn away from the rest."""
        site = make_site(lambda request: None)
        specs = [
            socket_spec(one, site) if one.startswith("/") else ListenerSpec(one, site)
            for one in endpoints
        ]
        listeners = Listeners(self.reactor, specs, self.bind, self.passed)
        listeners.open()
        self.passed.refuse_unused()
        return listeners


class TakingTests(PassedCase):
    """Which listener takes which socket."""

    def test_by_address(self) -> None:
        """A listener with the same address takes it, however that is written."""
        rows: list[tuple[str, str, int]] = [
            ("tcp:5000:interface=127.0.0.1", "127.0.0.1", 5000),
            ("haproxy:tcp:81", "0.0.0.0", 81),
            ("443", "::", 443),
            (r"tcp6:82:interface=0\:0\:\:1", "::1", 82),
        ]
        for endpoint, interface, number in rows:
            self.setUp()
            self.give((interface, number, "x.socket"))
            with capturedLogs() as logged:
                self.listen(endpoint)
            self.assertEqual(self.bound, [], endpoint)
            self.assertEqual(self.reactor.open(), [(interface, number)])
            self.assertEqual(self.sockets[0].backlog, 77, "its backlog is its own")
            (line,) = [formatEvent(one) for one in logged]
            self.assertIn("a socket of the service manager", line)

    def test_shut_down(self) -> None:
        """One that a process has shut down, which could not start, listens again."""
        self.give(("127.0.0.1", 80, "a"), ("127.0.0.1", 81, "b"))
        for one in self.sockets:
            one.backlog = None
        self.listen("tcp:80:interface=127.0.0.1")
        self.assertEqual([one.backlog for one in self.sockets], [BACKLOG, None])
        self.assertEqual(self.reactor.turning_away(), [], "nobody can come there")

    def test_both_families(self) -> None:
        """A bare port whose socket for IPv6 takes no IPv4 has the other one, too."""
        self.give(("::", 443, "a"), ("0.0.0.0", 443, "b"))
        self.sockets[0]._v6only = 1
        self.listen("443")
        self.assertEqual(self.reactor.open(), [("::", 443), ("0.0.0.0", 443)])

    def test_by_name(self) -> None:
        """An endpoint may name it, by name or number, positional or not."""
        for endpoint in ("systemd:domain=INET:name=web", "systemd:INET:1", "systemd:INET:index=1"):
            self.setUp()
            self.give(("127.0.0.1", 80, "other"), ("127.0.0.1", 81, "web"))
            self.listen(endpoint)
            self.assertEqual(self.reactor.open(), [("127.0.0.1", 81)], endpoint)
            self.assertEqual(self.reactor.turning_away(), [("127.0.0.1", 80)])

    def test_no_such_name(self) -> None:
        """One that is not there, has another domain, or is another listener's, is refused."""
        rows = {
            "systemd:domain=INET:name=x": "has passed no such socket, but 127.0.0.1:81 (web)",
            "systemd:domain=INET6:name=web": "127.0.0.1:81 (web) is not of domain INET6",
        }
        for endpoint, why in rows.items():
            self.setUp()
            self.give(("127.0.0.1", 81, "web"))
            self.assertIn(why, str(self.assertRaises(ListenError, self.listen, endpoint)))
        self.setUp()
        self.give(("127.0.0.1", 81, "web"))
        twice = ("tcp:81:interface=127.0.0.1", "systemd:domain=INET:name=web")
        error = self.assertRaises(ListenError, self.listen, *twice)
        self.assertIn("the socket of another listener", str(error))
        self.assertEqual(self.reactor.open(), [])

    def test_unix(self) -> None:
        """A unix socket is known by its path; its file stays when the listener is closed."""
        self.give(("/run/x.sock", 0, "admin"))
        listeners = self.listen("/run/x.sock")
        self.assertEqual(self.reactor.open(), [("/run/x.sock", 0)])
        listeners.stop_listening()
        self.assertEqual(self.reactor.open(), [])
        self.assertFalse(self.reactor.ports[0][2].stopped, "Twisted would remove the file")


class OtherTests(PassedCase):
    """Sockets that no listener has."""

    def test_unwanted(self) -> None:
        """It is named with what to type, once, and nobody waits there."""
        self.give(("127.0.0.1", 80, "regcache-http.socket"))
        with capturedLogs() as logged:
            self.listen("tcp:81")
            self.passed.refuse_unused()
        (line,) = [text for one in logged if (text := str(formatEvent(one))).startswith("the serv")]
        self.assertIn("127.0.0.1:80 (regcache-http.socket)", line)
        self.assertIn("systemctl disable --now regcache-http.socket", line)
        self.assertEqual(self.reactor.turning_away(), [("127.0.0.1", 80)])
        self.assertIsNone(self.reactor.ports[-1][1].buildProtocol(None))

    def test_other_address(self) -> None:
        """If a listener has the port at another address, the warning names that."""
        self.give(("::", 80, ""))
        with capturedLogs() as logged:
            self.listen("tcp:80:interface=10.0.0.1")
        self.assertIn("the listener of that port is at 10.0.0.1:80", _text(logged))

    def test_in_the_way(self) -> None:
        """Where it keeps the listener from its address, the error names it."""
        self.give(("::", 80, "regcache-http.socket"))
        self.taken.add(("", 80))
        error = self.assertRaises(ListenError, self.listen, "tcp:80")
        self.assertIn("has passed [::]:80 (regcache-http.socket): another address", str(error))

    def test_removed_and_added(self) -> None:
        """What a listener leaves is turned away from, and may be taken again."""
        self.give(("127.0.0.1", 80, "a"))
        self.listen("tcp:80:interface=127.0.0.1").stop_listening()
        self.passed.refuse_unused()
        self.assertEqual((self.reactor.open(), self.bound), ([], []))
        self.assertEqual(self.reactor.turning_away(), [("127.0.0.1", 80)])
        self.listen("tcp:80:interface=127.0.0.1")
        self.assertEqual(self.reactor.open(), [("127.0.0.1", 80)])
        self.assertEqual(self.reactor.turning_away(), [])

    def test_stop(self) -> None:
        """A daemon that stops leaves who comes to the next one."""
        self.give(("127.0.0.1", 80, "a"))
        self.passed.refuse_unused()
        self.passed.stop()
        self.assertEqual(self.reactor.turning_away(), [])

    def test_failure_gives_back(self) -> None:
        """If another listener cannot be opened, what was taken is free again."""
        self.give(("127.0.0.1", 80, "a"))
        self.taken.add(("", 81))
        self.assertRaises(ListenError, self.listen, "tcp:80:interface=127.0.0.1", "tcp:81")
        self.taken.clear()
        self.listen("tcp:80:interface=127.0.0.1")
        self.assertEqual(self.reactor.open(), [("127.0.0.1", 80)])


def _text(logged: Any) -> str:
    return "\n".join(str(formatEvent(one)) for one in logged)


class DescriptorTests(SynchronousTestCase):
    """What is behind descriptors."""

    def test_usable(self) -> None:
        """A unix socket that listens is taken; what does not, a file, and nothing are told."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(path)
            listening.listen()
            silent, datagrams = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
            reading, writing = os.pipe()
            numbers = [listening.fileno(), silent.fileno(), datagrams.fileno(), reading, 999999]
            with capturedLogs() as logged:
                found = open_passed([(number, f"n{number}") for number in numbers])
            self.addCleanup(self._close, listening, silent, datagrams, reading, writing)
            self.assertEqual([each.address for each in found], [(path, 0)])
            self.assertEqual(len(logged), 4)
            self.assertEqual(str(logged).count("it is no stream socket with an address"), 2)
            found[0].socket.detach()

    def _close(self, *opened: Any) -> None:
        for one in opened:
            with contextlib.suppress(OSError):
                os.close(one) if isinstance(one, int) else one.close()
