"""GET requests, request and clients."""

from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from regcache import causes
from regcache.access.grants import Action, Grant, Rule
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.request_calls import (
    GET_CLIENTS,
    GET_REQUEST,
    GET_REQUESTS,
    request_routes,
)
from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.ring import RequestLog, RequestRing
from regcache.digests import Digest
from regcache.images import ImagePart
from regcache.parsing import Parser
from regcache.web.records import RequestRecord
from tests.admin.requests.rows import row
from tests.support.api import ALICE, ApiCase
from tests.support.image_parts import KnownParts
from tests.support.pools import ImmediatePool

PULL = frozenset({Action.PULL})


class RequestCase(ApiCase):
    """Some requests."""

    def routes(self) -> list[CallRoute]:
        self.pending = PendingRecords()
        self.ring = RequestRing(self.pending)
        self.log = RequestLog(self.ring, lambda: [], self.clock.seconds)
        self.known = KnownParts()
        return request_routes(self.log, self.known.finder, Parser(ImmediatePool()))

    def put(self, **changes: Any) -> str:
        """A request has ended; its id."""
        record = row(**changes)
        self.pending(record)
        return self.ring.id_of(record)

    def told(self, query: str = "", credentials: str = "") -> Any:
        """The answer to GET requests."""
        return self.answered(GET_REQUESTS, self.get(f"requests{query}", credentials))

    def ids(self, query: str = "", credentials: str = "") -> list[str]:
        """The ids of a page."""
        return [each["id"] for each in self.told(query, credentials)["items"]]


class RequestTests(RequestCase):
    """What is told."""

    def test_item(self) -> None:
        """All that is known of a request."""
        digest = Digest.of(b"x")
        one = self.put(account="bob", digest=digest, first_byte=0.0124, seconds=1.5)
        (item,) = self.told()["items"]
        self.assertEqual(item["id"], one)
        self.assertEqual((item["principal"], item["address"]), ("bob", "192.0.2.7"))
        self.assertEqual((item["agent"], item["time"]), ("docker/27", "2027-01-15T08:00:00Z"))
        self.assertEqual((item["repository"], item["reference"]), ("library/alpine", "3.20"))
        self.assertEqual((item["digest"], item["status"]), (str(digest), 200))
        self.assertEqual((item["first_byte_ms"], item["duration_ms"]), (12, 1500))
        self.assertEqual(item["verdict"]["code"], "ok.hit")
        self.assertEqual(item["verdict"]["params"], {"upstream": "docker.io", "principal": "bob"})

    def test_part(self) -> None:
        """A layer is told with its image, found by what the same client asked for before."""
        layer, manifest, other = Digest.of(b"layer"), Digest.of(b"m"), Digest.of(b"o")
        self.put(digest=manifest)
        self.put(digest=other, reference="3.19", peer="192.0.2.8")
        self.put(digest=other, reference="3.19", repository="library/other")
        one = self.put(kind="blob", reference=str(layer))
        self.put(digest=other, reference="3.19")
        self.known.parts[layer] = ImagePart("3.20", "linux/amd64", (1, 4))
        items = {each["id"]: each for each in self.told()["items"]}
        self.assertEqual(items[one]["part"], {"index": 1, "of": 4})
        (asked,) = [each for each in self.known.asked if each.content.digest == layer]
        self.assertEqual(asked.before, (("3.20", manifest),))
        told = self.answered(GET_REQUEST, self.get(f"request?id={one}"))
        self.assertEqual(told["part"], {"index": 1, "of": 4})
        image = {"name": "docker.io/library/alpine", "reference": "3.20", "platform": "linux/amd64"}
        self.assertEqual(told["image"], image)

    def test_part_unknown(self) -> None:
        """Of what was refused, failed, or is of an upstream that is gone, nothing is looked up."""
        layer = str(Digest.of(b"layer"))
        for changes in (
            {"status": 403, "outcome": "denied"},
            {"status": 404, "outcome": "error"},
            {"upstream": "gone.test"},
            {"repository": ""},
            {"kind": "tags", "reference": ""},
        ):
            self.put(**({"kind": "blob", "reference": layer} | changes))
        self.put(kind="blob", reference="sha256:short")
        self.assertEqual([each["part"] for each in self.told()["items"]], [None] * 6)
        self.assertEqual(self.known.asked, [])

    def test_index_fails(self) -> None:
        """While the index cannot answer, the rest is told."""
        self.known.fails = True
        one = self.put(digest=Digest.of(b"m"))
        told = self.answered(GET_REQUEST, self.get(f"request?id={one}"))
        self.assertEqual((told["part"], told["image"]["reference"]), (None, "3.20"))

    def test_order(self) -> None:
        """The latest to arrive is first, whenever it ended."""
        late, early = self.put(serial=9), self.put(serial=4)
        self.assertEqual(self.ids(), [late, early])

    def test_filters(self) -> None:
        """Each filter leaves what it names."""
        other = {"upstream": "ghcr.io", "repository": "org/app", "kind": "blob"}
        one = self.put(account="Bob", arrived=1_800_000_000.0)
        two = self.put(**other, peer="2001:db8::1", seconds=31.0, outcome="miss")
        three = self.put(**other, outcome="error", status=502, arrived=1_800_000_100.0)
        for query, expected in (
            ("", [three, two, one]),
            ("?upstream=ghcr.io", [three, two]),
            ("?kind=blob&outcome=miss", [two]),
            ("?slow=true", [two]),
            ("?slow=false", [three, one]),
            ("?failed=true", [three]),
            ("?principal=Bob", [one]),
            ("?principal=2001:db8::1", [two]),
            ("?q=ALPINE", [one]),
            ("?q=library/alpine:3.20", [one]),
            ("?q=bob", [one]),
            ("?q=db8", [two]),
            ("?q=nothing", []),
            ("?since=2027-01-15T08:01:00Z", [three]),
            ("?until=2027-01-15T08:01:00Z", [two, one]),
        ):
            self.assertEqual(self.ids(query), expected, query)

    def test_counts(self) -> None:
        """Counts are those of all filters but what became of requests."""
        self.put(outcome="miss", seconds=31.0)
        self.put(outcome="stale", cause=causes.STALE_DOWN)
        self.put(outcome="error", status=502, upstream="ghcr.io")
        told = self.told("?outcome=hit")
        self.assertEqual(told["items"], [])
        counts = {"all": 3, "slow": 1, "failed": 1, "miss": 1, "stale": 1}
        self.assertEqual(told["counts"], counts)
        self.assertEqual(self.told("?upstream=ghcr.io")["counts"]["all"], 1)
        self.assertEqual(told["kept_since"], "2027-01-15T08:00:00Z")

    def test_hostile(self) -> None:
        """What clients and repositories call themselves breaks nothing."""
        self.put(
            agent=b"\xff\x00<script>\r\n\xe2\x80\xae",
            account="a\u202eb",
            reference="\x1b[31m",
            method="\ufffd" * 500,
            kind="nonsense",
            outcome="nonsense",
            status=0,
            first_byte=-1.0,
            seconds=-1.0,
        )
        (item,) = self.told()["items"]
        self.assertEqual((item["kind"], item["outcome"]), ("other", "error"))
        self.assertEqual(item["duration_ms"], 0)
        self.assertEqual(self.ids("?q=%25&kind=other"), [])

    def test_wrong_parameters(self) -> None:
        """Values that cannot be are refused."""
        for query in ("kind=x", "slow=1", "since=yesterday", "limit=0", "q=%00", "more=1"):
            self.assert_problem(self.get(f"requests?{query}"), 400, "INVALID")

    def test_one(self) -> None:
        """A request is told by its id; one that is not kept is not there."""
        one = self.put(ended_early="docker.io: stalled", outcome="miss")
        told = self.answered(GET_REQUEST, self.get(f"request?id={one}"))
        self.assertEqual((told["id"], told["error"]), (one, "docker.io: stalled"))
        self.assertIsNone(told["phases"])
        self.assert_problem(self.get("request?id=nonsense"), 404, "NOT_CACHED")

    def test_clients(self) -> None:
        """Each client is told once, with what it asked last."""
        now = self.clock.seconds()
        self.put(account="bob", arrived=now - 90_000, agent=b"old")
        self.put(account="bob", arrived=now - 60, reference="1")
        self.put(account="bob", arrived=now - 30, reference="2", outcome="miss")
        self.put(arrived=now - 10, kind="ping", upstream="", repository="", reference="")
        told = self.answered(GET_CLIENTS, self.get("clients"))["items"]
        self.assertEqual([each["principal"] for each in told], [None, "bob"])
        self.assertEqual(told[0]["last"], {"name": None, "outcome": "hit"})
        named = {"name": "docker.io/library/alpine:2", "outcome": "miss"}
        self.assertEqual(told[1]["last"], named)
        everyone = self.answered(GET_CLIENTS, self.get("clients?since=2020-01-01T00:00:00Z"))
        self.assertEqual(len(everyone["items"]), 3)

    def test_bypass(self) -> None:
        """It is told what became of the requests of an address, and that it passes by."""
        then = self.clock.seconds() - 100
        self.put(peer="192.0.2.1", arrived=then, status=401, outcome="denied")
        self.put(peer="192.0.2.2", arrived=then)
        one, other = self.answered(GET_CLIENTS, self.get("clients"))["items"]
        self.assertEqual((one["address"], one["bypass"]), ("192.0.2.2", None))
        counts = {"challenged": 1, "failed": 0, "pings": 0, "layers": 0}
        self.assertEqual(other["counts"], counts)
        self.assertEqual(other["bypass"]["reason"], "challenged")


class AccountTests(RequestCase):
    """What an account sees."""

    rules = (Rule(frozenset({"alice"}), Grant(PULL, frozenset({"docker.io"}), ("library/**",))),)

    def test_foreign(self) -> None:
        """Of what may be pulled all requests are seen, but not who asked; the own ones whole."""
        foreign = self.put(account="bob")
        hidden = self.put(account="bob", repository="secret/app")
        own = self.put(account="alice", repository="secret/app", outcome="denied", status=403)
        self.put(account="bob", repository="", upstream="")
        (own_client,) = self.answered(GET_CLIENTS, self.get("clients", ALICE))["items"]
        self.assertIsNone(own_client["counts"])
        mine, theirs = self.told("", ALICE)["items"]
        self.assertEqual((mine["id"], theirs["id"]), (own, foreign))
        self.assertEqual(
            (mine["principal"], mine["verdict"]["params"]["principal"]), ("alice",) * 2
        )
        for name in ("principal", "address", "agent"):
            self.assertIsNone(theirs[name])
        self.assertIsNone(theirs["verdict"]["params"]["principal"])
        self.assertEqual(self.told("", ALICE)["counts"]["all"], 2)
        self.assert_problem(self.get(f"request?id={hidden}", ALICE), 404, "NOT_CACHED")

    def test_no_guessing(self) -> None:
        """Nothing that is hidden can be found out by a filter."""
        self.put(account="bob")
        for query in ("principal=bob", "principal=192.0.2.7", "q=bob", "q=192", "q=docker/27"):
            told = self.told(f"?{query}", ALICE)
            self.assertEqual((told["items"], told["counts"]["all"]), ([], 0), query)
        self.assertEqual(self.answered(GET_CLIENTS, self.get("clients", ALICE))["items"], [])


class PagingTests(RequestCase):
    """Pages of a list that changes meanwhile."""

    def test_foreign_cursor(self) -> None:
        """A cursor is good for its own list alone."""
        for _ in range(3):
            self.put()
        cursor = quote(self.told("?limit=2")["next"])
        self.assert_problem(self.get(f"requests?limit=2&kind=blob&cursor={cursor}"), 410, "CURSOR")
        self.assertIsNone(self.told(f"?limit=2&cursor={cursor}")["next"])

    @given(
        kinds=st.lists(st.booleans(), max_size=30),
        arriving=st.lists(st.integers(0, 3), max_size=30),
        limit=st.integers(1, 7),
        wanted=st.booleans(),
    )
    @settings(max_examples=60, deadline=None)
    def test_pages(self, kinds: list[bool], arriving: list[int], limit: int, wanted: bool) -> None:
        """No row is repeated or left out while others arrive and end."""
        self.ring._rows.clear()
        waiting: list[RequestRecord] = []
        for number, is_blob in enumerate(kinds):
            record = row(kind="blob" if is_blob else "manifest")
            if number % 5 == 0:
                waiting.append(record._replace(is_open=True))
            else:
                self.pending(record)
        self.log.open = lambda: list(waiting)  # type: ignore[method-assign]
        query = f"?limit={limit}" + ("&kind=blob" if wanted else "")
        expected = self.all_ids(wanted)
        found: list[str] = []
        told = self.told(query)
        for step in range(100):
            found += [each["id"] for each in told["items"]]
            if told["next"] is None:
                break
            for _ in range(arriving[step] if step < len(arriving) else 0):
                self.put(kind="blob")
            if waiting and step % 2:
                self.pending(waiting.pop()._replace(is_open=False))
            told = self.told(f"{query}&cursor={quote(told['next'])}")
        self.assertEqual(found, expected)

    def all_ids(self, only_blobs: bool) -> list[str]:
        """The ids of all rows, the latest first."""
        rows = sorted(self.log.all(), key=lambda each: -each.serial)
        return [self.ring.id_of(each) for each in rows if each.kind == "blob" or not only_blobs]
