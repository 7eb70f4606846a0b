"""A service manager such as systemd: what it is told, and sockets that outlive a process."""

import hashlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import yaml

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.images import MIB
from tests.support.processes import CHECKOUT, Server, free_port, require, wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache
from tests.support.service_manager import ServiceManager

REPOSITORY = "team/app"
#: Restarts under load, and the clients that ask meanwhile.
RESTARTS = 3
CLIENTS = 8


class ManagedCase(PullThroughCase):
    """A daemon of a service manager that is ours."""

    def managed(self, manager: ServiceManager, port: int = 0, **more: Any) -> Regcache:
        """Start it, and wait until it says that it is ready."""
        self.upstream = self.faulty_upstream()
        self.addCleanup(manager.close)
        self.manager = manager
        daemon = Regcache({**upstream_config(self.upstream.url), **more}, None, port or None)
        self.addCleanup(daemon.close)
        daemon.manager = manager
        return daemon.start()

    def file(self, daemon: Regcache) -> Path:
        """Its configuration."""
        return daemon.directory.parent / "regcache.yml"


class TellingTests(ManagedCase):
    """What systemd is told."""

    def test_life(self) -> None:
        """Ready, alive, reloading, stopping: each is told at its time, and what takes longer."""
        daemon = self.managed(ServiceManager(watchdog=1.5))
        manager = self.manager
        self.assertIn("no answers yet", manager.wait_for("READY")["STATUS"])
        self.assertEqual(daemon.client().get("/v2/").status, 200, "ready means that it answers")
        self.assertIn("EXTEND_TIMEOUT_USEC", manager.heard[0])
        blob = self.upstream.add_generated_blob(REPOSITORY, 1 * MIB)
        for _ in range(2):
            daemon.client().get(f"/v2/{REPOSITORY}/blobs/{blob.digest}")
        wait_until(
            lambda: any("50 % hits of 2" in one.get("STATUS", "") for one in manager.heard),
            "the status has the share of hits",
        )
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        for text in ("limits: {idle: 7s}", "limits: {idle: x}"):  # right, and wrong
            manager.forget()
            self.file(daemon).write_text(yaml.safe_dump(daemon.config) + text)
            daemon.process.signal(signal.SIGHUP)
            stamp = int(manager.wait_for("RELOADING")["MONOTONIC_USEC"])
            self.assertGreaterEqual(stamp, before)
            manager.wait_for("READY")
            names = [next(iter(one)) for one in manager.heard]
            self.assertLess(names.index("RELOADING"), names.index("READY"))
        self.assert_logged(daemon, "is wrong and not taken")
        held = self.upstream.add_generated_blob(REPOSITORY, 8 * MIB, 1)
        released = threading.Event()
        reading = Download(
            daemon.client(),
            f"/v2/{REPOSITORY}/blobs/{held.digest}",
            lambda done: released.wait(60),
            receive_buffer=65536,
        )
        wait_until(lambda: reading.received > 0, "a transfer")
        manager.forget()
        daemon.process.signal(signal.SIGTERM)
        self.assertIn("EXTEND_TIMEOUT_USEC", manager.wait_for("STOPPING"))
        manager.wait_for("EXTEND_TIMEOUT_USEC", 3)
        released.set()
        self.assertEqual(reading.wait().digest, held.digest)
        self.assertEqual(daemon.process.wait(), 0)

    def test_children(self) -> None:
        """The reactor that is stuck tells nothing; nothing is left for children."""
        daemon = self.managed(ServiceManager(watchdog=1.5, abstract=False))
        self.manager.wait_for("WATCHDOG", 3)
        daemon.process.signal(signal.SIGSTOP)
        self.manager.forget()
        time.sleep(1.0)
        quiet = len(self.manager.times("WATCHDOG"))
        self.assertLessEqual(quiet, 1, "one was on its way")
        daemon.process.signal(signal.SIGCONT)
        self.manager.wait_for("WATCHDOG", quiet + 2)
        self.assertEqual(daemon.stop(), 0)


class SocketTests(ManagedCase):
    """Sockets that are passed."""

    def test_restart_under_load(self) -> None:
        """While the daemon is restarted thrice, nobody is refused, and all bytes are right."""
        port = free_port()
        daemon = self.managed(ServiceManager({"regcache.socket": port}), port)
        blobs = [self.upstream.add_generated_blob(REPOSITORY, n * MIB, n) for n in (1, 4)]
        stop = threading.Event()
        faults: list[str] = []
        answers = [0] * CLIENTS

        def ask(number: int) -> None:
            while not stop.is_set():
                blob = blobs[number % len(blobs)]
                try:
                    answer = daemon.client().get(f"/v2/{REPOSITORY}/blobs/{blob.digest}")
                except OSError as error:
                    faults.append(repr(error))
                    return
                digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
                if (answer.status, digest) != (200, blob.digest):
                    faults.append(f"{answer.status} {digest}")
                answers[number] += 1

        clients = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(CLIENTS)]
        for one in clients:
            one.start()
        for _ in range(RESTARTS):
            before = list(answers)
            wait_until(
                lambda before=before: (
                    all(n > old for n, old in zip(answers, before, strict=True)) or bool(faults)
                ),
                "each client is answered",
            )
            self.assertEqual(daemon.stop(), 0)
            daemon.launch()
        self.manager.wait_for("READY", 1 + RESTARTS)
        stop.set()
        for one in clients:
            one.join(60)
        self.assertEqual(faults, [])
        asked = [one for one in self.upstream.asked() if "/blobs/" in one.path]
        self.assertEqual(len(asked), len(blobs), "nothing was fetched twice")

    def test_cannot_start(self) -> None:
        """Clients of a daemon that cannot start are refused, and answered when it can."""
        port = free_port()
        daemon = self.managed(ServiceManager({"regcache.socket": port}), port)
        self.assertEqual(daemon.stop(), 0)
        right = daemon.config
        for wrong in ({"limits": 7}, {"admin": {"socket": "/nowhere/x"}}):
            daemon.config = {**right, **wrong}
            daemon.launch()
            self.assertEqual(daemon.process.wait(), 1)
            with self.assertRaises(ConnectionRefusedError):
                daemon.client().get("/v2/")
            daemon.config = right
            daemon.start()
            self.assertEqual(self.status(port), 200)
            self.assertEqual(daemon.stop(), 0)

    def test_reload(self) -> None:
        """A listener that goes leaves nobody waiting at its socket; it may come back."""
        port, other = free_port(), free_port()
        daemon = self.managed(ServiceManager({"a.socket": port, "b.socket": other}), port)
        lines = self.assert_logged(daemon, "has passed", f"127.0.0.1:{other} (b.socket)")
        self.assertIn("systemctl disable --now b.socket", lines[0])
        self.assertTrue(self.is_cut_off(other))
        both = [f"tcp:{each}:interface=127.0.0.1" for each in (port, other)]
        self.listen_at(daemon, *both)
        self.assertEqual([self.status(one) for one in (port, other)], [200, 200])
        self.listen_at(daemon, both[1])
        self.assertTrue(self.is_cut_off(port))
        self.listen_at(daemon, both[0], "systemd:domain=INET:name=b.socket")
        self.assertEqual([self.status(one) for one in (port, other)], [200, 200])

    def listen_at(self, daemon: Regcache, *endpoints: str) -> None:
        """Reload with other listeners."""
        told = daemon.log().count("the configuration was reloaded")
        listeners = [{"endpoint": each} for each in endpoints]
        text = yaml.safe_dump({**daemon.config, "listeners": listeners})
        self.file(daemon).write_text(text)
        daemon.process.signal(signal.SIGHUP)
        self.assert_logged(daemon, "the configuration was reloaded", times=told + 1)

    def status(self, port: int) -> int:
        """What is answered at a port."""
        return RegistryClient(f"http://127.0.0.1:{port}").get("/v2/").status

    def is_cut_off(self, port: int) -> bool:
        """Whether who connects there is cut off instead of left to wait."""
        with socket.create_connection(("127.0.0.1", port), 60) as connection:
            try:
                return connection.recv(1) == b""
            except ConnectionResetError:
                return True

    def test_activation(self) -> None:
        """systemd-socket-activate starts the daemon for its first client, which is answered."""
        require("systemd-socket-activate")
        port = free_port()
        upstream = self.faulty_upstream()
        blob = upstream.add_generated_blob(REPOSITORY, 1 * MIB)
        daemon = Regcache(upstream_config(upstream.url), None, port)
        self.addCleanup(daemon.close)
        folder = self.workspace()
        file = folder.file("regcache.yml", yaml.safe_dump(daemon.config))
        twistd = os.environ.get("REGCACHE_TWISTD") or str(Path(sys.executable).with_name("twistd"))
        command = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=regcache.socket"]
        server = Server(
            [*command, "-E", "PYTHONPATH", twistd, "-n", "--pidfile=", "regcache", "-c", str(file)],
            folder.path / "log",
            environment={"PYTHONPATH": str(CHECKOUT)},
            cwd=folder.path,
        )
        self.addCleanup(server.kill)
        wait_until(lambda: "Listening on" in server.log(), "it listens")
        answer = daemon.client().get(f"/v2/{REPOSITORY}/blobs/{blob.digest}")
        self.assertEqual(f"sha256:{hashlib.sha256(answer.body).hexdigest()}", blob.digest)
        self.assertIn("a socket of the service manager", server.log())
        self.assertEqual(server.stop(), 0)
