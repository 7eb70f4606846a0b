"""Who asks, by what a request shows and by where it comes in."""

from typing import Any

from regcache.access.grants import Action, Grant, Rule
from regcache.admin.api import callers
from regcache.admin.api.callers import Caller, Reach, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.schemas import FLAG, record
from tests.support.api import ALICE, OWN_USER, ROOT, ApiCase

CALL = ApiCall(method="GET", path="who", role=Role.NONE, text="Who.", answer=record(done=FLAG))
PULL = frozenset({Action.PULL})


class CallerCase(ApiCase):
    """Says who asked."""

    def routes(self) -> list[CallRoute]:
        return [CallRoute(CALL, self.note)]

    def note(self, asked: AskedCall) -> Any:
        """Notes who asks."""
        self.caller = asked.caller
        return {"done": True}

    def who(self, credentials: str = "") -> Caller:
        """Who asks."""
        self.answered(CALL, self.get("who", credentials))
        return self.caller


class PlaceTests(CallerCase):
    """Where a request comes in."""

    def test_socket(self) -> None:
        """On the unix socket root and the daemon's own user are administrators."""
        self.reach = Reach.SOCKET
        admin, read = Role.ADMIN, Role.READ
        for user, role in ((0, admin), (OWN_USER, admin), (7, read), (None, read)):
            self.patch(callers, "peer_user", lambda _, user=user: user)
            self.assertEqual(self.who().role, role, user)
        self.patch(callers, "peer_user", lambda _: 0)
        self.assertEqual(self.who(ALICE).role, Role.READ)

    def test_loopback(self) -> None:
        """Loopback may read everything; an account is that account there, too."""
        caller = self.who()
        self.assertEqual((caller.role, caller.via, caller.account), (Role.READ, "loopback", ""))
        self.assertTrue(caller.may_pull("a.test", "org/app"))
        caller = self.who(ROOT)
        self.assertEqual((caller.role, caller.via), (Role.ADMIN, "account"))

    def test_elsewhere(self) -> None:
        """Elsewhere nobody is nobody, and sees nothing."""
        self.reach = Reach.REMOTE
        caller = self.who()
        self.assertEqual((caller.role, caller.via), (Role.NONE, None))
        self.assertFalse(caller.may_pull("a.test", "org/app"))
        self.assertFalse(caller.sees_all)


class SightTests(CallerCase):
    """What is seen."""

    rules = (
        Rule(frozenset({"anonymous"}), Grant(PULL, None, ("library/*",))),
        Rule(frozenset({"alice"}), Grant(PULL, frozenset({"a.test"}))),
        Rule(frozenset({"root"}), Grant(frozenset({Action.DELETE}))),
    )

    def test_grants(self) -> None:
        """An account sees what it may pull; an administrator sees everything."""
        alice = self.who(ALICE)
        self.assertTrue(alice.may_pull("a.test", "org/app"))
        self.assertTrue(alice.may_pull("b.test", "library/nginx"))
        self.assertFalse(alice.may_pull("b.test", "org/app"))
        self.assertFalse(alice.sees_all)
        self.assertTrue(alice.sees_whole("a.test") and alice.sees_upstream("b.test"))
        self.assertFalse(alice.sees_whole("b.test"))
        root = self.who(ROOT)
        self.assertTrue(root.may_pull("b.test", "org/app") and root.sees_all)


class WholeSightTests(CallerCase):
    """Accounts that may pull everything."""

    rules = (Rule(frozenset({"*"}), Grant(PULL)),)

    def test_everything(self) -> None:
        """Who may pull everything sees sums, too."""
        self.assertTrue(self.who(ALICE).sees_all)
