"""Accounts by client certificate, over real sockets and with real clients."""

import base64
import datetime
import http.client
import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from regcache.htpasswd import ANYBODY
from regcache.own_authority import load_or_make_authority
from tests.access.accounts import hashed
from tests.integration.base import (
    PullThroughCase,
    catalog,
    certificates,
    public_upstream,
    upstream_config,
)
from tests.support.certificates import Authority, Certificate
from tests.support.clients import Skopeo, Trust
from tests.support.http2_socket import SocketHttp2
from tests.support.processes import require, wait_until
from tests.support.servers import Regcache

ADMIN = "registry.proxy.example"
OPEN, CLOSED = "library/mixed", "team/multi"
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def basic(name: str, password: str) -> dict[str, str]:
    """The header of a login."""
    encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


class ClientCertificateCase(PullThroughCase):
    """alice may pull everything, bob only what is open, by password or certificate."""

    http2 = False

    def setUp(self) -> None:
        self.place = self.workspace()
        self.clients = Authority(self.place.path / "clients", "clients")
        self.others = Authority(self.place.path / "others", "clients")
        self.client_ca = self.place.path / "client-ca.pem"
        shutil.copy(self.clients.file, self.client_ca)
        self.htpasswd = self.place.path / "htpasswd"
        self.write_accounts("alice", "bob")
        self.daemon = self.regcache(self.config(), tls=True)

    def write_accounts(self, *names: str) -> None:
        """The accounts, each with its name as the password."""
        text = "".join(f"{name}:{hashed(name).decode()}\n" for name in names)
        new = self.htpasswd.with_name("htpasswd.new")
        new.write_text(text)
        os.replace(new, self.htpasswd)

    def config(self) -> dict[str, Any]:
        """Of the daemon."""
        rules = [
            {"accounts": ["bob"], "repositories": ["library/*"]},
            {"accounts": ["alice"]},
            {"accounts": [ANYBODY], "repositories": ["nothing/*"]},
        ]
        return {
            **upstream_config(public_upstream().url, hosts=["images.proxy.example"]),
            "default_hosts": ["127.0.0.1"],
            "domain": "proxy.example",
            "access": {"htpasswd": str(self.htpasswd), "rules": rules},
        }

    def regcache(self, config: Any, *, tls: bool = False, port: int | None = None) -> Regcache:
        """A running daemon that asks for certificates."""
        daemon = Regcache(config, certificates().certificate, port)
        self.addCleanup(daemon.close)
        tls_listener = daemon.config["listeners"][1]
        tls_listener["tls"]["client_ca"] = str(self.client_ca)
        tls_listener["http2"] = self.http2
        return daemon.start()

    def context(
        self, shown: Certificate | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> ssl.SSLContext:
        """Of a client that has a certificate."""
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        context.maximum_version = version
        if shown is not None:
            context.load_cert_chain(shown.chain, shown.key)
        return context

    def connect(
        self, context: ssl.SSLContext, name: str = "127.0.0.1"
    ) -> http.client.HTTPConnection:
        """A connection that asks for a name in its handshake."""
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.tls_port, timeout=60)
        plain = socket.create_connection(("127.0.0.1", self.daemon.tls_port), timeout=60)
        connection.sock = context.wrap_socket(plain, server_hostname=name)
        self.addCleanup(connection.close)
        return connection

    def status(
        self,
        connection: http.client.HTTPConnection,
        repository: str,
        headers: dict[str, str] | None = None,
    ) -> int:
        """The status of a request for a manifest."""
        target = f"/v2/{repository}/manifests/1"
        connection.request("GET", target, headers={"Accept": "*/*", **(headers or {})})
        response = connection.getresponse()
        response.read()
        return response.status

    def statuses(
        self, shown: Certificate | None, headers: dict[str, str] | None = None
    ) -> tuple[int, int]:
        """What is answered for what is open and what is closed, alike by both versions of TLS."""
        found = set()
        for version in VERSIONS:
            connection = self.connect(self.context(shown, version))
            both = [self.status(connection, each, headers) for each in (OPEN, CLOSED)]
            found.add((both[0], both[1]))
        (one,) = found
        return one

    def assert_ended(self, shown: Certificate) -> None:
        """The handshake ends: no request is answered, by either version of TLS."""
        for version in VERSIONS:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.status(self.connect(self.context(shown, version)), OPEN)


class AccountTests(ClientCertificateCase):
    """Who is who."""

    def test_accounts(self) -> None:
        """The common name is the account; nobody's, or none at all, is nobody."""
        for name, expected in (
            ("alice", (200, 200)),
            ("bob", (200, 403)),
            ("carol", (401, 401)),
            (ANYBODY, (401, 401)),
        ):
            self.assertEqual(self.statuses(self.clients.issue(name)), expected, name)
        self.assertEqual(self.statuses(None), (401, 401))
        self.assert_logged(self.daemon, "account=alice", "status=200")

    def test_another_issuer(self) -> None:
        """Another issuer of the same name ends the handshake, and so does what has expired."""
        self.assert_ended(self.others.issue("alice"))
        self.assert_ended(self.clients.issue("alice", life=datetime.timedelta(seconds=-1)))
        self.assert_logged(self.daemon, "a client certificate from 127.0.0.1 was not taken")

    def test_password_before_certificate(self) -> None:
        """Basic of another account counts, and a wrong one is wrong."""
        alice, bob = self.clients.issue("alice"), self.clients.issue("bob")
        self.assertEqual(self.statuses(alice, basic("bob", "bob")), (200, 403))
        self.assertEqual(self.statuses(bob, basic("alice", "alice")), (200, 200))
        self.assertEqual(self.statuses(alice, basic("bob", "wrong")), (401, 401))
        self.assertEqual(self.statuses(alice, {"Authorization": "Bearer nonsense"}), (401, 401))

    def test_token(self) -> None:
        """A certificate gets a token of its account, which is good without it."""
        connection = self.connect(self.context(self.clients.issue("alice")))
        connection.request("GET", f"/token?scope=repository:{CLOSED}:pull")
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        bearer = {"Authorization": f"Bearer {json.load(response)['token']}"}
        self.assertEqual(self.statuses(None, bearer), (401, 200))
        bob = self.clients.issue("bob")
        self.assertEqual(self.statuses(bob, bearer), (401, 200), "the token decides")

    def test_ping(self) -> None:
        """Who shows a certificate of an account is not asked to log in."""
        for shown, status in ((self.clients.issue("alice"), 200), (None, 401)):
            connection = self.connect(self.context(shown))
            connection.request("GET", "/v2/")
            self.assertEqual(connection.getresponse().status, status)

    def test_not_asked(self) -> None:
        """On a host for operators nobody is asked, as browsers would ask their users."""
        for version in VERSIONS:
            context = self.context(self.others.issue("alice"), version)
            connection = self.connect(context, ADMIN)
            self.assertEqual(self.status(connection, OPEN), 401)
            mine = self.connect(self.context(self.clients.issue("alice"), version), ADMIN)
            self.assertEqual(self.status(mine, OPEN), 401)

    def test_skopeo(self) -> None:
        """skopeo pulls with the certificate of an account, and fails with another one."""
        require("skopeo")

        def pull(shown: Certificate) -> None:
            folder = self.workspace().path
            shutil.copy(certificates().authority.file, folder / "ca.crt")
            shutil.copy(shown.chain, folder / "client.cert")
            shutil.copy(shown.key, folder / "client.key")
            client = Skopeo(Trust(folder, folder / "ca.crt"))
            pulled = client.pull(f"{self.daemon.tls_address}/{CLOSED}:1")
            self.assertIn(catalog().images[CLOSED].children[0].digest, pulled.digests)

        pull(self.clients.issue("alice"))
        for other in (self.clients.issue("bob"), self.others.issue("alice")):
            self.assertRaises(AssertionError, pull, other)


class ChangeTests(ClientCertificateCase):
    """What changes while the daemon runs."""

    def test_removed_account(self) -> None:
        """Who is removed is out on a connection that is open."""
        connection = self.connect(self.context(self.clients.issue("alice")))
        self.assertEqual(self.status(connection, CLOSED), 200)
        self.write_accounts("bob")
        wait_until(lambda: self.status(connection, CLOSED) == 401, "alice is out")

    def test_changed_authorities(self) -> None:
        """Another client_ca counts for new handshakes; one that is removed is nobody's."""
        before, after = self.clients.issue("alice"), self.others.issue("alice")
        connection = self.connect(self.context(before))
        self.assertEqual(self.status(connection, CLOSED), 200)
        new = self.client_ca.with_name("new")
        shutil.copy(self.others.file, new)
        os.replace(new, self.client_ca)
        self.assert_logged(self.daemon, str(self.client_ca), "was changed and is in use")
        self.assert_ended(before)
        self.assertEqual(self.statuses(after), (200, 200))
        self.client_ca.write_text("half a file")
        self.assert_logged(self.daemon, str(self.client_ca), "is not used")
        self.assertEqual(self.statuses(after), (200, 200))
        self.client_ca.unlink()
        self.assert_logged(self.daemon, str(self.client_ca), "is gone")
        self.assert_ended(after)
        self.assertEqual(self.statuses(None), (401, 401))

    def test_own_authority(self) -> None:
        """It is in the storage directory, for us alone; what it issued is no account."""
        folder = self.daemon.directory / "ca"
        for path, mode in ((folder, 0o700), (folder / "ca.key", 0o600), (folder / "ca.crt", 0o600)):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), mode, path)
        self.assertEqual(self.statuses(self._issued_by_us("alice")), (401, 401))
        before = (folder / "ca.crt").read_bytes()
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertEqual((folder / "ca.crt").read_bytes(), before)

    def test_damaged_authority(self) -> None:
        """Where our own cannot be read its certificates are nobody's, and all else goes on."""
        ours = self._issued_by_us("alice")
        self.assertEqual(self.daemon.stop(), 0)
        key = self.daemon.directory / "ca" / "ca.key"
        key.write_text("damaged")
        self.daemon.start()
        self.assert_logged(self.daemon, "our own authority are not taken", str(key))
        self.assertEqual(self.statuses(self.clients.issue("alice")), (200, 200))
        self.assert_ended(ours)
        self.assertEqual(key.read_text(), "damaged")

    def _issued_by_us(self, name: str) -> Certificate:
        own = load_or_make_authority(str(self.daemon.directory / "ca"))
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(own.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(own.key, hashes.SHA256())
        )
        issued = Certificate(self.place.path / "own.crt", self.place.path / "own.key")
        pem = serialization.Encoding.PEM
        issued.chain.write_bytes(leaf.public_bytes(pem))
        form, protection = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        issued.key.write_bytes(key.private_bytes(pem, form, protection))
        return issued


class SessionTests(ClientCertificateCase):
    """Sessions of openssl, which keeps them in a file."""

    def ask(self, *options: str, session: Path, version: str) -> str:
        """A request by ``openssl s_client``; all that it shows."""
        require("openssl")
        command = ["openssl", "s_client", "-connect", self.daemon.tls_address, version, *options]
        command += ["-sess_out", str(session), "-ign_eof"]
        target = f"/v2/{CLOSED}/manifests/1"
        request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        done = subprocess.run(command, input=request.encode(), capture_output=True, timeout=60)
        return done.stdout.decode("latin-1")

    def test_not_resumed(self) -> None:
        """Who has the session of somebody with a certificate is nobody by it."""
        alice = self.clients.issue("alice")
        certificate = ("-cert", str(alice.chain), "-key", str(alice.key))
        for version in ("-tls1_2", "-tls1_3"):
            session = self.place.path / f"session{version}"
            shown = self.ask(*certificate, session=session, version=version)
            self.assertIn("HTTP/1.1 200 OK", shown)
            taken = ("-sess_in", str(session)) if session.exists() else ()
            again = self.ask(*taken, session=self.place.path / "unused", version=version)
            self.assertIn("HTTP/1.1 401 ", again)
            self.assertNotIn("Reused, TLS", again)


class Http2Tests(ClientCertificateCase):
    """The same over HTTP/2."""

    http2 = True

    def open(self, shown: Certificate | None) -> SocketHttp2:
        """A connection."""
        address = ("127.0.0.1", self.daemon.tls_port)
        client = SocketHttp2(address, self.context(shown))
        self.addCleanup(client.close)
        return client

    def http2_status(self, client: SocketHttp2) -> str:
        """The status of a request for what only alice may have."""
        return client.get(f"/v2/{CLOSED}/manifests/1").headers[":status"]

    def test_accounts(self) -> None:
        """Each connection is its certificate's, for all of its streams."""
        alice, bob, nobody = (
            self.open(shown)
            for shown in (self.clients.issue("alice"), self.clients.issue("bob"), None)
        )
        for _ in range(2):
            self.assertEqual(self.http2_status(alice), "200")
            self.assertEqual(self.http2_status(bob), "403")
            self.assertEqual(self.http2_status(nobody), "401")
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.open(self.others.issue("alice"))
        self.assert_logged(self.daemon, "a client certificate from 127.0.0.1 was not taken")

    def test_removed_account(self) -> None:
        """Who is removed is out on a connection that is open."""
        client = self.open(self.clients.issue("alice"))
        self.assertEqual(self.http2_status(client), "200")
        self.write_accounts("bob")
        wait_until(lambda: self.http2_status(client) == "401", "alice is out")

    def test_not_asked(self) -> None:
        """HTTP/1.1 on the same listener, on a host for operators: nobody is asked."""
        connection = self.connect(self.context(self.others.issue("alice")), ADMIN)
        self.assertEqual(self.status(connection, OPEN), 401)
