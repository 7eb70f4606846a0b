"""The API over HTTP/2, as browsers speak it with an admin host."""

import json
from typing import Any

from regcache.admin.api.callers import Reach
from regcache.admin.api.calls import PREFIX, CallRoute
from regcache.admin.api.session_calls import SessionCalls
from tests.support.api import ApiCase
from tests.support.http2_client import Http2Client, StreamAnswer, fields, make_http2_site

HOST = "registry.example.com"
CHANGE = (("x-regcache", "1"), ("content-type", "application/json"))


class Http2Tests(ApiCase):
    """A session from login to logout."""

    def routes(self) -> list[CallRoute]:
        return SessionCalls(self.callers, self.sessions, lambda: []).routes()

    def ask(self, method: str, body: Any, *more: tuple[str, str]) -> StreamAnswer:  # type: ignore
        """The answer to a call of the session, over a connection of its own."""
        site = make_http2_site(self.api.at(Reach.REMOTE), self.clock)
        client = Http2Client(site)
        content = b"" if body is None else json.dumps(body).encode()
        length = (("content-length", str(len(content))),) if content else ()
        sent = fields(method, f"{PREFIX}session", *more, *length, host=HOST)
        stream = client.begin_fields(sent, end=not content)
        if content:
            client.h2.send_data(stream, content[:16_000], end_stream=len(content) <= 16_000)
        client.carry()
        return client.answers[stream]

    def test_session(self) -> None:
        """The cookie is that of TLS, bodies arrive, and 204 has none."""
        login = {"account": "alice", "password": "secret"}
        answer = self.ask("POST", login, *CHANGE, ("origin", f"https://{HOST}"))
        self.assertEqual(answer.status, 200, answer.body)
        cookie = answer.headers["set-cookie"].partition(";")[0]
        self.assertTrue(cookie.startswith("__Host-regcache="))
        who = json.loads(self.ask("GET", None, ("cookie", cookie)).body)
        self.assertEqual(who["account"], "alice")
        over = self.ask("DELETE", None, *CHANGE, ("cookie", cookie))
        self.assertEqual((over.status, over.body, over.ended), (204, b"", True))
        who = json.loads(self.ask("GET", None, ("cookie", cookie)).body)
        self.assertEqual(who["role"], "none")

    def test_refused(self) -> None:
        """Problems are problems there, too, that of a body that is too large among them."""
        answer = self.ask("POST", {"account": "x" * 70_000}, *CHANGE)
        self.assertEqual((answer.status, json.loads(answer.body)["code"]), (413, "INVALID"))
        foreign = self.ask("POST", {}, *CHANGE, ("origin", "https://evil.test"))
        self.assertEqual(json.loads(foreign.body)["code"], "FOREIGN_PAGE")
