"""Certificates of clients, in real handshakes without a network."""

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.client_issuers import ClientIssuers
from regcache.tls import CertificateStore
from regcache.tls_context import CertificateFiles
from regcache.web.client_certificate import certificate_of
from regcache.web.respond import send_text
from tests.support.certificates import Authority, Certificate
from tests.support.web_client import MemoryTransport
from tests.test_tls import TLSClient, files_of

ADMIN = "registry.example.com"
VERSIONS = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)


def client_context(shown: Certificate | None, version: int = SSL.TLS1_3_VERSION) -> SSL.Context:
    """Of a client with a certificate."""
    context: Any = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(version)
    context.set_alpn_protos([b"http/1.1"])
    if shown is not None:
        context.use_certificate_chain_file(str(shown.chain))
        context.use_privatekey_file(str(shown.key))
    made: SSL.Context = context
    return made


class HandshakeCase(SynchronousTestCase):
    """A listener that asks for certificates of one authority, and of our own."""

    def setUp(self) -> None:
        self.listed, self.other, servers = (self.authority() for _ in range(3))
        self.own = self.authority("our own")
        files: list[CertificateFiles] = [
            files_of(servers.issue("first.test")),
            files_of(servers.issue("second.test", ADMIN)),
        ]
        self.store = CertificateStore(files, never_asked=[ADMIN])
        self.store.trust(self.issuers(self.listed))
        self.store.load()

    def authority(self, name: str = "some authority") -> Authority:
        """One more, by default of the same name."""
        return Authority(Path(self.mktemp()), name)

    def issuers(self, *listed: Authority) -> ClientIssuers:
        """What a file with these authorities means."""
        roots = [x509.load_pem_x509_certificate(each.file.read_bytes()) for each in listed]
        own = x509.load_pem_x509_certificate(self.own.file.read_bytes())
        return ClientIssuers(roots, own)

    def connect(
        self, context: SSL.Context, name: str | None = None, session: Any = None
    ) -> TLSClient:
        """A client whose handshake is over, on its side at least."""
        client = TLSClient(self.store, name, context=context)
        client.site.dispatch = _who
        if session is not None:
            client.connection.set_session(session)
        return client.handshake()

    def who(self, client: TLSClient) -> str:
        """Whom the server takes the client for; raises SSL.Error where it ended the handshake."""
        client.connection.send(b"GET / HTTP/1.1\r\nHost: first.test\r\n\r\n")
        answer: bytes = client.exchange(lambda: client.connection.recv(65536))
        return answer.partition(b"\r\n\r\n")[2].decode()

    def once(self, context: SSL.Context, name: str | None = None, session: Any = None) -> str:
        """Whom the server takes a new client for."""
        return self.who(self.connect(context, name, session))

    def shown(self, certificate: Certificate | None, name: str | None = None) -> set[str]:
        """Whom the server takes the client for, by both versions of TLS."""
        contexts = [client_context(certificate, version) for version in VERSIONS]
        return {self.once(context, name) for context in contexts}

    def assert_ended(self, certificate: Certificate, name: str | None = None) -> None:
        """The handshake ends, by both versions of TLS, before a request is answered."""
        for version in VERSIONS:
            self.assertRaises(SSL.Error, self.once, client_context(certificate, version), name)


def _who(request: Any) -> Any:
    shown = request.client_certificate
    return send_text(request, "nobody" if shown is None else f"account {shown.account!r}")


class HandshakeTests(HandshakeCase):
    """Who is taken for whom."""

    def test_account(self) -> None:
        """A certificate of client_ca is its common name, under every name of the server."""
        for name in (None, "first.test", "second.test"):
            self.assertEqual(self.shown(self.listed.issue("alice"), name), {"account 'alice'"})

    def test_none(self) -> None:
        """Who has no certificate goes on."""
        self.assertEqual(self.shown(None), {"nobody"})

    def test_own(self) -> None:
        """One of our own authority is taken, and is no account."""
        self.assertEqual(self.shown(self.own.issue("alice")), {"account ''"})

    def test_another_issuer(self) -> None:
        """One of another issuer ends the handshake, though it has the same name."""
        for name in (None, "second.test"):
            self.assert_ended(self.other.issue("alice"), name)

    def test_expired(self) -> None:
        """One that has expired ends the handshake."""
        over = datetime.timedelta(seconds=-1)
        self.assert_ended(self.listed.issue("alice", life=over))
        self.assert_ended(self.own.issue("alice", life=over))

    def test_never_asked(self) -> None:
        """Under some names nobody is asked, in any spelling: what a client has is not shown."""
        certificate = self.listed.issue("alice")
        for name in (ADMIN, ADMIN.upper(), f"{ADMIN}."):
            self.assertEqual(self.shown(certificate, name), {"nobody"}, name)
            self.assertEqual(self.shown(self.other.issue("alice"), name), {"nobody"}, name)

    def test_other_listeners(self) -> None:
        """Where there is no client_ca nobody is asked."""
        store = CertificateStore([files_of(self.listed.issue("first.test"))])
        store.load()
        self.store = store
        self.assertEqual(self.shown(self.listed.issue("alice")), {"nobody"})

    def test_plain(self) -> None:
        """A plain connection has none."""
        self.assertIsNone(certificate_of(MemoryTransport()))


class ChangeTests(HandshakeCase):
    """Authorities that change while connections are open."""

    def test_changed(self) -> None:
        """New handshakes follow; connections that are there stay what they are."""
        before, after = self.listed.issue("alice"), self.other.issue("bob")
        client = self.connect(client_context(before))
        self.assertEqual(self.who(client), "account 'alice'")
        self.store.trust(self.issuers(self.other))
        for name in (None, "second.test"):
            self.assertEqual(self.shown(after, name), {"account 'bob'"})
            self.assert_ended(before, name)
        self.assertEqual(self.who(client), "account 'alice'")

    def test_none_left(self) -> None:
        """Where no authority is left every certificate of one ends the handshake."""
        self.store.trust(self.issuers())
        self.assert_ended(self.listed.issue("alice"))
        self.assertEqual(self.shown(None), {"nobody"})
        self.assertEqual(self.shown(self.own.issue("alice")), {"account ''"})

    def test_replaced_certificate(self) -> None:
        """A renewed certificate of ours changes nothing for clients."""
        self.store.replace(self.store.read())
        self.assertEqual(self.shown(self.listed.issue("alice")), {"account 'alice'"})
        self.assert_ended(self.other.issue("alice"))

    def test_in_the_middle(self) -> None:
        """Who shakes hands while the authorities change is nobody of the former ones."""
        for name in (None, "second.test"):
            client = TLSClient(self.store, name, context=client_context(self.listed.issue("eve")))
            client.site.dispatch = _who
            self.store.trust(self.issuers(self.other))
            try:
                self.assertEqual(self.who(client.handshake()), "account 'eve'")
                self.assertIsNone(name)  # it began, and goes on, with the former ones
            except SSL.Error:
                self.assertEqual(name, "second.test")
            self.store.trust(self.issuers(self.listed))


class SessionTests(HandshakeCase):
    """Sessions bring no identity along: every handshake is a whole one."""

    def assert_whole(self, first: TLSClient, again: TLSClient) -> None:
        """The second client has not taken up the session of the first."""
        self.assertNotEqual(first.connection.master_key(), again.connection.master_key())

    def test_not_resumed(self) -> None:
        """A session of a client with a certificate makes nobody that client later."""
        for version in VERSIONS:
            context = client_context(self.listed.issue("alice"), version)
            for names in ((None, None), ("second.test", None), (None, ADMIN)):
                first = self.connect(context, names[0])
                self.assertEqual(self.who(first), "account 'alice'")
                session = first.connection.get_session()
                self.assertIsNotNone(session)
                self.store.trust(self.issuers(self.other))
                if names[1] == ADMIN:
                    again = self.connect(context, ADMIN, session)
                    self.assertEqual(self.who(again), "nobody")
                    self.assert_whole(first, again)
                else:
                    self.assertRaises(SSL.Error, self.once, context, None, session)
                self.store.trust(self.issuers(self.listed))

    def test_taken_up_where_it_is_asked(self) -> None:
        """What began where nobody is asked is asked elsewhere."""
        for version in VERSIONS:
            context = client_context(self.listed.issue("alice"), version)
            first = self.connect(context, ADMIN)
            self.assertEqual(self.who(first), "nobody")
            again = self.connect(context, None, first.connection.get_session())
            self.assertEqual(self.who(again), "account 'alice'")
            self.assert_whole(first, again)
