"""Attacks on accounts, over raw sockets: forged tokens, guessed passwords, answers for others."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import bcrypt

from tests.integration.access_base import (
    ALICE,
    BOB,
    CLOSED,
    LEAVER,
    MIXED_RULES,
    OPEN,
    ROOT,
    WRONG,
    AccessCase,
    Restricted,
    closed_daemon,
)
from tests.integration.base import shared
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.images import mixed_image
from tests.support.raw_client import Door, RawClient
from tests.support.registry_client import basic

MANIFEST = f"/v2/{CLOSED}/manifests/1"
SCOPE = f"repository:{CLOSED}:pull"
#: Login attempts from one address that are looked at within a minute.
MOST_WRONG = 10


def _decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: Mapping[str, Any], claims: Mapping[str, Any], key: bytes, sum_name: str) -> str:
    """A token with an HMAC."""
    text = f"{_encoded(header)}.{_encoded(claims)}"
    digest = hmac.digest(key, text.encode(), sum_name)
    return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@shared
def attacked_daemon() -> Restricted:
    """One of its own: other tests log in wrongly, too, and only so many times are allowed."""
    return Restricted({"rules": MIXED_RULES})


class OnMixedCase(AccessCase):
    """A daemon that everybody may pull something from, and accounts the rest."""

    def setUp(self) -> None:
        """Look for secrets in its log when the test is over."""
        super().setUp()
        self.mixed: Restricted = self.watched(attacked_daemon())
        self.daemon = self.mixed.daemon

    def status(self, authorization: str, target: str = MANIFEST, **headers: str) -> int:
        """What somebody gets."""
        shown = {"Authorization": authorization, **headers}
        client = self.daemon.client(headers={key: each for key, each in shown.items() if each})
        return self.ask(client, target).status


class ForgedTokenTests(OnMixedCase):
    """CVE-2025-24976 and its kin, for the tokens that the daemon signs itself."""

    def setUp(self) -> None:
        """A good token, its parts, and the key that it was signed with."""
        super().setUp()
        self.good = self.token(self.daemon, ALICE, SCOPE)
        self.header, self.claims = map(_decoded, self.good.split(".")[:2])
        self.key = (self.daemon.directory / "token.key").read_bytes()

    def changed(self, **claims: Any) -> str:
        """The good token, signed by us, but for some claims; None leaves one out."""
        following = {**self.claims, **claims}
        kept = {name: value for name, value in following.items() if value is not None}
        return signed(self.header, kept, self.key, "sha256")

    def assert_refused(self, *tokens: str) -> None:
        """401 for a pull, the ping, and what anybody may pull."""
        for token in tokens:
            self.secrets.append(token[:200])
            for target in (MANIFEST, "/v2/", f"/v2/{OPEN}/manifests/1", "/v2/_catalog"):
                self.assertEqual(self.status(f"Bearer {token}", target), 401, target)

    def test_good(self) -> None:
        """What all the others are made from is good."""
        self.assertEqual(self.status(f"Bearer {self.good}"), 200)
        self.assertEqual(self.status(f"Bearer {self.changed()}"), 200)

    def test_no_signature(self) -> None:
        """``alg: none`` in every spelling, and no signature or any."""
        _, body, signature = self.good.split(".")
        for algorithm in ("none", "None", "NONE", "", None, ["HS256"]):
            head = _encoded({**self.header, "alg": algorithm})
            self.assert_refused(f"{head}.{body}.", f"{head}.{body}.{signature}")
        self.assert_refused(f"{self.good.rpartition('.')[0]}.")

    def test_other_keys_and_algorithms(self) -> None:
        """Another key, the key with another algorithm, and a key in the header."""
        own = {"kty": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode()}
        for header, key, sum_name in (
            (self.header, b"x" * 32, "sha256"),
            (self.header, b"", "sha256"),
            ({**self.header, "jwk": own}, b"x" * 32, "sha256"),
            ({**self.header, "jku": "http://127.0.0.1/keys"}, b"x" * 32, "sha256"),
            ({**self.header, "kid": "/dev/null"}, b"", "sha256"),
            ({**self.header, "alg": "HS512"}, self.key, "sha512"),
            ({**self.header, "alg": "RS256"}, self.key, "sha256"),
        ):
            self.assert_refused(signed(header, self.claims, key, sum_name))

    def test_claims(self) -> None:
        """Other audiences and issuers, times that are past or to come, what is left out."""
        now = int(time.time())
        port = self.daemon.port
        for claims in (
            *({"aud": "127.0.0.1"}, {"aud": f"localhost:{port}"}, {"aud": f"127.0.0.1:{port + 1}"}),
            *({"aud": None}, {"aud": ""}, {"iss": "somebody"}, {"iss": None}, {"sub": None}),
            *(
                {"exp": now - 60},
                {"exp": None},
                {"exp": "x"},
                {"nbf": now + 600},
                {"use": "refresh"},
            ),
            *({"use": None}, {"mark": ""}, {"mark": None}, {"mark": "0" * 32}, {"sub": "root"}),
            *(
                {"access": None},
                {"access": "x"},
                {"access": [1]},
                {"sub": ["alice"]},
                {"iat": None},
            ),
        ):
            self.assert_refused(self.changed(**claims))

    def test_other_host(self) -> None:
        """A token is good for the host and port that gave it."""
        for host in ("localhost", f"127.0.0.1:{self.daemon.tls_port}", "images.proxy.example"):
            self.assertEqual(self.status(f"Bearer {self.good}", Host=host), 401)

    def test_large(self) -> None:
        """More than 16 KiB are nothing, though we signed it."""
        self.assert_refused(self.changed(more="x" * 13_000))

    def test_scopes(self) -> None:
        """No scope gives more than the rules, and no name that looks alike gives anything."""
        for name in (OPEN, "team", "team/", "team/multi/", "*", "team/*", "TEAM/MULTI"):
            entry = {"type": "repository", "name": name, "actions": ["pull", "*"]}
            token = self.changed(access=[entry])
            self.assertEqual(self.status(f"Bearer {token}"), 401, name)
        everything = [{"type": "repository", "name": CLOSED, "actions": ["*"]}]
        token = self.token(self.daemon, BOB, f"repository:{CLOSED}:*")
        claims = {**_decoded(token.split(".")[1]), "access": everything}
        forged = signed(self.header, claims, self.key, "sha256")
        self.assertEqual(self.status(f"Bearer {forged}"), 403)

    def test_uses(self) -> None:
        """A refresh token pulls nothing, and a token of one kind is no token of the other."""
        query = f"/token?offline_token=true&scope={SCOPE}"
        given = self.daemon.client(credentials=ALICE).get(query).json()
        self.secrets.extend([given["token"], given["refresh_token"]])
        self.assert_refused(given["refresh_token"])
        for grant, expected in ((given["refresh_token"], 200), (given["token"], 401)):
            form = f"grant_type=refresh_token&refresh_token={grant}".encode()
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self.daemon.client().ask("POST", "/token", form, kind)
            self.assertEqual(answer.status, expected)


class CredentialTests(OnMixedCase):
    """Credentials that are not what they seem, and rights that are claimed elsewhere."""

    def test_nonsense(self) -> None:
        """What cannot be read is wrong, and never nobody's."""
        name, password = ALICE
        for value in (
            *(
                "Basic",
                "Basic ",
                "Basic !",
                "Bearer",
                "Digest username=alice",
                "alice",
                "Negotiate x",
            ),
            "Basic " + base64.b64encode(b"alice").decode(),
            "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
            "Basic " + base64.b64encode(f"{name}:{password}\0x".encode()).decode(),
            basic(name.upper(), password),
            basic(name + " ", password),
            basic(name, password + "x"),
            basic(name, ""),
            basic("", password),
        ):
            for target in (MANIFEST, "/v2/"):
                self.assertEqual(self.status(value, target), 401, value)
        self.assertEqual(self.status(basic(*ALICE)), 200)

    def test_two_of_them(self) -> None:
        """Two lines are none that hold, in either order."""
        client = RawClient(Door(self.daemon.port))
        self.addCleanup(client.close)
        lines = [f"Authorization: {basic(*ALICE)}", f"Authorization: {basic(*BOB)}"]
        for pair in (lines, lines[::-1], lines[:1] * 2):
            answer = client.ask(f"GET {MANIFEST} HTTP/1.1", "Host: localhost", *pair)
            self.assertEqual(answer.status, 401)

    def test_claimed_elsewhere(self) -> None:
        """Fields that proxies set, the query, and a user in the target."""
        for name, value in (
            *(("X-Forwarded-User", "alice"), ("X-Remote-User", "root"), ("Remote-User", "root")),
            *(("Proxy-Authorization", basic(*ALICE)), ("Cookie", "session=root")),
            *(("X-Forwarded-For", "127.0.0.1"), ("X-Original-URL", f"/v2/{OPEN}/manifests/1")),
            ("X-Regcache", "1"),
        ):
            self.assertEqual(self.status("", **{name: value}), 401, name)
        token = self.token(self.daemon, ALICE, SCOPE)
        for query in (f"?access_token={token}", f"?token={token}", "?account=alice"):
            self.assertIn(self.status("", MANIFEST + query), (400, 401))

    def test_what_may_be_seen_of_names(self) -> None:
        """Whether something exists is told to nobody who may not pull it: ``latest``, too."""
        for tail in ("manifests/1", "manifests/latest", "manifests/none", "tags/list"):
            for repository in (CLOSED, "team/none", "none"):
                target = f"/v2/{repository}/{tail}"
                self.assertEqual(self.status("", target), 401)
                self.assertEqual(self.status(basic(*BOB), target), 403)


class FormTests(OnMixedCase):
    """What is posted to the realm."""

    def test_bodies(self) -> None:
        """A body that is too large, has no length, or is no form is refused, and closes or not."""
        kind = "Content-Type: application/x-www-form-urlencoded"
        login = b"grant_type=password&username=alice&password=x"
        for lines, body, status in (
            ([kind, "Content-Length: 70000"], b"a=" * 35000, 413),
            ([kind, "Transfer-Encoding: chunked"], b"0\r\n\r\n", 413),
            ([kind, f"Content-Length: {len(login)}"], login, 401),
            (["Content-Type: text/plain", "Content-Length: 3"], b"a=b", 400),
            ([kind, kind, "Content-Length: 3"], b"a=b", 400),
            ([kind, "Content-Length: 3"], b"a=\xff", 400),
            ([kind, "Content-Length: 0"], b"", 400),
        ):
            client = RawClient(Door(self.daemon.port))
            self.addCleanup(client.close)
            head = "\r\n".join(["POST /token HTTP/1.1", "Host: localhost", *lines, "", ""])
            client.send(head.encode() + body)
            self.assertEqual(client.read().status, status, lines)

    def test_methods(self) -> None:
        """The realm is asked by GET and POST."""
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = self.ask(self.daemon.client(credentials=ALICE), "/token", method)
            self.assertIn(answer.status, (404, 405), method)


class AnswersOfOthersTests(AccessCase):
    """CVE-2026-44457 (hono) and its kin: what one was answered is for nobody else."""

    def setUp(self) -> None:
        """An upstream that records what it is sent, and a daemon of its own."""
        super().setUp()
        self.upstream: FaultyUpstream = self.faulty_upstream()
        self.upstream.add_image(CLOSED, mixed_image("attacks", 2000), "1")
        rules = [{"accounts": ["alice"]}]
        self.daemon = self.restricted({"rules": rules}, url=self.upstream.url).daemon

    def statuses(self, account: tuple[str, str] | None, target: str) -> list[int]:
        """What somebody gets, by GET and by HEAD."""
        client = self.daemon.client(credentials=account)
        return [self.ask(client, target, method).status for method in ("GET", "HEAD")]

    def test_cached(self) -> None:
        """Hits, misses and errors of one who may are not those of one who may not."""
        image = mixed_image("attacks", 2000)
        blob = next(iter(image.all_blobs()))
        for tail, expected in (
            ("manifests/1", 200),
            (f"manifests/{image.digest}", 200),
            (f"blobs/{blob}", 200),
            ("tags/list", 200),
            ("manifests/none", 404),
            (f"blobs/sha256:{'0' * 64}", 404),
        ):
            target = f"/v2/{CLOSED}/{tail}"
            for _ in range(2):
                self.assertEqual(self.statuses(None, target), [401, 401], target)
                self.assertEqual(self.statuses(BOB, target), [403, 403], target)
                self.assertEqual(self.statuses(WRONG, target), [401, 401], target)
                self.assertEqual(self.statuses(ALICE, target), [expected] * 2, target)

    def test_for_shared_caches(self) -> None:
        """No cache on the way may keep what needs a login."""
        answer = self.daemon.client(credentials=ALICE).get(MANIFEST)
        self.assertEqual(answer.status, 200)
        self.assertTrue({"no-cache", "private", "no-store"} & set(_words(answer.headers)))

    def test_nothing_goes_upstream(self) -> None:
        """No credentials of a client are sent to the upstream."""
        token = "Bearer " + self.token(self.daemon, ALICE, SCOPE)
        for number, shown in enumerate((basic(*ALICE), token, basic(*WRONG), "Bearer x.y.z")):
            client = self.daemon.client(headers={"Authorization": shown, "Cookie": "a=b"})
            self.ask(client, f"/v2/{CLOSED}/manifests/{number}")
            for sent in self.upstream.requests:
                self.assertNotIn(shown, str(sent.headers))
                self.assertIsNone(sent.headers["Cookie"])
        self.assertGreaterEqual(len(self.upstream.requests), 2)


def _words(headers: Mapping[str, str]) -> list[str]:
    return headers["cache-control"].replace(",", " ").split()


class GuessingTests(AccessCase):
    """Passwords that are tried by the hundred (verdaccio #3010: bcrypt that holds everybody up)."""

    def connect(self, restricted: Restricted) -> RawClient:
        """A connection."""
        made = RawClient(Door(restricted.daemon.port))
        self.addCleanup(made.close)
        return made

    def send(self, client: RawClient, account: tuple[str, str] | None, target: str) -> None:
        """Ask, and do not wait."""
        lines = [f"GET {target} HTTP/1.1", "Host: localhost"]
        if account is not None:
            lines.append(f"Authorization: {basic(*account)}")
            self.secrets.append(basic(*account).removeprefix("Basic ").rstrip("="))
        client.send("\r\n".join([*lines, "", ""]).encode())

    def guesses(self, count: int, of: str = "alice") -> list[tuple[str, str]]:
        """Different wrong passwords."""
        return [(of, f"guess-number-{number}") for number in range(count)]

    def test_others_do_not_wait(self) -> None:
        """While logins are being checked others are answered, with and without an account."""
        restricted = self.restricted({"rules": MIXED_RULES})
        slow = bcrypt.hashpw(b"never", bcrypt.gensalt(12)).decode()
        restricted.accounts.add_line("slow", f"slow:{slow}\n")
        restricted.admit(LEAVER)  # so the file with the slow one is in use
        self.assertEqual(restricted.status(ALICE), 200)
        guessing = [self.connect(restricted) for _ in range(8)]
        for client, guess in zip(guessing, self.guesses(8, "slow"), strict=True):
            self.send(client, guess, "/v2/")
        for account, target in ((None, f"/v2/{OPEN}/manifests/1"), (ALICE, MANIFEST)):
            client = self.connect(restricted)
            self.send(client, account, target)
            self.assertEqual(client.read().status, 200)
        self.assertFalse(all(client.has_answer() for client in guessing))
        for client in guessing:
            self.assertEqual(client.read().status, 401)

    def test_stop(self) -> None:
        """A queue of logins that take long does not hold up a stop."""
        restricted = self.restricted(limits={"drain": "1s"})
        slow = bcrypt.hashpw(b"never", bcrypt.gensalt(13)).decode()
        restricted.accounts.add_line("slow", f"slow:{slow}\n")
        restricted.admit(LEAVER)  # so the file with the slow one is in use
        for guess in self.guesses(60, "slow"):
            self.send(self.connect(restricted), guess, "/v2/")
        known = self.connect(restricted)
        self.send(known, LEAVER, "/v2/")
        self.assertEqual(known.read().status, 200)  # all before it have arrived
        self.assertEqual(restricted.daemon.stop(), 0)
        self.assertEqual(
            [line for line in restricted.daemon.log().splitlines() if "critical" in line], []
        )

    def test_too_many(self) -> None:
        """After ten different wrong logins further ones get 429; what is known goes on."""
        restricted = self.restricted({"rules": MIXED_RULES})
        token = "Bearer " + self.token(restricted.daemon, ALICE, SCOPE)
        self.assertEqual(restricted.status(ALICE), 200)
        for guess in self.guesses(MOST_WRONG):
            self.assertEqual(restricted.status(guess), 401)
        late = restricted.daemon.client(credentials=self.guesses(MOST_WRONG + 1)[-1])
        answer = self.ask(late, "/v2/")
        self.assertEqual((answer.status, answer.errors), (429, ["TOOMANYREQUESTS"]))
        self.assertGreater(int(answer.headers["retry-after"]), 0)
        self.assertEqual(restricted.status(self.guesses(1)[0]), 401)
        self.assertEqual(restricted.status(ALICE), 200)
        client = restricted.daemon.client(headers={"Authorization": token})
        self.assertEqual(self.ask(client, MANIFEST).status, 200)
        anonymous = restricted.daemon.client()
        self.assertEqual(self.ask(anonymous, f"/v2/{OPEN}/manifests/1").status, 200)

    def test_pull_secrets(self) -> None:
        """Kubelets behind one address that send wrong pull secrets keep nobody from logging in."""
        restricted = self.restricted({"rules": MIXED_RULES})
        for guess in self.guesses(2 * MOST_WRONG):
            client = restricted.daemon.client(credentials=guess)
            self.assertEqual(self.ask(client, f"/v2/{OPEN}/manifests/1").status, 200)
        self.assertEqual(restricted.status(ALICE), 200)
        statuses = [restricted.status(guess) for guess in self.guesses(2 * MOST_WRONG)]
        self.assertEqual(statuses, [401] * MOST_WRONG + [429] * MOST_WRONG)

    def test_at_once(self) -> None:
        """Of wrong logins that are in flight together no more get 401 than one after the other."""
        restricted = self.restricted()
        clients = [self.connect(restricted) for _ in range(3 * MOST_WRONG)]
        for client, guess in zip(clients, self.guesses(len(clients)), strict=True):
            self.send(client, guess, "/v2/")
        statuses = sorted(client.read().status for client in clients)
        self.assertEqual(statuses, [401] * MOST_WRONG + [429] * 2 * MOST_WRONG)

    def test_same_password_again(self) -> None:
        """A client that repeats its wrong password is no attacker."""
        restricted = self.watched(closed_daemon())
        for _ in range(3 * MOST_WRONG):
            self.assertEqual(restricted.status(WRONG), 401)
        self.assertEqual(restricted.status(ROOT), 200)

    def test_long(self) -> None:
        """Passwords and names of any length and kind cost nothing but an answer."""
        restricted = self.restricted()
        for account in (("alice", "x" * 8000), ("x" * 8000, "y"), ("alice", "\0"), ("", "")):
            self.assertEqual(restricted.status(account), 401)
        self.assertEqual(restricted.status(ALICE), 200)
