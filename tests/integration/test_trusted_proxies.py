"""Behind Debian's nginx, which ends TLS and says who its clients are; and without it."""

import http.client
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from tests.access.accounts import hashed
from tests.integration.base import (
    PullThroughCase,
    certificates,
    public_upstream,
    upstream_config,
)
from tests.support.front_proxies import nginx
from tests.support.processes import free_port

PROXY, INSIDE, OUTSIDE = "127.0.0.9", "127.0.0.2", "127.0.0.3"
TARGET = "/v2/team/multi/manifests/1"

_NGINX = """
server {{
  listen 127.0.0.1:{port} ssl;
  ssl_certificate {chain};
  ssl_certificate_key {key};
  location / {{
    proxy_pass http://127.0.0.1:{behind};
    proxy_bind 127.0.0.9;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
  }}
}}
"""


class TrustedProxiesTests(PullThroughCase):
    """Tests that clients inside may pull, and all others only with an account."""

    def setUp(self) -> None:
        place = self.workspace()
        htpasswd = place.file("htpasswd", f"alice:{hashed('secret').decode()}\n")
        rules: list[dict[str, Any]] = [
            {"accounts": ["anonymous"], "networks": [INSIDE]},
            {"accounts": ["anonymous"], "repositories": ["library/*"]},
            {"accounts": ["*"]},
        ]
        access = {"htpasswd": str(htpasswd), "rules": rules, "trusted_proxies": [PROXY]}
        config = upstream_config(public_upstream().url)
        limits = {"connections_per_address": 4}
        self.daemon = self.regcache({**config, "access": access, "limits": limits})

    def nginx(self) -> int:
        """Start it; its port."""
        port, certificate = free_port(), certificates().certificate
        text = _NGINX.format(
            port=port,
            behind=self.daemon.port,
            chain=certificate.chain,
            key=certificate.key,
        )
        self.addCleanup(nginx(text, port).close)
        return port

    def ask(
        self, connection: http.client.HTTPConnection, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """Ask for what is not for everybody."""
        self.addCleanup(connection.close)
        connection.request("GET", TARGET, headers={"Accept": "*/*", **headers})
        response = connection.getresponse()
        response.read()
        return response

    def test_nginx(self) -> None:
        """Rules, the realm and the access log are about the client, with any invented headers."""
        port = self.nginx()
        trust = ssl.create_default_context(cafile=str(certificates().authority.file))
        inventions: list[dict[str, str]] = [
            {},
            {"X-Forwarded-For": INSIDE},
            {"X-Forwarded-For": f"{INSIDE}, {PROXY}, garbage", "X-Forwarded-Proto": "http"},
            {"X-Forwarded-For": ", ".join([INSIDE] * 100)},
        ]
        for source, status in ((INSIDE, 200), (OUTSIDE, 401)):
            for headers in inventions:
                connection = http.client.HTTPSConnection(
                    "127.0.0.1", port, context=trust, source_address=(source, 0), timeout=60
                )
                answer = self.ask(connection, headers)
                self.assertEqual(answer.status, status, (source, headers))
                if status == 401:
                    realm = f'Bearer realm="https://127.0.0.1:{port}/token"'
                    self.assertIn(realm, answer.headers["WWW-Authenticate"])
            self.assert_logged(self.daemon, f"peer={source} ", f"status={status}", times=4)

    def test_without_a_proxy(self) -> None:
        """Nobody else is believed, not about an address and not about TLS."""
        for source in ("127.0.0.1", OUTSIDE):
            address = ("127.0.0.1", self.daemon.port)
            connection = http.client.HTTPConnection(
                *address, source_address=(source, 0), timeout=60
            )
            said = {"X-Forwarded-For": INSIDE, "X-Forwarded-Proto": "https"}
            answer = self.ask(connection, said)
            self.assertEqual(answer.status, 401)
            self.assertIn('Bearer realm="http://', answer.headers["WWW-Authenticate"])
            self.assert_logged(self.daemon, f"peer={source} ", "status=401")

    def raw(self, *lines: bytes, source: str = PROXY) -> bytes:
        """What is answered to a head with these lines, over a connection of its own."""
        host = b"Host: 127.0.0.1"
        head = b"\r\n".join([b"GET %b HTTP/1.1" % TARGET.encode(), host, *lines])
        with socket.create_connection(
            ("127.0.0.1", self.daemon.port), timeout=60, source_address=(source, 0)
        ) as connection:
            connection.sendall(head + b"\r\nConnection: close\r\n\r\n")
            received = b""
            while data := connection.recv(65536):
                received += data
        return received[9:12]

    def test_raw(self) -> None:
        """Several lines, ports, brackets, garbage and folds, as a proxy might pass them on."""
        inside, outside = INSIDE.encode(), OUTSIDE.encode()
        name = b"X-Forwarded-For: "
        for lines, status in (
            ([name + inside], b"200"),
            ([name + outside, name + inside], b"200"),
            ([name + inside, name + outside], b"401"),
            ([name + inside + b":4711"], b"200"),
            ([name + b"::ffff:" + inside], b"200"),
            ([name + b"[::ffff:" + inside + b"]:80"], b"200"),
            ([name + inside + b", garbage"], b"401"),
            ([name + inside + b", \xff\x80"], b"401"),
            ([name + b"garbage, " + inside], b"200"),
            ([name + b", ".join([outside] * 100 + [inside])], b"200"),
            ([name + b", ".join([inside] * 100 + [outside])], b"401"),
            ([b"x-forwarded-FOR:" + inside], b"200"),
            ([name + outside + b",\r\n " + inside], b"400"),
            ([name + inside + b"\x00"], b"400"),
            ([b"X-Forwarded-For : " + inside], b"400"),
            ([name + b"1" * 40_000], b"400"),
        ):
            self.assertEqual(self.raw(*lines), status, lines)

    def test_connections(self) -> None:
        """Connections of the proxy are not those of one address; others have their limit."""
        address = ("127.0.0.1", self.daemon.port)
        for source, statuses in ((PROXY, [401] * 8), (OUTSIDE, [401] * 4 + [503] * 4)):
            found = []
            for _ in range(8):
                connection = http.client.HTTPConnection(
                    *address, source_address=(source, 0), timeout=60
                )
                found.append(self.ask(connection, {}).status)
            self.assertEqual(found, statuses, source)
