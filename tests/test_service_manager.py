"""What a service manager says, and what it is told."""

import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from regcache.service_manager import (
    Notifications,
    ServiceEnvironment,
    keep_from_children,
    read_environment,
)

PID = 77


class EnvironmentTests(SynchronousTestCase):
    """The variables."""

    def test_nothing(self) -> None:
        """Without variables there is no service manager."""
        self.assertEqual(read_environment({}, PID), ServiceEnvironment())

    def test_all(self) -> None:
        """Each variable is understood; sockets are numbered from 3."""
        found = read_environment(
            {
                "NOTIFY_SOCKET": "@abc",
                "WATCHDOG_USEC": "1500000",
                "WATCHDOG_PID": "77",
                "LISTEN_PID": "77",
                "LISTEN_FDS": "2",
                "LISTEN_FDNAMES": "http:regcache.socket",
            },
            PID,
        )
        sockets = ((3, "http"), (4, "regcache.socket"))
        self.assertEqual(found, ServiceEnvironment("@abc", 1.5, sockets))

    def test_for_others(self) -> None:
        """What is meant for another process is left alone."""
        found = read_environment(
            {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1", "LISTEN_PID": "1", "LISTEN_FDS": "2"}, PID
        )
        self.assertEqual(found, ServiceEnvironment())

    def test_odd(self) -> None:
        """Names may be missing, and what is no number is none; no count is taken without bound."""
        for count, expected in (("2", 2), ("x", 0), ("-1", 0), ("٣", 0), ("9999999", 1024)):
            found = read_environment({"LISTEN_PID": "77", "LISTEN_FDS": count}, PID)
            self.assertEqual(len(found.descriptors), expected, count)
            self.assertEqual({name for _, name in found.descriptors} - {""}, set())

    def test_children(self) -> None:
        """No child gets the variables or the sockets."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        os.set_inheritable(reading, True)
        environ = {"NOTIFY_SOCKET": "/x", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a", "PATH": "/bin"}
        keep_from_children(environ, ServiceEnvironment(descriptors=[(reading, ""), (999999, "")]))
        self.assertEqual(environ, {"PATH": "/bin"})
        self.assertFalse(os.get_inheritable(reading))


class NotificationTests(SynchronousTestCase):
    """Datagrams."""

    def listen(self, address: str) -> socket.socket:
        """A service manager that listens somewhere."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.setblocking(False)
        manager.bind(address)
        return manager

    def notifications(self, address: str) -> Notifications:
        """What tells it."""
        made = Notifications(address)
        self.addCleanup(made.close)
        return made

    def test_path(self) -> None:
        """One datagram holds the lines of one message."""
        path = f"/tmp/regcache-notify-{os.getpid()}"
        manager = self.listen(path)
        self.addCleanup(os.unlink, path)
        self.notifications(path).send("READY=1", "STATUS=fine")
        self.assertEqual(manager.recv(100), b"READY=1\nSTATUS=fine")

    def test_abstract(self) -> None:
        """A name that begins with @ is abstract."""
        name = f"regcache-test-{os.getpid()}"
        manager = self.listen(f"\0{name}")
        self.notifications(f"@{name}").send("READY=1")
        self.assertEqual(manager.recv(100), b"READY=1")

    def test_busy(self) -> None:
        """What a busy service manager does not take is sent later, in order, and never waited for;
        of too much the oldest is dropped."""
        name = f"regcache-busy-{os.getpid()}"
        manager = self.listen(f"\0{name}")
        told = self.notifications(f"@{name}")
        for number in range(2000):
            told.send(f"N={number}")
        received = self._received(manager)
        self.assertLess(len(received), 2000)
        for _ in range(10):
            told.flush()
            received += self._received(manager)
        self.assertEqual(received[-1], 1999)
        self.assertEqual(received, sorted(received))

    def _received(self, manager: socket.socket) -> list[int]:
        found = []
        while True:
            try:
                found.append(int(manager.recv(100).decode().removeprefix("N=")))
            except BlockingIOError:
                return found

    def test_gone(self) -> None:
        """Where nobody listens, or nobody is named, nothing happens."""
        self.notifications("@regcache-nobody-there").send("READY=1")
        nobody = self.notifications("")
        nobody.send("READY=1")
        self.assertFalse(nobody.wanted)
