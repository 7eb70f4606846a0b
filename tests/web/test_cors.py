"""What pages of other origins may do."""

import json
import time

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.access import Access
from regcache.access.grants import Action, Grant, Rule, Rules
from regcache.access.own_tokens import OwnTokens
from regcache.access.passwords import Passwords
from regcache.digests import Digest
from regcache.media_types import OCI_MANIFEST
from tests.access.accounts import basic, hashed
from tests.support.front import Front, Setting
from tests.support.pools import ImmediatePool
from tests.support.web_client import Answer
from tests.test_manifest_body import image

UI = "https://ui.example.com"
IMAGE = json.dumps(image()).encode()
LARGE = json.dumps(image(annotations={"a": "b" * 70_000})).encode()
TAG = "/v2/org/app/manifests/1"


class CorsCase(SynchronousTestCase):
    """One image behind some origins."""

    origins: tuple[str, ...] = (UI, "http://localhost:8080")
    access: Access | None = None

    def setUp(self) -> None:
        setting = Setting(origins=self.origins, access=self.access, private=bool(self.access))
        self.front = Front(self.mktemp(), setting)
        self.front.clock.advance(time.time() - self.front.clock.seconds())
        self.addCleanup(self.front.stop)
        self.front.main.add_manifest("org/app", "1", IMAGE, OCI_MANIFEST)
        self.front.main.add_manifest("org/app", "large", LARGE, OCI_MANIFEST)

    def ask(self, method: str, target: str, *origins: str, more: str = "") -> Answer:
        """Ask as a page does."""
        lines = [f"Origin: {origin}" for origin in origins]
        return self.front.ask(method, target, *lines, *([more] if more else []))

    def vary(self, target: str, method: str = "GET") -> set[str]:
        """All that an answer says to depend on."""
        client = self.front.begin(method, target, f"Origin: {UI}")
        self.front.caches.run()
        head = client.raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        client.leave()
        return {line.partition(": ")[2] for line in head if line.startswith("Vary: ")}


class ExactTests(CorsCase):
    """Exact origins."""

    def test_allowed(self) -> None:
        """Such a page may send credentials, and read what it needs of the answer."""
        for origin in self.origins:
            answer = self.ask("GET", TAG, origin)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.headers["access-control-allow-origin"], origin)
            self.assertEqual(answer.headers["access-control-allow-credentials"], "true")
            exposed = answer.headers["access-control-expose-headers"].split(", ")
            for name in ("Docker-Content-Digest", "Link", "WWW-Authenticate", "Content-Length"):
                self.assertIn(name, exposed)

    def test_preflight(self) -> None:
        """What browsers ask before is answered without a login, for DELETE too."""
        answer = self.ask("OPTIONS", TAG, UI, more="Access-Control-Request-Method: DELETE")
        self.assertEqual((answer.status, answer.body), (204, b""))
        headers = answer.headers
        self.assertEqual(headers["access-control-allow-methods"], "GET, HEAD, DELETE, OPTIONS")
        self.assertIn("Authorization", headers["access-control-allow-headers"].split(", "))
        self.assertEqual(headers["access-control-allow-credentials"], "true")
        self.assertEqual(self.front.main.requests, [])

    def test_errors(self) -> None:
        """A page can read why it was refused."""
        for target, status in (("/v2/org/app/manifests/2", 404), ("/v2/UPPER/tags/list", 400)):
            answer = self.ask("GET", target, UI)
            self.assertEqual(answer.status, status)
            self.assertEqual(answer.headers["access-control-allow-origin"], UI)

    def test_others(self) -> None:
        """An origin that differs in any character is another one."""
        for origin in (
            "null",
            "https://ui.example.com.evil.test",
            "https://evil.test/https://ui.example.com",
            "https://evil-ui.example.com",
            "https://UI.example.com",
            "HTTPS://ui.example.com",
            "http://ui.example.com",
            "https://ui.example.com:8443",
            "https://ui.example.com:443",
            "https://ui.example.com/",
            "https://ui.example.com.",
            "http://localhost",
            "*",
            "",
        ):
            answer = self.ask("GET", TAG, origin)
            self.assertEqual(answer.status, 200, origin)
            for name in answer.headers:
                self.assertFalse(name.startswith("access-control"), (origin, name))
            answer = self.ask("OPTIONS", TAG, origin, more="Access-Control-Request-Method: GET")
            self.assertEqual(answer.status, 405, origin)

    def test_several(self) -> None:
        """Two lines of Origin are no origin."""
        answer = self.ask("GET", TAG, UI, UI)
        self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_vary(self) -> None:
        """Caches are told, with an Origin or without one, beside what else an answer depends on."""
        for target in (TAG, "/v2/org/app/manifests/large"):
            for method in ("GET", "HEAD", "GET"):
                self.assertEqual(self.vary(target, method), {"Origin", "Accept"}, target)
        self.assertEqual(self.front.get("/v2/").headers["vary"], "Origin")

    def test_other_paths(self) -> None:
        """Nothing else than the distribution API and its tokens is for pages."""
        for target in ("/", "/api/v1/status", "/v2x/", "/healthz", "/metrics"):
            for method in ("GET", "OPTIONS"):
                answer = self.ask(method, target, UI)
                self.assertNotIn("access-control-allow-origin", answer.headers, target)


class AnyTests(CorsCase):
    """``"*"``."""

    origins = ("*",)

    def test_any(self) -> None:
        """Any page may read, without credentials."""
        for origin in (UI, "null", "http://evil.test"):
            answer = self.ask("GET", TAG, origin)
            self.assertEqual(answer.headers["access-control-allow-origin"], "*")
            self.assertNotIn("access-control-allow-credentials", answer.headers)
            self.assertEqual(self.vary(TAG), {"Accept"})

    def test_preflight(self) -> None:
        """Neither DELETE nor credentials."""
        answer = self.ask("OPTIONS", TAG, UI, more="Access-Control-Request-Method: DELETE")
        self.assertEqual(answer.status, 204)
        headers = answer.headers
        self.assertEqual(headers["access-control-allow-methods"], "GET, HEAD, OPTIONS")
        self.assertNotIn("Authorization", headers["access-control-allow-headers"])
        self.assertNotIn("access-control-allow-credentials", headers)

    def test_beside_exact_ones(self) -> None:
        """An exact origin beside it keeps what is its own."""
        self.origins = ("*", UI)
        self.setUp()
        allowed = [
            self.ask("GET", TAG, origin).headers["access-control-allow-origin"]
            for origin in (UI, "http://evil.test")
        ]
        self.assertEqual(allowed, [UI, "*"])
        self.assertEqual(self.vary(TAG), {"Accept", "Origin"})


class NoneTests(CorsCase):
    """Nothing is configured."""

    origins = ()

    def test_as_ever(self) -> None:
        """Nothing is different."""
        answer = self.ask("GET", TAG, UI)
        self.assertNotIn("access-control-allow-origin", answer.headers)
        self.assertEqual(self.vary(TAG), {"Accept"})
        self.assertEqual(self.ask("OPTIONS", TAG, UI).status, 405)


class AccessTests(CorsCase):
    """Where an account is needed."""

    def setUp(self) -> None:
        """Alice may pull."""
        clock = Clock()
        clock.advance(time.time())
        rule = Rule(frozenset({"*"}), Grant(frozenset({Action.PULL})))
        self.access = Access(
            Rules(True, ["admin"], [rule]),
            Passwords(ImmediatePool(), clock),
            OwnTokens(b"k" * 32, 300),
            clock,
        )
        self.access.replace_accounts({"alice": hashed("secret")})
        super().setUp()

    def test_challenge(self) -> None:
        """A page sees that it has to log in, and a preflight does not have to."""
        answer = self.ask("GET", TAG, UI)
        self.assertEqual(answer.status, 401)
        self.assertEqual(answer.headers["access-control-allow-origin"], UI)
        self.assertIn("www-authenticate", answer.headers)
        self.assertEqual(self.ask("OPTIONS", TAG, UI).status, 204)

    def test_login(self) -> None:
        """With credentials it gets what they give, and no more."""
        more = f"Authorization: {basic('alice', 'secret')}"
        self.assertEqual(self.ask("GET", TAG, UI, more=more).status, 200)
        digest = Digest.of(IMAGE)
        target = f"/v2/org/app/manifests/{digest}"
        self.assertEqual(self.ask("DELETE", target, UI, more=more).status, 403)

    def test_token(self) -> None:
        """The realm is for pages, too."""
        answer = self.ask("GET", "/token?service=localhost", UI)
        self.assertEqual(answer.headers["access-control-allow-origin"], UI)
