"""Every call of the admin API, asked of a real daemon one after the other."""

import json
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any, NamedTuple
from unittest import TestCase

from regcache.admin.api.calls import PREFIX, ApiCall
from regcache.admin_api import CALLS
from tests.support.api import assert_answers
from tests.support.registry_client import Answer, RegistryClient

CHANGE = {"X-Regcache": "1", "Content-Type": "application/json"}
#: Within so many seconds each answer has to be there (service.md 3).
LONGEST = 27.0


class Outcome(NamedTuple):
    """What one call was answered: its status, and the code of its problem, if it is one."""

    name: str
    status: int
    code: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.status} {self.code}".rstrip()


class AllCalls:
    """Asks each call for what is there, and holds the answers to their contract.

    :param client: asks as an administrator, at the admin endpoint.
    :param name: of a repository, with its upstream.
    :param reference: of an image in it.
    :param platform: digest of one of its platforms.
    :ivar slowest: the longest that an answer took (seconds).
    """

    def __init__(
        self,
        case: TestCase,
        client: RegistryClient,
        *,
        name: str,
        reference: str,
        platform: str,
    ) -> None:
        self._case, self._client = case, client
        self._known: dict[str, Any] = {"id": "none", "plan": "none", "tool": "podman"}
        self._known |= {"name": name, "reference": reference, "digest": platform}
        self._known |= {"tag": reference, "targets": [{"name": name, "reference": reference}]}
        self.slowest = 0.0

    def ask_all(self, *, changes: bool = True) -> list[Outcome]:
        """Ask all of them; what became of each.

        :param changes: also those that are not a GET.
        """
        return [self._ask(call) for call in CALLS if self._is_asked(call, changes)]

    def _is_asked(self, call: ApiCall, changes: bool) -> bool:
        # The answer of events never ends, and a session is of the one who logs in.
        return not call.path.startswith(("events", "session")) and (changes or call.method == "GET")

    def _ask(self, call: ApiCall) -> Outcome:
        values = {each.name: self._value(call, each.name) for each in call.parameters}
        given = {name: value for name, value in values.items() if value is not None}
        began = time.monotonic()
        if call.method == "GET":
            answer = self._client.get(f"{PREFIX}{call.path}?{urllib.parse.urlencode(given)}")
        else:
            body = json.dumps(given).encode()
            answer = self._client.ask(call.method, PREFIX + call.path, body, CHANGE)
        took = time.monotonic() - began
        self.slowest = max(self.slowest, took)
        self._case.assertLess(took, LONGEST, call.path)
        return self._outcome(call, answer)

    def _value(self, call: ApiCall, name: str) -> Any:
        own = _OWN.get(f"{call.method} {call.path}", {})
        if call.path == "plan" and name == "id":
            return self._known["plan"]
        required = {each.name for each in call.parameters if each.required}
        return own.get(name, self._known.get(name) if name in required else None)

    def _outcome(self, call: ApiCall, answer: Answer) -> Outcome:
        name = f"{call.method} {call.path}"
        self._case.assertEqual(answer.headers["cache-control"], "no-store", name)
        if answer.status < 400:
            self._case.assertEqual(answer.status, call.status, name)
            self._case.assertEqual("etag" in answer.headers, call.method == "GET", name)
            told = answer.json()
            assert_answers(call, told)
            # What was begun is asked about by the calls that follow.
            self._known["plan"] = told.get("plan", self._known["plan"])
            self._known["id"] = told.get("job", self._known["id"])
            return Outcome(name, answer.status)
        self._case.assertEqual(answer.headers["content-type"], "application/problem+json", name)
        problem = answer.json()
        self._case.assertEqual(problem["status"], answer.status, name)
        for field in ("type", "title", "detail", "code", "request_id"):
            self._case.assertTrue(problem[field], (name, field))
        return Outcome(name, answer.status, problem["code"])


_OWN: Mapping[str, Mapping[str, Any]] = {
    "POST upstreams/test": {"name": "upstream.test"},
    "POST plans": {"action": "sweep", "unused_for_days": 1000, "targets": None},
    "POST seats": {"name": "alice", "note": "somebody"},
    **{
        f"POST seats/{each}": {"name": "alice"}
        for each in ("end", "key", "certificate", "host", "link")
    },
}
