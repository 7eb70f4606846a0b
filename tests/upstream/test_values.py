"""The pure parts: URLs, addresses, realms, challenges, header fields, the breaker."""

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regcache.upstream.addresses import PUBLIC, address_class
from regcache.upstream.breaker import Breaker, BreakerState, RateLimits
from regcache.upstream.challenge import Challenge, ChallengeError, parse_challenges
from regcache.upstream.credentials import FileCredentials, fingerprint, identity_of
from regcache.upstream.fields import (
    clean_text,
    content_digest,
    content_range,
    error_detail,
    is_encoded,
    media_type,
    next_link,
    ratelimit_remaining,
    retry_after,
)
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


class ChallengeTests(SynchronousTestCase):
    """RFC 9110, 11.6.1."""

    def test_table(self) -> None:
        """Well-formed headers are read, in several lines and with several challenges."""
        table: list[tuple[list[str], list[Challenge]]] = [
            (["Basic"], [Challenge("basic")]),
            (['Basic realm="x"'], [Challenge("basic", {"realm": "x"})]),
            (["Negotiate abc=="], [Challenge("negotiate")]),
            (
                ['Bearer realm="https://a/t",service="s, t",scope="repository:x:pull,push"'],
                [
                    Challenge(
                        "bearer",
                        {
                            "realm": "https://a/t",
                            "service": "s, t",
                            "scope": "repository:x:pull,push",
                        },
                    )
                ],
            ),
            (
                ["bearer Realm = tok , SERVICE=x", 'BASIC realm="a\\"b"'],
                [
                    Challenge("bearer", {"realm": "tok", "service": "x"}),
                    Challenge("basic", {"realm": 'a"b'}),
                ],
            ),
            (
                [", , Negotiate, NTLM dG9r, Basic realm=x,,"],
                [Challenge("negotiate"), Challenge("ntlm"), Challenge("basic", {"realm": "x"})],
            ),
            ([""], []),
            ([], []),
        ]
        for values, expected in table:
            self.assertEqual(parse_challenges(values), expected, values)

    def test_malformed(self) -> None:
        """What breaks the grammar or the bounds gives no challenge at all."""
        for value in (
            'Bearer realm="open',
            'Bearer realm="a" service="b"',
            'Bearer realm="a",realm="b"',
            'Bearer realm="a\x00b"',
            "=x",
            '"quoted"',
            "Bearer realm=a;b",
            "Basic " + "x" * 9000,
            ", ".join(["Basic realm=x"] * 17),
            "Digest " + ",".join(f"p{n}=x" for n in range(40)),
        ):
            self.assertRaises(ChallengeError, parse_challenges, [value])


class FieldTests(SynchronousTestCase):
    """Header fields."""

    def test_content_range(self) -> None:
        """Only a satisfied, possible byte range is read."""
        table = {
            "bytes 0-99/200": (0, 100, 200),
            "bytes 5-5/*": (5, 6, None),
            "bytes 0-0/1": (0, 1, 1),
            "bytes 100-99/200": None,
            "bytes 0-200/200": None,
            "bytes */200": None,
            "bytes 0-99": None,
            "bytes  0-9/10": None,
            "items 0-9/10": None,
            "bytes -1-9/10": None,
            "bytes +1-9/10": None,
            "bytes 0-9/10, bytes 1-2/10": None,
            "bytes 0-99999999999999999999/*": None,
            "bytes \u0660-9/10": None,
            "": None,
        }
        for value, expected in table.items():
            self.assertEqual(content_range(value), expected, value)

    def test_retry_after(self) -> None:
        """Seconds and dates are read, and kept between a second and an hour."""
        now = 1_767_225_600.0  # Thu, 01 Jan 2026 00:00:00 GMT
        table = {
            "5": 5,
            "0": 1,
            "99999": 3600,
            "": 30,
            "soon": 30,
            "-5": 30,
            "Thu, 01 Jan 2026 00:02:00 GMT": 120,
            "Thu, 01 Jan 2025 00:00:00 GMT": 1,
            "Fri, 01 Jan 2027 00:00:00 GMT": 3600,
            "Thu, 99 Jan 2026 00:00:00 GMT": 30,
            "9" * 400: 30,
        }
        for value, expected in table.items():
            self.assertEqual(retry_after(value, now), expected, value)

    def test_ratelimit_remaining(self) -> None:
        """Docker Hub's form is read with and without its window."""
        table = {"100;w=21600": 100, "7": 7, " 0 ;w=1": 0, "": None, "x": None, "-1": None}
        for value, expected in table.items():
            self.assertEqual(ratelimit_remaining(value), expected, value)

    def test_media_type(self) -> None:
        """Parameters and case are dropped, nonsense gives nothing."""
        table = {
            "Application/JSON; charset=utf-8": "application/json",
            "text/plain\x00": "",
            "text": "",
            "": "",
        }
        for value, expected in table.items():
            self.assertEqual(media_type(value), expected, value)

    def test_contradicting_digests(self) -> None:
        """Two different digests in the headers are none."""
        one, other = "sha256:" + "a" * 64, "sha256:" + "b" * 64
        self.assertEqual(str(content_digest(Headers({"Docker-Content-Digest": [one]}))), one)
        self.assertIsNone(content_digest(Headers({"Docker-Content-Digest": [one, other]})))
        self.assertIsNone(content_digest(Headers({"Docker-Content-Digest": ["md5:00"]})))

    def test_encoded(self) -> None:
        """Only identity is no encoding."""
        self.assertFalse(is_encoded(Headers({})))
        self.assertFalse(is_encoded(Headers({"Content-Encoding": ["Identity"]})))
        self.assertTrue(is_encoded(Headers({"Content-Encoding": ["identity", "gzip"]})))

    def test_next_link(self) -> None:
        """Only the link whose relation is next counts."""
        table = {
            '</v2/x/tags/list?last=a>; rel="next"': "/v2/x/tags/list?last=a",
            '<a>; rel="prev", <b>; rel=next': "b",
            '<a>; rel="prev"': None,
            "nonsense": None,
        }
        for value, expected in table.items():
            self.assertEqual(next_link([value]), expected, value)

    def test_clean_text(self) -> None:
        """A foreign message loses control and format characters, and is bounded."""
        self.assertEqual(clean_text("a\r\n\x1b[31mb\u202ec"), "a [31mb c")
        self.assertEqual(len(clean_text("x" * 5000)), 512)

    def test_error_detail(self) -> None:
        """OCI errors give their messages, text itself, and markup nothing."""
        table = {
            b'{"errors":[{"code":"DENIED","message":"no\\u0007 access"}]}': "no access",
            b'{"errors":[{"code":"DENIED"}]}': "DENIED",
            b'{"errors":[1]}': "",
            b"[" * 1000: "",
            b"plain\nwords": "plain words",
            b"<html>x</html>": "",
            b"\xff": "\ufffd",
        }
        for body, expected in table.items():
            self.assertEqual(error_detail(body), expected, body[:40])


class CredentialsTests(SynchronousTestCase):
    """Identities and their fingerprints."""

    def test_fingerprint(self) -> None:
        """It tells credentials apart, also where their concatenations agree."""
        self.assertNotEqual(fingerprint("ab", "c"), fingerprint("a", "bc"))
        self.assertEqual(len(fingerprint("ab", "c")), 16)

    def test_no_password_in_repr(self) -> None:
        """An identity does not show what it is made of."""
        self.assertNotIn("secret", repr(identity_of("me", "secret")))

    def test_file(self) -> None:
        """A password file is read again when asked to, and an unreadable one changes nothing."""
        path = self.mktemp()
        source = FileCredentials("me", path)
        self.assertIsNone(source())
        self.assertRaises(OSError, source.load)
        for password in ("one", "two"):
            with open(path, "w") as file:
                file.write(password + "\n")
            self.assertTrue(source.load())
            self.assertFalse(source.load())
            self.assertEqual(source(), ("me", password))


class BreakerTests(SynchronousTestCase):
    """The state machine of one URL."""

    def setUp(self) -> None:
        self.now = 0.0
        self.states: list[BreakerState] = []
        self.breaker = Breaker(lambda: self.now, lambda: 0.0, self.states.append)

    def fail(self, times: int = 1) -> None:  # type: ignore[override]
        """Let requests fail."""
        for _ in range(times):
            self.assertIsNone(self.breaker.admit())
            self.breaker.failed()

    def test_opens_after_three_in_a_row(self) -> None:
        """A success in between starts the count anew."""
        self.fail(2)
        self.breaker.succeeded()
        self.fail(2)
        self.assertIs(self.breaker.state, BreakerState.CLOSED)
        self.fail()
        self.assertIs(self.breaker.state, BreakerState.OPEN)
        self.assertEqual(self.breaker.admit(), 5)

    def test_single_probe(self) -> None:
        """After its rest one request passes, and no second one beside it."""
        self.fail(3)
        self.now = 5.0
        self.assertIsNone(self.breaker.admit())
        self.assertEqual(self.breaker.admit(), 1)
        self.breaker.succeeded()
        self.assertIsNone(self.breaker.admit())

    def test_abandoned_probe(self) -> None:
        """A probe that is cancelled leaves its place to the next one."""
        self.fail(3)
        self.now = 5.0
        self.assertIsNone(self.breaker.admit())
        self.breaker.abandoned()
        self.assertIsNone(self.breaker.admit())

    def test_doubles_to_a_minute(self) -> None:
        """Each failed probe doubles the rest, up to sixty seconds; success resets it."""
        self.fail(3)
        rests = []
        for _ in range(6):
            rest = self.breaker.refusal()
            assert rest is not None
            rests.append(rest)
            self.now += rest
            self.fail()
        self.assertEqual(rests, [5, 10, 20, 40, 60, 60])
        self.now += 60
        self.assertIsNone(self.breaker.admit())
        self.breaker.succeeded()
        self.fail(3)
        self.assertEqual(self.breaker.refusal(), 5)

    def test_late_failures(self) -> None:
        """Requests that were under way when it opened make it rest no longer."""
        self.fail(3)
        self.breaker.failed()
        self.assertEqual(self.breaker.refusal(), 5)

    def test_jitter(self) -> None:
        """Chance shortens the rest by at most a fifth."""
        breaker = Breaker(lambda: self.now, lambda: 0.999, self.states.append)
        for _ in range(3):
            breaker.failed()
        self.now = 3.9
        self.assertEqual(breaker.refusal(), 1)
        self.now = 4.1
        self.assertIsNone(breaker.refusal())

    def test_tells_states(self) -> None:
        """The first answer and every change are told, once."""
        self.breaker.succeeded()
        self.breaker.succeeded()
        self.fail(3)
        self.now = 5.0
        self.breaker.admit()
        self.breaker.succeeded()
        closed, opened, half = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
        self.assertEqual(self.states, [closed, opened, half, closed])

    def test_rate_limits(self) -> None:
        """A Retry-After runs for the identity that got it, and ends; the table is bounded."""
        limits = RateLimits(lambda: self.now)
        limits.limited("me", 10)
        self.assertEqual(limits.remaining("me"), 10)
        self.assertIsNone(limits.remaining(""))
        self.now = 10.0
        self.assertIsNone(limits.remaining("me"))
        for number in range(1000):
            limits.limited(str(number), 10)
        self.assertLessEqual(len(limits._until), 64)
