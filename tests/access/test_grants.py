"""Rules, and what they grant."""

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from regcache.access.grants import Action, Grant, Rule, Rules, parse_address

PULL = frozenset({Action.PULL})
LIBRARY = Grant(PULL, frozenset({"docker.io"}), ("library/*",))


def covers(rules: Rules, account: str, repository: str, **where: str) -> bool:
    """Whether somebody may pull a repository of docker.io."""
    upstream = where.get("upstream", "docker.io")
    action = Action(where.get("action", "pull"))
    granted = rules.granted(account, where.get("address"))
    return any(each.covers(action, upstream, repository) for each in granted)


class RulesTests(SynchronousTestCase):
    """Whom the rules let do what."""

    def test_open(self) -> None:
        """Without restrictions everybody may pull everything, and nobody may delete."""
        rules = Rules(restricted=False)
        self.assertTrue(covers(rules, "", "any/thing", upstream="quay.io"))
        self.assertFalse(covers(rules, "", "any/thing", action="delete"))
        self.assertFalse(rules.anybody_may_delete)

    def test_accounts_only(self) -> None:
        """With accounts and no rules every account may pull everything, and others nothing."""
        rules = Rules(restricted=True)
        self.assertTrue(covers(rules, "alice", "any/thing"))
        self.assertFalse(covers(rules, "", "any/thing"))

    def test_admins(self) -> None:
        """An admin may do everything everywhere, under any rules."""
        rules = Rules(True, ["root"], [Rule(frozenset({"alice"}), LIBRARY)])
        for action in ("pull", "delete", "admin"):
            self.assertTrue(covers(rules, "root", "org/app", upstream="quay.io", action=action))
        self.assertTrue(rules.anybody_may_delete)

    def test_replaced(self) -> None:
        """Rules replace what every account may do without them."""
        rules = Rules(True, [], [Rule(frozenset({"alice"}), LIBRARY)])
        self.assertTrue(covers(rules, "alice", "library/nginx"))
        self.assertFalse(covers(rules, "alice", "org/app"))
        self.assertFalse(covers(rules, "bob", "library/nginx"))
        self.assertFalse(covers(rules, "alice", "library/nginx", upstream="quay.io"))

    def test_anonymous_is_everybody(self) -> None:
        """What anonymous may do an account may do, too: logging in never lessens it."""
        rules = Rules(True, [], [Rule(frozenset({"anonymous"}), LIBRARY)])
        for account in ("", "alice"):
            self.assertTrue(covers(rules, account, "library/nginx"))

    def test_every_account(self) -> None:
        """The star is every account, and never who has none."""
        rules = Rules(True, [], [Rule(frozenset({"*"}), LIBRARY)])
        self.assertTrue(covers(rules, "bob", "library/nginx"))
        self.assertFalse(covers(rules, "", "library/nginx"))

    def test_add_up(self) -> None:
        """Grants add up, in any order."""
        second = Rule(frozenset({"alice"}), Grant(frozenset({Action.DELETE})))
        for listed in ([Rule(frozenset({"*"}), LIBRARY), second], [second]):
            rules = Rules(True, [], listed)
            self.assertTrue(covers(rules, "alice", "org/app", action="delete"))
        self.assertFalse(covers(rules, "alice", "org/app"))

    def test_networks(self) -> None:
        """A network is a condition, and makes nobody an account."""
        inside = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
        rules = Rules(True, [], [Rule(frozenset({"alice"}), LIBRARY, inside)])
        for address, expected in (
            ("10.1.2.3", True),
            ("::ffff:10.1.2.3", True),
            ("fd00::1%eth0", True),
            ("11.0.0.1", False),
            ("nonsense", False),
        ):
            self.assertEqual(covers(rules, "alice", "library/x", address=address), expected)
        self.assertFalse(covers(rules, "", "library/x", address="10.1.2.3"))
        self.assertFalse(covers(rules, "alice", "library/x"))

    def test_addresses(self) -> None:
        """IPv4 in IPv6 is IPv4; what is no address is none."""
        self.assertEqual(str(parse_address("::ffff:192.0.2.1")), "192.0.2.1")
        self.assertIsNone(parse_address("unix"))
        self.assertIsNone(parse_address(None))
