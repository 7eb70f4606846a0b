"""From http to https."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.health import HealthPages
from regcache.web.redirect import MAX_CHALLENGE_BYTES, RedirectDispatch, read_challenge
from tests.support.pools import ImmediatePool
from tests.support.web_client import Answer, MemoryClient, make_site

PREFIX = "/.well-known/acme-challenge/"


class RedirectCase(SynchronousTestCase):
    """A listener that redirects."""

    def setUp(self) -> None:
        self.webroot = Path(self.mktemp())
        self.folder = self.webroot / ".well-known" / "acme-challenge"
        self.folder.mkdir(parents=True)
        self.pool = ImmediatePool()
        redirect = RedirectDispatch(str(self.webroot), self.pool)
        self.site = make_site(HealthPages(lambda: []).before(redirect))

    def get(self, target: str, *lines: str, host: str | None = "a.test", method: str = "GET",
            version: str = "1.1") -> Answer:  # fmt: skip
        """The answer to a request."""
        client = MemoryClient(self.site)
        return client.request(method, target, *lines, host=host, version=version).answer()


class RedirectTests(RedirectCase):
    """Everything goes to https."""

    def test_location(self) -> None:
        """The target is kept, the port is not."""
        for host, target, location in (
            ("a.test", "/", "https://a.test/"),
            ("A.test:80", "/v2/a/tags/list?n=5&last=x", "https://a.test/v2/a/tags/list?n=5&last=x"),
            ("a.test.:8080", "/%2e", "https://a.test/%2e"),
            ("10.0.0.1:80", "/", "https://10.0.0.1/"),
            ("[::1]:80", "/", "https://[::1]/"),
            ("a.test", "//evil.test/x", "https://a.test//evil.test/x"),
            ("a.test", "/\\evil.test", "https://a.test/%5Cevil.test"),
            ("a.test", "/?\"><script>'", "https://a.test/?%22%3E%3Cscript%3E%27"),
            ("a.test", "/{}|^`#", "https://a.test/%7B%7D%7C%5E%60%23"),
        ):
            answer = self.get(target, host=host)
            self.assertEqual((answer.status, answer.headers["location"]), (308, location))
            self.assertEqual(answer.body, b"Use https.\n")

    def test_methods(self) -> None:
        """308 keeps the method, so every method is redirected."""
        self.assertEqual(self.get("/", method="POST").status, 308)

    def test_not_redirected(self) -> None:
        """Without one valid Host, or with another form of target, there is nothing to go to."""
        for target, host, version in (
            ("http://evil.test/", "a.test", "1.1"),
            ("*", "a.test", "1.1"),
            ("/", None, "1.0"),
            ("/", None, "1.1"),
            ("/", "", "1.1"),
            ("/", "a<b", "1.1"),
            ("/", "a.test/x?", "1.1"),
            ("/", "a@b", "1.1"),
        ):
            answer = self.get(target, host=host, version=version)
            self.assertEqual(answer.status, 400, (target, host))
            self.assertNotIn("location", answer.headers)
            self.assertNotIn(b"evil", answer.body)
        self.assertEqual(self.get("/", "Host: b.test").status, 400)

    def test_no_header_injection(self) -> None:
        """An encoded line end stays encoded."""
        answer = self.get("/%0d%0aSet-Cookie:x")
        self.assertEqual(answer.headers["location"], "https://a.test/%0d%0aSet-Cookie:x")

    def test_health(self) -> None:
        """Health is answered here too."""
        self.assertEqual(self.get("/healthz").body, b"ok\n")


class ChallengeTests(RedirectCase):
    """ACME challenges (RFC 8555, 8.3)."""

    def test_challenge(self) -> None:
        """A challenge is read from the webroot, in the pool."""
        (self.folder / "to-Ken_1").write_bytes(b"to-Ken_1.thumb")
        self.assertEqual(self.get(PREFIX + "to-Ken_1").body, b"to-Ken_1.thumb")
        self.assertEqual(self.pool.jobs, [read_challenge])

    def test_not_found(self) -> None:
        """Nothing but a token of a small file there is answered."""
        (self.webroot / "outside").write_bytes(b"secret")
        (self.folder / "folder").mkdir()
        (self.folder / "link").symlink_to(self.webroot / "outside")
        (self.folder / "big").write_bytes(b"x" * (MAX_CHALLENGE_BYTES + 1))
        os.mkfifo(self.folder / "pipe")
        (self.folder / ".hidden").write_bytes(b"secret")
        for token in ("", "missing", "folder", "link", "big", "pipe", ".hidden", "../outside",
                      "..%2foutside", "../../outside", "a/b", "to%6ben", "x" * 300):  # fmt: skip
            answer = self.get(PREFIX + token)
            self.assertEqual((answer.status, answer.body), (404, b"Not found.\n"), token)

    def test_without_webroot(self) -> None:
        """Without a webroot challenges are redirected like all else."""
        self.site.dispatch = RedirectDispatch()
        self.assertEqual(self.get(PREFIX + "x").status, 308)

    def test_unreadable(self) -> None:
        """A fault of the disk is a fault of ours, and logged."""
        (self.webroot / "file").write_bytes(b"")
        self.assertRaises(OSError, read_challenge, str(self.webroot / ("x" * 300)))
