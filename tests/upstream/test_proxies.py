"""Which proxy a connection goes through."""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.upstream.proxies import (
    DIRECT,
    EnvironmentProxies,
    FixedProxy,
    IProxyRules,
    Proxy,
    bypasses,
    exceptions_of,
)
from regcache.upstream.urls import Origin, parse_url

PROXY = Proxy.make("127.0.0.1", 3128, "me", "s3cret")


def origin(url: str) -> Origin:
    """The origin of a URL."""
    return parse_url(url).origin


class RuleTests(SynchronousTestCase):
    """Rules."""

    def test_fixed(self) -> None:
        """One proxy for everything, or none."""
        for rules, expected in ((FixedProxy(PROXY), PROXY), (DIRECT, None)):
            self.assertTrue(verifyObject(IProxyRules, rules))
            for url in ("https://a.test/", "http://127.0.0.1:5000/"):
                self.assertIs(rules.proxy_for(origin(url)), expected)

    def test_environment(self) -> None:
        """Each scheme has its variable; this machine itself is never asked for elsewhere."""
        other = Proxy("proxy.test", 8080)
        rules = EnvironmentProxies({"https": PROXY, "http": other}, ["inside.test"])
        self.assertTrue(verifyObject(IProxyRules, rules))
        for url, expected in (
            ("https://a.test/", PROXY),
            ("http://a.test/", other),
            ("https://10.0.0.1/", PROXY),
            ("https://inside.test/", None),
            ("https://localhost/", None),
            ("http://x.localhost.:5000/", None),
            ("http://127.0.0.1:5000/", None),
            ("http://127.8.8.8/", None),
            ("https://[::1]/", None),
            ("https://[::ffff:127.0.0.1]/", None),
        ):
            self.assertIs(rules.proxy_for(origin(url)), expected, url)
        self.assertIsNone(EnvironmentProxies({"https": PROXY}).proxy_for(origin("http://a.test/")))

    def test_no_proxy(self) -> None:
        """What an entry of NO_PROXY means."""
        for entry, url, expected in (
            ("*", "https://a.test/", True),
            ("a.test", "https://a.test/", True),
            ("a.test", "https://b.a.test/", True),
            ("a.test", "https://ba.test/", False),
            ("a.test", "https://a.test./", True),
            (".a.test", "https://a.test/", False),
            (".a.test", "https://b.a.test/", True),
            ("*.a.test", "https://b.a.test/", True),
            ("*.a.test", "https://a.test/", False),
            ("a.test:443", "https://a.test/", True),
            ("a.test:5000", "https://a.test/", False),
            ("10.0.0.0/8", "https://10.9.9.9/", True),
            ("10.0.0.0/8", "https://11.0.0.1/", False),
            ("10.0.0.0/8", "https://a.test/", False),
            ("nonsense/8", "https://a.test/", False),
            ("10.0.0.1", "https://10.0.0.1/", True),
            ("10.0.0.1:80", "https://10.0.0.1/", False),
            ("fd00::/8", "https://[fd00::1]/", True),
            ("fd00::1", "https://[fd00:0::1]/", True),
            ("[fd00::1]:443", "https://[fd00::1]/", True),
            ("[fd00::1]:80", "https://[fd00::1]/", False),
        ):
            self.assertEqual(bypasses(entry, origin(url)), expected, (entry, url))
        self.assertEqual(exceptions_of(" A.test, ,.b.test,"), ["a.test", ".b.test"])
        self.assertEqual(exceptions_of(""), [])

    def test_no_password_in_repr(self) -> None:
        """Credentials are not shown."""
        self.assertEqual(PROXY.authorization, "Basic bWU6czNjcmV0")
        self.assertNotIn("bWU6", repr(PROXY))
