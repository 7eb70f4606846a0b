"""Several large cold layers at once, from an upstream with TLS: threads receive them."""

import hashlib
import json
import signal
import ssl
from pathlib import Path
from typing import Any

import yaml

from tests.access.accounts import hashed
from tests.integration.base import PullThroughCase, certificates, upstream_config
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.generated import GeneratedContent
from tests.support.images import MIB
from tests.support.processes import wait_until

ADMIN = ("admin", "secret")
REPOSITORY = "team/app"
LAYERS = 8
SIZE = 24 * MIB
RELOADS = 3


class ColdLayersTests(PullThroughCase):
    """One daemon, and layers that nobody has asked for."""

    def setUp(self) -> None:
        """Start both."""
        own = certificates()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(own.certificate.chain, own.certificate.key)
        self.upstream = self.faulty_upstream(context=context)
        accounts = self.workspace().file("accounts", f"admin:{hashed(ADMIN[1]).decode()}\n")
        access = {"htpasswd": str(accounts), "admins": ["admin"]}
        config = {
            **upstream_config(self.upstream.url, ca_file=str(own.authority.file)),
            "access": {**access, "rules": [{"accounts": ["anonymous"]}]},
            "limits": {"drain": "0s"},
        }
        self.daemon = self.regcache(config)
        self.client = self.daemon.client()
        self.layers = {self.target(layer): layer for layer in map(self.add, range(LAYERS))}

    def add(self, seed: int) -> GeneratedContent:
        """A layer; no two are of one size."""
        return self.upstream.add_generated_blob(REPOSITORY, SIZE + seed * 100_003, seed)

    def target(self, layer: GeneratedContent) -> str:
        """What clients ask for."""
        return f"/v2/{REPOSITORY}/blobs/{layer.digest}"

    def pull_all(self) -> None:
        """All at once: each client gets its layer."""
        running = [Download(self.client, target) for target in self.layers]
        for one, layer in zip(running, self.layers.values(), strict=True):
            one.wait()
            self.assertEqual((one.error, one.status, one.digest), (None, 200, layer.digest))

    def assert_stored(self) -> None:
        """The files are what their names say: what was hashed is what was written."""
        for layer in self.layers.values():
            name = layer.digest.partition(":")[2]
            file = self.daemon.directory / "blobs" / "sha256" / name[:2] / name
            wait_until(file.exists, "the layer is stored")
            self.assertEqual(hashlib.sha256(file.read_bytes()).hexdigest(), name)

    def test_side_by_side(self) -> None:
        """Each client gets the right bytes, the disk has them, and each was sent once."""
        self.pull_all()
        self.assert_stored()
        total = sum(layer.size for layer in self.layers.values())
        self.assertEqual(self.upstream.sent_bytes(), total)
        counted = self.daemon.metric("regcache_upstream_bytes_total")
        self.assertGreaterEqual(counted, total)
        self.assertLess(counted, total + MIB)

    def hold_all(self, cut: bool = False) -> None:
        """Begin to pull all; each is held in the middle, at a place of its own.

        :param cut: the first answer breaks off before that.
        """
        self.held = []
        for number, target in enumerate(self.layers):
            self.held.append(Fault(hold_at=(4 + 2 * number) * MIB + number))
            before = [Fault(cut_at=3 * MIB + number)] if cut else []
            self.upstream.faults.then(target, *before, self.held[-1])
        self.begun = [Download(self.client, target) for target in self.layers]
        for number, one in enumerate(self.begun):
            wait_until(lambda one=one, n=number: one.received > (3 + 2 * n) * MIB, "some of it")

    def release(self) -> None:
        """Go on."""
        for fault in self.held:
            fault.release.set()

    def assert_whole(self) -> None:
        """All that begun was is right."""
        for one, layer in zip(self.begun, self.layers.values(), strict=True):
            one.wait()
            self.assertEqual((one.error, one.digest), (None, layer.digest))

    def assert_goes_on(self) -> None:
        """Another daemon asks for what is missing, and hardly for more."""
        before = self.upstream.sent_bytes()
        self.daemon.start()
        self.pull_all()
        self.assert_stored()
        total = sum(layer.size for layer in self.layers.values())
        self.assertLess(self.upstream.sent_bytes() - before, total - LAYERS * 2 * MIB)

    def test_broken_off_and_killed(self) -> None:
        """What breaks off goes on, also in a daemon that was killed in the middle."""
        self.hold_all(cut=True)
        self.daemon.process.kill()
        self.release()
        for one in self.begun:
            one.wait()
            self.assertIsNotNone(one.error)
        self.assert_goes_on()

    def test_stopped(self) -> None:
        """A daemon that is told to stop while threads receive gives up nothing that came."""
        self.hold_all()
        self.release()
        self.daemon.process.signal(signal.SIGTERM)
        self.assertEqual(self.daemon.process.wait(), 0)
        self.assertNotIn("Traceback", self.daemon.log())
        self.assert_goes_on()

    def test_reloaded(self) -> None:
        """Who is being served when the configuration changes gets all, from one answer."""
        self.hold_all()
        self.release()
        for number in range(RELOADS):
            self.reload(number)
        self.assert_whole()
        self.assert_stored()
        total = sum(layer.size for layer in self.layers.values())
        self.assertEqual(self.upstream.sent_bytes(), total)

    def reload(self, number: int) -> None:
        """Change what the upstream's connections are made of, and wait until it is in force."""
        config: Any = json.loads(json.dumps(self.daemon.config))
        for upstream in config["upstreams"].values():
            upstream["stall_timeout"] = f"{40 + number}s"
        file = self.daemon.directory.parent / "regcache.yml"
        file.write_text(yaml.safe_dump(config))
        self.daemon.process.signal(signal.SIGHUP)
        words = "the configuration was reloaded; changed: "
        wait_until(lambda: self.daemon.log().count(words) > number, "it is reloaded")

    def test_removed(self) -> None:
        """What is deleted while threads receive it: who pulls it gets all; nothing is kept."""
        self.hold_all()
        self.release()
        admin = self.daemon.client(credentials=ADMIN)
        for target in self.layers:
            self.assertEqual(admin.ask("DELETE", target).status, 202)
        self.assert_whole()
        wait_until(lambda: not self.kept(), "nothing of it is on the disk")
        self.pull_all()
        self.assert_stored()

    def kept(self) -> list[Path]:
        """The files of contents, whole or not."""
        folders = [self.daemon.directory / part for part in ("blobs", "partial")]
        return [each for folder in folders for each in folder.rglob("*") if each.is_file()]
