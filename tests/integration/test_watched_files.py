"""Files that change while the daemon runs are noticed by inotify, and named in the log."""

import os
import ssl
import subprocess
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.integration.base import PullThroughCase, certificates, upstream_config
from tests.support.processes import CHECKOUT, find_program, require, wait_until
from tests.support.servers import Regcache

#: Nobody looks by himself for an hour.
_NEVER_LOOK = """
import sys

if any("twistd" in one for one in sys.orig_argv):
    import regcache.tls as tls
    import regcache.watched_file as watched_file
    import regcache.watching as watching

    tls.CHECK_INTERVAL = watched_file.INTERVAL = watching.INTERVAL = 3600.0
"""


class WatchedFileTests(PullThroughCase):
    """A daemon whose files lie as those of ConfigMaps do."""

    def setUp(self) -> None:
        require("htpasswd")
        self.folder = self.workspace()
        self.folder.file("sitecustomize.py", _NEVER_LOOK)
        self.number = 0
        self.swap("one", certificates().certificate)
        self.upstream = self.faulty_upstream()
        secret = self.folder.path / "etc" / "hub.password"
        account = {"username": "me", "password_file": str(secret)}
        config = upstream_config(self.upstream.url, **account)
        config["access"] = {"htpasswd": str(self.folder.path / "etc" / "htpasswd")}
        daemon = Regcache(config, certificates().certificate)
        self.addCleanup(daemon.close)
        pair = daemon.config["listeners"][1]["tls"]["certificates"][0]
        pair["chain"] = str(self.folder.path / "etc" / "chain.pem")
        pair["key"] = str(self.folder.path / "etc" / "key.pem")
        daemon.environment = {"PYTHONPATH": f"{self.folder.path}:{CHECKOUT}"}
        self.daemon = daemon.start()

    def swap(self, password: str, certificate: Any) -> None:
        """Put another folder of files in the place of the one before, by a link."""
        self.number += 1
        name = f"..{self.number}"
        for file, text in (
            ("htpasswd", self.accounts(password)),
            ("hub.password", password),
            ("chain.pem", certificate.chain.read_text()),
            ("key.pem", certificate.key.read_text()),
        ):
            self.folder.file(f"{name}/{file}", text)
        (self.folder.path / "new").symlink_to(name)
        os.rename(self.folder.path / "new", self.folder.path / "etc")

    def accounts(self, password: str) -> str:
        """A file with the account alice."""
        command = [find_program("htpasswd") or "", "-nbBC4", "alice", password]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def login(self, password: str) -> int:
        """What alice gets."""
        return self.daemon.client(credentials=("alice", password)).get("/v2/").status

    def shown(self) -> str:
        """The serial number of the certificate that is shown."""
        text = ssl.get_server_certificate(("127.0.0.1", self.daemon.tls_port))
        return str(x509.load_pem_x509_certificate(text.encode()).serial_number)

    def expect_changed(self, *names: str) -> None:
        """Each of these files is named in the log."""
        for name in names:
            self.assert_logged(self.daemon, str(self.etc / name), "was changed and is in use")

    @property
    def etc(self) -> Path:
        """Where the files are."""
        return self.folder.path / "etc"

    def test_folder_is_swapped(self) -> None:
        """All files of a folder whose link is swapped are in use at once, more than once."""
        self.assertEqual((self.login("one"), self.login("two")), (200, 401))
        for password in ("two", "three"):
            before = self.shown()
            self.swap(password, certificates().authority.issue("127.0.0.1"))
            wait_until(lambda word=password: self.login(word) == 200, "the account is another")
            wait_until(lambda old=before: self.shown() != old, "the certificate is another")
            self.assertEqual(self.login("one"), 401)
        self.expect_changed("htpasswd", "chain.pem", "key.pem", "hub.password")

    def test_files_are_written(self) -> None:
        """So are files that are written in place, replaced, or replaced one after the other."""
        (self.etc / "htpasswd").write_text(self.accounts("two"))
        wait_until(lambda: self.login("two") == 200, "the account is another")
        new = self.folder.file("password", "other")
        os.rename(new, self.etc / "hub.password")
        self.expect_changed("htpasswd", "hub.password")
        before, issued = self.shown(), certificates().authority.issue("127.0.0.1")
        (self.etc / "chain.pem").write_text(issued.chain.read_text())
        self.assertEqual(self.shown(), before)
        (self.etc / "key.pem").write_text(issued.key.read_text())
        wait_until(lambda: self.shown() != before, "the certificate is another")
        self.expect_changed("chain.pem", "key.pem")
        self.assertNotIn("are not used", self.daemon.log())

    def test_wrong_file(self) -> None:
        """A file that cannot be used is named with why, and what was read before stays."""
        (self.etc / "htpasswd").write_text("alice:plain\n")
        self.assert_logged(self.daemon, str(self.etc / "htpasswd"), "is not used")
        self.assertEqual(self.login("one"), 200)
