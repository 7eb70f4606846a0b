"""Listeners: certificates by name, the redirect to https, and a unix socket."""

import http.client
import socket
import ssl

from cryptography import x509

from tests.integration.base import PullThroughCase, certificates, upstream_config
from tests.support.certificates import Certificate
from tests.support.processes import free_port
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache


def pair(certificate: Certificate) -> dict[str, str]:
    """A certificate as the configuration names it."""
    return {"chain": str(certificate.chain), "key": str(certificate.key)}


class ListenerTests(PullThroughCase):
    """Several listeners at once, beside the plain one."""

    def _daemon(self, *listeners: dict[str, object]) -> Regcache:
        daemon = Regcache(upstream_config("http://127.0.0.1:1"))
        self.addCleanup(daemon.close)
        daemon.config["listeners"] += listeners
        return daemon.start()

    def _tls(self, port: int, name: str, **options: object) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        for key, value in options.items():
            setattr(context, key, value)
        context.set_alpn_protocols(["h2", "http/1.1"])
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.addCleanup(connection.close)
        secure = context.wrap_socket(connection, server_hostname=name)
        self.addCleanup(secure.close)
        return secure

    def test_the_access_line_names_the_place(self) -> None:
        """A line of the log has the Host, the path and the listener of its request."""
        daemon = self._daemon()
        daemon.client().get("/v2/app/manifests/1?ns=nowhere", Host="Some.Example:80")
        listener = f'listener="tcp:{daemon.port}:interface=127.0.0.1"'
        place = ("host=some.example", "path=/v2/app/manifests/1", listener)
        self.assert_logged(daemon, *place, "status=404", 'error="')
        RegistryClient(f"http://127.0.0.1:{daemon.admin_port}").get("/nothing")
        listener = f'listener="tcp:{daemon.admin_port}:interface=127.0.0.1"'
        self.assert_logged(daemon, "host=127.0.0.1", "path=/nothing", listener)

    def test_the_certificate_is_chosen_by_name(self) -> None:
        """Each name gets its own certificate, an unknown one the first; ALPN is http/1.1."""
        authority, port = certificates().authority, free_port()
        pairs = [pair(authority.issue(name)) for name in ("one.example", "two.example")]
        endpoint = f"tcp:{port}:interface=127.0.0.1"
        self._daemon({"endpoint": endpoint, "tls": {"certificates": pairs}})
        for name in ("one.example", "two.example"):
            self.assertEqual(self._tls(port, name).selected_alpn_protocol(), "http/1.1")
        unknown = self._tls(port, "three.example", check_hostname=False)
        shown = x509.load_der_x509_certificate(unknown.getpeercert(binary_form=True) or b"")
        self.assertIn("one.example", shown.subject.rfc4514_string())

    def test_old_versions_of_tls_are_refused(self) -> None:
        """A client that knows TLS 1.1 at most gets no connection."""
        port = free_port()
        endpoint = f"tcp:{port}:interface=127.0.0.1"
        tls = {"certificates": [pair(certificates().certificate)]}
        self._daemon({"endpoint": endpoint, "tls": tls})
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self._tls(port, "localhost", maximum_version=ssl.TLSVersion.TLSv1_1)

    def test_strict_transport_security_is_sent_on_tls_only(self) -> None:
        """``hsts: true`` shows on the TLS listener and not on the plain one."""
        port = free_port()
        endpoint = f"tcp:{port}:interface=127.0.0.1"
        tls = {"certificates": [pair(certificates().certificate)]}
        daemon = self._daemon({"endpoint": endpoint, "tls": tls, "hsts": True})
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        secure = RegistryClient(f"https://127.0.0.1:{port}", context=context).get("/v2/")
        self.assertIn("max-age=", secure.headers["strict-transport-security"])
        plain = daemon.client().get("/v2/")
        self.assertNotIn("strict-transport-security", plain.headers)

    def test_a_redirect_leads_to_https(self) -> None:
        """308 to the same Host and target, without the port."""
        port = free_port()
        self._daemon({"endpoint": f"tcp:{port}:interface=127.0.0.1", "redirect": "https"})
        client = RegistryClient(f"http://127.0.0.1:{port}")
        answer = client.get("/v2/a/b/manifests/1?ns=x.test", Host=f"images.example:{port}")
        self.assertEqual(answer.status, 308)
        wanted = "https://images.example/v2/a/b/manifests/1?ns=x.test"
        self.assertEqual(answer.headers["location"], wanted)

    def test_a_unix_socket_is_a_listener_too(self) -> None:
        """``unix:PATH`` answers as a port does."""
        path = self.workspace().path / "socket"
        self._daemon({"endpoint": f"unix:{path}"})
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.sock.connect(str(path))
        connection.request("GET", "/v2/")
        self.assertEqual(connection.getresponse().status, 200)
