"""Who would be a seat that is somebody else's; and what stays open of one that is taken away."""

import http.client
import socket
import ssl
from collections.abc import Mapping

from regcache.access.attempts import MOST_WRONG
from tests.access.accounts import hashed
from tests.integration.access_base import AccessCase, client_authority
from tests.integration.base import UPSTREAM_HOST, certificates
from tests.integration.seat_base import (
    KEY,
    LABEL,
    LINK,
    SEATED,
    SECRETS,
    WHOEVER,
    Seated,
    hash_of,
    seat_host,
)
from tests.support.processes import wait_until
from tests.support.registry_client import basic

OTHER_HOST = "other.proxy.example"


class SeatAttackTests(AccessCase):
    """A daemon of its own, whose seats change."""

    def setUp(self) -> None:
        super().setUp()
        self.seated = Seated()
        self.addCleanup(self.seated.close)
        self.watched(self.seated)
        self.daemon = self.seated.daemon
        self.secrets.extend(each for each in SECRETS if each != LABEL)
        # A challenge has the Host of whoever asked; a log has no label.
        self.addCleanup(lambda: self.assertNotIn(LABEL, self.daemon.log()))

    def status(self, target: str = "/v2/", method: str = "GET", **headers: str) -> int:
        """What comes over plain HTTP."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(self.daemon.client(), target, method, named).status

    def over_tls(self, name: str, host: str, certificate: bool = False) -> int:
        """What comes over TLS to a server name, for a Host."""
        connection = self.connection(name, certificate)
        self.addCleanup(connection.close)
        return self.on(connection, Host=host)

    def connection(self, name: str, certificate: bool = False) -> http.client.HTTPConnection:
        """An open TLS connection."""
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        if certificate:
            context = client_authority().context(WHOEVER)
        host, port = self.daemon.tls_address.split(":")
        made = http.client.HTTPConnection(host, int(port))
        made.sock = context.wrap_socket(
            socket.create_connection((host, int(port))), server_hostname=name
        )
        self.addCleanup(made.sock.close)
        return made

    def on(self, connection: http.client.HTTPConnection, **headers: str) -> int:
        """What comes on an open connection."""
        shown: Mapping[str, str] = {"Host": UPSTREAM_HOST, **headers}
        connection.request("GET", "/v2/", headers=dict(shown))
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def test_server_names(self) -> None:
        """The Host decides, over TLS as over plain HTTP, under any server name."""
        self.assertEqual(self.status(Host=seat_host()), 200)
        self.assertEqual(self.over_tls(seat_host(), seat_host()), 200)
        self.assertEqual(self.over_tls(UPSTREAM_HOST, seat_host()), 200)
        self.assertEqual(self.over_tls(seat_host(), UPSTREAM_HOST), 401)
        self.assertEqual(self.over_tls(seat_host(), seat_host(label=LABEL[:-1])), 401)
        self.assertEqual(self.over_tls(OTHER_HOST, seat_host(OTHER_HOST)), 401)

    def test_guessed_labels(self) -> None:
        """Labels that are tried are hosts like any other: nothing tells how near they are."""
        answers = set()
        for label in (LABEL[:-1], LABEL + "0", LABEL[::-1], "a" * 40, "0" * 6):
            answer = self.daemon.client().get("/v2/x/manifests/1", Host=seat_host(label=label))
            body = answer.body.replace(label[:3].encode(), b"")
            answers.add((answer.status, body))
        self.assertEqual(len(answers), 1, answers)

    def test_guessed_links(self) -> None:
        """Secrets of links that are tried end in 429, for the right one too; others go on."""
        far = {"X_Forwarded_For": "203.0.113.5"}
        for number in range(MOST_WRONG):
            self.assertEqual(self.status(f"/knock/guess{number}", "POST", **far), 404)
        self.assertEqual(self.status(f"/knock/{LINK}", "POST", **far), 429)
        self.assertEqual(self.status(f"/knock/{LINK}", **far), 429)
        login = basic(SEATED[0], KEY)
        self.assertEqual(self.status(Authorization=login, **far), 200)
        self.assertEqual(self.status(f"/knock/{LINK}", X_Forwarded_For="203.0.113.6"), 200)

    def test_other_spellings(self) -> None:
        """A link in another spelling is none, and its secret is in no log then either."""
        for target in (f"/%6bnock/{LINK}", f"//knock/{LINK}", f"/knock/{LINK}/", f"/KNOCK/{LINK}"):
            status = self.status(target, "GET", X_Forwarded_For="203.0.113.7")
            self.assertIn(status, (400, 404), target)

    def test_several_identities(self) -> None:
        """A login counts in place of the host; where it is wrong the host counts for nothing."""
        wrong, root = basic("seated", "wrong"), basic("root", "Radon-of-root-4713")
        self.assertEqual(self.status(Host=seat_host(), Authorization=wrong), 401)
        self.assertEqual(self.status("/v2/_catalog", Host=seat_host(), Authorization=root), 200)
        target = "/v2/team/multi/manifests/nothing"
        self.assertEqual(self.status(target, "DELETE", Host=seat_host()), 403)

    def test_open_connections(self) -> None:
        """A certificate and a host that are taken away are out on connections that are open."""
        shown = self.connection(UPSTREAM_HOST, certificate=True)
        named = self.connection(seat_host())
        self.assertEqual(self.on(shown), 200)
        self.assertEqual(self.on(named, Host=seat_host()), 200)
        self.seated.seats.put("seated", password=hashed(SEATED[1]).decode(), keys=[hash_of(KEY)])
        wait_until(lambda: self.on(shown) == 401, "the certificate is nobody's")
        self.assertEqual(self.on(named, Host=seat_host()), 401)
        self.assertEqual(self.status(X_Forwarded_For="192.0.2.77"), 401)
        self.assertEqual(self.status(Authorization=basic(SEATED[0], KEY)), 200)

    def test_many_seats(self) -> None:
        """Among a thousand seats each is known, and one that is added is within a moment."""
        for number in range(1000):
            self.seated.seats.keep(f"s{number}", host=f"label{number}", note=str(number))
        self.seated.seats.put("last", host="labeloflast")
        last = seat_host(label="labeloflast")
        wait_until(lambda: self.status(Host=last) == 200, "the last seat is known")
        for number in (0, 512, 999):
            self.assertEqual(self.status(Host=seat_host(label=f"label{number}")), 200)
