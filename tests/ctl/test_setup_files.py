"""Files of guides: nothing that was there is lost."""

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from regcache.client_setup.containers import CRIO_CONFIG
from regcache.client_setup.steps import MARK
from regcache.ctl.setup_files import (
    FileAction,
    SetupFileError,
    plan_files,
    write_files,
)

DAEMON = "/etc/docker/daemon.json"
HOSTS = "/etc/containerd/certs.d/docker.io/hosts.toml"
OURS = f"{MARK}\nserver = 1\n"


def block(path: str, text: str, *, part: bool = False, secret: bool = False) -> dict[str, Any]:
    """A file, as the API has it."""
    return {"kind": "file", "path": path, "text": text, "part": part, "secret": secret}


class SetupFileCase(SynchronousTestCase):
    """A root of its own."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()

    def there(self, path: str, text: str) -> Path:
        """Something that is there."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def write(self, *blocks: dict[str, Any]) -> list[tuple[str, str]]:
        """What became of each file, and the name of what is kept."""
        done = write_files(plan_files(blocks, str(self.root)))
        return [(one.action.value, os.path.basename(kept)) for one, kept in done]

    def read(self, path: str) -> str:
        """What is there now."""
        return (self.root / path.lstrip("/")).read_text()

    def refused(self, *blocks: dict[str, Any]) -> str:
        """Why nothing is written."""
        before = sorted(self.root.rglob("*"))
        error = self.assertRaises(SetupFileError, self.write, *blocks)
        self.assertEqual(sorted(self.root.rglob("*")), before)
        return str(error)


class WritingTests(SetupFileCase):
    """What becomes of files."""

    def test_new(self) -> None:
        """Folders are made; a file with a password is for its owner alone."""
        blocks = [block(HOSTS, OURS, secret=True), block("/etc/x.conf", "x")]
        self.assertEqual(self.write(*blocks), [("written", ""), ("written", "")])
        self.assertEqual(self.read(HOSTS), OURS)
        modes = [(self.root / each["path"][1:]).stat().st_mode & 0o777 for each in blocks]
        self.assertEqual(modes, [0o600, 0o644])

    def test_same(self) -> None:
        """What is there already stays, and nothing is kept of it."""
        self.write(block(HOSTS, OURS))
        self.assertEqual(self.write(block(HOSTS, OURS)), [("unchanged", "")])

    def test_ours(self) -> None:
        """A file of ours is replaced; what it was is kept each time, and never overwritten."""
        for number, kept in enumerate(["", "hosts.toml.bak", "hosts.toml.bak.1"]):
            self.assertEqual(self.write(block(HOSTS, f"{OURS}{number}")), [("written", kept)])
        self.assertEqual(self.read(f"{HOSTS}.bak"), f"{OURS}0")
        self.assertEqual(self.read(f"{HOSTS}.bak.1"), f"{OURS}1")

    def test_kept_without_links(self) -> None:
        """The same on a file system that has no hard links."""
        self.there(HOSTS, OURS)
        with patch("os.link", side_effect=PermissionError(1, "no links here")):
            self.assertEqual(self.write(block(HOSTS, f"{OURS}2")), [("written", "hosts.toml.bak")])
        self.assertEqual(self.read(f"{HOSTS}.bak"), OURS)

    def test_secret_after_open(self) -> None:
        """A file that gets a password is nobody else's any more; other modes stay."""
        file = self.there(HOSTS, OURS)
        file.chmod(0o664)
        self.write(block(HOSTS, f"{OURS}1"))
        self.assertEqual(file.stat().st_mode & 0o777, 0o664)
        self.write(block(HOSTS, f"{OURS}2", secret=True))
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)

    def test_foreign(self) -> None:
        """A file of others stops all of it, and it is said what to type."""
        self.there(HOSTS, "server = 'https://mine'\n")
        why = self.refused(block("/etc/first.conf", OURS), block(HOSTS, OURS))
        self.assertIn("written by others", why)
        self.assertIn("mv ", why)

    def test_no_plain_files(self) -> None:
        """Links and folders are no files that may be replaced."""
        self.there("/etc/elsewhere", OURS)
        link = self.root / "etc/link.conf"
        link.symlink_to("elsewhere")
        (self.root / "etc/folder.conf").mkdir()
        for name in ("link", "folder"):
            self.assertIn("no plain file", self.refused(block(f"/etc/{name}.conf", OURS)))

    def test_certificates(self) -> None:
        """The certificate of an authority that has changed is replaced, and kept."""
        self.there("/etc/a/ca.crt", "old")
        self.assertEqual(self.write(block("/etc/a/ca.crt", "new")), [("written", "ca.crt.bak")])

    def test_changed_meanwhile(self) -> None:
        """What somebody else writes meanwhile is not overwritten."""
        file = self.there(HOSTS, OURS)
        planned = plan_files([block(HOSTS, f"{OURS}1")], str(self.root))
        file.write_text("theirs")
        error = self.assertRaises(SetupFileError, write_files, planned)
        self.assertIn("somebody else", str(error))
        self.assertEqual([each.name for each in file.parent.iterdir()], ["hosts.toml"])
        self.assertEqual(file.read_text(), "theirs")

    def test_outside(self) -> None:
        """No path leads out of the root."""
        for path in ("/etc/../../x", "../x", "/etc/a\nb", "", "/"):
            self.assertIn("is no path", self.refused(block(path, OURS)))

    def test_folder_that_is_read_whole(self) -> None:
        """CRI-O reads every file of its folder: nothing else is ever in it, nor told to be."""
        former = self.there(CRIO_CONFIG, OURS)
        made: list[str] = []

        def listed(source: str, target: str) -> None:
            made.extend(os.listdir(former.parent))
            real(source, target)

        real = os.rename
        with patch("os.rename", listed):
            done = write_files(plan_files([block(CRIO_CONFIG, f"{OURS}1")], str(self.root)))
        self.assertEqual(made, [former.name])
        self.assertEqual(os.listdir(former.parent), [former.name])
        kept = self.root / "etc/crio/50-regcache.conf.bak"
        self.assertEqual([each for _, each in done], [str(kept)])
        self.assertEqual(kept.read_text(), OURS)
        former.write_text("theirs")
        why = self.refused(block(CRIO_CONFIG, OURS))
        self.assertIn(f"mv {former} {kept.with_suffix('.mine')}", why)

    def test_nothing_left(self) -> None:
        """No file with a password is left after any failure."""
        self.there(HOSTS, OURS)
        for failing in ("os.fsync", "os.fchmod", "os.link", "os.rename"):
            planned = plan_files([block(HOSTS, f"{OURS}1", secret=True)], str(self.root))
            with (
                patch(failing, side_effect=OSError(28, "No space left on device")),
                patch("shutil.copy2", side_effect=OSError(28, "No space left on device")),
            ):
                error = self.assertRaises(SetupFileError, write_files, planned)
            self.assertIn("No space left", str(error))
            folder = self.root / HOSTS[1:].rpartition("/")[0]
            self.assertEqual([each.name for each in folder.glob(".*")], [], failing)
            self.assertEqual(self.read(HOSTS), OURS)

    def test_denied(self) -> None:
        """Where nothing may be written it is said how it may."""
        with patch("tempfile.mkstemp", side_effect=PermissionError(13, "Permission denied")):
            error = self.assertRaises(SetupFileError, self.write, block(HOSTS, OURS))
        self.assertIn("Permission denied; type it again with sudo", str(error))


class PartTests(SetupFileCase):
    """A file of which ours is a part."""

    PATH = "/etc/containerd/config.toml"
    PART = 'version = 2\n# more\n[plugins]\n  config_path = "/etc/containerd/certs.d"\n'

    def test_part(self) -> None:
        """It is written where there is none, stays if it has it, and else is to be added to."""
        part = block(self.PATH, self.PART, part=True)
        self.assertEqual(self.write(part), [("written", "")])
        for value in ('"/etc/containerd/certs.d"', "'/etc/containerd/certs.d:/etc/docker/certs.d'"):
            self.there(self.PATH, f"version = 3\n[x]\n  config_path = {value}\n")
            self.assertEqual(self.write(part), [("unchanged", "")])
        self.there(self.PATH, "version = 2\n")
        self.assertEqual(self.write(part), [(FileAction.ADD.value, "")])
        self.assertEqual(self.read(self.PATH), "version = 2\n")


class DaemonJsonTests(SetupFileCase):
    """daemon.json, which is everybody's."""

    ADDED = json.dumps({"registry-mirrors": ["http://a:5000"], "insecure-registries": ["a:5000"]})

    def merged(self, former: str) -> dict[str, Any]:
        """What comes of a file."""
        self.there(DAEMON, former)
        self.write(block(DAEMON, self.ADDED))
        found: dict[str, Any] = json.loads(self.read(DAEMON))
        return found

    def test_merged(self) -> None:
        """All that others have set stays, in its order; our mirror is asked first."""
        former = {"data-root": "/d", "registry-mirrors": ["https://b"], "log-opts": {"é": "1"}}
        text = json.dumps(former, ensure_ascii=False)
        found = self.merged(text)
        self.assertEqual(list(found), [*former, "insecure-registries"])
        self.assertEqual(found["registry-mirrors"], ["http://a:5000", "https://b"])
        self.assertEqual(found["log-opts"], {"é": "1"})
        self.assertEqual(self.read(f"{DAEMON}.bak"), text)

    def test_again(self) -> None:
        """A second time changes nothing, not even the form of the file."""
        found = self.merged(
            '{"registry-mirrors":["http://a:5000"],"insecure-registries":["a:5000"]}'
        )
        self.assertEqual(found["registry-mirrors"], ["http://a:5000"])
        self.assertFalse((self.root / f"{DAEMON[1:]}.bak").exists())

    def test_empty(self) -> None:
        """An empty file, or an empty object, is filled."""
        for former in ("", "\n", "{}"):
            self.assertEqual(self.merged(former), json.loads(self.ADDED))

    def test_wrong(self) -> None:
        """What dockerd itself would not read is left as it is."""
        for former in ("{", "[]", '{"registry-mirrors": "x"}', "# no JSON", '"x"'):
            self.there(DAEMON, former)
            self.assertIn("correct it first", self.refused(block(DAEMON, self.ADDED)))
            self.assertEqual(self.read(DAEMON), former)
