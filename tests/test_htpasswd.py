"""The htpasswd file."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.htpasswd import HtpasswdError, parse_htpasswd
from tests.access.accounts import hashed


class HtpasswdTests(SynchronousTestCase):
    """What may stand in it."""

    def test_accounts(self) -> None:
        """Each form of bcrypt is taken; comments and empty lines are passed over."""
        text = hashed("secret").decode()
        forms = {letter: text.replace("$2b$", f"$2{letter}$", 1) for letter in "aby"}
        lines = [f"{name}:{value}" for name, value in forms.items()]
        accounts = parse_htpasswd("\n".join(["# ours", "", *lines, " "]), "file")
        self.assertEqual(accounts, {name: value.encode() for name, value in forms.items()})

    def test_empty(self) -> None:
        """A file without accounts lets nobody in."""
        self.assertEqual(parse_htpasswd("", "file"), {})

    def test_errors(self) -> None:
        """Each error has its file and line, says what to change, and shows no hash."""
        good = hashed("secret").decode()
        for line, why in (
            ("alice", "is not NAME:HASH"),
            (f":{good}", "is not NAME:HASH"),
            ("alice:$apr1$abc$secretsecret", "no bcrypt hash"),
            ("alice:{SHA}c2VjcmV0", "no bcrypt hash"),
            ("alice:secret", "regcachectl passwd FILE alice"),
            (f"alice:{good}x", "no bcrypt hash"),
            (f"anonymous:{good}", "cannot be the name"),
            (f"*:{good}", "cannot be the name"),
            (f"al\tice:{good}", "cannot be the name"),
            (f"bob:{good}", "'bob' stands twice"),
        ):
            error = self.assertRaises(
                HtpasswdError, parse_htpasswd, f"bob:{good}\n{line}\n", "/etc/htpasswd"
            )
            self.assertTrue(str(error).startswith("/etc/htpasswd:2: "), error)
            self.assertIn(why, str(error))
            self.assertNotIn(line.partition(":")[2] or "-", str(error))
