"""An owner's evening: regcachectl against a real daemon, with real pulls, from status to rm."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.integration.base import UPSTREAM, PullThroughCase, catalog, upstream_config
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.images import Image
from tests.support.processes import CHECKOUT, wait_until
from tests.support.servers import Regcache

#: After so many bytes a blob is held (bytes).
HELD = 600_000
MULTI, MIXED = "team/multi", "library/mixed"


def name_of(repository: str, reference: str = "1") -> str:
    """As one types it."""
    mark = "@" if ":" in reference else ":"
    return f"{UPSTREAM}/{repository}{mark}{reference}"


class EveningTests(PullThroughCase):
    """A daemon that root looks after, over its socket."""

    def setUp(self) -> None:
        self.upstream = self.faulty_upstream()
        for repository in (MULTI, MIXED):
            self.upstream.add_image(repository, catalog().images[repository], "1")
        self.socket = self.workspace().path / "admin.sock"
        # What is held stays held, however busy the machine is, and what nobody wants stops at once.
        config = upstream_config(self.upstream.url, stall_timeout="10m")
        admin = {"endpoint": None, "socket": str(self.socket)}
        self.daemon = Regcache({**config, "admin": admin})
        self.addCleanup(self.daemon.close)
        self.daemon.config["storage"]["finish"] = 0
        self.daemon.start()

    # What is typed

    def ctl(self, *arguments: str, status: int = 0) -> str:
        """Run regcachectl without a terminal; what it printed."""
        ran = subprocess.run(
            self._command(*arguments),
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            env=self._environment(),
        )
        self.errors = ran.stderr
        self.assertEqual(ran.returncode, status, (arguments, ran.stdout, ran.stderr))
        return ran.stdout

    def json(self, *arguments: str, status: int = 0) -> Any:
        """The same with --json."""
        return json.loads(self.ctl(*arguments, "--json", status=status))

    def on_terminal(self, *arguments: str, typed: str = "", status: int = 0) -> str:
        """Run it on a terminal, and answer its question; all that was shown."""
        ours, its = pty.openpty()
        self.addCleanup(os.close, ours)
        ran = subprocess.Popen(
            self._command(*arguments), stdin=its, stdout=its, stderr=its, env=self._environment()
        )
        self.addCleanup(ran.kill)
        os.close(its)
        shown, until = b"", time.monotonic() + 60
        while time.monotonic() < until:
            ready, _, _ = select.select([ours], [], [], 1.0)
            try:
                piece = os.read(ours, 65536) if ready else b""
            except OSError:
                break  # it has ended, and closed the terminal
            shown += piece
            if typed and b"[y/N]" in shown:
                os.write(ours, typed.encode())
                typed = ""
        self.assertEqual(ran.wait(60), status, shown)
        return shown.decode(errors="replace")

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "regcache.ctl", *arguments, "--socket", str(self.socket)]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm", "COLUMNS": "120"}

    # What is on the disk

    def files(self) -> list[Path]:
        """All files under blobs/."""
        folder = Path(self.daemon.directory, "blobs", "sha256")
        return [each for each in folder.rglob("*") if each.is_file()]

    def stored(self) -> set[str]:
        """Their digests."""
        return {f"sha256:{each.name}" for each in self.files()}

    def contents(self, image: Image, *platforms: int) -> set[str]:
        """What an image consists of, or of an index the children with these numbers."""
        children = [image.children[each] for each in platforms] or list(image.children)
        parts = [image, *children]
        return {each.digest for each in parts} | {
            blob.digest for each in parts for blob in each.blobs
        }

    def blobs_sent(self) -> list[str]:
        """The blobs that the upstream was asked for."""
        return sorted(each.path.rpartition("/")[2] for each in self.upstream.asked("blobs"))

    # The evening

    def test_evening(self) -> None:
        """Look, warm, pin, prove, tidy up; every answer is JSON that parses, if wanted."""
        multi, mixed = (catalog().images[each] for each in (MULTI, MIXED))
        self.assertEqual(self.json("status")["counts"]["blobs"], 0)
        out = self.ctl("pull", name_of(MULTI))
        self.assertIn(f"{multi.digest}: ", out)
        self.assertEqual(self.stored(), self.contents(multi, 0))
        sent = self.blobs_sent()
        told = self.json("pull", name_of(MULTI))
        self.assertEqual((told["state"], told["done_bytes"]), ("done", told["total_bytes"]))
        self.assertEqual(self.blobs_sent(), sent, "what was here was fetched again")
        self.assertIn("pulling", self.on_terminal("pull", name_of(MULTI), "--all"))
        self.assertEqual(self.stored(), self.contents(multi))
        self.ctl("pull", name_of(MIXED), "--pin")
        everything = self.contents(multi) | self.contents(mixed)
        self.assertEqual(self.stored(), everything)
        self.assertEqual(len(self.blobs_sent()), len(set(self.blobs_sent())))
        (pinned,) = self.json("pin")["items"]
        self.assertEqual(f"{pinned['name']}:{pinned['reference']}", name_of(MIXED))
        self.assertIn("is still", self.ctl("refresh", name_of(MULTI)))
        self.assertEqual(self.json("refresh", name_of(MULTI))["was"], multi.digest)
        self.look_around(multi)
        self.tidy_up(everything)

    def look_around(self, multi: Image) -> None:
        """What ls and inspect show is what is on the disk, and what clients did is told."""
        on_disk = sum(each.stat().st_size for each in self.files())

        def adds_up() -> bool:
            self.listed = {each["name"]: each for each in self.json("ls")["items"]}
            return sum(each["stored_bytes"] for each in self.listed.values()) == on_disk

        wait_until(adds_up, "ls shows what is on the disk")
        listed = self.listed
        self.assertEqual(set(listed), {f"{UPSTREAM}/{each}" for each in (MULTI, MIXED)})
        for platform in listed[f"{UPSTREAM}/{MULTI}"]["platforms"]:
            self.assertEqual((platform["complete_tags"], platform["partial_tags"]), (1, 0))
        (row,) = self.json("ls", "--tags", f"{UPSTREAM}/{MULTI}")["items"]
        self.assertEqual((row["tags"], row["digest"]), (["1"], multi.digest))
        self.assertIn(f"{UPSTREAM}/{MIXED}", self.ctl("ls", "--pinned"))
        shown = self.json("inspect", name_of(MULTI))
        self.assertEqual(shown["digest"], multi.digest)
        digests = {each["digest"] for each in shown["platforms"]}
        self.assertEqual(digests, {each.digest for each in multi.children})
        self.assertTrue(all(each["complete"] for each in shown["platforms"]))
        blob = next(iter(multi.children[0].all_blobs()))
        client = self.daemon.client().get(f"/v2/{MULTI}/blobs/{blob}")
        self.assertEqual(client.status, 200)

        def is_told() -> bool:
            items = self.json("requests", MULTI)["items"]
            return any((each["digest"], each["outcome"]) == (blob, "hit") for each in items)

        wait_until(is_told, "the request is told of")
        self.assertIn(blob, json.dumps(self.json("requests", "--why")))
        for command in (("top",), ("top", "--by", "principal"), ("history",), ("status",)):
            self.json(*command)
            self.ctl(*command)

    def tidy_up(self, everything: set[str]) -> None:
        """What goes is shown first; what is pinned stays."""
        multi, mixed = (catalog().images[each] for each in (MULTI, MIXED))
        self.assertEqual(self.json("verify")["result"]["damaged_count"], 0)
        plan = self.json("sweep", "--unused-for", "0", "--dry-run")
        self.assertEqual([each["digest"] for each in plan["items"]], [multi.digest])
        self.ctl("rm", name_of(MULTI), status=2)
        self.assertIn("--yes is needed", self.errors)
        plan = self.json("rm", name_of(MULTI), status=2)
        self.assertEqual([each["digest"] for each in plan["items"]], [multi.digest])
        self.on_terminal("rm", name_of(MULTI), typed="n\n", status=1)
        self.assertEqual(self.stored(), everything)
        self.ctl("rm", name_of(MIXED), "--yes", status=1)
        self.assertIn("pinned", self.errors)
        self.assertIn("came free", self.on_terminal("rm", name_of(MULTI), typed="y\n"))
        self.assertEqual(self.stored(), self.contents(mixed))
        self.ctl("rm", name_of(MULTI), "--yes", status=1)
        self.assertIn(f"nothing of {name_of(MULTI)} is in the cache", self.errors)
        self.assertEqual(self.json("unpin", name_of(MIXED)), {"changed": 1})
        self.assertEqual(self.json("purge", "--yes")["state"], "done")
        self.assertEqual(self.stored(), set())
        kinds = {each["kind"] for each in self.json("jobs")["items"]}
        self.assertLess({"pull", "verify", "delete", "purge"}, kinds | {"sweep"})
        self.assertEqual(self.daemon.stop(), 0)
        self.ctl("status", status=3)

    def test_with_clients(self) -> None:
        """A pull joins what a client is fetching, and the upstream sends each blob once."""
        hold, digest = self.hold()
        pulling = self.begin("pull", name_of(MULTI))
        wait_until(lambda: digest in self.blobs_sent(), "the upstream was asked")
        client = Download(self.daemon.client(), f"/v2/{MULTI}/blobs/{digest}")
        hold.release.set()
        self.assertEqual((client.wait(60).error, client.digest), (None, digest))
        self.assertEqual(pulling.wait(60), 0)
        children = catalog().images[MULTI].children
        self.assertEqual(self.blobs_sent(), sorted(children[0].all_blobs()))

    def test_called_off(self) -> None:
        """What a pull that is called off has begun is gone on with the next time."""
        _, digest = self.hold()
        pulling = self.begin("pull", name_of(MULTI))
        wait_until(self.arriving, "some of it has come")
        (job,) = self.json("jobs")["items"]
        self.ctl("pull", name_of(MULTI), status=1)
        self.assertIn("such a job runs already", self.errors)
        self.assertIn("cancelled", self.ctl("cancel", job["id"]))
        self.assertEqual(pulling.wait(60), 1)
        self.upstream.faults.clear()
        self.ctl("pull", name_of(MULTI))
        last = self.upstream.asked("blobs")[-1]
        self.assertEqual(last.path.rpartition("/")[2], digest)
        self.assertTrue(last.headers.get("range"), "it was fetched from its beginning")
        self.assertEqual(self.stored(), self.contents(catalog().images[MULTI], 0))

    def test_killed(self) -> None:
        """A daemon that is killed while it pulls has lost nothing, and nothing is wrong."""
        self.hold()
        pulling = self.begin("pull", name_of(MULTI), "--pin")
        wait_until(self.arriving, "some of it has come")
        self.daemon.process.kill()
        self.assertEqual(pulling.wait(60), 3)
        self.upstream.faults.clear()
        self.daemon.start()
        self.assertEqual(self.json("jobs")["items"], [])
        self.ctl("pull", name_of(MULTI))
        self.assertEqual(self.stored(), self.contents(catalog().images[MULTI], 0))
        self.assertEqual(self.json("verify")["result"]["damaged_count"], 0)
        self.assertEqual(len(self.json("pin")["items"]), 1)

    def test_interrupted(self) -> None:
        """Who interrupts the command is told that the daemon goes on, and that is no success."""
        hold, digest = self.hold()
        pulling = self.begin("pull", name_of(MULTI))
        wait_until(lambda: digest in self.blobs_sent(), "the upstream was asked")
        pulling.send_signal(signal.SIGINT)
        self.assertEqual(pulling.wait(60), 1)
        (job,) = self.json("jobs")["items"]
        self.assertEqual(job["state"], "running")
        hold.release.set()

        def ended() -> bool:
            return bool(self.json("jobs")["items"][0]["state"] == "done")

        wait_until(ended, "the daemon has gone on")

    def arriving(self) -> bool:
        """Whether as much of a blob has come as its upstream gives."""
        jobs = self.json("jobs")["items"]
        parts = [each for job in jobs for each in (job["result"] or {}).get("arriving", ())]
        return any(each["here_bytes"] >= HELD - 100_000 for each in parts)

    def hold(self) -> tuple[Fault, str]:
        """Let the largest blob of an image stop half-way; its digest."""
        blob = max(catalog().images[MULTI].children[0].blobs, key=lambda each: len(each.data))
        hold = Fault(hold_at=HELD)
        self.upstream.faults.always(f"*/blobs/{blob.digest}", hold)
        return hold, blob.digest

    def begin(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Run regcachectl, and do not wait for it."""
        # A test run in the background is started with SIGINT ignored, and would pass that on.
        running = subprocess.Popen(
            ["env", "--default-signal=INT", *self._command(*arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment(),
        )
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        return running
