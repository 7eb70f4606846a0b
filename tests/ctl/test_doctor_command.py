"""regcachectl doctor."""

import json
import os
import socket
import time
from email.utils import formatdate
from pathlib import Path
from unittest.mock import patch
from urllib.parse import SplitResult

from regcache.admin.api.doctor_call import GET_DOCTOR, POST_DOCTOR
from regcache.ctl import local_doctor
from regcache.ctl.client import NoDaemonError, RefusedError
from regcache.ctl.doctor_command import doctor
from regcache.ctl.proof import BypassError
from regcache.ctl.registry_connection import RegistryAnswer
from tests.ctl.cases import CommandCase

_FINE = {"check": "disk", "level": "ok", "text": "50 GiB free", "fix": None}
_BAD = {"check": "docker.io", "level": "bad", "text": "DNS", "fix": "regcachectl test docker.io"}
_GONE = NoDaemonError("no daemon answers")


class DoctorCommandTests(CommandCase):
    """With a daemon."""

    def test_status(self) -> None:
        """1 if something is bad."""
        self.daemon.answer(POST_DOCTOR, {"items": [_FINE]})
        status, out, _ = self.run_work(doctor, "doctor")
        self.assertEqual((status, out), (0, "ok\tdisk\t50 GiB free\t\n"))
        self.daemon.answer(POST_DOCTOR, {"items": [_BAD, _FINE]})
        status, out, _ = self.run_work(doctor, "doctor", "--json")
        self.assertEqual((status, json.loads(out)), (1, {"items": [_BAD, _FINE]}))

    def test_without_asking(self) -> None:
        """Who may not have upstreams asked, or does not want it, gets what is known."""
        self.daemon.answer(GET_DOCTOR, {"items": [_FINE]})
        status, _, errors = self.run_work(doctor, "doctor", "--quiet-upstreams")
        self.assertEqual((status, errors), (0, ""))
        refused = RefusedError({"code": "FORBIDDEN", "detail": "for administrators"})
        self.daemon.answer(POST_DOCTOR, refused)
        status, _, errors = self.run_work(doctor, "doctor")
        self.assertEqual(status, 0)
        self.assertIn("the upstreams are not asked: for administrators", errors)
        self.daemon.answer(POST_DOCTOR, RefusedError({"code": "INTERNAL"}))
        self.assertEqual(self.run_work(doctor, "doctor")[0], 1)


class NoDaemonTests(CommandCase):
    """Without one."""

    def setUp(self) -> None:
        super().setUp()
        self.daemon.answers["POST", "doctor"] = _GONE
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "regcache.yml"
        self.write("upstreams: {r.test: {urls: [https://r.test], proxy: direct}}\n")
        self.answer: RegistryAnswer | Exception = RegistryAnswer(401, {"date": formatdate()})

    def write(self, text: str) -> None:
        """The configuration."""
        self.file.write_text(f"storage: {{directory: {self.folder}}}\n{text}")

    def ask(self, *_: object) -> RegistryAnswer:
        """What the upstream answers."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def doctor(self, *words: str) -> tuple[int, dict[str, dict[str, str]]]:
        """Status, and the findings by what was looked at."""
        addresses = [(2, 1, 6, "", ("203.0.113.5", 443))]
        with (
            patch.object(local_doctor, "RegistryConnection", self.connect),
            patch.object(socket, "getaddrinfo", lambda *_, **__: addresses),
            patch.object(local_doctor, "_answers", lambda _: False),
        ):
            words = ("doctor", "-c", str(self.file), "--json", *words)
            status, out, self.errors = self.run_work(doctor, *words)
        found = json.loads(out)["items"]
        return status, {each["check"]: each for each in found}

    def connect(self, url: SplitResult, *_: object) -> "NoDaemonTests":
        """A connection to it."""
        self.url = url
        return self

    def test_local(self) -> None:
        """What can be looked at is, and it is said what cannot."""
        status, found = self.doctor()
        self.assertEqual(status, 0, found)
        levels = {check: each["level"] for check, each in found.items()}
        fine = dict.fromkeys(
            ("configuration", "disk", "certificates", "ports", "r.test", "clock"), "ok"
        )
        self.assertEqual(levels, fine | {"daemon": "look"})
        self.assertEqual(self.url.geturl(), "https://r.test")

    def test_upstream(self) -> None:
        """A failing upstream is bad, as is a clock that is wrong; a proxy is left to the daemon."""
        for answer, check, word in (
            (BypassError("r.test: its certificate is not trusted"), "r.test", "not trusted"),
            (RegistryAnswer(404), "r.test", "answers 404"),
            (RegistryAnswer(200, {"date": formatdate(time.time() - 4000)}), "clock", "ahead"),
        ):
            self.answer = answer
            status, found = self.doctor()
            self.assertEqual((status, found[check]["level"]), (1, "bad"), found)
            self.assertIn(word, found[check]["text"])
        self.write("upstreams: {r.test: {urls: [https://r.test], proxy: 'http://p:1'}}\n")
        status, found = self.doctor()
        self.assertEqual((status, found["r.test"]["level"]), (0, "look"))

    def test_names_as_the_daemon_resolves_them(self) -> None:
        """Name servers and a family of addresses of its own are left to the daemon, too."""
        usual = "upstreams: {r.test: {urls: [https://r.test], proxy: direct%s}}\n"
        self.answer = BypassError("r.test does not answer")
        for text, word in (
            ("dns: [203.0.113.53]\n" + usual % "", "'dns'"),
            (usual % ", address_family: ipv6", "'address_family'"),
        ):
            self.write(text)
            status, found = self.doctor()
            self.assertEqual((status, found["r.test"]["level"]), (0, "look"), found)
            self.assertIn(word, found["r.test"]["text"])
            self.assertIn("which only the daemon does", found["r.test"]["text"])

    def test_wrong_file(self) -> None:
        """A file that is wrong is bad; where there is none, nothing can be said."""
        self.write("nonsense: 1\n")
        status, found = self.doctor()
        self.assertEqual((status, found["configuration"]["level"]), (1, "bad"))
        with patch.object(os, "access", lambda *_: False):
            status, _, errors = self.run_work(doctor, "doctor")
        self.assertEqual(status, 3)
        self.assertIn("no daemon answers", errors)

    def test_storage(self) -> None:
        """A directory that is not there is bad."""
        self.file.write_text("storage: {directory: /nowhere/at/all}\nupstreams: {}\n")
        status, found = self.doctor()
        self.assertEqual((status, found["disk"]["level"]), (1, "bad"))
