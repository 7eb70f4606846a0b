"""What our realm gives to whom."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.grants import Action, Grant
from regcache.access.own_tokens import REFRESH_LIFE, OwnTokens
from regcache.access.principals import Decision, Principal, PrincipalKind, Wanted
from regcache.access.realm import TokenGiver, TokenRequest
from regcache.access.scopes import parse_scopes
from tests.access.accounts import HOST

LIBRARY = Grant(frozenset({Action.PULL}), None, ("library/*",))
ALL = Grant(frozenset({Action.PULL}))
EVERY = Grant(frozenset(Action))


def locate(name: str) -> Sequence[Wanted]:
    """Names of one component are official images; those of a host name nothing."""
    if "." in name:
        return ()
    official = Wanted("docker.io", name if "/" in name else f"library/{name}", name)
    return (official, Wanted("quay.io", name, name))


def who(
    *grants: Grant, account: str = "", wrong: bool = False, until: float = math.inf
) -> Decision:
    """Somebody, and what the rules grant."""
    kind = PrincipalKind.ACCOUNT if account else PrincipalKind.ANONYMOUS
    mark = "mark" if account else ""
    principal = Principal(kind, account, None)
    return Decision(
        principal,
        grants,
        0.0,
        scopes=None,
        upstreams=None,
        wrong=wrong,
        mark=mark,
        proof_until=until,
    )


class RealmTests(SynchronousTestCase):
    """Each row of the module's table."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(time.time())
        self.tokens = OwnTokens(b"k" * 32, 300)
        self.giver = TokenGiver(self.tokens, self.clock)

    def may_have(self, decision: Decision, *scopes: str) -> bool:
        """Whether there is a token."""
        request = TokenRequest(HOST, parse_scopes(scopes))
        return self.giver.may_have(decision, request, locate)

    def granted(self, decision: Decision, *scopes: str) -> list[str]:
        """The scopes of the token."""
        answer = self.giver.answer(decision, TokenRequest(HOST, parse_scopes(scopes)), locate)
        claims = self.tokens.read(answer["token"], HOST)
        self.assertEqual(claims.account, decision.principal.name)
        self.assertEqual(answer["scope"], " ".join(map(str, claims.scopes)))
        return [str(each) for each in claims.scopes]

    def test_account(self) -> None:
        """An account gets its token, with what it may do of what it asks."""
        alice = who(ALL, account="alice")
        self.assertTrue(self.may_have(alice))
        self.assertEqual(
            self.granted(alice, "repository:org/app:pull,push,delete"), ["repository:org/app:pull"]
        )

    def test_delete(self) -> None:
        """Who may delete gets that, too, where it is asked for, by name or by the star."""
        for actions in ("delete,pull", "*"):
            found = self.granted(who(EVERY, account="root"), f"repository:a/b:{actions}")
            self.assertEqual(found, ["repository:a/b:delete,pull"])

    def test_nothing(self) -> None:
        """What is not allowed, or names nothing, is left out."""
        alice = who(LIBRARY, account="alice")
        scopes = ["repository:org/app:pull repository:nginx:pull", "repository:nowhere.test/x:pull"]
        self.assertEqual(self.granted(alice, *scopes), ["repository:nginx:pull"])
        self.assertEqual(self.granted(alice, "repository:nginx:push"), [])

    def test_other_upstream(self) -> None:
        """A scope is given for a name that means something allowed at any upstream."""
        bob = who(Grant(frozenset({Action.PULL}), frozenset({"quay.io"})), account="bob")
        self.assertEqual(self.granted(bob, "repository:org/app:pull"), ["repository:org/app:pull"])

    def test_catalog(self) -> None:
        """The catalog is given to who may pull anything."""
        self.assertEqual(self.granted(who(LIBRARY), "registry:catalog:*"), ["registry:catalog:*"])
        self.assertEqual(self.granted(who(account="bob"), "registry:catalog:*"), [])
        self.assertEqual(self.granted(who(LIBRARY), "registry:other:*"), [])

    def test_nobody(self) -> None:
        """Nobody in particular gets a token only where everybody may pull something."""
        self.assertTrue(self.may_have(who(LIBRARY)))
        self.assertFalse(self.may_have(who()))
        self.assertEqual(
            self.granted(who(LIBRARY), "repository:nginx:pull"), ["repository:nginx:pull"]
        )

    def test_wrong(self) -> None:
        """Wrong credentials count as none only if everybody may pull all that is asked."""
        wrong = who(LIBRARY, wrong=True)
        self.assertFalse(self.may_have(wrong))
        self.assertTrue(self.may_have(wrong, "repository:nginx:pull"))
        self.assertFalse(self.may_have(wrong, "repository:nginx:pull", "repository:org/app:pull"))
        self.assertFalse(self.may_have(wrong, "registry:catalog:*"))
        self.assertFalse(self.may_have(who(wrong=True), "repository:nginx:pull"))

    def test_wrong_token(self) -> None:
        """A wrong token never gets another token."""
        wrong = replace(who(LIBRARY, wrong=True), bad_token=True)
        self.assertFalse(self.may_have(wrong, "repository:nginx:pull"))

    def test_answer(self) -> None:
        """The answer has both names of the token, its life, and when it was made."""
        answer = self.giver.answer(who(ALL, account="alice"), TokenRequest(HOST, ()), locate)
        self.assertEqual(answer["token"], answer["access_token"])
        self.assertEqual(answer["expires_in"], 300)
        self.assertRegex(answer["issued_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertNotIn("refresh_token", answer)

    def test_refresh(self) -> None:
        """A refresh token is given to accounts that want one, never to nobody."""
        request = TokenRequest(HOST, (), offline=True)
        answer = self.giver.answer(who(ALL, account="alice"), request, locate)
        claims = self.tokens.read_refresh(answer["refresh_token"], HOST)
        self.assertEqual((claims.account, claims.mark), ("alice", "mark"))
        self.assertEqual(claims.until, int(self.clock.seconds()) + REFRESH_LIFE)
        self.assertNotIn("refresh_token", self.giver.answer(who(LIBRARY), request, locate))

    def test_end_of_proof(self) -> None:
        """No token is longer than what was shown for it, nor does the answer say so."""
        now = self.clock.seconds()
        request = TokenRequest(HOST, (), offline=True)
        answer = self.giver.answer(who(ALL, account="alice", until=now + 90), request, locate)
        for claims in (
            self.tokens.read(answer["token"], HOST),
            self.tokens.read_refresh(answer["refresh_token"], HOST),
        ):
            self.assertLessEqual(claims.until, now + 90)
            self.assertGreater(claims.until, now + 80)
        self.assertLessEqual(answer["expires_in"], 90)

    def test_weak(self) -> None:
        """A weak proof gets no refresh token."""
        request = TokenRequest(HOST, (), offline=True)
        shown = replace(who(ALL, account="alice"), pull_only=True)
        self.assertNotIn("refresh_token", self.giver.answer(shown, request, locate))
