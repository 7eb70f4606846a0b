"""URLs, addresses and realms."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.upstream.addresses import PUBLIC, address_class
from regcache.upstream.realm import RealmRefusedError, checked_realm
from regcache.upstream.urls import InvalidUrlError, Origin, join_url, parse_url


class UrlTests(SynchronousTestCase):
    """Reading URLs."""

    def test_usable(self) -> None:
        """A usable URL is normalised: lower-case host, its port given, no fragment."""
        table = {
            "https://Registry.Example": "https://registry.example:443/",
            "http://host:5000/a/b?x=1#frag": "http://host:5000/a/b?x=1",
            "https://[2001:db8::1]/v2/": "https://[2001:db8::1]:443/v2/",
            "https://foo_bar.example./": "https://foo_bar.example.:443/",
        }
        for text, expected in table.items():
            self.assertEqual(parse_url(text).text(), expected)

    def test_unusable(self) -> None:
        """User information, other schemes, odd characters and odd hosts are refused."""
        for text in (
            "https://user@host/",
            "https://user:pass@host/",
            "ftp://host/",
            "//host/",
            "/path",
            "https:///path",
            "https://host:0/",
            "https://host:70000/",
            "https://host:/",
            "https://ho st/",
            "https://host/a\nb",
            "https://host\\@evil/",
            "https://exämple/",
            "https://ho%41st/",
            "https://[::1/",
            "https://-x.example/",
            "https://host/" + "a" * 20000,
            "",
        ):
            self.assertRaises(InvalidUrlError, parse_url, text)

    def test_join(self) -> None:
        """A reference is resolved against the URL that gave it."""
        base = parse_url("https://cdn.example/a/b?sig=1")
        table = {
            "c": "https://cdn.example:443/a/c",
            "/two": "https://cdn.example:443/two",
            "//evil.example/x": "https://evil.example:443/x",
            "?y=2": "https://cdn.example:443/a/b?y=2",
        }
        for reference, expected in table.items():
            self.assertEqual(join_url(base, reference).text(), expected)
        for reference in ("", "javascript:alert(1)", "https://a@b/", "https://[", "/a b"):
            self.assertRaises(InvalidUrlError, join_url, base, reference)

    def test_no_signature_in_repr(self) -> None:
        """The text of a URL as it may end up in a log has neither path nor signature."""
        url = parse_url("https://cdn.example/blob?X-Amz-Signature=abc")
        self.assertNotIn("Signature", f"{url!r} {url}")


class AddressTests(SynchronousTestCase):
    """Classes of addresses."""

    def test_classes(self) -> None:
        """Every forbidden kind of address is known, carried inside IPv6 too."""
        table = {
            "127.0.0.1": "loopback",
            "127.255.0.9": "loopback",
            "0.0.0.0": "unspecified",
            "169.254.169.254": "link-local",
            "10.1.2.3": "private",
            "172.16.0.1": "private",
            "172.31.255.255": "private",
            "192.168.1.1": "private",
            "100.64.0.1": "shared",
            "100.127.255.255": "shared",
            "224.0.0.1": "multicast",
            "240.0.0.1": "reserved",
            "255.255.255.255": "broadcast",
            "::": "unspecified",
            "::1": "loopback",
            "fe80::1": "link-local",
            "fe80::1%eth0": "link-local",
            "fd00::1": "unique-local",
            "ff02::1": "multicast",
            "::ffff:127.0.0.1": "loopback",
            "::ffff:10.0.0.1": "private",
            "::127.0.0.1": "loopback",
            "::ffff:0:127.0.0.1": "loopback",
            "64:ff9b::a9fe:a9fe": "link-local",
            "64:ff9b::7f00:1": "loopback",
            "64:ff9b:1::1": "reserved",
            "2002:7f00:1::": "loopback",
            "2002:c0a8:101::5": "private",
            "2001:0:1::1": "reserved",
        }
        for address, expected in table.items():
            self.assertEqual(address_class(address), expected, address)

    def test_public(self) -> None:
        """Ordinary addresses are public, and those that local proxies use for names."""
        for address in (
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "2606:4700::1111",
            "64:ff9b::808:808",
            "2002:808:808::",
        ):
            self.assertEqual(address_class(address), PUBLIC, address)

    def test_no_address(self) -> None:
        """A name has no class."""
        self.assertRaises(ValueError, address_class, "localhost")


class RealmTests(SynchronousTestCase):
    """CVE-2026-33540: where a token realm may be."""

    own = Origin("https", "registry.github.io", 443)

    def test_cve_2026_33540_refused(self) -> None:
        """Other host, port, scheme, IP, userinfo, no scheme and sibling domain are refused."""
        for realm in (
            "https://evil.example/token",
            "https://registry.github.io:8443/token",
            "http://registry.github.io/token",
            "https://203.0.113.9/token",
            "https://user@registry.github.io/token",
            "https://registry.github.io@evil.example/",
            "//registry.github.io/token",
            "https://evil.github.io/token",
            "https://registry.github.io.evil.example/token",
            "https://auth.test.evil.example/token",
            "http://auth.test/token",
            "https://auth.test@evil.example/",
            "https://port.test/token",
            "token",
            "",
        ):
            self.assertRaises(
                RealmRefusedError, checked_realm, realm, self.own, ["auth.test", "port.test:99"]
            )

    def test_accepted(self) -> None:
        """The upstream's own host and port, and the configured hosts, are accepted."""
        for realm in (
            "https://registry.github.io/token",
            "https://REGISTRY.github.io:443/token?x=1",
            "https://auth.test/token",
            "https://auth.test:8443/token",
            "https://port.test:99/token",
        ):
            checked_realm(realm, self.own, ["Auth.test", "port.test:99"])

    def test_as_plain_as_the_upstream(self) -> None:
        """A realm may be plain http where the upstream's own URL is."""
        own = Origin("http", "127.0.0.1", 5000)
        checked_realm("http://127.0.0.1:5000/token", own, [])
        checked_realm("http://127.0.0.1:5001/token", own, ["127.0.0.1:5001"])
        with self.assertRaises(RealmRefusedError):
            checked_realm("http://127.0.0.1:5001/token", own, [])
