"""The stream of events over a socket: how often, and after a break."""

import json
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any, NamedTuple

from regcache.admin.api.calls import PREFIX
from regcache.admin.events.hub import COMMENT
from regcache.admin.events.topics import MOST_ITEMS
from tests.integration.base import UPSTREAM, PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.images import MIB
from tests.support.registry_client import RegistryClient

REPOSITORY = "team/app"


class Event(NamedTuple):
    """One event, and when it came (seconds)."""

    name: str
    data: Any
    last_id: str
    at: float


class EventCase(PullThroughCase):
    """A daemon, and clients of its streams."""

    def setUp(self) -> None:
        self.upstream = self.faulty_upstream()
        self.daemon = self.regcache(upstream_config(self.upstream.url))
        self.client = self.daemon.client()
        self.admin = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}", timeout=30.0)

    def listen(self, topics: str, last_id: str = "") -> HTTPResponse:
        """Begin a stream."""
        connection = self.admin.connect()
        self.addCleanup(connection.close)
        shown = {"Last-Event-ID": last_id} if last_id else {}
        connection.request("GET", f"{PREFIX}events?topics={topics}", headers=shown)
        stream = connection.getresponse()
        self.addCleanup(stream.close)
        self.assertEqual(stream.status, 200)
        return stream

    def read(self, stream: HTTPResponse, until: Callable[[Event], bool]) -> list[Event]:
        """The events up to the first one that is wanted."""
        found: list[Event] = []
        fields: dict[str, str] = {}
        for line in iter(stream.readline, b""):
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                data = json.loads(fields["data"])
                found.append(Event(fields["event"], data, fields["id"], time.monotonic()))
                if until(found[-1]):
                    return found
                fields = {}
        self.fail(f"the stream ended after {found}")

    def target(self, seed: str, size: int = 10_000) -> str:
        """What is asked for to get a blob."""
        blob = self.upstream.add_generated_blob(REPOSITORY, size, seed)
        return f"/v2/{REPOSITORY}/blobs/{blob.digest}"


class RateTests(EventCase):
    """How much is told."""

    def test_rates(self) -> None:
        """While hundreds of requests end and a download goes on, no topic is told too often."""
        slow = self.target("slow", 4 * MIB)
        self.upstream.faults.always(slow, Fault(rate=MIB))
        stream = self.listen("status,transfer,request,upstream,job,changed")
        download = Download(self.client, slow)
        target, sent, began = self.target("hit"), 0, time.monotonic()
        while time.monotonic() - began < 3.5:
            self.assertEqual(self.client.get(target).status, 200)
            sent += 1
        self.assertIsNone(download.wait(30).error)
        events = self.read(stream, lambda each: "gone" in str(each.data))
        took = time.monotonic() - began
        times = Counter(each.name for each in events)
        for name, every in (("status", 2), ("transfer", 0.5), ("request", 0.5), ("changed", 1)):
            self.assertGreater(times[name], 0, name)
            self.assertLessEqual(times[name], took / every + 2, name)
        lists = [each.data for each in events if each.name == "request"]
        self.assertTrue(any("dropped" in one[0] for one in lists), "all were told")
        self.assertLessEqual(max(len(one) for one in lists), MOST_ITEMS + 1)
        told = sum(each.get("dropped", 1) for one in lists for each in one)
        self.assertLessEqual(told, sent + 1)
        self.assertGreater(told, sent / 2)
        self.assertTrue(all(each.last_id for each in events))

    def test_quiet(self) -> None:
        """Where there is nothing to tell, a comment comes each 15 s."""
        stream, began = self.listen("job"), time.monotonic()
        self.assertEqual([stream.readline(), stream.readline()], [b"retry: 3000\n", b"\n"])
        self.assertEqual(stream.readline(), b":\n")
        took = time.monotonic() - began
        self.assertTrue(COMMENT - 1 < took < COMMENT + 10, took)


class ReturnTests(EventCase):
    """Clients whose streams broke off."""

    def test_return(self) -> None:
        """A client that comes back is told all that it has missed, and once."""
        seen: list[str] = []
        last_id, asked = "", [self.target(f"blob {number}") for number in range(8)]
        for target in asked:
            stream = self.listen("request,changed", last_id)
            self.assertEqual(self.client.get(target).status, 200)
            last = self.read(stream, lambda each: each.name == "request")[-1]
            last_id = last.last_id
            stream.close()
            seen += [each["reference"] for each in last.data]
        stream = self.listen("changed", last_id)
        self.read(stream, lambda each: each.data == {"repositories": [f"{UPSTREAM}/{REPOSITORY}"]})
        self.assertEqual(seen, [target.rpartition("/")[2] for target in asked])

    def test_removed_upstream(self) -> None:
        """A reload that removes an upstream is told by ``reset``, once."""
        stream = self.listen("upstream")
        self.read(stream, lambda each: each.data["name"] == UPSTREAM)
        config = {**self.daemon.config, **upstream_config(self.upstream.url)}
        config["upstreams"] = {"new.test": config["upstreams"][UPSTREAM]}
        config["default_upstream"] = "new.test"
        new = self.daemon.file.with_suffix(".new")
        new.write_text(json.dumps(config))
        new.rename(self.daemon.file)
        (first, second) = self.read(stream, lambda each: each.name == "upstream")
        self.assertEqual((first.name, second.data["name"]), ("reset", "new.test"))

    def test_restart(self) -> None:
        """Who comes back to another process is told to read all again."""
        stream = self.listen("request")
        self.client.get(self.target("before"))
        (last,) = self.read(stream, lambda each: True)
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        (first,) = self.read(self.listen("request", last.last_id), lambda each: True)
        self.assertEqual((first.name, first.data), ("reset", {}))
