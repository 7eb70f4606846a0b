"""Who asks, and what that one may do."""

import pickle
import time

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.access import Access
from regcache.access.credentials import Asker, ClientCertificate
from regcache.access.external_tokens import ExternalClaims, ExternalTokens
from regcache.access.grants import Action, Grant, Rule, Rules
from regcache.access.kept_decisions import MOST_DECISIONS
from regcache.access.own_tokens import BadTokenError, OwnTokens, TokenClaims
from regcache.access.passwords import Passwords
from regcache.access.principals import LONGEST_DECISION, Decision, PrincipalKind, Wanted
from regcache.access.scopes import Scope, repository_scope
from tests.access.accounts import HOME, HOST, asker, basic, hashed
from tests.support.pools import HeldPool, ImmediatePool

NGINX = Wanted("docker.io", "library/nginx", "nginx")
APP = Wanted("docker.io", "org/app", "org/app")
ANYBODY_LIBRARY = Rule(
    frozenset({"anonymous"}), Grant(frozenset({Action.PULL}), None, ("library/*",))
)
EVERYTHING = Rule(frozenset({"*"}), Grant(frozenset({Action.PULL})))


class External(ExternalTokens):
    """One good token of an external server."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.account = "carol"

    def read(self, token: str) -> ExternalClaims:
        """Read it."""
        if token != "external":
            raise BadTokenError("unknown")
        scopes = (repository_scope("org/app", "pull"),)
        return ExternalClaims(self.account, frozenset({"docker.io"}), scopes, self.until)


class AccessCase(SynchronousTestCase):
    """Anybody may pull library/*, and accounts everything."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(time.time())
        self.pool = ImmediatePool()
        self.tokens = OwnTokens(b"k" * 32, 300)
        self.passwords = Passwords(self.pool, self.clock)
        self.access = self.build()

    def build(self, external: External | None = None) -> Access:
        """The access of this set-up."""
        rules = Rules(True, ["root"], [ANYBODY_LIBRARY, EVERYTHING])
        access = Access(rules, self.passwords, self.tokens, self.clock, external=external)
        access.replace_accounts({"alice": hashed("secret"), "root": hashed("toor")})
        return access

    def decide(self, who: Asker) -> Decision:
        """The decision."""
        return self.successResultOf(Deferred.fromCoroutine(self.access.decide(who)))

    def token(self, *scopes: Scope, account: str = "alice", host: str = HOST) -> str:
        """A token of ours, as a header."""
        proof = self.access.accounts.by_password(account)
        mark = "" if proof is None else proof.mark
        claims = TokenClaims(account, mark, host, scopes)
        return "Bearer " + self.tokens.issue(claims, self.clock.seconds())


class PrincipalTests(AccessCase):
    """Who it is."""

    def test_nobody(self) -> None:
        """Who shows nothing is anonymous, at once, and may do what everybody may."""
        decision = self.access.decide_at_once(asker())
        assert decision is not None
        self.assertEqual(decision.principal.kind, PrincipalKind.ANONYMOUS)
        self.assertEqual(decision.principal.address, HOME)
        self.assertTrue(decision.permits(Action.PULL, NGINX))
        self.assertFalse(decision.permits(Action.PULL, APP))
        self.assertFalse(decision.wrong)

    def test_password(self) -> None:
        """A right login is its account, at once when it is known."""
        who = asker(basic("alice", "secret"))
        self.assertIsNone(self.access.decide_at_once(who))
        decision = self.decide(who)
        self.assertEqual(decision.principal.name, "alice")
        self.assertTrue(decision.permits(Action.PULL, APP))
        self.assertFalse(decision.permits(Action.DELETE, APP))
        self.assertIs(self.access.decide_at_once(who), decision)

    def test_admin(self) -> None:
        """An admin may do everything."""
        decision = self.decide(asker(basic("root", "toor")))
        self.assertTrue(decision.permits(Action.DELETE, APP))
        self.assertTrue(decision.is_admin)
        self.assertFalse(self.decide(asker(basic("alice", "secret"))).is_admin)

    def test_wrong(self) -> None:
        """Credentials that are wrong are refused, also beside other credentials."""
        shown = ClientCertificate("ab" * 32, "alice")
        for value in (
            basic("alice", "wrong"),
            basic("mallory", "secret"),
            "Basic !!!",
            "Basic " + "YWxpY2U=",
            "Basic",
            "Bearer nonsense",
            "Bearer ",
            "Negotiate abc",
            "",
            "Basic " + "A" * 40_000,
        ):
            decision = self.decide(asker(value, certificate=shown))
            self.assertTrue(decision.wrong, value)
            self.assertEqual(decision.principal.kind, PrincipalKind.ANONYMOUS)
            self.assertFalse(decision.permits(Action.PULL, APP))

    def test_wrong_token(self) -> None:
        """A wrong token is told from a wrong login, which may count as none."""
        ended = self.token(repository_scope("nginx", "pull"), account="mallory")
        for value in ("Bearer nonsense", "Bearer ", "bearer", "Bearer " + "a" * 40_000, ended):
            self.assertTrue(self.decide(asker(value)).bad_token, value[:40])
        for value in (basic("alice", "wrong"), "Basic !!!"):
            self.assertFalse(self.decide(asker(value)).bad_token, value)

    def test_certificate(self) -> None:
        """A certificate of an account is that account; of nobody, it counts as none."""
        decision = self.decide(asker(certificate=ClientCertificate("ab" * 32, "alice")))
        self.assertEqual(decision.principal.name, "alice")
        for account in ("", "mallory"):
            other = self.decide(asker(certificate=ClientCertificate("cd" * 32, account)))
            self.assertEqual(other.principal.kind, PrincipalKind.ANONYMOUS)
            self.assertFalse(other.wrong)

    def test_expired_certificate(self) -> None:
        """One that expires while its connection is open counts as none from then on."""
        shown = ClientCertificate("ab" * 32, "alice", self.clock.seconds() + 5)
        who = asker(certificate=shown)
        self.assertEqual(self.decide(who).until, shown.until)
        self.assertEqual(self.decide(who).principal.name, "alice")
        self.clock.advance(5)
        self.assertIsNone(self.access.decide_at_once(who))
        self.assertEqual(self.decide(who).principal.name, "")

    def test_wrong_password_before_certificate(self) -> None:
        """A wrong password is refused, also beside a certificate."""
        shown = ClientCertificate("ab" * 32, "alice")
        for value in (basic("alice", "wrong"), "Bearer nonsense", "Digest x", ""):
            decision = self.decide(asker(value, certificate=shown))
            self.assertEqual((decision.wrong, decision.principal.name), (True, ""), value)

    def test_password_before_certificate(self) -> None:
        """Of two accounts the one of the login counts."""
        shown = ClientCertificate("ab" * 32, "alice")
        decision = self.decide(asker(basic("root", "toor"), certificate=shown))
        self.assertEqual(decision.principal.name, "root")

    def test_external(self) -> None:
        """A token of the external server is good for its upstream and scopes; ours stay good."""
        self.access = self.build(External(self.clock.seconds() + 30))
        decision = self.decide(asker("Bearer external"))
        self.assertEqual(decision.principal.name, "carol")
        self.assertTrue(decision.permits(Action.PULL, APP))
        self.assertFalse(decision.permits(Action.PULL, NGINX))
        self.assertFalse(decision.permits(Action.PULL, Wanted("quay.io", "org/app", "org/app")))
        self.assertLessEqual(decision.until, self.clock.seconds() + 30)
        self.assertFalse(decision.is_admin)
        self.assertTrue(self.decide(asker("Bearer other")).wrong)
        self.assertFalse(self.decide(asker(self.token())).wrong)

    def test_external_list_decides(self) -> None:
        """Without rules the list of an external token alone decides, for who has no name, too."""
        external = External(self.clock.seconds() + 30)
        access = Access(Rules(True), self.passwords, self.tokens, self.clock, external=external)
        for account in ("", "carol"):
            external.account = account
            who = asker("Bearer external", address=account)
            decision = self.successResultOf(Deferred.fromCoroutine(access.decide(who)))
            self.assertTrue(decision.permits(Action.PULL, APP))
            self.assertFalse(decision.permits(Action.PULL, NGINX))
            self.assertFalse(decision.permits(Action.DELETE, APP))
        nobody = access.decide_at_once(asker())
        assert nobody is not None
        self.assertFalse(nobody.permits(Action.PULL, APP))

    def test_crosses(self) -> None:
        """A decision is a plain value."""
        for who in (asker(), asker(basic("alice", "secret")), asker(self.token())):
            decision = self.decide(who)
            self.assertEqual(pickle.loads(pickle.dumps(decision)), decision)


class TokenTests(AccessCase):
    """Our own tokens."""

    def test_scopes(self) -> None:
        """A token allows no more than its scopes, and no more than its account may."""
        header = self.token(repository_scope("org/app", "pull", "delete"))
        decision = self.decide(asker(header))
        self.assertEqual(decision.principal.name, "alice")
        self.assertTrue(decision.permits(Action.PULL, APP))
        self.assertFalse(decision.permits(Action.DELETE, APP))
        self.assertFalse(decision.permits(Action.PULL, NGINX))
        self.assertFalse(
            decision.permits(Action.PULL, Wanted("quay.io", "org/app", "quay.io/org/app"))
        )

    def test_no_admin(self) -> None:
        """A token is for pulling and deleting, never for the operator's pages."""
        decision = self.decide(asker(self.token(repository_scope("org/app", "*"), account="root")))
        self.assertTrue(decision.permits(Action.DELETE, APP))
        self.assertFalse(decision.is_admin)

    def test_anonymous(self) -> None:
        """A token without an account allows what everybody may, within its scopes."""
        header = self.token(repository_scope("nginx", "pull"), account="")
        decision = self.decide(asker(header))
        self.assertTrue(decision.permits(Action.PULL, NGINX))
        self.assertFalse(
            decision.permits(Action.PULL, Wanted("docker.io", "library/redis", "redis"))
        )
        self.assertFalse(decision.wrong)

    def test_other_host(self) -> None:
        """A token of another host is wrong."""
        header = self.token(repository_scope("nginx", "pull"), host="quay.example.com")
        self.assertTrue(self.decide(asker(header)).wrong)

    def test_password_changed(self) -> None:
        """A token ends with the password that it was given for, and with its account."""
        header = self.token(repository_scope("org/app", "pull"))
        self.assertFalse(self.decide(asker(header)).wrong)
        for accounts in ({"alice": hashed("secret")}, {"root": hashed("toor")}, {}):
            self.access.replace_accounts(accounts)
            self.assertTrue(self.decide(asker(header)).wrong)

    def test_ends(self) -> None:
        """What was decided of a token is not kept beyond its end."""
        who = asker(self.token(repository_scope("org/app", "pull")))
        kept = self.decide(who)
        self.assertLessEqual(kept.until, self.clock.seconds() + LONGEST_DECISION)
        self.clock.advance(LONGEST_DECISION)
        self.assertIsNone(self.access.decide_at_once(who))

    def test_list(self) -> None:
        """A token lists the catalog only if it says so."""
        self.assertFalse(self.decide(asker(self.token(repository_scope("a", "pull")))).may_list)
        catalog = Scope("registry", "catalog", frozenset({"*"}))
        self.assertTrue(self.decide(asker(self.token(catalog))).may_list)
        self.assertTrue(self.decide(asker()).may_list)


class KeptTests(AccessCase):
    """Decisions that are kept."""

    def test_removed(self) -> None:
        """A removed account is out at once, by password, token and certificate."""
        shown = [
            asker(basic("alice", "secret")),
            asker(self.token(repository_scope("org/app", "pull"))),
            asker(certificate=ClientCertificate("ab" * 32, "alice")),
        ]
        for who in shown:
            self.assertEqual(self.decide(who).principal.name, "alice")
        self.access.replace_accounts({})
        for who in shown:
            self.assertIsNone(self.access.decide_at_once(who))
            self.assertFalse(self.decide(who).permits(Action.PULL, APP))

    def test_removed_meanwhile(self) -> None:
        """What was decided before a change of the accounts is not kept behind it."""
        pool = HeldPool()
        self.passwords = Passwords(pool, self.clock)
        self.access = self.build()
        self.access.replace_accounts({"alice": hashed("secret")})
        who = asker(basic("alice", "secret"))
        deciding = Deferred.fromCoroutine(self.access.decide(who))
        self.access.replace_accounts({})
        pool.release()
        self.assertTrue(self.successResultOf(deciding).wrong)

    def test_changed_meanwhile(self) -> None:
        """A password that becomes right while it is checked is not remembered as wrong."""
        pool = HeldPool()
        self.passwords = Passwords(pool, self.clock)
        self.access = self.build()
        self.access.replace_accounts({"alice": hashed("former")})
        who = asker(basic("alice", "secret"))
        deciding = Deferred.fromCoroutine(self.access.decide(who))
        self.access.replace_accounts({"alice": hashed("secret")})
        pool.release()
        self.assertTrue(self.successResultOf(deciding).wrong)
        again = Deferred.fromCoroutine(self.access.decide(who))
        pool.release_all()
        self.assertEqual(self.successResultOf(again).principal.name, "alice")

    def test_apart(self) -> None:
        """A decision is kept for the very same credentials, address and host only."""
        self.decide(asker(basic("alice", "secret")))
        for other in (
            asker(basic("alice", "secret"), address="192.0.2.8"),
            asker(basic("alice", "secret"), host="other.example.com"),
            asker(basic("alice", "secret2")),
            asker(basic("alice", "secret"), certificate=ClientCertificate("ab" * 32)),
        ):
            self.assertIsNone(self.access.decide_at_once(other))

    def test_bounded(self) -> None:
        """The kept decisions have a bound, however many clients show credentials."""
        for number in range(MOST_DECISIONS + 50):
            address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            self.decide(asker("Bearer x", address=address))
        self.assertLessEqual(len(vars(self.access.kept)["_table"]), MOST_DECISIONS)
        self.assertLessEqual(len(vars(self.access.decisions)["_unproved"]), MOST_DECISIONS)

    def test_not_shown(self) -> None:
        """Neither a password nor a token is kept, or shows where a decision is printed."""
        header = self.token(repository_scope("org/app", "pull"))
        decisions = [self.decide(asker(basic("alice", "secret"))), self.decide(asker(header))]
        for text in (repr(decisions), repr(vars(vars(self.access.kept)["_table"]))):
            self.assertNotIn("secret", text)
            self.assertNotIn(header[7:], text)
            self.assertNotIn(basic("alice", "secret")[6:], text)
