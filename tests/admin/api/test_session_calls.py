"""Logging in, being known again, and logging out."""

from typing import Any

from regcache.access.grants import Action, Grant, Rule, Rules
from regcache.access.sessions import LINK_LIFE, MOST_OF_ACCOUNT, SESSION_LIFE
from regcache.admin.api.callers import Reach
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.session_calls import (
    ABILITIES,
    GET_SESSION,
    LOG_IN,
    MAKE_LINK,
    SessionCalls,
)
from tests.access.accounts import hashed
from tests.support.api import ALICE, CHANGE, ROOT, ApiCase
from tests.support.web_client import Answer


class SessionCase(ApiCase):
    """The session calls, where others reach them."""

    reach = Reach.REMOTE

    def routes(self) -> list[CallRoute]:
        return SessionCalls(self.callers, self.sessions, lambda: ["http://127.0.0.1:5001"]).routes()

    def who(self, *lines: str) -> Any:
        """Who asks."""
        return self.answered(GET_SESSION, self.ask("GET", "session", *lines))

    def log_in(self, account: str = "alice", password: str = "secret", *lines: str) -> str:
        """Log in; the line with the cookie."""
        answer = self.post("session", {"account": account, "password": password}, "", *lines)
        self.answered(LOG_IN, answer)
        return self.cookie(answer)

    def cookie(self, answer: Answer) -> str:
        """The line that a browser sends back."""
        return "Cookie: " + answer.headers["set-cookie"].partition(";")[0]


class LoginTests(SessionCase):
    """Sessions by password."""

    def test_nobody(self) -> None:
        """Without a login nobody is anybody, and may know that."""
        self.assertEqual(
            self.who(),
            {"role": "none", "account": None, "via": None, "expires": None, "can": []},
        )

    def test_account(self) -> None:
        """A login gives a session, which is the same account afterwards."""
        cookie = self.log_in()
        who = self.who(cookie)
        self.assertEqual((who["role"], who["account"], who["via"]), ("read", "alice", "account"))
        self.assertEqual(who["can"], [])
        self.assertTrue(who["expires"].endswith("Z"))

    def test_administrator(self) -> None:
        """An administrator may do everything."""
        who = self.who(self.log_in("root", "toor"))
        self.assertEqual((who["role"], who["can"]), ("admin", list(ABILITIES)))

    def test_wrong(self) -> None:
        """A wrong password, account or link is 401, and gives no cookie."""
        for body in (
            {"account": "alice", "password": "wrong"},
            {"account": "nobody", "password": "secret"},
            {"account": "alice:secret", "password": ""},
            {"account": "alice", "password": ""},
            {"link": "abc"},
        ):
            answer = self.post("session", body)
            self.assert_problem(answer, 401, "UNAUTHENTICATED")
            self.assertNotIn("set-cookie", answer.headers)

    def test_incomplete(self) -> None:
        """What is neither of both is refused."""
        for body in (
            {},
            {"password": "x"},
            {"account": "alice"},
            {"account": "alice", "password": "secret", "link": "x"},
        ):
            self.assert_problem(self.post("session", body), 400, "INVALID")

    def test_half_a_character(self) -> None:
        """What JSON can say and no text has is refused."""
        for name in ("account", "password", "link"):
            body = {"account": "alice", "password": "x"} | {name: "\ud800"}
            problem = self.assert_problem(self.post("session", body), 400, "INVALID")
            self.assertEqual(problem["params"]["field"], name)

    def test_too_many(self) -> None:
        """Trying passwords ends in 429."""
        for number in range(10):
            self.post("session", {"account": "alice", "password": f"wrong {number}"})
        answer = self.post("session", {"account": "alice", "password": "another"})
        self.assert_problem(answer, 429, "TOO_MANY_LOGINS")

    def test_basic(self) -> None:
        """Basic needs no session, and wins over one."""
        who = self.who(f"Authorization: {ROOT}", self.log_in())
        self.assertEqual((who["account"], who["expires"]), ("root", None))

    def test_no_accounts(self) -> None:
        """Where there are no accounts nobody can log in by password."""
        cookie = self.log_in()
        self.gatekeeper = None
        answer = self.post("session", {"account": "alice", "password": "secret"})
        self.assert_problem(answer, 401, "UNAUTHENTICATED")
        self.assertEqual(self.who(cookie)["role"], "none")


class EndTests(SessionCase):
    """How a session ends."""

    def test_log_out(self) -> None:
        """Logging out ends it on both sides."""
        cookie = self.log_in()
        answer = self.ask("DELETE", "session", *CHANGE, cookie)
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertIn("Max-Age=0", answer.headers["set-cookie"])
        self.assertEqual(self.who(cookie)["role"], "none")
        self.assertEqual(self.ask("DELETE", "session", *CHANGE).status, 204)

    def test_time(self) -> None:
        """It lasts twelve hours."""
        cookie = self.log_in()
        self.clock.advance(SESSION_LIFE - 1)
        self.assertEqual(self.who(cookie)["role"], "read")
        self.clock.advance(1)
        self.assertEqual(self.who(cookie)["role"], "none")

    def test_revoked(self) -> None:
        """It ends at once with its account, and with another password for good."""
        cookie, other = self.log_in(), self.log_in("root", "toor")
        assert self.gatekeeper is not None
        access = self.gatekeeper.access
        access.replace_accounts({"alice": hashed("new"), "root": hashed("toor")})
        self.assertEqual(self.who(cookie)["role"], "none")
        access.replace_accounts({})
        self.assertEqual(self.who(other)["role"], "none")

    def test_rights_change(self) -> None:
        """Who is no administrator any more is none in the session either."""
        cookie = self.log_in("root", "toor")
        assert self.gatekeeper is not None
        everybody = Rule(frozenset({"*"}), Grant(frozenset({Action.PULL})))
        self.gatekeeper.access.decisions.rules = Rules(True, [], [everybody])
        self.assertEqual(self.who(cookie)["role"], "read")

    def test_another_login(self) -> None:
        """A new login in the same browser ends the former session."""
        first = self.log_in()
        second = self.log_in("root", "toor", first)
        self.assertEqual(self.who(first)["role"], "none")
        self.assertEqual(self.who(second)["role"], "admin")

    def test_crowd(self) -> None:
        """Who logs in again and again pushes out nobody but themselves."""
        root, first = self.log_in("root", "toor"), self.log_in()
        last = [self.log_in() for _ in range(MOST_OF_ACCOUNT)][-1]
        self.assertEqual(self.who(first)["role"], "none")
        self.assertEqual((self.who(last)["role"], self.who(root)["role"]), ("read", "admin"))


class CookieTests(SessionCase):
    """What the browser is told."""

    def given(self) -> str:
        """The whole cookie of a login."""
        body = {"account": "alice", "password": "secret"}
        return self.post("session", body).headers["set-cookie"]

    def test_plain(self) -> None:
        """On a plain endpoint it is named after the port, since cookies know none."""
        name, _, attributes = self.given().partition("=")
        self.assertEqual(name, "regcache-5001")
        for attribute in ("; HttpOnly", "; SameSite=Strict", "; Path=/", f"Max-Age={12 * 3600}"):
            self.assertIn(attribute, attributes)
        self.assertNotIn("Secure", attributes)
        cookie = self.log_in()
        self.host = "localhost:5002"
        self.assertEqual(self.who(cookie)["role"], "none")

    def test_tls(self) -> None:
        """Over TLS it is for this host alone, and never sent in the clear."""
        self.secure, self.host = True, "registry.example.com"
        given = self.given()
        self.assertTrue(given.startswith("__Host-regcache="), given)
        self.assertIn("; Secure", given)
        self.assertEqual(self.who(self.log_in())["account"], "alice")

    def test_others(self) -> None:
        """Other cookies do not matter; two of ours, or a wrong one, are none."""
        cookie = self.log_in()
        self.assertEqual(self.who(f"{cookie}; theme=dark")["role"], "read")
        self.assertEqual(self.who(cookie, "Cookie: theme=dark")["role"], "read")
        self.assertEqual(self.who(cookie, "Cookie: regcache-5001=x")["role"], "none")
        for line in (
            "Cookie: regcache-5001=",
            "Cookie: regcache-5001",
            "Cookie: regcache-5001=\xe4",
        ):
            self.assertEqual(self.who(line)["role"], "none")


class LinkTests(SessionCase):
    """One-time links."""

    def link(self) -> str:
        """A new link's token."""
        self.reach = Reach.SOCKET
        made = self.answered(MAKE_LINK, self.post("session/link", {}, ROOT))
        self.reach = Reach.REMOTE
        self.assertEqual(made["urls"], [f"http://127.0.0.1:5001/#/link/{made['link']}"])
        return str(made["link"])

    def test_link(self) -> None:
        """It begins an administrator's session, once."""
        token = self.link()
        answer = self.post("session", {"link": token})
        told = self.answered(LOG_IN, answer)
        self.assertEqual((told["role"], told["account"], told["via"]), ("admin", None, "link"))
        self.assertEqual(self.who(self.cookie(answer))["via"], "link")
        self.assert_problem(self.post("session", {"link": token}), 401, "UNAUTHENTICATED")

    def test_time(self) -> None:
        """It may be opened for five minutes."""
        token = self.link()
        self.clock.advance(LINK_LIFE)
        self.assert_problem(self.post("session", {"link": token}), 401, "UNAUTHENTICATED")

    def test_socket_only(self) -> None:
        """It is made over the unix socket, and by nobody who may only read there."""
        for reach in (Reach.REMOTE, Reach.LOOPBACK):
            self.reach = reach
            self.assert_problem(self.post("session/link", {}, ROOT), 403, "FORBIDDEN")
        self.reach = Reach.SOCKET
        self.assert_problem(self.post("session/link", {}), 401, "UNAUTHENTICATED")
        self.assert_problem(self.post("session/link", {}, ALICE), 403, "FORBIDDEN")

    def test_without_accounts(self) -> None:
        """Links work where there are no accounts."""
        token = self.link()
        self.gatekeeper = None
        self.answered(LOG_IN, self.post("session", {"link": token}))
