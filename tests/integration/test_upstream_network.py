"""Name servers, outgoing proxies and private authorities, each a real one."""

from typing import Any

from tests.integration.base import (
    UPSTREAM,
    catalog,
    certificates,
    public_upstream,
    shared,
    upstream_config,
)
from tests.integration.network_base import REPOSITORY, NetworkCase, public_port
from tests.support.faults import Fault
from tests.support.network_servers import TinyNameServer, Tinyproxy, TwistedNameServer
from tests.support.processes import free_port
from tests.support.servers import DockerRegistry, Regcache

NAME = "registry.proxy.example"  # which the upstream's certificate is for
ACCOUNT = ("operator", "s3cret-word")


class TlsUpstream:
    """A registry with a certificate of the private authority, and a client that trusts it."""

    def __init__(self) -> None:
        self.registry = DockerRegistry(certificate=certificates().certificate)
        self.port = int(self.registry.address.rpartition(":")[2])
        self.ca_file = str(certificates().authority.file)
        self.close = self.registry.close

    @property
    def url(self) -> str:
        """Its URL by name; only the address is in nobody's name server."""
        return f"https://{NAME}:{self.port}"


tls_upstream = shared(TlsUpstream)


class NameServerTests(NetworkCase):
    """``dns``."""

    def daemon(self, host: str, *servers: str) -> Regcache:
        """A daemon whose upstream has a name that only these servers know."""
        config = upstream_config(f"http://{host}:{public_port()}")
        return self.regcache({**config, "dns": list(servers)})

    def test_twisted_name_server(self) -> None:
        """Over UDP and over TCP, by name and by alias."""
        server = self.closing(
            TwistedNameServer(
                "zone.example",
                {"registry.zone.example": "127.0.0.1"},
                {"alias.zone.example": "registry.zone.example"},
            )
        )
        for scheme in ("", "tcp://"):
            daemon = self.daemon("alias.zone.example", f"{scheme}{server.address}")
            self.assert_pulls(daemon)
        self.assert_unreachable(
            self.daemon("nobody.zone.example", server.address), "its name cannot be resolved"
        )

    def test_truncated(self) -> None:
        """An answer without room is asked for over TCP, and then known."""
        server = self.closing(TinyNameServer("127.0.0.1"))
        server.truncating = True
        self.assert_pulls(self.daemon("x.zone.example", server.address))
        self.assertEqual(server.asked, {"udp": 2, "tcp": 2})

    def test_several_servers(self) -> None:
        """A closed port and a server that never answers are passed over for the next."""
        silent, good = self.closing(TinyNameServer()), self.closing(TinyNameServer("127.0.0.1"))
        silent.silent = True
        closed = f"127.0.0.1:{free_port()}"
        daemon = self.daemon("x.zone.example", closed, silent.address, good.address)
        self.assert_pulls(daemon)
        self.assertGreaterEqual(min(silent.asked["udp"], good.asked["udp"]), 2)
        self.assertIn(f"name server {silent.address.partition(':')[0]}", daemon.log())

    def test_dead_servers(self) -> None:
        """With every name server dead the daemon starts, and says so of what is not cached."""
        silent = self.closing(TinyNameServer())
        silent.silent = True
        daemon = self.daemon("x.zone.example", silent.address)
        self.assertIn(self.get(daemon).status, (502, 504))

    def test_redirect_by_name_to_a_forbidden_address(self) -> None:
        """A name server's answer gives no redirect the way into another network of ours."""
        for address in ("169.254.169.254", "10.255.255.1", "0.0.0.0"):
            server = self.closing(TinyNameServer(address))
            upstream = self.faulty_upstream()
            upstream.add_image(REPOSITORY, catalog().images[REPOSITORY], "1")
            target = Fault(redirect=f"http://x.zone.example:{free_port()}/secret")
            upstream.faults.always("*/manifests/*", target)
            daemon = self.regcache({**upstream_config(upstream.url), "dns": [server.address]})
            self.assert_unreachable(daemon, "an address that is not allowed")
            self.assertEqual(server.asked, {"udp": 2})


class ProxyTests(NetworkCase):
    """``upstreams.<name>.proxy``, with tinyproxy."""

    def proxy(self, **options: Any) -> Tinyproxy:
        """A proxy that knows the upstream's name."""
        proxy: Tinyproxy = self.closing(Tinyproxy(**options))
        return proxy

    def with_account(self, proxy: Tinyproxy, password: str = ACCOUNT[1]) -> str:
        """The URL of a proxy with credentials."""
        return proxy.url.replace("://", f"://{ACCOUNT[0]}:{password}@")

    def test_plain(self) -> None:
        """An http upstream is reached by CONNECT as well, on loopback too if it is configured."""
        proxy = self.proxy()
        daemon = self.regcache(upstream_config(public_upstream().url, proxy=proxy.url))
        self.assert_pulls(daemon)
        self.assertEqual(set(proxy.connects()), {public_upstream().address})

    def test_basic(self) -> None:
        """With credentials it works; without, or with wrong ones, the answer names the key."""
        proxy = self.proxy(basic=ACCOUNT)
        url = public_upstream().url
        daemon = self.regcache(upstream_config(url, proxy=self.with_account(proxy)))
        self.assert_pulls(daemon)
        self.assertNotIn(ACCOUNT[1], daemon.log())
        for setting in (proxy.url, self.with_account(proxy, "wrong-word")):
            daemon = self.regcache(upstream_config(url, proxy=setting))
            self.assert_unreachable(daemon, "credentials", f"upstreams.{UPSTREAM}.proxy")
            self.assertNotIn(b"wrong-word", self.get(daemon).body)
            self.assertNotIn("wrong-word", daemon.log())

    def test_tls_inside(self) -> None:
        """TLS inside the tunnel verifies the upstream's name; the proxy alone resolves it."""
        upstream = tls_upstream()
        proxy = self.proxy(basic=ACCOUNT, hosts_file=self.hosts_file(NAME, "wrong.example"))
        settings = {"proxy": self.with_account(proxy), "ca_file": upstream.ca_file}
        daemon = self.regcache(upstream_config(upstream.url, **settings))
        answer = self.get(daemon)
        self.assertEqual(answer.status, 404, (answer.body, daemon.log()))
        wrong = upstream.url.replace(NAME, "wrong.example")
        self.assert_unreachable(self.regcache(upstream_config(wrong, **settings)), "another name")
        self.assertEqual(
            set(proxy.connects()),
            {f"{NAME}:{upstream.port}", f"wrong.example:{upstream.port}"},
        )

    def test_dead_proxy(self) -> None:
        """A proxy that is not there is told from an upstream that is not there."""
        url = f"http://127.0.0.1:{free_port()}"
        daemon = self.regcache(upstream_config(public_upstream().url, proxy=url))
        self.assert_unreachable(daemon, "no connection to the outgoing proxy")
        proxy = self.proxy()
        daemon = self.regcache(upstream_config(url, proxy=proxy.url))
        self.assert_unreachable(daemon, "the outgoing proxy answered 50")

    def named(self, **more: Any) -> dict[str, Any]:
        """An upstream whose name only the proxy, or this name server, knows."""
        return upstream_config(f"http://{NAME}:{public_port()}", **more)

    def test_environment(self) -> None:
        """The usual variables in either case, but for NO_PROXY, loopback and ``direct``."""
        names = self.closing(TinyNameServer("127.0.0.1"))
        target = f"{NAME}:{public_port()}"
        hosts = self.hosts_file(NAME)
        for variables, more, expected in (
            ({"HTTP_PROXY": "{}"}, {}, [target]),
            ({"http_proxy": "{}"}, {}, [target]),
            ({"HTTPS_PROXY": "{}"}, {}, []),
            ({"HTTP_PROXY": "{}", "NO_PROXY": "other.test,.proxy.example"}, {}, []),
            ({"http_proxy": "{}", "no_proxy": f"{NAME}:{public_port()}"}, {}, []),
            ({"HTTP_PROXY": "{}"}, {"proxy": "direct"}, []),
        ):
            proxy = Tinyproxy(hosts_file=hosts)
            try:
                self.environment(**{k: v.format(proxy.url) for k, v in variables.items()})
                daemon = self.regcache({**self.named(**more), "dns": [names.address]})
                self.assert_pulls(daemon)
                daemon.close()
                self.assertEqual(sorted(set(proxy.connects())), expected, variables)
            finally:
                proxy.close()

    def test_environment_spares_loopback(self) -> None:
        """A dead proxy in the environment does not matter to an upstream on this machine."""
        dead = f"http://127.0.0.1:{free_port()}"
        self.environment(HTTP_PROXY=dead, HTTPS_PROXY=dead)
        self.assert_pulls(self.regcache(upstream_config(public_upstream().url)))

    def test_unusable_environment(self) -> None:
        """A variable that means no HTTP proxy refuses the start; its value is not shown."""
        self.environment(HTTPS_PROXY="socks5://me:s3cret-word@127.0.0.1:1080")
        with self.assertRaises(AssertionError) as caught:
            self.regcache(upstream_config(public_upstream().url))
        told = str(caught.exception)
        self.assertIn("HTTPS_PROXY", told)
        self.assertNotIn("s3cret-word", told)


class AuthorityTests(NetworkCase):
    """``ca_file``."""

    def test_private_authority(self) -> None:
        """A certificate of a private authority is accepted with its file, and only then."""
        upstream = tls_upstream()
        url = upstream.registry.url
        daemon = self.regcache(upstream_config(url, ca_file=upstream.ca_file))
        answer = self.get(daemon)
        self.assertEqual(answer.status, 404, (answer.body, daemon.log()))
        self.assert_unreachable(self.regcache(upstream_config(url)), "TLS failed")

    def test_another_name(self) -> None:
        """A trusted authority's certificate for another name is refused."""
        upstream = tls_upstream()
        names = self.closing(TinyNameServer("127.0.0.1"))
        for host, status in ((NAME, 404), ("wrong.example", 502)):
            url = f"https://{host}:{upstream.port}"
            config = upstream_config(url, ca_file=upstream.ca_file)
            daemon = self.regcache({**config, "dns": [names.address]})
            answer = self.get(daemon)
            self.assertEqual(answer.status, status, (host, answer.body, daemon.log()))
