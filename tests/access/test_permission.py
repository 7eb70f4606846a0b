"""Whether a decision is enough, and the refusal if it is not."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from regcache.access.challenges import Challenger
from regcache.access.grants import EVERY_ACTION, Action, Grant
from regcache.access.permission import Permission, Situation
from regcache.access.principals import Decision, Principal, PrincipalKind, Wanted
from regcache.access.scopes import Scope, repository_scope
from regcache.errors import DeniedError, UnauthorizedError

PULL = frozenset({Action.PULL})
LIBRARY = Grant(PULL, None, ("library/*",))
ALL = Grant(PULL)
ADMIN = Grant(frozenset(Action))
NGINX = Wanted("docker.io", "library/nginx", "nginx")
APP = Wanted("docker.io", "org/app", "org/app")
HERE = Situation("https", "docker.example.com", "docker.io")
REALM = 'Bearer realm="https://docker.example.com/token",service="docker.example.com"'


def decision(
    *grants: Grant, account: str = "", wrong: bool = False, scopes: tuple[Scope, ...] | None = None
) -> Decision:
    """What somebody may do."""
    kind = PrincipalKind.ACCOUNT if account else PrincipalKind.ANONYMOUS
    return Decision(
        Principal(kind, account, "192.0.2.7"),
        grants,
        0.0,
        scopes=scopes,
        upstreams=None,
        wrong=wrong,
    )


class PermissionTests(SynchronousTestCase):
    """Each row of the module's table."""

    def setUp(self) -> None:
        self.noted: list[Decision] = []
        self.refused: list[Decision] = []
        self.permission = Permission(
            Challenger("Registry Realm"), True, self.noted.append, self.refused.append
        )

    def refusal(self, who: Decision, wanted: Wanted = APP, action: Action = Action.PULL) -> str:
        """The challenge of a refusal."""
        check = self.permission.check
        error = self.assertRaises(UnauthorizedError, check, who, action, wanted, HERE)
        return error.headers["WWW-Authenticate"]

    def test_may(self) -> None:
        """What is granted passes, and nothing is noted."""
        self.permission.check(decision(ALL, account="alice"), Action.PULL, APP, HERE)
        self.permission.check(decision(LIBRARY), Action.PULL, NGINX, HERE)
        self.assertEqual(self.noted, [])

    def test_account_may_not(self) -> None:
        """An account is denied."""
        who = decision(LIBRARY, account="alice")
        self.assertRaises(DeniedError, self.permission.check, who, Action.PULL, APP, HERE)

    def test_anonymous_may_not(self) -> None:
        """Anonymous is challenged by the situation, with the scope that is needed."""
        self.assertEqual(
            self.refusal(decision(LIBRARY)), f'{REALM},scope="repository:org/app:pull"'
        )
        self.assertEqual(self.refusal(decision()), 'Basic realm="Registry Realm"')

    def test_wrong(self) -> None:
        """Wrong credentials count as none where anonymous may pull, and that is noted."""
        who = decision(LIBRARY, wrong=True)
        self.permission.check(who, Action.PULL, NGINX, HERE)
        self.assertEqual(self.noted, [who])
        self.assertIn("scope", self.refusal(who))
        self.assertEqual(len(self.noted), 1)

    def test_wrong_to_delete(self) -> None:
        """A wrong login deletes nothing, though anybody may."""
        who = decision(ADMIN, wrong=True)
        self.assertIn("delete", self.refusal(who, NGINX, Action.DELETE))
        self.assertEqual(self.noted, [])
        self.permission.check(decision(ADMIN), Action.DELETE, NGINX, HERE)

    def test_told(self) -> None:
        """Of wrong credentials that are refused it is told, once each, and of no other refusal."""
        wrong = decision(LIBRARY, wrong=True)
        self.refusal(wrong)
        self.assertRaises(UnauthorizedError, self.permission.check_ping, wrong, HERE)
        self.assertRaises(UnauthorizedError, self.permission.check_admin, wrong)
        self.assertRaises(UnauthorizedError, self.permission.check_view, wrong, Action.PULL, None)
        self.assertEqual(self.refused, [wrong] * 4)
        self.permission.check(wrong, Action.PULL, NGINX, HERE)
        self.refusal(decision(LIBRARY))
        self.assertEqual(len(self.refused), 4)

    def test_wrong_token(self) -> None:
        """A wrong token never counts as none, for a pull or a list."""
        who = replace(decision(LIBRARY, wrong=True), bad_token=True)
        self.assertEqual(self.refusal(who, NGINX), f'{REALM},scope="repository:nginx:pull"')
        self.assertRaises(UnauthorizedError, self.permission.check_listing, who, HERE)
        self.assertEqual(self.noted, [])

    def test_narrow_token(self) -> None:
        """A token that is too narrow is challenged for what is missing."""
        narrow = (repository_scope("other", "pull"),)
        for who in (decision(ALL, account="alice", scopes=narrow), decision(ALL, scopes=narrow)):
            self.assertIn('scope="repository:org/app:pull"', self.refusal(who))

    def test_token_of_denied(self) -> None:
        """A new token would not help whom the rules do not let."""
        who = decision(LIBRARY, account="alice", scopes=())
        self.assertRaises(DeniedError, self.permission.check, who, Action.PULL, APP, HERE)

    def test_ping(self) -> None:
        """The ping challenges who shows nothing, or something wrong, and nobody else."""
        check = self.permission.check_ping
        for who in (decision(LIBRARY), decision(LIBRARY, wrong=True)):
            error = self.assertRaises(UnauthorizedError, check, who, HERE)
            self.assertEqual(error.headers["WWW-Authenticate"], REALM)
        check(decision(LIBRARY, account="alice"), HERE)
        check(decision(LIBRARY, scopes=()), HERE)

    def test_ping_without_accounts(self) -> None:
        """Where nobody can log in the ping challenges only who may pull nothing."""
        permission = Permission(
            Challenger("Registry Realm"), False, self.noted.append, self.refused.append
        )
        permission.check_ping(decision(LIBRARY), HERE)
        self.assertRaises(UnauthorizedError, permission.check_ping, decision(), HERE)

    def test_listing(self) -> None:
        """The catalog is for who may pull anything, with a token only by its own scope."""
        check = self.permission.check_listing
        check(decision(LIBRARY), HERE)
        self.assertRaises(DeniedError, check, decision(account="alice"), HERE)
        self.assertRaises(UnauthorizedError, check, decision(), HERE)
        who = decision(ALL, account="alice", scopes=())
        error = self.assertRaises(UnauthorizedError, check, who, HERE)
        self.assertIn('scope="registry:catalog:*"', error.headers["WWW-Authenticate"])

    def test_admin(self) -> None:
        """Operators need an account with admin, and no token is enough."""
        check = self.permission.check_admin
        check(decision(ADMIN, account="root"))
        self.assertRaises(DeniedError, check, decision(ALL, account="alice"))
        self.assertRaises(DeniedError, check, decision(ADMIN, account="root", scopes=()))
        error = self.assertRaises(UnauthorizedError, check, decision(LIBRARY))
        self.assertEqual(error.headers["WWW-Authenticate"], 'Basic realm="Registry Realm"')

    def test_narrow_admin(self) -> None:
        """Who has admin on some repositories is an operator of these, and not of the daemon."""
        who = decision(Grant(EVERY_ACTION, frozenset({"docker.io"}), ("library/*",)), account="bob")
        self.assertFalse(who.is_admin)
        self.assertRaises(DeniedError, self.permission.check_admin, who)
        check = self.permission.check_view
        check(who, Action.PULL, NGINX)
        elsewhere = Wanted("quay.io", "library/nginx", "quay.io/library/nginx")
        for wanted in (APP, elsewhere, None):
            self.assertRaises(DeniedError, check, who, Action.PULL, wanted)
