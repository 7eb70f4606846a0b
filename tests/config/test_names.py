"""Tests for regcache.config.names and regcache.config.endpoints."""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.config import names
from regcache.config.endpoints import ParsedEndpoint, parse_endpoint
from regcache.config.values import NameServerAddress, ProxyAddress


class NameTests(SynchronousTestCase):
    """Table tests; None stands for an error."""

    def check_table(self, function: Callable[[str], Any], table: Mapping[str, Any]) -> None:
        """Each text gives its value, or ValueError for None."""
        for text, expected in table.items():
            if expected is None:
                self.assertRaises(ValueError, function, text)
            else:
                self.assertEqual(function(text), expected, text)

    def test_hosts(self) -> None:
        """Hosts are lower case without port or dot at the end; wildcards lead."""
        table = {
            "Docker.Example.COM.": "docker.example.com",
            "*.example.com": "*.example.com",
            "localhost": "localhost",
            "10.0.0.5": "10.0.0.5",
            "[2001:DB8::1]": "[2001:db8::1]",
            "xn--bcher-kva.example": "xn--bcher-kva.example",
            "example.com:5000": None,
            "*": None,
            "*.": None,
            "*.10.0.0.1": None,
            "a.*.com": None,
            "1.2.3.4.5": None,
            "2001:db8::1": None,
            "[1.2.3.4]": None,
            "a..b": None,
            "-a.b": None,
            "a b": None,
            "": None,
            ".": None,
            "é.example": None,
            "x" * 64 + ".com": None,
            "https://a": None,
        }
        self.check_table(names.host_pattern, table)

    def test_urls(self) -> None:
        """URLs are http or https without userinfo, query and fragment."""
        table = {
            "https://registry-1.docker.io": "https://registry-1.docker.io",
            "HTTPS://A.example:443/Prefix/": "https://a.example/Prefix",
            "http://127.0.0.1:5000": "http://127.0.0.1:5000",
            "http://a:80": "http://a",
            "https://a:80": "https://a:80",
            "http://[::1]:5000/x": "http://[::1]:5000/x",
            "ftp://a": None,
            "a.example": None,
            "https://": None,
            "https://u:p@a": None,
            "https://a/?x": None,
            "https://a/#x": None,
            "https://a/../b": None,
            "https://a//b": None,
            "https://a/%2e": None,
            "https://a:0": None,
            "https://a:99999": None,
            "https://a:x": None,
            "https://[a": None,
            "https://a b": None,
        }
        self.check_table(names.url, table)

    def test_secrets_stay_out_of_messages(self) -> None:
        """No message about a URL or a proxy repeats it."""
        for function in (names.url, names.proxy):
            for text in ("https://u:s3cret@a", "http://u:s3cret@", "http://u:s3cret@a:0", "s3cret"):
                fault = self.assertRaises(ValueError, function, text)
                self.assertNotIn("s3cret", str(fault))

    def test_proxies(self) -> None:
        """A proxy is direct, or an http URL whose credentials are decoded."""
        table = {
            "direct": "direct",
            "http://p.example:3128": ProxyAddress("p.example", 3128),
            "http://p.example": ProxyAddress("p.example", 80),
            "http://u:p%40ss@[::1]:3128/": ProxyAddress("[::1]", 3128, "u", "p@ss"),
            "https://p:1": None,
            "socks5://p:1": None,
            "http://p:1/x": None,
            "http://:x@p:1": None,
            "http://u:%0a@p:1": None,
        }
        self.check_table(names.proxy, table)
        self.assertNotIn("secret", repr(names.proxy("http://u:secret@p:1")))

    def test_name_servers(self) -> None:
        """A name server is an address with an optional port and protocol."""
        table = {
            "8.8.8.8": NameServerAddress("udp", "8.8.8.8"),
            "tcp://8.8.4.4": NameServerAddress("tcp", "8.8.4.4"),
            "udp://8.8.4.4:5353": NameServerAddress("udp", "8.8.4.4", 5353),
            "2001:4860:4860::8888": NameServerAddress("udp", "2001:4860:4860::8888"),
            "tcp://[2001:4860:4860::8888]:53": NameServerAddress("tcp", "2001:4860:4860::8888"),
            "[::1]": NameServerAddress("udp", "::1"),
            "dns.google": None,
            "https://8.8.8.8": None,
            "8.8.8.8:0": None,
            "8.8.8.8:": None,
            "[::1]x": None,
            "": None,
        }
        self.check_table(names.name_server, table)

    def test_networks_and_origins(self) -> None:
        """Networks have no host bits, origins no path."""
        networks = {"10.0.0.0/8": "10.0.0.0/8", "::1": "::1/128", "10.0.0.1/8": None, "x": None}
        self.check_table(names.network, networks)
        origins = {
            "*": "*",
            "https://UI.example.com:443": "https://ui.example.com",
            "http://localhost:8080": "http://localhost:8080",
            "https://a/": None,
            "https://*.a": None,
            "null": None,
        }
        self.check_table(names.origin, origins)

    def test_webhooks(self) -> None:
        """Path and query may hold a token, which is not written again; there is no user."""
        webhooks = {
            "https://Hooks.example.com/T/1%2F?a=b&c=?": "https://hooks.example.com/T/1%2F?a=b&c=?",
            "http://[::1]:8080": "http://[::1]:8080/",
            "https://me:secret@a/": None,
            "https://a/#x": None,
            "https://a/?x y": None,
            "ftp://a/": None,
            "a": None,
        }
        self.check_table(names.webhook, webhooks)
        self.assertEqual(
            names.write_webhook("https://a.example:8443/T?k"), "https://a.example:8443/***"
        )

    def test_namespaces_and_accounts(self) -> None:
        """Namespaces follow the repository grammar, accounts hold no colon."""
        self.check_table(
            names.namespace, {"library": "library", "a/b": "a/b", "A": None, "/": None}
        )
        self.check_table(names.account, {"bob": "bob", "$token": "$token", "a:b": None, "": None})

    def test_endpoints(self) -> None:
        """Endpoints are checked without opening them; only loopback and unix are local."""
        table = {
            "5000": ParsedEndpoint("port", False),
            "tcp:5000": ParsedEndpoint("tcp", False),
            "tcp:0:interface=127.0.0.1": ParsedEndpoint("tcp", True),
            "tcp:port=1:interface=10.0.0.1:backlog=9": ParsedEndpoint("tcp", False),
            "tcp6:5000:interface=\\:\\:1": ParsedEndpoint("tcp6", True),
            "unix:/run/x.sock:mode=660": ParsedEndpoint("unix", True),
            "unix:/run/a\\=b": ParsedEndpoint("unix", True),
            "systemd:domain=INET6:name=http": ParsedEndpoint("systemd", False),
            "systemd:INET:index=0": ParsedEndpoint("systemd", False),
            "haproxy:tcp:5000:interface=127.0.0.1": ParsedEndpoint("haproxy", False),
            "70000": None,
            "-1": None,
            "": None,
            "tcp": None,
            "tcp:": None,
            "tcp:x": None,
            "tcp:5000:interface=localhost": None,
            "tcp:5000:interface=::1": None,
            "tcp:5000:colour=red": None,
            "tcp:5000:port=5000": None,
            "tcp:5000:interface=10.0.0.1:backlog=x": None,
            "tcp6:5000:interface=127.0.0.1": None,
            "unix:relative": None,
            "unix:/run/a=b": None,
            "unix:/x:mode=999": None,
            "systemd:name=http": None,
            "systemd:domain=INET:name=a:index=0": None,
            "haproxy:": None,
            "haproxy:haproxy:tcp:1": None,
            "tls:443": None,
            "ssl:443": None,
            "stdio:": None,
            "quic:443": None,
            "tcp:5000\\": None,
        }
        self.check_table(parse_endpoint, table)
