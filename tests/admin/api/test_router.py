"""What all calls have in common: the order of refusals, parameters, pages, answers."""

import errno
import json
from typing import Any

from twisted.internet.defer import Deferred

from regcache.admin.api.call_problems import NotCachedProblem
from regcache.admin.api.callers import Reach, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallAnswer, CallRoute
from regcache.admin.api.cursors import Cursors
from regcache.admin.api.kinds import (
    ArrayOf,
    Choice,
    DigestText,
    Fields,
    Flag,
    Instant,
    Integer,
    Parameter,
    RepositoryName,
    Text,
)
from regcache.admin.api.schemas import COUNT, TEXT, page, record
from tests.access.accounts import basic
from tests.support.api import ALICE, CHANGE, ROOT, WRONG, ApiCase, BusyError
from tests.support.web_client import MemoryClient, RecordList, make_site

SEEN = ApiCall(
    method="GET",
    path="seen",
    role=Role.READ,
    text="What was asked.",
    parameters=(
        Parameter("q", Text(8)),
        Parameter("days", Integer(1, 30), default=7),
        Parameter("pinned", Flag()),
        Parameter("sort", Choice(("name", "size")), default="name"),
        Parameter("since", Instant()),
        Parameter("name", RepositoryName()),
    ),
    answer=record(days=COUNT, sort=TEXT),
)
LISTED = ApiCall(
    method="GET",
    path="listed",
    role=Role.READ,
    text="Numbers.",
    parameters=(Parameter("q", Text(8)),),
    paged=True,
    answer=page(COUNT),
)
CHANGED = ApiCall(
    method="POST",
    path="changed",
    role=Role.ADMIN,
    text="Changes something.",
    parameters=(
        Parameter(
            "targets",
            ArrayOf(
                Fields(
                    (
                        Parameter("name", RepositoryName(), required=True),
                        Parameter("digest", DigestText()),
                    )
                ),
                2,
            ),
            required=True,
        ),
        Parameter("days", Integer(0, 9)),
    ),
    status=202,
    answer=record(job=TEXT),
)
GONE = ApiCall(method="DELETE", path="seen", role=Role.ADMIN, text="Removes it.", status=204)
NUMBERS = list(range(120))


class RouterCase(ApiCase):
    """Calls of every kind."""

    def routes(self) -> list[CallRoute]:
        self.asked: list[AskedCall] = []
        self.outcome: Any = {"days": 1, "sort": "name"}
        return [
            CallRoute(SEEN, self.seen),
            CallRoute(LISTED, self.listed),
            CallRoute(CHANGED, self.changed),
            CallRoute(GONE, lambda asked: CallAnswer(headers={"X-Gone": "1"})),
        ]

    def seen(self, asked: AskedCall) -> Any:
        """Notes what was asked."""
        self.asked.append(asked)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def listed(self, asked: AskedCall) -> Any:
        """A page of numbers, of which some go away meanwhile."""
        position = asked.position
        assert position is not None
        after = -1 if position.after is None else position.after[0]
        rest = [each for each in NUMBERS if each > after]
        items = rest[: position.limit]
        return asked.page(items, [items[-1]] if len(rest) > len(items) else None, len(NUMBERS))

    async def changed(self, asked: AskedCall) -> Any:
        """Notes it, too."""
        self.asked.append(asked)
        return {"job": "1"}


class RefusalTests(RouterCase):
    """Who may ask what, and in which order that is looked at."""

    def test_unknown(self) -> None:
        """What is no call is 404, under any version and spelling."""
        for call in ("", "Seen", "seen/", "nothing", "seen%20", "../v1/seen"):
            self.assert_problem(self.ask("GET", call), 404, "UNKNOWN_CALL")

    def test_method(self) -> None:
        """Another method is 405, and says which ones there are."""
        answer = self.ask("POST", "seen", *CHANGE, body={})
        self.assert_problem(answer, 405, "METHOD")
        self.assertEqual(answer.headers["allow"], "DELETE, GET, HEAD")
        for method in ("PUT", "PATCH", "OPTIONS", "TRACE"):
            self.assert_problem(self.ask(method, "changed", *CHANGE), 405, "METHOD")

    def test_roles_on_loopback(self) -> None:
        """Without a login loopback may read, and change nothing."""
        self.answered(SEEN, self.get("seen"))
        self.assert_problem(self.post("changed", {}), 401, "UNAUTHENTICATED")
        self.assert_problem(self.post("changed", {}, ALICE), 403, "FORBIDDEN")
        self.assert_problem(self.post("changed", {}, ROOT), 400, "INVALID")

    def test_roles_elsewhere(self) -> None:
        """Where others reach it an account is needed to read, too."""
        self.reach = Reach.REMOTE
        self.assert_problem(self.get("seen"), 401, "UNAUTHENTICATED")
        self.answered(SEEN, self.get("seen", ALICE))
        self.assert_problem(self.post("changed", {}, ALICE), 403, "FORBIDDEN")

    def test_wrong_credentials(self) -> None:
        """What is shown and wrong is refused, also where nothing need be shown."""
        for shown in (WRONG, "Bearer abc", "Basic !", "Digest x"):
            self.assert_problem(self.get("seen", shown), 401, "UNAUTHENTICATED")
        two = (f"Authorization: {ALICE}", f"Authorization: {ROOT}")
        self.assert_problem(self.ask("GET", "seen", *two), 401, "UNAUTHENTICATED")
        self.gatekeeper = None
        self.assert_problem(self.get("seen", ALICE), 401, "UNAUTHENTICATED")

    def test_too_many(self) -> None:
        """Trying passwords ends in 429, which says when to go on."""
        for number in range(10):
            self.get("seen", basic("alice", f"wrong {number}"))
        answer = self.get("seen", basic("alice", "once more"))
        self.assert_problem(answer, 429, "TOO_MANY_LOGINS")
        self.assertIn("retry-after", answer.headers)
        self.assertEqual(self.get("seen").status, 200)

    def test_recorded(self) -> None:
        """The access log has the account, and what was refused."""
        records = RecordList()
        site = make_site(self.api.at(Reach.REMOTE), self.clock, recorders=[records])
        MemoryClient(site).request("GET", "/api/v1/seen", f"Authorization: {ALICE}")
        self.assertEqual((records.last.account, records.last.status), ("alice", 200))
        MemoryClient(site).request("GET", "/api/v1/seen")
        self.assertEqual((records.last.outcome, records.last.status), ("denied", 401))


class ParameterTests(RouterCase):
    """What a call takes."""

    def field(self, answer: Any) -> str:
        """The field that a refusal names."""
        return str(self.assert_problem(answer, 400, "INVALID")["params"]["field"])

    def test_query(self) -> None:
        """Values are read as declared; what is absent has its default."""
        self.get("seen?q=%C3%A4%20b&days=30&pinned=true&since=2026-11-26T08:00:00Z&name=a.test/b/c")
        values = dict(self.asked[-1].values)
        self.assertEqual(str(values.pop("name")), "a.test/b/c")
        self.assertEqual(
            values,
            {"q": "ä b", "days": 30, "pinned": True, "sort": "name", "since": 1795680000.0},
        )
        self.get("seen")
        self.assertEqual((self.asked[-1].values["days"], self.asked[-1].values["q"]), (7, None))

    def test_bad_query(self) -> None:
        """What is wrong, unknown or there twice is refused, and named."""
        for query, field in (
            ("days=0", "days"),
            ("days=31", "days"),
            ("days=x", "days"),
            ("days=", "days"),
            ("days=" + "9" * 300, "days"),
            ("days=%D9%A3", "days"),  # a digit, but none of ours
            ("pinned=yes", "pinned"),
            ("sort=date", "sort"),
            ("since=yesterday", "since"),
            ("since=2026-13-01T00:00:00Z", "since"),
            ("q=123456789", "q"),
            ("q=%00", "q"),
            ("q=%ff", ""),
            ("q=1&q=2", "q"),
            ("name=nginx", "name"),
            ("name=a.test/../b", "name"),
            ("color=red", "color"),
            ("&".join(f"a{n}=1" for n in range(40)), ""),
        ):
            self.assertEqual(self.field(self.get(f"seen?{query}")), field, query)
        self.assertEqual(self.asked, [])

    def test_body(self) -> None:
        """A body is read in depth."""
        digest = "sha256:" + "a" * 64
        body = {"targets": [{"name": "a.test/b", "digest": digest}, {"name": "a.test/c"}]}
        self.answered(CHANGED, self.post("changed", body, ROOT))
        first, second = self.asked[-1].values["targets"]
        self.assertEqual((str(first["digest"]), second["digest"]), (digest, None))

    def test_bad_body(self) -> None:
        """Every fault has its path; nothing is called."""
        good = {"name": "a.test/b"}
        for body, field in (
            ({}, "targets"),
            ({"targets": None}, "targets"),
            ({"targets": {}}, "targets"),
            ({"targets": [good] * 3}, "targets"),
            ({"targets": [good, {}]}, "targets[1].name"),
            ({"targets": [{"name": 1}]}, "targets[0].name"),
            ({"targets": [good | {"digest": "md5:1"}]}, "targets[0].digest"),
            ({"targets": [good | {"x": 1}]}, "targets[0].x"),
            ({"targets": [good], "days": True}, "days"),
            ({"targets": [good], "days": 1.0}, "days"),
            ([], ""),
            (b"{", ""),
            (b'{"targets": [], "targets": []}', ""),
            (b'{"days": NaN}', ""),
            (b"\xff", ""),
            (b"[" * 60_000, ""),
        ):
            self.assertEqual(self.field(self.post("changed", body, ROOT)), field, body)
        self.assertEqual(self.field(self.post("changed?days=1", {}, ROOT)), "days")
        self.assertEqual(self.asked, [])

    def test_encoded_body(self) -> None:
        """An encoded body is refused for its encoding; identity is no encoding."""
        body = {"targets": []}
        for line in ("gzip", "br", "identity, GZIP", "x"):
            answer = self.post("changed", body, ROOT, f"Content-Encoding: {line}")
            problem = self.assert_problem(answer, 415, "ENCODED")
            self.assertIn(line.rpartition(" ")[2].lower(), problem["detail"])
            self.assertEqual(answer.headers["accept-encoding"], "identity")
        self.assertEqual(self.asked, [])
        for line in ("identity", "Identity,", ""):
            self.answered(CHANGED, self.post("changed", body, ROOT, f"Content-Encoding: {line}"))

    def test_large_body(self) -> None:
        """A body over 64 KiB is refused unread, as a problem too."""
        answer = self.post("changed", b"x" * 70_000, ROOT)
        self.assert_problem(answer, 413, "INVALID")


class PageTests(RouterCase):
    """Lists come in pages."""

    def page(self, query: str = "") -> Any:
        """One page."""
        return self.answered(LISTED, self.get(f"listed{query}"))

    def test_pages(self) -> None:
        """Following next gives every row once."""
        first = self.page()
        second = self.page(f"?cursor={first['next']}")
        third = self.page(f"?cursor={second['next']}")
        self.assertEqual(first["items"] + second["items"] + third["items"], NUMBERS)
        self.assertEqual([len(first["items"]), first["total"], third["next"]], [50, 120, None])

    def test_limit(self) -> None:
        """A page has 200 rows at most."""
        self.assertEqual(len(self.page("?limit=200")["items"]), 120)
        for limit in ("0", "201", "-1"):
            self.assert_problem(self.get(f"listed?limit={limit}"), 400, "INVALID")

    def test_another_limit(self) -> None:
        """The next page may be larger."""
        following = self.page("?limit=2")["next"]
        self.assertEqual(self.page(f"?limit=3&cursor={following}")["items"], [2, 3, 4])

    def test_foreign(self) -> None:
        """A cursor of another list, another search, another process or nobody is gone."""
        following = self.page()["next"]
        foreign = Cursors().position("listed", {"q": None, "limit": 1, "cursor": None}).cursor([1])
        for query in (
            f"q=x&cursor={following}",
            f"cursor={foreign}",
            "cursor=",
            "cursor=abc",
            f"cursor={following[:-2]}",
            f"cursor={following}AAAA",
            "cursor=%C3%A4",
        ):
            self.assert_problem(self.get(f"listed?{query}"), 410, "CURSOR")


class AnswerTests(RouterCase):
    """How answers come."""

    def test_headers(self) -> None:
        """An answer is JSON that nobody stores, with an entity tag."""
        answer = self.get("seen")
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.headers["cache-control"], "no-store")
        head = self.ask("HEAD", "seen")
        self.assertEqual((head.status, head.headers["etag"]), (200, answer.headers["etag"]))

    def test_not_modified(self) -> None:
        """What is known already is 304, until it changes."""
        etag = self.get("seen").headers["etag"]
        again = self.get("seen", "", f"If-None-Match: {etag}")
        self.assertEqual((again.status, again.body), (304, b""))
        self.assertEqual(again.headers["cache-control"], "no-store")
        self.outcome = {"days": 2, "sort": "name"}
        self.assertEqual(self.get("seen", "", f"If-None-Match: {etag}").status, 200)

    def test_large(self) -> None:
        """A large answer is the same as a small one."""
        self.outcome = {"days": 1, "sort": "x", "more": [{"n": n} for n in range(5000)]}
        self.assertEqual(self.get("seen").json, self.outcome)

    def test_later(self) -> None:
        """A handler may answer later; a client that left is no fault."""
        waiting: Deferred[Any] = Deferred()
        self.outcome = waiting
        client = MemoryClient(self.site).request("GET", "/api/v1/seen", host="localhost:5001")
        self.assertEqual(client.answers(), [])
        waiting.callback({"days": 3, "sort": "name"})
        self.assertEqual(client.answer().json["days"], 3)
        self.outcome = Deferred()
        client = MemoryClient(self.site).request("GET", "/api/v1/seen", host="localhost:5001")
        client.leave()
        self.assertTrue(self.outcome.called, "what it waited for was not cancelled")

    def test_no_body(self) -> None:
        """A call without a body answers 204 with its headers."""
        answer = self.ask("DELETE", "seen", *CHANGE, f"Authorization: {ROOT}")
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(answer.headers["x-gone"], "1")

    def test_problems(self) -> None:
        """What a handler raises is a problem with its code."""
        self.outcome = NotCachedProblem("nothing", params={"name": "a/b"})
        problem = self.assert_problem(self.get("seen"), 404, "NOT_CACHED")
        self.assertEqual((problem["detail"], problem["params"]), ("nothing", {"name": "a/b"}))
        self.outcome = BusyError("closed")
        answer = self.get("seen")
        self.assert_problem(answer, 503, "INDEX_BUSY")
        self.assertEqual(answer.headers["retry-after"], "2")
        self.outcome = BusyError(errno.ENOSPC, "no room")
        problem = self.assert_problem(self.get("seen"), 503, "INDEX_BUSY")
        self.assertEqual(problem["params"], {"reason": "disk_full"})
        self.assertIn("storage.directory is full", problem["detail"])
        self.outcome = BusyError(errno.EROFS, "no way")
        problem = self.assert_problem(self.get("seen"), 503, "INDEX_BUSY")
        self.assertEqual(problem["params"], {"reason": "read_only"})

    def test_fault(self) -> None:
        """A fault of ours is told by an id that the log has, and nothing else of it."""
        self.outcome = ZeroDivisionError("the secret")
        problem = self.assert_problem(self.get("seen"), 500, "INTERNAL")
        self.assertNotIn("secret", json.dumps(problem))
        (logged,) = self.flushLoggedErrors(ZeroDivisionError)
        self.assertIn(problem["request_id"], problem["detail"])
        self.assertIn("secret", str(logged.value))

    def test_late(self) -> None:
        """What takes longer than the first answer may is a problem, too."""
        self.outcome = Deferred()
        client = MemoryClient(self.site).request("GET", "/api/v1/seen", host="localhost:5001")
        self.clock.advance(25)
        self.assert_problem(client.answer(), 504, "UNAVAILABLE")
