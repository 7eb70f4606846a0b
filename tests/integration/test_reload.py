"""Reloads of a running daemon: no transfer is cut, and the next request sees what is in force."""

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.integration.base import PullThroughCase, certificates
from tests.support.ctl import run_ctl
from tests.support.downloads import Download
from tests.support.images import MIB
from tests.support.processes import free_port, wait_until
from tests.support.registry_client import RegistryClient

REPOSITORY = "team/app"
TRANSFERS = 20
CHANGES = 50
RIGHT = "the configuration was reloaded; changed: "
WRONG = "the configuration is wrong and not taken"


def client_context() -> ssl.SSLContext:
    """That of a client that trusts the authority of the tests."""
    return ssl.create_default_context(cafile=str(certificates().authority.file))


class ReloadCase(PullThroughCase):
    """A daemon whose file is changed while it runs."""

    def begin(self, **more: Any) -> None:
        """Start it with two names for one registry."""
        self.upstream = self.faulty_upstream()
        self.one = {"urls": [self.upstream.url], "max_downloads": 2 * TRANSFERS}
        self.upstreams = {"one.test": self.one, "two.test": self.one}
        config = {"upstreams": self.upstreams, "default_upstream": "one.test"}
        self.daemon = self.regcache({**config, **more})
        self.released = threading.Event()

    def hold(
        self, count: int, upstream: str = "one.test", client: RegistryClient | None = None
    ) -> None:
        """Begin so many transfers, which go on when they are released."""
        self.blobs = [
            self.upstream.add_generated_blob(REPOSITORY, 16 * MIB, number)
            for number in range(count)
        ]
        target = f"/v2/{upstream}/{REPOSITORY}/blobs/"
        self.transfers = [
            Download(
                client or self.daemon.client(),
                f"{target}{blob.digest}",
                lambda done: self.released.wait(60),
                receive_buffer=65536,
            )
            for blob in self.blobs
        ]
        wait_until(lambda: all(one.received for one in self.transfers), "all of them begin")

    def assert_whole(self) -> None:
        """None has ended before, and all get what they asked for, which was fetched once."""
        self.assertTrue(all(one.is_alive() for one in self.transfers))
        self.released.set()
        for one, blob in zip(self.transfers, self.blobs, strict=True):
            self.assertEqual((one.wait().digest, one.error), (blob.digest, None))
        for blob in self.blobs:
            asked = [one for one in self.upstream.asked() if blob.digest in one.path]
            self.assertEqual(len(asked), 1)

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.daemon.directory.parent / "regcache.yml"

    def write(self, changes: Mapping[str, Any], more: str = "") -> None:
        """Write other values, and a wrong line, into the file as it is, and send the signal."""
        self.file.write_text(self.text(changes, more))
        os.kill(self.daemon.process.pid, signal.SIGHUP)

    def put(self, changes: Mapping[str, Any], more: str = "") -> None:
        """Put such a file in the place of the present one, by a rename, and say nothing."""
        other = self.file.with_suffix(".new")
        other.write_text(self.text(changes, more))
        os.rename(other, self.file)

    def text(self, changes: Mapping[str, Any], more: str = "") -> str:
        """A configuration."""
        plain = json.loads(json.dumps({**self.daemon.config, **changes}))
        return str(yaml.safe_dump(plain)) + more

    def count(self, words: str) -> int:
        """How many lines of the log have some words."""
        return self.daemon.log().count(words)

    def expect(self, words: str, times: int) -> None:
        """Wait for so many such lines."""
        wait_until(lambda: self.count(words) >= times, f"{times} times {words!r}")
        self.assertEqual(self.count(words), times)

    def status(self, name: str, digest: str) -> int:
        """What is answered where an upstream is named."""
        return self.daemon.client().get(f"/v2/{name}/{REPOSITORY}/blobs/{digest}").status


class LoadTests(ReloadCase):
    """Many reloads while much is transferred."""

    def test_under_load(self) -> None:
        """20 transfers go on through 50 changes; each is in force at once, or kept out whole."""
        self.begin(limits={"drain": "5s"})
        self.hold(TRANSFERS)
        small = self.upstream.add_blob(REPOSITORY, b"small")
        right = wrong = 0
        for number in range(CHANGES):
            change = self.put if number % 5 == 0 else self.write
            name = f"new{number}.test"
            upstreams = self.upstreams | {name: self.one}
            if number % 3 == 2:
                wrong += 1
                change({"upstreams": upstreams}, f"surprise_{number}: 1\n")
                self.expect(f": surprise_{number}: unknown key", 1)
                self.expect(WRONG, wrong)
                self.assertEqual(self.status(name, small), 404)
            else:
                right += 1
                change({"upstreams": upstreams})
                self.expect(RIGHT, right)
                self.assertEqual(self.status(name, small), 200)
                self.assertEqual(self.status(f"new{number - 1}.test", small), 404)
            self.assertEqual(self.status("one.test", small), 200)
        self.assert_whole()

    def test_upstream_goes_and_comes(self) -> None:
        """A download of an upstream that goes is not cut; who asks when it is back joins it."""
        self.begin()
        self.hold(1, upstream="two.test")
        self.write({"upstreams": {"one.test": self.one}})
        self.expect(f"{RIGHT}upstreams.two.test", 1)
        (blob,) = self.blobs
        self.assertEqual(self.status("two.test", blob.digest), 404)
        self.write({})
        self.expect(f"{RIGHT}upstreams.two.test", 2)
        again = Download(self.daemon.client(), f"/v2/two.test/{REPOSITORY}/blobs/{blob.digest}")
        wait_until(lambda: again.received > 0, "the second client is served")
        self.assert_whole()
        self.assertEqual(again.wait().digest, blob.digest)

    def test_removed_upstream(self) -> None:
        """What was cached of an upstream that went is there when it is back, and is not fetched."""
        self.begin()
        digest = self.upstream.add_blob(REPOSITORY, b"small")
        self.assertEqual(self.status("two.test", digest), 200)
        self.write({"upstreams": {"one.test": self.one}})
        self.expect(RIGHT, 1)
        self.assertEqual(self.status("two.test", digest), 404)
        self.write({})
        self.expect(RIGHT, 2)
        self.assertEqual(self.status("two.test", digest), 200)
        self.assertEqual(len(self.upstream.asked()), 1)


class KindTests(ReloadCase):
    """Keys of every kind, each in force for the next request."""

    def test_kinds(self) -> None:
        """Routes, access, limits, storage and log follow the file, and go back with it."""
        self.begin()
        digest = self.upstream.add_blob(REPOSITORY, b"small")
        denied = self.one | {"deny": [f"{REPOSITORY}"]}
        accounts = self.workspace().file("accounts", "me:$2b$04$" + "a" * 53 + "\n")
        kinds: list[tuple[dict[str, Any], str, int]] = [
            ({"upstreams": {"one.test": denied}}, "one.test", 404),
            ({"default_upstream": "two.test"}, "one.test", 200),
            ({"access": {"htpasswd": str(accounts)}}, "one.test", 401),
            ({"limits": {"connections": 1}}, "one.test", 200),
            ({"default_hosts": []}, "", 200),
            ({"log": {"format": "json"}}, "one.test", 200),
        ]
        for number, (changes, name, status) in enumerate(kinds):
            self.write(changes)
            self.expect(RIGHT, 2 * number + 1)
            self.assertEqual(self.status(name or "one.test", digest), status, changes)
            self.write({})
            self.expect(RIGHT, 2 * number + 2)
            self.assertEqual(self.status("one.test", digest), 200, changes)
        self.assert_logged(self.daemon, '"kind": "blob"', times=1)

    def test_storage(self) -> None:
        """Limits of the storage hold at once; its directory stays until a restart."""
        self.begin()
        storage = self.daemon.config["storage"]
        self.write({"storage": storage | {"max_size": "1GiB", "directory": "/elsewhere"}})
        self.expect(f"{RIGHT}storage.max_size", 1)
        self.expect("storage.directory: takes a restart", 1)
        admin = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}")
        self.assertEqual(
            json.loads(admin.get("/api/v1/status").body)["disk"]["limit_bytes"], 1 << 30
        )
        config = json.loads(admin.get("/api/v1/config").body)["config"]["storage"]
        self.assertEqual((config["max_size"], config["directory"]), ("1GiB", storage["directory"]))


class ListenerTests(ReloadCase):
    """Listeners that come, go and change."""

    def listeners(self, *more: dict[str, Any]) -> dict[str, Any]:
        """The usual listener, and others."""
        return {"listeners": [*self.daemon.config["listeners"], *more]}

    def ping(self, port: int) -> int:
        """What a listener answers; 0 where there is none."""
        try:
            return RegistryClient(f"http://127.0.0.1:{port}").get("/v2/").status
        except ConnectionRefusedError:
            return 0

    def test_come_and_go(self) -> None:
        """A listener is opened and closed, and a transfer over it goes on to its end."""
        self.begin()
        port = free_port()
        self.write(self.listeners({"endpoint": f"tcp:{port}:interface=127.0.0.1"}))
        self.expect(f"{RIGHT}listeners", 1)
        self.assertEqual(self.ping(port), 200)
        self.hold(1, client=RegistryClient(f"http://127.0.0.1:{port}"))
        self.write({})
        self.expect(f"{RIGHT}listeners", 2)
        wait_until(lambda: self.ping(port) == 0, "the listener is closed")
        self.assertEqual(self.ping(self.daemon.port), 200)
        self.assert_whole()

    def test_port_taken(self) -> None:
        """A port that another program has keeps the whole configuration out."""
        self.begin()
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            taken = {"endpoint": f"tcp:{port}:interface=127.0.0.1"}
            self.write({**self.listeners(taken), "ui": {"title": "never"}})
            self.expect("address already in use", 1)
            self.expect(WRONG, 1)
        self.assertEqual(self.ping(self.daemon.port), 200)
        client = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}")
        config = json.loads(client.get("/api/v1/config").body)
        self.assertEqual(config["config"]["ui"]["title"], "regcache")
        self.assertIn("address already in use", config["last_error"]["errors"][0])
        (notice,) = client.get("/api/v1/status").json()["notices"]
        self.assertEqual(notice["code"], "config.refused")

    def test_options(self) -> None:
        """TLS and a redirect are put on listeners, whose sockets stay open all the time."""
        self.begin()
        pair = certificates().certificate
        tls = {"certificates": [{"chain": str(pair.chain), "key": str(pair.key)}]}
        (plain,) = self.daemon.config["listeners"]
        self.write({"listeners": [{**plain, "tls": tls}]})
        self.expect(f"{RIGHT}listeners[0].tls", 1)
        secure = RegistryClient(f"https://{self.daemon.address}", context=client_context())
        self.assertEqual(secure.get("/v2/").status, 200)
        refused = self.daemon.client().get("/v2/")
        self.assertEqual((refused.status, b"HTTPS port" in refused.body), (400, True))
        self.assert_logged(self.daemon, "plain HTTP on a TLS listener", "status=400")
        self.write({"listeners": [{**plain, "redirect": "https"}]})
        self.expect(f"{RIGHT}listeners[0].redirect", 1)
        self.assertEqual(self.ping(self.daemon.port), 308)
        self.write({"listeners": [{"endpoint": f"tcp:{self.daemon.port}"}]})
        self.expect(f"{RIGHT}listeners[0].endpoint", 1)
        self.assertEqual(self.ping(self.daemon.port), 200)

    def test_renewal(self) -> None:
        """A reload between the two files of a renewal is taken; the old pair stays meanwhile."""
        folder, authority = self.workspace(), certificates().authority
        old, new = (authority.issue("127.0.0.1") for _ in range(2))
        tls = {"certificates": [{}]}
        for name in ("chain", "key"):
            tls["certificates"][0][name] = str(folder.file(name, getattr(old, name).read_text()))
        self.begin()
        (plain,) = self.daemon.config["listeners"]
        self.write({"listeners": [{**plain, "tls": tls}]})
        self.expect(f"{RIGHT}listeners[0].tls", 1)
        before = self.shown()
        folder.file("chain", new.chain.read_text())
        self.write({"listeners": [{**plain, "tls": {**tls, "minimum": "TLSv1.3"}}]})
        self.expect(f"{RIGHT}listeners[0].tls.minimum", 1)
        self.assert_logged(self.daemon, "listeners[0].tls.certificates[0].key", "stays in use")
        self.assertEqual(self.shown(), before)
        folder.file("key", new.key.read_text())
        wait_until(lambda: self.shown() != before, "the new one is shown")
        self.assertEqual(self.count(WRONG), 0)

    def shown(self) -> str:
        """The certificate that a client sees."""
        return ssl.get_server_certificate(("127.0.0.1", self.daemon.port))


class SignalTests(ReloadCase):
    """Signals, and the other ways to ask."""

    def test_other_signals(self) -> None:
        """SIGUSR1 and SIGUSR2 do nothing."""
        self.begin()
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            os.kill(self.daemon.process.pid, number)
        self.write({"ui": {"title": "another"}})
        self.expect(f"{RIGHT}ui.title", 1)
        self.assertEqual(self.count(RIGHT), 1)

    def test_link(self) -> None:
        """A swapped link of the folder above the file counts, as ConfigMaps are changed."""
        self.begin()
        folder = self.file.parent
        for number, title in enumerate(("first", "second")):
            (folder / f"v{number}").mkdir()
            changes = {"ui": {"title": title}}
            (folder / f"v{number}" / "regcache.yml").write_text(self.text(changes))
            (folder / "new").symlink_to(f"v{number}")
            os.rename(folder / "new", folder / "..data")
            if not self.file.is_symlink():
                (folder / "link").symlink_to("..data/regcache.yml")
                os.rename(folder / "link", self.file)
            self.expect(f"{RIGHT}ui.title", number + 1)

    def test_command(self) -> None:
        """regcachectl names what changed, and says what is wrong with the file."""
        socket_path = str(self.workspace().path / "admin.sock")
        self.begin(admin={"endpoint": None, "socket": socket_path})
        self.file.write_text(self.text({"ui": {"title": "x"}, "storage": {"directory": "/other"}}))
        done = self.ctl(socket_path)
        self.assertEqual(done.returncode, 0)
        self.assertIn("changed: ui.title\n", done.stdout)
        self.assertIn("storage.directory: takes a restart", done.stderr)
        self.file.write_text(self.text({}, "surprise: 1\n"))
        done = self.ctl(socket_path)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("surprise: unknown key", done.stderr)

    def ctl(self, path: str) -> "subprocess.CompletedProcess[str]":
        """Run regcachectl reload."""
        return run_ctl("reload", "--socket", path)
