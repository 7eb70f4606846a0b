"""Sends hostile input to every call, and checks that its contract allows the answer."""

import json
from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from regcache.admin.api.calls import ApiCall, CallRoute
from regcache.admin_api import CALLS
from tests.support.api import CHANGE, ROOT, ApiCase

NASTY = ["", " ", "null", "true", "-1", "1e9", "9" * 400, "a/../b", "docker.io/", "\x00", "\u202e",
         "sha256:", "2026-02-31T00:00:00Z", "%", "ä", "'", "<script>", "[]"]  # fmt: skip
TEXTS = st.one_of(st.sampled_from(NASTY), st.text(max_size=30))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)

#: What a call may be refused with for what was sent, who asks being an administrator.
REFUSALS = {(400, "INVALID"), (403, "FORBIDDEN"), (410, "CURSOR")}


class HostileInputTests(ApiCase):
    """Every call that is declared, with handlers that do nothing."""

    def routes(self) -> list[CallRoute]:
        return [CallRoute(call, lambda asked: {}) for call in CALLS]

    def assert_known(self, call: ApiCall, answer: Any) -> None:
        """It is what the call declares, or a refusal of what was sent."""
        if answer.status != call.status:
            self.assertIn((answer.status, answer.json["code"]), REFUSALS, (call.path, answer.body))
            self.assert_problem(answer, answer.status, answer.json["code"])

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_query(self, data: st.DataObject) -> None:
        """No query of a GET is a fault of ours."""
        call = data.draw(st.sampled_from([each for each in CALLS if each.method == "GET"]))
        names = [each.name for each in call.fields.parameters]
        known = st.sampled_from(names) if names else TEXTS
        fields = data.draw(st.lists(st.tuples(st.one_of(known, TEXTS), TEXTS), max_size=4))
        query = "&".join(f"{quote(name)}={quote(value)}" for name, value in fields)
        self.assert_known(call, self.get(f"{call.path}?{query}", ROOT))

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_body(self, data: st.DataObject) -> None:
        """Nor is any body."""
        call = data.draw(st.sampled_from([each for each in CALLS if each.method != "GET"]))
        names = [each.name for each in call.fields.parameters]
        keys = st.one_of(st.sampled_from(names), TEXTS) if names else TEXTS
        body = data.draw(st.one_of(VALUES, st.dictionaries(keys, VALUES, max_size=4)))
        lines = (*CHANGE, f"Authorization: {ROOT}")
        answer = self.ask(call.method, call.path, *lines, body=json.dumps(body).encode())
        self.assert_known(call, answer)

    @settings(max_examples=50, deadline=None)
    @given(st.binary(max_size=60))
    def test_bytes(self, body: bytes) -> None:
        """Nor are bytes that are no JSON."""
        for call in CALLS:
            if call.method != "GET":
                lines = (*CHANGE, f"Authorization: {ROOT}")
                answer = self.ask(call.method, call.path, *lines, body=body)
                self.assert_known(call, answer)
