"""What happens is told to an address that takes it, hangs, refuses, or leads elsewhere."""

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from tests.integration.base import certificates
from tests.integration.test_reload import RIGHT, WRONG, ReloadCase
from tests.support.ctl import run_ctl
from tests.support.faults import Fault
from tests.support.images import MIB
from tests.support.processes import CHECKOUT, free_port, wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache
from tests.support.small_disk import small_disk
from tests.support.webhook_server import TOKEN, WebhookServer

#: Looks often, and waits for little.
_HASTY = """
import sys

if any("twistd" in one for one in sys.orig_argv):
    import regcache.admin.notifications.conditions as conditions
    import regcache.admin.notifications.notifier as notifier
    import regcache.admin.notifications.webhook as webhook

    conditions.HOLD = {"disk": 0.5, "upstream_down": 0.5}
    notifier.INTERVAL, notifier.PAUSES, webhook.SECONDS = 0.3, (0.5,) * 20, 3.0
"""


class NotifyTests(ReloadCase):
    """A daemon whose certificate ends soon, which is told at once."""

    def regcache(
        self, config: Mapping[str, Any], *, tls: bool = False, port: int | None = None
    ) -> Regcache:
        """One that looks often."""
        folder = self.workspace()
        folder.file("sitecustomize.py", _HASTY)
        daemon = Regcache(config, None, port)
        self.addCleanup(daemon.close)
        self.socket = str(folder.path / "admin.sock")
        daemon.config["admin"]["socket"] = self.socket
        daemon.environment = {"PYTHONPATH": f"{folder.path}:{CHECKOUT}"}
        return daemon.start()

    def hook(self) -> WebhookServer:
        """An address."""
        server = WebhookServer()
        self.addCleanup(server.close)
        return server

    def begin_with(self, url: str, **more: Any) -> None:
        """Start it."""
        self.pair = pair = certificates().certificate
        tls = {"certificates": [{"chain": str(pair.chain), "key": str(pair.key)}]}
        self.secure = {"endpoint": f"tcp:{free_port()}:interface=127.0.0.1", "tls": tls}
        self.begin(notify={"url": url}, **more)
        self.plain = self.daemon.config["listeners"]
        self.write({"listeners": [*self.plain, self.secure]})
        self.expect(f"{RIGHT}listeners", 1)

    def assert_secret(self) -> None:
        """The address is told nowhere."""
        self.assertNotIn(TOKEN, self.daemon.log())
        admin = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}")
        for call in ("/api/v1/config", "/api/v1/status", "/metrics"):
            self.assertNotIn(TOKEN.encode(), admin.get(call).body)

    def told(self, result: str) -> int:
        """How many messages came to that."""
        return int(self.daemon.metric("regcache_notifications_total", result=result))

    def test_taken(self) -> None:
        """Begin and end are told, once each; the address, with its token, is shown nowhere."""
        hook = self.hook()
        self.begin_with(hook.url)
        wait_until(lambda: len(hook.taken) == 1, "it is told")
        (first,) = hook.taken
        self.assertEqual((first["event"], first["state"]), ("certificate", "begun"))
        self.assertEqual(first["subject"], str(certificates().certificate.chain))
        self.assertIn("it ends in 1 days", first["text"])
        self.assertEqual(first["path"], f"/{TOKEN}?token={TOKEN}")
        self.write({})
        wait_until(lambda: len(hook.taken) == 2, "its end is told")
        self.assertEqual(hook.taken[1]["state"], "over")
        self.assertEqual(self.told("sent"), 2)
        self.assertNotIn("Starting factory", self.daemon.log())
        self.assert_secret()

    def test_evening(self) -> None:
        """What befalls a daemon is told as it begins and ends, and a wrong file is not a part."""
        hook = self.hook()
        disk = small_disk(self, self.workspace().path, 64 * MIB, lambda: self.daemon.close())
        self.begin_with(hook.url, storage={"directory": str(disk), "min_free": "1MiB"})

        def expect(event: str, state: str, subject: str) -> str:
            """The next message; its text."""
            expected.append((event, state, subject))
            wait_until(lambda: len(hook.taken) >= len(expected), f"{event} {state} is told")
            found = [(one["event"], one["state"], one["subject"]) for one in hook.taken]
            self.assertEqual(found, expected)
            return str(hook.taken[-1]["text"])

        expected: list[tuple[str, str, str]] = []
        self.assertIn("renew it", expect("certificate", "begun", str(self.pair.chain)))
        with contextlib.suppress(OSError):
            (disk / "others").write_bytes(bytes(64 * MIB))
        self.assertIn("new content is not kept", expect("disk", "begun", ""))
        (disk / "others").unlink()
        expect("disk", "over", "")
        self.upstream.faults.always("*", Fault(reset=True))
        for number in range(3):
            self.assertIn(self.status("one.test", f"sha256:{number:064}"), (502, 503))
        self.assertIn("it cannot be asked", expect("upstream_down", "begun", "one.test"))
        self.upstream.faults.clear()
        self.write({}, more="frobnicate: true\n")
        self.expect(WRONG, 1)
        tested = run_ctl("test", "one.test", "--socket", self.socket)
        self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)
        expect("upstream_down", "over", "one.test")
        self.assertEqual(self.daemon.metric("regcache_upstream_up", upstream="one.test"), 1)
        self.assert_secret()

    def test_wrong_bytes(self) -> None:
        """Damage on the disk is told with how much; of what is not chosen nothing is."""
        hook = self.hook()
        self.begin_with(hook.url)
        wait_until(lambda: len(hook.taken) == 1, "it is told")
        self.write({"notify": {"url": hook.url, "on": ["corruption"]}})
        self.expect(f"{RIGHT}listeners, notify.on", 1)
        digest = self.upstream.add_blob("team/app", b"small")
        self.assertEqual(self.status("one.test", digest), 200)
        name = f"blobs/sha256/*/{digest.partition(':')[2]}"
        wait_until(lambda: len(list(self.daemon.directory.glob(name))) == 1, "it is stored")
        (stored,) = self.daemon.directory.glob(name)
        stored.chmod(0o600)
        stored.write_bytes(b"wrong bytes")
        stored.chmod(0o400)
        self.daemon.process.kill()
        self.daemon.config["notify"] = {"url": hook.url, "on": ["corruption"]}
        self.daemon.start()
        self.assertEqual(self.status("one.test", digest), 200)
        wait_until(lambda: len(hook.taken) == 2, "it is told")
        self.assertEqual(
            (hook.taken[1]["event"], hook.taken[1]["state"]), ("corruption", "happened")
        )
        self.assertIn("1 stored contents were damaged", hook.taken[1]["text"])

    def test_hangs(self) -> None:
        """An address that hangs, or does not end its answer, is in the way of nobody."""
        hook = self.hook()
        hook.answer = hook.hang
        self.begin_with(hook.url)
        wait_until(lambda: hook.tries == 1, "it is tried")
        digest = self.upstream.add_blob("team/app", b"small")
        self.assertEqual(self.status("one.test", digest), 200)
        hook.answer = hook.flood
        wait_until(lambda: self.told("sent") == 1, "the head of an answer is enough")
        hook.answer = hook.hang
        self.write({})
        wait_until(lambda: hook.tries >= 3, "it is tried")
        started = time.monotonic()
        self.assertEqual(self.daemon.stop(), 0, self.daemon.log())
        self.assertLess(time.monotonic() - started, 25)
        self.assertNotIn("Traceback", self.daemon.log())
        self.assertNotIn(TOKEN, self.daemon.log())

    def test_refuses(self) -> None:
        """Redirects are not followed; where there is no answer it is tried again, elsewhere too."""
        hook, other = self.hook(), self.hook()
        hook.answer = hook.lead_to(other.url)
        self.begin_with(hook.url)
        self.assert_logged(self.daemon, "notify.url was not told", "redirects are not followed")
        self.assertEqual((other.tries, self.told("failed")), (0, 1))
        hook.answer = hook.cut
        self.write({})
        wait_until(lambda: hook.tries == 2, "the end is told")
        self.write({"notify": {"url": other.url}})
        wait_until(lambda: len(other.taken) == 1, "the other one is told")
        self.assertEqual(other.taken[0]["state"], "over")
        self.assert_secret()
