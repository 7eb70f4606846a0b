"""The composition: what a configuration becomes, without a port and without a thread."""

import io
import os
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from regcache.config.loading import Loaded, loads
from regcache.lifecycle import Daemon
from regcache.logs import LineWriter
from regcache.service import build_daemon
from regcache.store.lock import StoreLock, StoreLockedError
from regcache.store.paths import StorageUnusableError
from regcache.upstreams import UpstreamSetupError
from regcache.web import listeners
from tests.support.bound_sockets import FakeSocket
from tests.support.web_client import Answer, MemoryClient

LISTENERS = """
listeners:
  - endpoint: tcp:80
    redirect: https
  - endpoint: tcp:5000:interface=127.0.0.1
admin: {endpoint: "tcp:5001:interface=127.0.0.1"}
upstreams: {docker.io: , ghcr.io: }
"""


class ServiceCase(SynchronousTestCase):
    """Daemons that are built, bound to a reactor in memory, and not started."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.output = io.StringIO()
        self.failures: list[str] = []
        self.reactor: Any = MemoryReactorClock()  # type: ignore[no-untyped-call]
        self.bound: list[FakeSocket] = []
        self.patch(listeners, "bind_tcp", self.take)

    def take(self, interface: str, number: int) -> FakeSocket:
        """Take an address."""
        self.bound.append(FakeSocket(interface, number, 0))
        return self.bound[-1]

    def load(self, text: str = LISTENERS) -> Loaded:
        """A configuration with a storage directory of its own."""
        storage = f"storage: {{directory: {self.directory}}}\n"
        return loads(text + storage, "regcache.yml", {})

    def build(self, loaded: Loaded) -> Daemon:
        """What a configuration stands for."""
        writer = LineWriter(self.output, loaded.config.log.format)
        daemon, self.reloader = build_daemon(loaded, self.reactor, writer, self.failures.append)
        self.addCleanup(lambda: self.successResultOf(daemon.stopService()))
        return daemon

    def open(self, text: str = LISTENERS) -> None:
        """Build, and open the listeners, as the daemon does when the storage is open."""
        daemon = self.build(self.load(text))
        daemon.privilegedStartService()
        self.assertEqual(self.reactor.adoptedPorts, [])
        daemon.parts.listeners.startService()

    def ask(self, port: int, target: str, *lines: str, host: str = "localhost") -> list[Answer]:
        """The answers of a listener, if there is one yet."""
        adopted = self.reactor.adoptedPorts
        (site,) = [site for bound, _, site in adopted if bound.address[1] == port]
        client = MemoryClient(site).request("GET", target, *lines, host=host)
        self.reactor.advance(0)
        answers = client.answers()
        client.leave()
        return answers


class BuildingTests(ServiceCase):
    """Building."""

    def test_lock(self) -> None:
        """The storage is locked from the beginning, so that no second daemon is built."""
        self.build(self.load())
        error = self.assertRaises(StoreLockedError, self.build, self.load())
        self.assertEqual(error.pid, str(os.getpid()))
        self.assertIn(str(self.directory), str(error))

    def test_failure_unlocks(self) -> None:
        """A daemon that cannot be built says why, and leaves the storage to others."""
        secret = Path(self.mktemp()).absolute()
        secret.write_text("x")
        config = self.load(
            "upstreams: {a.test: {urls: ['https://a.test'], username: me, "
            f"password_file: {secret}}}}}\n"
        )
        for spoil, why in (
            (lambda: secret.write_bytes(b"\xff\xfe"), "it is not UTF-8"),
            (secret.unlink, "No such file or directory"),
        ):
            spoil()
            error = self.assertRaises(UpstreamSetupError, self.build, config)
            line = f"upstreams.a.test.password_file: {secret}: {why}"
            self.assertEqual(str(error)[: len(line)], line)
        lock = StoreLock(str(self.directory / "lock"), os.getpid())
        lock.acquire()
        lock.release()

    def test_unusable_directory(self) -> None:
        """A directory that is none is refused, and named."""
        self.directory.write_text("")
        error = self.assertRaises(StorageUnusableError, self.build, self.load())
        self.assertIn(str(self.directory), str(error))


class ListenerTests(ServiceCase):
    """What the listeners answer."""

    def setUp(self) -> None:
        super().setUp()
        self.open()

    def test_bound(self) -> None:
        """Every listener and the admin endpoint are bound, where they were asked for."""
        bound = {each.address for each in self.bound if each.backlog}
        self.assertEqual(bound, {("", 80), ("127.0.0.1", 5000), ("127.0.0.1", 5001)})

    def test_health(self) -> None:
        """Everywhere /healthz says that it lives, and /readyz whether it is ready."""
        for port in (80, 5000, 5001):
            (alive,), (ready,) = self.ask(port, "/healthz"), self.ask(port, "/readyz")
            self.assertEqual((alive.status, ready.status), (200, 200), port)

    def test_redirect(self) -> None:
        """A listener that redirects needs no storage for it."""
        (answer,) = self.ask(80, "/v2/x?y=z")
        self.assertEqual(
            (answer.status, answer.headers["location"]), (308, "https://localhost/v2/x?y=z")
        )

    def test_metrics(self) -> None:
        """The admin endpoint has the metrics of all upstreams, and none of time of creation."""
        self.ask(5000, "/healthz")
        (answer,) = self.ask(5001, "/metrics")
        self.assertTrue(answer.headers["content-type"].startswith("text/plain"))
        text = answer.body.decode()
        for upstream in ("docker.io", "ghcr.io"):
            self.assertIn(f'regcache_upstream_requests_total{{upstream="{upstream}"}} 0.0', text)
        for name in ("requests_total", "downloads", "readers", "storage_bytes"):
            self.assertIn(f"\nregcache_{name}", text)
        self.assertNotIn("_created", text)

    def test_access_log(self) -> None:
        """Requests are logged, once each."""
        self.ask(5000, "/healthz")
        self.assertEqual(self.output.getvalue().count("regcache.access"), 1)


class QuietTests(ServiceCase):
    """Without an access log."""

    def test_off(self) -> None:
        """``log.access: false`` writes no line; the metrics count all the same."""
        self.open(LISTENERS + "log: {access: false}\n")
        self.ask(5000, "/healthz")
        self.assertNotIn("regcache.access", self.output.getvalue())
        (answer,) = self.ask(5001, "/metrics")
        self.assertIn(b'regcache_requests_total{kind="other"', answer.body)

    def test_no_admin(self) -> None:
        """``admin.endpoint: null`` switches it off."""
        self.open("admin: {endpoint: null}\n")
        self.assertEqual([each.address[1] for each in self.bound], [5000])


class AdminTests(ServiceCase):
    """The API where operators reach it."""

    def test_endpoint(self) -> None:
        """On loopback it may be read."""
        self.open()
        (answer,) = self.ask(5001, "/api/v1/session")
        self.assertEqual((answer.status, answer.json["role"]), (200, "read"))
        (answer,) = self.ask(5000, "/api/v1/session")
        self.assertEqual(answer.status, 404)

    def test_metrics_alone(self) -> None:
        """The endpoint for metrics has these and nothing else."""
        self.open(LISTENERS.replace("admin: {", 'admin: {metrics_endpoint: "tcp:9100", '))
        for target, status in (("/metrics", 200), ("/api/v1/session", 404), ("/v2/", 404)):
            (answer,) = self.ask(9100, target, host="any.test")
            self.assertEqual(answer.status, status, target)

    def test_hosts(self) -> None:
        """Under an admin host the listeners of clients answer it, those that redirect do not."""
        self.open(LISTENERS.replace("admin: {", "admin: {hosts: [ui.test], "))
        for port, status in ((80, 308), (5000, 200)):
            (answer,) = self.ask(port, "/api/v1/session", host="ui.test")
            self.assertEqual(answer.status, status, port)
        self.assertEqual(answer.json["role"], "none")

    def test_socket(self) -> None:
        """The unix socket is for its owner and group, and its site is drained with the others."""
        path = str(self.directory / "admin.sock")
        self.open(LISTENERS.replace("admin: {", f"admin: {{socket: {path}, "))
        ((address, site, _, mode, _),) = self.reactor.unixServers
        self.assertEqual((address, mode), (path, 0o660))
        client = MemoryClient(site).request("GET", "/api/v1/session", host="any.test")
        self.reactor.advance(0)
        self.assertEqual(client.answer().json["via"], "loopback")
        client.leave()

    def test_occupied(self) -> None:
        """What is no socket is never removed: the start is refused with a line that names it."""
        self.directory.mkdir()
        path = self.directory / "mine"
        path.write_text("")
        text = LISTENERS.replace("admin: {", f"admin: {{socket: {path}, ")
        error = self.assertRaises(listeners.ListenError, self.open, text)
        self.assertEqual(str(error), f"admin.socket {path}: {path} is there, and is no socket")
