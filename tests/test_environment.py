"""Tests for regcache.environment."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.config.values import ProxyAddress
from regcache.environment import environment_proxies, proxy_of
from regcache.upstream.proxies import Proxy


class EnvironmentTests(SynchronousTestCase):
    """Outgoing proxies of the environment and of the configuration."""

    def test_variables(self) -> None:
        """Upper case comes before lower case, empty counts as unset, the scheme may be missing."""
        rules = environment_proxies(
            {
                "HTTPS_PROXY": "http://me:p%40ss@proxy.test:3128/",
                "https_proxy": "http://other.test:1",
                "HTTP_PROXY": " ",
                "http_proxy": "[2001:db8::1]:8080",
                "no_proxy": "a.test, 10.0.0.0/8",
                "ALL_PROXY": "socks5://x",
            }
        )
        self.assertEqual(rules.by_scheme["https"].host, "proxy.test")
        self.assertEqual(rules.by_scheme["https"].authorization, "Basic bWU6cEBzcw==")
        self.assertEqual(rules.by_scheme["http"], Proxy("2001:db8::1", 8080))
        self.assertEqual(rules.exceptions, ["a.test", "10.0.0.0/8"])

    def test_nothing_set(self) -> None:
        """Without variables there is no proxy."""
        rules = environment_proxies({"PATH": "/bin"})
        self.assertEqual((rules.by_scheme, rules.exceptions), ({}, []))

    def test_unusable(self) -> None:
        """What is no HTTP proxy is an error that names the variable, and shows no secret."""
        for value in ("socks5://me:s3cret@x:1", "https://x:1", "http://me:s3cret@", "x:99999"):
            error = self.assertRaises(ValueError, environment_proxies, {"https_proxy": value})
            self.assertTrue(str(error).startswith("https_proxy "), error)
            self.assertNotIn("s3cret", str(error))

    def test_configured(self) -> None:
        """A configured address loses its brackets; an account may lack a password."""
        self.assertEqual(proxy_of(ProxyAddress("[::1]", 3128)), Proxy("::1", 3128))
        self.assertEqual(proxy_of(ProxyAddress("x", 1, "me")).authorization, "Basic bWU6")
