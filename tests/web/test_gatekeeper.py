"""Who gets what, over every way of addressing, as a client sees it."""

import json
import time
from typing import Any
from urllib.parse import quote

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.access import Access
from regcache.access.attempts import MOST_WRONG
from regcache.access.grants import Action, Grant, Rule, Rules
from regcache.access.own_tokens import OwnTokens
from regcache.access.passwords import Passwords
from regcache.access.scopes import MOST_SCOPES
from regcache.digests import Digest
from regcache.media_types import OCI_MANIFEST
from tests.access.accounts import basic, hashed
from tests.support.front import MAIN, OTHER, Front, Setting
from tests.support.pools import ImmediatePool
from tests.support.registries import FakeRegistry
from tests.support.web_client import Answer, MemoryClient
from tests.test_manifest_body import image

OPEN, CLOSED = "library/app", "org/app"
ANYBODY = Rule(frozenset({"anonymous"}), Grant(frozenset({Action.PULL}), None, ("library/*",)))
ACCOUNTS = Rule(frozenset({"*"}), Grant(frozenset({Action.PULL})))
ALICE, WRONG = basic("alice", "secret"), basic("alice", "wrong")
IMAGE = json.dumps(image()).encode()


class GatekeeperCase(SynchronousTestCase):
    """Anybody may pull library/*, and alice everything."""

    rules: tuple[Rule, ...] = (ANYBODY, ACCOUNTS)

    def setUp(self) -> None:
        clock = Clock()
        clock.advance(time.time())
        self.access = Access(
            Rules(True, [], self.rules),
            Passwords(ImmediatePool(), clock),
            OwnTokens(b"k" * 32, 300),
            clock,
        )
        self.access.replace_accounts({"alice": hashed("secret")})
        self.front = Front(self.mktemp(), Setting(private=True, access=self.access))
        self.front.clock.advance(time.time() - self.front.clock.seconds())
        self.addCleanup(self.front.stop)

    def put(self, repository: str, upstream: FakeRegistry | None = None) -> Digest:
        """An upstream, the main one by default, has an image."""
        return (upstream or self.front.main).add_manifest(repository, "latest", IMAGE, OCI_MANIFEST)

    def get(self, target: str, credentials: str = "", **where: str) -> Answer:
        """GET with or without credentials."""
        lines = [f"Authorization: {credentials}"] if credentials else []
        return self.front.get(target, *lines, **where)

    def challenge(self, answer: Answer) -> str:
        """The challenge of a refusal."""
        self.assertEqual(answer.status, 401)
        self.assertEqual(json.loads(answer.body)["errors"][0]["code"], "UNAUTHORIZED")
        return answer.headers["www-authenticate"]


class RefusalTests(GatekeeperCase):
    """Everything is decided in one place, before anything is looked up."""

    def ways(self, repository: str) -> list[tuple[str, str]]:
        """The ways to address a repository of the main upstream: by prefix, host and query."""
        return [
            (f"/v2/{repository}/manifests/latest", "localhost"),
            (f"/v2/{repository}/manifests/latest", "main.example.com"),
            (f"/v2/{repository}/manifests/latest?ns={MAIN}", "mirror.example.com"),
            (f"/v2/{MAIN}/{repository}/manifests/latest", "localhost"),
        ]

    def test_every_way(self) -> None:
        """A rule counts for every form of the repository's address, without a request upstream."""
        for target, host in self.ways(CLOSED):
            answer = self.get(target, host=host)
            self.assertEqual(answer.status, 401, target)
        self.assertEqual(self.front.main.requests, [])

    def test_every_kind(self) -> None:
        """Manifests, blobs, tags and referrers are refused alike, to GET and HEAD."""
        digest = "sha256:" + "a" * 64
        for tail in (
            "manifests/latest",
            f"manifests/{digest}",
            f"blobs/{digest}",
            "tags/list",
            f"referrers/{digest}",
        ):
            for method in ("GET", "HEAD"):
                answer = self.front.ask(method, f"/v2/{CLOSED}/{tail}")
                self.assertEqual(answer.status, 401, (method, tail))
                self.assertIn('scope="repository:org/app:pull"', answer.headers["www-authenticate"])
        self.assertEqual(self.front.main.requests, [])

    def test_cached(self) -> None:
        """What is in the cache, and in memory, is for those who may have it only."""
        digest = self.put(CLOSED)
        for reference in ("latest", digest):
            target = f"/v2/{CLOSED}/manifests/{reference}"
            for _ in range(2):
                self.assertEqual(self.get(target, ALICE).status, 200)
            for _ in range(2):
                self.assertEqual(self.get(target).status, 401)
            self.assertEqual(self.get(target, WRONG).status, 401)

    def test_private(self) -> None:
        """Shared caches keep nothing of it."""
        self.put(OPEN)
        answer = self.get(f"/v2/{OPEN}/manifests/latest")
        self.assertEqual(answer.status, 200)
        self.assertIn("no-cache", answer.headers["cache-control"])

    def test_wrong_where_anybody_may(self) -> None:
        """Wrong credentials count as none where anybody may pull, and that is noted."""
        self.put(OPEN)
        self.assertEqual(self.get(f"/v2/{OPEN}/manifests/latest", WRONG).status, 200)
        self.assertEqual([each.wrong for each in self.front.passed_over], [True])

    def test_pull_secrets(self) -> None:
        """Wrong logins that count as none are no attempts, until they are shown elsewhere."""
        self.put(OPEN)
        logins = [basic(f"node{number}", "secret") for number in range(2 * MOST_WRONG)]
        for login in logins:
            self.assertEqual(self.get(f"/v2/{OPEN}/manifests/latest", login).status, 200)
            target = f"/token?service=localhost&scope=repository:{OPEN}:pull"
            self.assertEqual(self.get(target, login).status, 200)
        found = [self.get("/v2/", login).status for login in logins]
        self.assertEqual(found, [401] * MOST_WRONG + [429] * MOST_WRONG)
        self.assertEqual(self.get("/v2/", basic("new", "x")).status, 429)
        self.assertEqual(self.get(f"/v2/{OPEN}/manifests/latest").status, 200)

    def test_wrong_token(self) -> None:
        """A wrong token is refused where anybody may pull, too."""
        self.put(OPEN)
        for target in (f"/v2/{OPEN}/manifests/latest", f"/v2/{OPEN}/tags/list", "/v2/_catalog"):
            self.assertEqual(self.get(target, "Bearer a.b.c").status, 401, target)
        self.assertEqual(self.front.passed_over, [])

    def test_two_credentials(self) -> None:
        """Two Authorization lines are no credentials that hold."""
        lines = (f"Authorization: {ALICE}", f"Authorization: {ALICE}")
        self.assertEqual(self.front.get(f"/v2/{CLOSED}/manifests/1", *lines).status, 401)

    def test_account_denied(self) -> None:
        """An account that may not is denied, whether the thing exists or not."""
        rule = Rule(frozenset({"alice"}), Grant(frozenset({Action.PULL}), frozenset({OTHER})))
        self.rules = (rule,)
        self.setUp()
        for tag in ("latest", "missing"):
            answer = self.get(f"/v2/{CLOSED}/manifests/{tag}", ALICE)
            self.assertEqual(answer.status, 403)
            self.assertEqual(json.loads(answer.body)["errors"][0]["code"], "DENIED")

    def test_recorded(self) -> None:
        """The access log has the account."""
        self.put(CLOSED)
        self.get(f"/v2/{CLOSED}/manifests/latest", ALICE)
        self.assertEqual(self.front.records.records[-1].account, "alice")


class PingTests(GatekeeperCase):
    """``/v2/``: how clients find out."""

    def test_mixed(self) -> None:
        """Where anybody may pull something the ping leads to our realm, and checks a login."""
        self.assertEqual(
            self.challenge(self.get("/v2/", host="main.example.com:8443")),
            'Bearer realm="http://main.example.com:8443/token",service="main.example.com:8443"',
        )
        self.assertEqual(self.get("/v2/", ALICE).status, 200)
        self.assertEqual(self.get("/v2/", WRONG).status, 401)

    def test_closed(self) -> None:
        """Where nobody may pull anything without an account: Basic."""
        self.rules = ()
        self.setUp()
        for target in ("/v2/", f"/v2/{CLOSED}/manifests/latest", "/v2/_catalog", "/token"):
            self.assertEqual(self.challenge(self.get(target)), 'Basic realm="Registry Realm"')
        self.assertEqual(self.get("/v2/", ALICE).status, 200)

    def test_other_host(self) -> None:
        """No realm is named on a host that is none of ours."""
        answer = self.get("/v2/", host="evil.example.org")
        self.assertTrue(self.challenge(answer).startswith("Basic "))


class TokenTests(GatekeeperCase):
    """A client that asks for /v2/ first."""

    def token(self, *scopes: str, credentials: str = "", **where: str) -> Any:
        """What the realm gives."""
        query = "&".join(["service=localhost", *(f"scope={quote(each)}" for each in scopes)])
        answer = self.get(f"/token?{query}", credentials, **where)
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.headers["cache-control"], "no-store")
        return json.loads(answer.body)

    def test_anonymous(self) -> None:
        """Who has no account gets a token that pulls what anybody may."""
        self.put(OPEN)
        token = self.token(f"repository:{OPEN}:pull")["token"]
        self.assertEqual(self.get(f"/v2/{OPEN}/manifests/latest", f"Bearer {token}").status, 200)
        self.assertEqual(self.get("/v2/", f"Bearer {token}").status, 200)
        refused = self.get(f"/v2/{CLOSED}/manifests/latest", f"Bearer {token}")
        self.assertIn('scope="repository:org/app:pull"', self.challenge(refused))

    def test_account(self) -> None:
        """An account gets one that pulls what it asked for and may."""
        self.put(CLOSED)
        token = self.token(f"repository:{CLOSED}:pull,push", credentials=ALICE)["token"]
        self.assertEqual(self.get(f"/v2/{CLOSED}/manifests/latest", f"Bearer {token}").status, 200)
        target = f"/v2/{CLOSED}/manifests/latest"
        self.assertEqual(self.get(target, f"Bearer {token}", host="main.example.com").status, 401)

    def test_prefix(self) -> None:
        """A token for one name is nothing for the same repository name elsewhere."""
        self.put(CLOSED, self.front.other)
        token = self.token(f"repository:{CLOSED}:pull", credentials=ALICE)["token"]
        answer = self.get(f"/v2/{OTHER}/{CLOSED}/manifests/latest", f"Bearer {token}")
        self.assertIn(f'scope="repository:{OTHER}/org/app:pull"', self.challenge(answer))

    def test_namespace(self) -> None:
        """A token serves who names the upstream by ``ns``, of which the realm is told nothing."""
        rule = Rule(frozenset({"alice"}), Grant(frozenset({Action.PULL}), frozenset({OTHER})))
        self.rules = (ANYBODY, rule)
        self.setUp()
        self.put(CLOSED)
        self.put(CLOSED, self.front.other)
        target = f"/v2/{CLOSED}/manifests/latest"
        for credentials, expected in ((ALICE, 200), ("", 401)):
            token = self.token(f"repository:{CLOSED}:pull", credentials=credentials)["token"]
            shown = f"Bearer {token}"
            self.assertEqual(self.get(f"{target}?ns={OTHER}", shown).status, expected)
            self.assertIn(self.get(target, shown).status, (401, 403))
            named = self.get(f"/v2/{OTHER}/{CLOSED}/manifests/latest", shown)
            self.assertEqual(named.status, 401)
        self.assertEqual(self.front.main.requests, [])

    def test_login(self) -> None:
        """A wrong login is refused, but where anybody may pull all that is asked for."""
        self.assertEqual(self.get("/token?service=localhost", WRONG).status, 401)
        scope = quote(f"repository:{CLOSED}:pull")
        self.assertEqual(self.get(f"/token?scope={scope}", WRONG).status, 401)
        self.assertIn("token", self.token(f"repository:{OPEN}:pull", credentials=WRONG))
        for more in ("nonsense", " ".join(["repository:library/a:pull"] * MOST_SCOPES)):
            query = f"scope={quote(f'repository:{OPEN}:pull {more}')}"
            self.assertEqual(self.get(f"/token?{query}", WRONG).status, 401, more)

    def test_form(self) -> None:
        """OAuth2: a password gets a refresh token, and that gets access tokens."""
        form = "grant_type=password&username=alice&password=secret&access_type=offline"
        given = self.post(form)
        again = self.post(f"grant_type=refresh_token&refresh_token={given['refresh_token']}")
        self.assertEqual(self.get("/v2/", f"Bearer {again['access_token']}").status, 200)
        self.access.replace_accounts({"alice": hashed("other")})
        self.assertEqual(self.get("/v2/", f"Bearer {again['access_token']}").status, 401)

    def post(self, form: str) -> Any:
        """POST a form to the realm."""
        client = MemoryClient(self.front.site).request(
            "POST",
            "/token",
            "Content-Type: application/x-www-form-urlencoded",
            body=form.encode(),
        )
        answer = client.answer()
        client.leave()
        self.assertEqual(answer.status, 200, answer.body)
        return json.loads(answer.body)

    def test_nonsense(self) -> None:
        """What makes no sense is a clear 400."""
        for query in (
            "service=evil.example.org",
            "service=a&service=b",
            "service=%ff",
            "&".join(["scope=x"] * 100),
        ):
            self.assertEqual(self.get(f"/token?{query}").status, 400, query)

    def test_no_renewal(self) -> None:
        """A token gets no further one."""
        token = self.token(credentials=ALICE)["token"]
        for target in ("/token", f"/token?scope=repository:{OPEN}:pull"):
            self.assertEqual(self.get(target, f"Bearer {token}").status, 401)


class CatalogTests(GatekeeperCase):
    """What is listed."""

    def test_shown(self) -> None:
        """The catalog shows nothing but what who asks may pull, on every page."""
        names = [f"{owner}/app{number}" for owner in ("library", "org") for number in range(4)]
        for name in names:
            self.put(name)
            self.assertEqual(self.get(f"/v2/{name}/manifests/latest", ALICE).status, 200)
        self.assertEqual(self.listed(""), [name for name in names if name.startswith("library")])
        self.assertEqual(self.listed(ALICE), names)

    def listed(self, credentials: str) -> list[str]:
        """All pages."""
        found: list[str] = []
        last = ""
        while True:
            page = self.get(f"/v2/_catalog?n=3&last={quote(last)}", credentials)
            names = json.loads(page.body)["repositories"]
            found.extend(names)
            if "link" not in page.headers:
                return found
            last = names[-1]
