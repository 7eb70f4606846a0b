"""What clients have to know of a configuration."""

import datetime
import os
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from regcache.client_setup.served import LoginNeed
from regcache.config.client_facts import served_here, unknown_authority
from regcache.config.loading import loads
from tests.support.certificates import Authority


class ServedTests(SynchronousTestCase):
    """From a configuration."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.authority = Authority(self.folder)

    def test_login(self) -> None:
        """An account is needed unless anonymous may pull everything from everywhere."""
        (self.folder / "accounts").write_text("")
        accounts = f"htpasswd: {self.folder.absolute()}/accounts"
        for access, need in (
            ("", LoginNeed.NONE),
            (accounts, LoginNeed.ALWAYS),
            (f"{accounts}, rules: [{{accounts: [alice]}}]", LoginNeed.ALWAYS),
            (
                f"{accounts}, rules: [{{accounts: [anonymous], actions: [delete]}}]",
                LoginNeed.ALWAYS,
            ),
            (f"{accounts}, rules: [{{accounts: [anonymous]}}]", LoginNeed.NONE),
            ("rules: [{accounts: [anonymous], networks: [10.0.0.0/8]}]", LoginNeed.SOME),
            ("rules: [{accounts: [anonymous], repositories: ['a/*']}]", LoginNeed.SOME),
            (
                "rules: [{accounts: [anonymous], networks: [10.0.0.0/8]}, {accounts: [anonymous]}]",
                LoginNeed.NONE,
            ),
        ):
            config = loads(f"access: {{{access}}}", "regcache.yml", {}).config
            self.assertIs(served_here(config, "box").login, need, access)

    def test_places(self) -> None:
        """Redirects are left out; a place has the names and the authority of its certificate."""
        pair = self.authority.issue("a.test", "10.0.0.1")
        text = (
            "listeners:\n- {endpoint: 80, redirect: https}\n- {endpoint: 'unix:/run/x.sock'}\n"
            f"- endpoint: 'haproxy:tcp:8443:interface=10.0.0.1'\n  tls: {{certificates: [{{chain: "
            f"{pair.chain.absolute()}, key: {pair.key.absolute()}}}]}}\n"
        )
        socket, tls = served_here(loads(text, "regcache.yml", {}).config, "box").places
        self.assertEqual((socket.scheme, socket.port, socket.authority), ("http", None, ""))
        self.assertEqual((tls.scheme, tls.port, tls.interface), ("https", 8443, "10.0.0.1"))
        self.assertEqual(tls.names, ["10.0.0.1", "a.test"])
        self.assertEqual(tls.authority, self.authority.file.read_text())

    def test_servers(self) -> None:
        """The URL of a registry itself is that of a known one, never that of a mirror."""
        text = "upstreams: {docker.io: {urls: [http://m.test]}, own.test: {urls: [http://o.test]}}"
        docker, own = served_here(loads(text, "regcache.yml", {}).config, "box").registries
        self.assertEqual(docker.server, "https://registry-1.docker.io")
        self.assertEqual(own.server, "")

    def test_unknown_authority(self) -> None:
        """What the system trusts needs no authority, expired or not; one alone is its own."""
        expired = self.authority.issue("a.test", life=datetime.timedelta(days=-1))
        trusted = {"SSL_CERT_FILE": str(self.authority.file.absolute())}
        with patch.dict(os.environ, trusted):
            self.assertEqual(unknown_authority(str(expired.chain)), "")
        self.assertEqual(unknown_authority(str(expired.chain)), self.authority.file.read_text())
        lone = self.folder / "lone.pem"
        end = "-----END CERTIFICATE-----\n"
        lone.write_text(expired.chain.read_text().partition(end)[0] + end)
        self.assertEqual(unknown_authority(str(lone)), lone.read_text())
        self.assertEqual(unknown_authority("missing.pem"), "")
