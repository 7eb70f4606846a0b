"""The admin API as a whole: its documents, and what a configuration makes of it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from jsonschema import Draft202012Validator
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache import __version__
from regcache.admin.api.call_problems import PROBLEMS
from regcache.admin.api.callers import Reach
from regcache.admin.api.calls import PREFIX, ApiCall
from regcache.admin.api.documentation import fill_in_calls
from regcache.admin.api.events_call import EventIds
from regcache.admin.api.openapi import OPENAPI, openapi
from regcache.admin.api.request_calls import GET_REQUESTS
from regcache.admin.api.router import Api
from regcache.admin.api.transfer_calls import GET_TRANSFERS
from regcache.admin.api.upstream_calls import GET_UPSTREAMS
from regcache.admin.events.changes import Changes
from regcache.admin.events.hub import EventHub
from regcache.admin.jobs import Jobs
from regcache.admin.requests.counting import CountHistory, RequestCounting
from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.ring import RequestLog, RequestRing, active_requests
from regcache.admin.stored_sums import StoredSumsKeeper
from regcache.admin_api import CALLS, AdminParts, build_api, ui_addresses
from regcache.admin_reloads import Reloads
from regcache.config.loading import loads
from regcache.metering import build_metering
from regcache.metrics import Metrics
from regcache.plans import StoredSums
from regcache.reloading import Reloader
from regcache.replaced_file import ReplacedFile
from regcache.store.count_file import CountFile
from regcache.web.flow_watch import FlowWatch
from regcache.web.site import Site
from tests.support.api import assert_answers
from tests.support.image_parts import KnownParts
from tests.support.pools import ImmediatePool
from tests.support.web_client import MemoryClient, make_site
from tests.test_in_force import BLOB, DIGEST, OLD, InForceCase
from tests.upstream.network import response

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "api.md"


class DocumentTests(SynchronousTestCase):
    """docs/api.md, the declarations and openapi.json say the same."""

    def setUp(self) -> None:
        self.text = DOCUMENT.read_text(encoding="utf-8")
        self.document = openapi(CALLS, __version__)

    def test_tables(self) -> None:
        """The tables of docs/api.md are those of the declarations; "make docs" writes them."""
        self.assertEqual(fill_in_calls(self.text, CALLS), self.text)

    def test_calls(self) -> None:
        """Table, declarations and openapi.json have the same calls, roles and parameters."""
        rows = re.findall(r"^\| ([A-Z]+) (\S+) \| (\w+) \| ([^|]*) \|", self.text, re.MULTILINE)
        operations = {
            (method.upper(), path.removeprefix(PREFIX)): operation
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }
        self.assertEqual({row[:2] for row in rows}, set(operations))
        self.assertEqual({row[:2] for row in rows}, {(each.method, each.path) for each in CALLS})
        for method, path, who, names in rows:
            operation = operations[method, path]
            self.assertIn(operation["x-role"], (who, "admin"))
            told = [name.strip("`") for name in names.split(", ") if name != "none"]
            self.assertEqual(told, list(parameters(operation)), (method, path))

    def test_problems(self) -> None:
        """The codes of errors are the same everywhere."""
        rows = re.findall(r"^\| (\d{3}) \| ([A-Z_]+) \|", self.text, re.MULTILINE)
        self.assertEqual(rows, [(str(each.status), each.code) for each in PROBLEMS])
        codes = self.document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
        self.assertEqual(codes, sorted(code for _, code in rows))

    def test_schemas(self) -> None:
        """Every schema is one, and the document keeps to its own."""
        for call in CALLS:
            Draft202012Validator.check_schema(call.fields.schema)
            if call.answer is not None:
                Draft202012Validator.check_schema(call.answer)
        assert_answers(OPENAPI, self.document)
        json.dumps(self.document, allow_nan=False)


def parameters(operation: dict[str, Any]) -> list[str]:
    """The names of the parameters of an operation, wherever they are sent."""
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        return list(schema["properties"])
    return [each["name"] for each in operation["parameters"]]


async def nothing_stored(_now: float) -> StoredSums:
    """The sums of an empty cache."""
    return StoredSums((), 0, ())


def admin_parts(clock: Clock, *sites: Site) -> AdminParts:
    """What belongs to the API alone."""
    pending = PendingRecords()
    log = RequestLog(RequestRing(pending), lambda: active_requests(sites), clock.seconds)
    pool: Any = ImmediatePool()
    counting = RequestCounting(dict, list, pending)
    history = CountHistory(
        counting, CountFile("not-opened"), pool=pool, clock=clock, disk=lambda: 7
    )
    nothing: Any = None
    usage = build_metering(clock, Metrics()).history(
        "not-opened", clock, pool, is_known=lambda account: True, pending=pending
    )
    loaded = loads("", "regcache.yml", {})
    reloader = Reloader(nothing, ReplacedFile("not-opened"), None, pool=pool, clock=clock)
    changes = Changes()
    ids = EventIds(log.ring, changes)
    return AdminParts(
        jobs=Jobs(clock),
        pending=pending,
        requests=log,
        history=history,
        usage=usage,
        sums=StoredSumsKeeper(nothing_stored, clock),
        flow=FlowWatch([], clock),
        changes=changes,
        events=EventHub(clock),
        event_ids=ids,
        reloads=Reloads(lambda: loaded, lambda: reloader),
    )


class OverMemoryCase(InForceCase):
    """Tests that build the API over an index in memory, and ask it nothing of removals."""

    def setUp(self) -> None:
        super().setUp()
        for part in ("places", "pins", "plans", "removals"):
            setattr(self.engine.index, part, Mock())
        self.engine = replace(self.engine, shown_images=Mock(parts=KnownParts().find))


class BuildingTests(OverMemoryCase):
    """What is built."""

    def make(self) -> Api:
        """The API over an engine in memory."""
        return build_api(self.engine, self.start(self.build()), admin_parts(self.network))

    def test_calls(self) -> None:
        """Every call that is declared is there, once."""
        calls = [route.call for route in self.make().routes]
        self.assertEqual(sorted(calls, key=key), sorted(CALLS, key=key))
        self.assertEqual(len({key(each) for each in calls}), len(calls))

    def test_addresses(self) -> None:
        """A browser is told where it finds the pages."""
        for text, addresses in (
            ("", ["http://127.0.0.1:5001"]),
            ("admin: {endpoint: null}", []),
            ('admin: {endpoint: "tcp:80:interface=127.0.0.1"}', ["http://127.0.0.1"]),
            ('admin: {endpoint: "tcp6:5001:interface=\\\\:\\\\:1"}', ["http://[::1]:5001"]),
            ("admin: {endpoint: 'unix:/run/x'}", []),
            (
                "admin: {hosts: [ui.test]}\nlisteners: [{endpoint: 8080}]",
                ["http://127.0.0.1:5001", "http://ui.test:8080"],
            ),
        ):
            config = loads(text, "regcache.yml", {}).config
            self.assertEqual(list(ui_addresses(config)), addresses, text)


class TrafficTests(OverMemoryCase):
    """What the calls say of requests under way."""

    def setUp(self) -> None:
        super().setUp()
        self.serve(OLD, lambda seen: response(200, BLOB)[:200_000])
        current = self.start(self.build())
        api = build_api(
            self.engine,
            current,
            admin_parts(self.network, self.site),
        )
        self.admin = make_site(api.at(Reach.LOOPBACK), self.network)

    def get(self, call: ApiCall) -> Any:
        """The answer of a call."""
        client = MemoryClient(self.admin).request("GET", PREFIX + call.path)
        answer = client.answer().json
        assert_answers(call, answer)
        return answer

    def test_transfer(self) -> None:
        """A download is told with what is here of it, how fast it comes, and who waits."""
        self.assertEqual(self.get(GET_TRANSFERS)["items"], [])
        client = self.ask(f"/v2/org/app/blobs/{DIGEST}")
        (item,) = self.get(GET_TRANSFERS)["items"]
        self.assertEqual((item["digest"], item["names"]), (str(DIGEST), ["corp/org/app"]))
        self.assertEqual((item["size_bytes"], item["state"]), (len(BLOB), "running"))
        self.assertEqual((item["intervals"], item["host"]), ([[0, item["here_bytes"]]], "old.test"))
        (reader,) = item["readers"]
        self.assertEqual(reader["principal"], "192.0.2.7")
        self.assertEqual(self.get(GET_REQUESTS)["items"][0]["id"], reader["request"])
        (line,) = [line for line in self.network.lines if line.host == OLD]
        line.send(response(200, BLOB)[200_000:240_000])
        self.network.pass_time(2)
        told = self.get(GET_TRANSFERS)
        self.assertGreater(told["in_bytes_per_s"], 0)
        self.assertTrue(0 < told["items"][0]["rate_bytes_per_s"] <= 20_000, told)
        client.leave()
        self.network.pass_time(0.5)
        self.assertEqual(self.get(GET_TRANSFERS)["items"][0]["readers"], [])

    def test_upstreams(self) -> None:
        """An upstream counts its downloads, and is well when it answered."""
        (item,) = self.get(GET_UPSTREAMS)["items"]
        self.assertEqual((item["state"], item["downloads"]), ("unasked", 0))
        self.ask(f"/v2/org/app/blobs/{DIGEST}")
        (item,) = self.get(GET_UPSTREAMS)["items"]
        self.assertEqual((item["state"], item["downloads"]), ("ok", 1))
        self.assertEqual(item["urls"][0]["url"], "http://old.test")

    def test_open_request(self) -> None:
        """A request is in the list as long as it goes on."""
        self.ask(f"/v2/org/app/blobs/{DIGEST}")
        told = self.get(GET_REQUESTS)
        (item,) = told["items"]
        self.assertTrue(item["open"])
        self.assertEqual((item["upstream"], item["repository"]), ("corp", "org/app"))
        self.assertEqual((item["status"], item["outcome"]), (200, "miss"))
        self.assertEqual((told["counts"]["all"], told["kept_since"]), (1, None))

    def test_failing(self) -> None:
        """One that cannot be reached says why, and since when."""
        self.current.replace(self.build("urls: ['http://nowhere.test']"))
        self.ask("/v2/org/app/manifests/latest")
        (item,) = self.get(GET_UPSTREAMS)["items"]
        self.assertIsNotNone(item["since"])
        self.assertEqual(item["urls"][0]["last_error"]["code"], "unreachable")


def key(call: Any) -> tuple[str, str]:
    """By what a call is asked."""
    return call.path, call.method
