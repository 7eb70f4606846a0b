"""The admin API without a network: calls that are asked, and answers held to their schema."""

import json
import time
from collections.abc import Sequence
from typing import Any
from unittest import TestCase

from jsonschema import Draft202012Validator, FormatChecker
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.access import Access
from regcache.access.challenges import ChallengeKind, Challenger
from regcache.access.entries import Entries
from regcache.access.grants import Rule, Rules
from regcache.access.own_tokens import OwnTokens
from regcache.access.passwords import Passwords
from regcache.access.permission import Permission
from regcache.access.sessions import LIMITS, Sessions
from regcache.admin.api.callers import Callers, Reach
from regcache.admin.api.calls import PREFIX, ApiCall, CallRoute
from regcache.admin.api.router import Api
from regcache.parsing import Parser
from regcache.web.gatekeeper import Gatekeeper
from regcache.web.hosts import RoutingTable
from tests.access.accounts import basic, hashed
from tests.support.pools import ImmediatePool
from tests.support.web_client import Answer, MemoryClient, make_site

#: The headers without which nothing is changed.
CHANGE = ("X-Regcache: 1", "Content-Type: application/json")
ALICE, ROOT, WRONG = basic("alice", "secret"), basic("root", "toor"), basic("alice", "wrong")
OWN_USER = 1234


def assert_answers(call: ApiCall, answer: Any) -> None:
    """An answer keeps to the schema that its call declares.

    :param answer: plain JSON; what cannot be written as JSON fails.
    """
    assert call.answer is not None, "this call has no body"
    schema = call.answer
    plain = json.loads(json.dumps(answer, allow_nan=False))
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    faults = [f"{each.json_path}: {each.message}" for each in validator.iter_errors(plain)]
    assert not faults, f"{call.method} {call.path}: {'; '.join(faults)}"


def make_gatekeeper(clock: Clock, rules: Sequence[Rule] = ()) -> Gatekeeper:
    """Accounts alice and root, who is an administrator."""
    access = Access(
        Rules(True, ["root"], rules),
        Passwords(ImmediatePool(), clock),
        OwnTokens(b"k" * 32, 300),
        clock,
    )
    access.replace_accounts({"alice": hashed("secret"), "root": hashed("toor")})
    permission = Permission(
        Challenger("here", ChallengeKind.AUTO, None), True, lambda _: None, access.refuse
    )
    return Gatekeeper(access, permission, RoutingTable.build([]))


class ApiCase(SynchronousTestCase):
    """An API in memory. Subclasses say what it has by :meth:`routes`.

    :ivar gatekeeper: knows alice and root; set None for no accounts.
    :ivar reach: where requests come in.
    """

    rules: Sequence[Rule] = ()
    reach = Reach.LOOPBACK
    secure = False
    host = "localhost:5001"

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(time.time())
        self.gatekeeper: Gatekeeper | None = make_gatekeeper(self.clock, self.rules)
        self.sessions = Sessions(Entries(self.clock, LIMITS), self.clock)
        self.callers = Callers(lambda: self.gatekeeper, self.sessions, lambda: OWN_USER)
        self.api = Api(self.routes(), self.callers, Parser(ImmediatePool()), busy=(BusyError,))
        self.site = make_site(lambda request: self.api.at(self.reach)(request), self.clock)

    def routes(self) -> list[CallRoute]:
        """What is tested."""
        return []

    def ask(self, method: str, call: str, *lines: str, body: Any = None) -> Answer:
        """The answer to a call; a body that is no bytes is sent as JSON."""
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        content = sent.encode() if isinstance(sent, str) else sent
        client = MemoryClient(self.site, secure=self.secure)
        client.request(method, PREFIX + call, *lines, host=self.host, body=content)
        return client.answer(heads_only=method == "HEAD")

    def get(self, call: str, credentials: str = "", *lines: str) -> Answer:
        """The answer to a GET."""
        shown = [f"Authorization: {credentials}"] if credentials else []
        return self.ask("GET", call, *shown, *lines)

    def post(self, call: str, body: Any, credentials: str = "", *lines: str) -> Answer:
        """The answer to a POST from a page of ours."""
        shown = [f"Authorization: {credentials}"] if credentials else []
        return self.ask("POST", call, *CHANGE, *shown, *lines, body=body)

    def answered(self, call: ApiCall, answer: Answer) -> Any:
        """The JSON of an answer of a call, which is what it declares."""
        self.assertEqual(answer.status, call.status, answer.body)
        assert_answers(call, answer.json)
        return answer.json

    def assert_problem(self, answer: Answer, status: int, code: str) -> dict[str, Any]:
        """An answer is this problem; its document."""
        return assert_problem(self, answer, status, code)


class BusyError(OSError):
    """The index cannot answer."""


def assert_problem(case: TestCase, answer: Answer, status: int, code: str) -> dict[str, Any]:
    """An answer is this problem, in the form that all have; its document."""
    case.assertEqual(answer.status, status, answer.body)
    case.assertEqual(answer.headers["content-type"], "application/problem+json")
    case.assertEqual(answer.headers["cache-control"], "no-store")
    case.assertNotIn("www-authenticate", answer.headers)
    problem: dict[str, Any] = answer.json
    case.assertEqual((problem["status"], problem["code"]), (status, code), problem)
    for name in ("type", "title", "detail", "request_id"):
        case.assertTrue(problem[name], name)
    case.assertIsInstance(problem["params"], dict)
    if code == "UNKNOWN_UPSTREAM":
        case.assertTrue(problem["params"]["name"], "it says which name that is")
    return problem
