"""The list of requests of a real daemon: why each was slow or failed."""

import json
import threading
import time
from typing import Any

from regcache.admin.api.calls import PREFIX
from regcache.admin.api.request_calls import GET_CLIENTS, GET_REQUEST, GET_REQUESTS
from tests.integration.base import UPSTREAM, PullThroughCase, upstream_config
from tests.support.api import assert_answers
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.images import MIB
from tests.support.processes import wait_until
from tests.support.registry_client import RegistryClient

#: The first byte of what is slow comes after so long (seconds).
SLOW = 2.3
#: Who is to be the reason is waited for at least as long (milliseconds).
LONGEST = 4000
REPOSITORY = "team/app"
_BLOBS = "?kind=blob"


class RequestCase(PullThroughCase):
    """An upstream and a daemon in front of it."""

    def setUp(self) -> None:
        self.upstream = self.faulty_upstream()
        self.daemon = self.regcache(upstream_config(self.upstream.url))
        self.clients = self.daemon.client()
        self.admin = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}")

    def call(self, query: str) -> Any:
        """The answer to a call."""
        answer = self.admin.get(PREFIX + query)
        self.assertEqual(answer.status, 200, answer.body)
        return json.loads(answer.body)

    def items(self, query: str = "") -> Any:
        """The list."""
        told = self.call(f"requests{query}")
        assert_answers(GET_REQUESTS, told)
        return told["items"]

    def latest(self) -> Any:
        """All that is known of the latest request."""
        told = self.call(f"request?id={self.items()[0]['id']}")
        assert_answers(GET_REQUEST, told)
        return told

    def blob(self, size: int = 4 * MIB, **fault: Any) -> tuple[str, Fault]:
        """The target of a blob that comes with a fault."""
        content = self.upstream.add_generated_blob(REPOSITORY, size, repr(fault))
        made = Fault(**fault)
        self.upstream.faults.then(f"*{content.digest}", made, method="GET")
        return f"/v2/{REPOSITORY}/blobs/{content.digest}", made

    def wait_for(self, who: str) -> None:
        """Until somebody was waited for longer than for all else."""

        def long_enough() -> bool:
            if not self.items():
                return False
            waits = self.latest()["waits"]
            return waits is not None and waits[f"{who}_ms"] >= LONGEST

        wait_until(long_enough, f"waiting for the {who}")

    def ended(self) -> Any:
        """The latest request when it has ended."""
        wait_until(lambda: not self.items()[0]["open"], "the end of the request")
        return self.latest()


class SlowTests(RequestCase):
    """Slow requests."""

    def test_first_byte(self) -> None:
        """An upstream that takes long to answer is the reason, with its host and its phases."""
        target, _ = self.blob(first_byte_delay=SLOW)
        self.assertEqual(self.clients.get(target).status, 200)
        told = self.ended()
        self.assertEqual(told["verdict"]["code"], "slow.first_byte")
        self.assertEqual(told["verdict"]["params"]["host"], "127.0.0.1")
        self.assertEqual((told["slow"], told["hosts"]), (True, ["127.0.0.1"]))
        phases = {each["phase"]: each for each in told["phases"]}
        self.assertGreaterEqual(phases["first_byte"]["duration_ms"], 1000 * SLOW - 100)
        self.assertGreaterEqual(told["first_byte_ms"], 1000 * SLOW - 100)

    def test_client(self) -> None:
        """A client that takes nothing is the reason, and is told of while it does."""
        target, _ = self.blob(32 * MIB, first_byte_delay=SLOW)
        released = threading.Event()
        download = Download(
            self.clients, target, lambda done: released.wait(120), receive_buffer=65536
        )
        self.wait_for("client")
        self.assertTrue(self.items()[0]["open"])
        released.set()
        download.join(60)
        told = self.ended()
        self.assertEqual(told["verdict"]["code"], "slow.client")
        self.assertGreater(told["verdict"]["params"]["bytes_per_s"], 0)
        self.assertEqual(told["verdict"]["params"]["principal"], "127.0.0.1")
        self.assertEqual(told["sent_bytes"], 32 * MIB)

    def test_upstream(self) -> None:
        """An upstream that sends slowly is the reason; samples show when it sent."""
        target, fault = self.blob(first_byte_delay=SLOW, hold_at=MIB)
        download = Download(self.clients, target)
        self.wait_for("upstream")
        fault.release.set()
        download.join(60)
        told = self.ended()
        self.assertEqual(told["verdict"]["code"], "slow.upstream")
        self.assertGreaterEqual(len(told["samples"]["bytes"]), 4)
        self.assertGreaterEqual(told["waits"]["upstream_ms"], LONGEST)

    def test_joined(self) -> None:
        """Who joins a download is told how long it has taken until then."""
        target, fault = self.blob(held=True)
        downloads = [Download(self.clients, target) for _ in range(3)]
        wait_until(lambda: len(self.items(_BLOBS)) == 3, "three requests")
        wait_until(lambda: self.items(_BLOBS)[-1]["duration_ms"] >= 1000 * SLOW, "their time")
        fault.release.set()
        for each in downloads:
            each.join(60)
        wait_until(lambda: not any(each["open"] for each in self.items()), "the end")
        codes = {each["verdict"]["code"] for each in self.items(_BLOBS)}
        self.assertEqual(codes, {"slow.first_byte"})
        outcomes = sorted(each["outcome"] for each in self.items(_BLOBS))
        self.assertEqual(outcomes, ["collapsed", "collapsed", "miss"])

    def test_resumed(self) -> None:
        """A body that broke off and went on is told of."""
        target, _ = self.blob(first_byte_delay=SLOW, reset_at=2 * MIB)
        self.assertEqual(self.clients.get(target).status, 200)
        kinds = [each["kind"] for each in self.ended()["events"]]
        self.assertEqual(kinds, ["broken", "resumed"])


class FailedTests(RequestCase):
    """Failed requests, and good ones."""

    def test_codes(self) -> None:
        """What is not there, what an upstream limits, and what it does not answer."""
        self.clients.get(f"/v2/{REPOSITORY}/manifests/none")
        self.assertEqual(self.ended()["verdict"]["code"], "failed.not_found")
        limit = Fault(status=429, retry_after=60)
        self.upstream.faults.always("*/manifests/limited", limit)
        self.clients.get(f"/v2/{REPOSITORY}/manifests/limited")
        told = self.ended()
        self.assertEqual(told["verdict"]["code"], "failed.limited")
        self.assertRegex(told["verdict"]["params"]["until"], "^20.*Z$")
        target, _ = self.blob()
        self.upstream.close()
        self.clients.get(target)
        self.assertEqual(self.ended()["verdict"]["code"], "failed.down")
        self.assertEqual(len(self.items("?failed=true")), 3)

    def test_hit(self) -> None:
        """A miss and a hit are told apart, and their client is one of those that asked."""
        target, _ = self.blob()
        for _ in range(2):
            self.assertEqual(self.clients.get(target, **{"User-Agent": "probe/1"}).status, 200)
        self.ended()
        codes = [each["verdict"]["code"] for each in self.items(_BLOBS)]
        self.assertEqual(codes, ["ok.hit", "ok.miss"])
        told = self.call("clients")
        assert_answers(GET_CLIENTS, told)
        found = {each["agent"]: each["address"] for each in told["items"]}
        self.assertEqual(found["probe/1"], "127.0.0.1")

    def test_counts(self) -> None:
        """What was asked for is counted some seconds later, and still there after a restart."""
        target, _ = self.blob()
        for _ in range(2):
            self.clients.get(target)

        def counted() -> Any:
            return self.call("status")["hour"]["requests"] >= 2

        wait_until(counted, "the hour")
        wait_until(lambda: self.call("top")["items"], "the sums")
        self.daemon.stop()
        self.daemon.start()
        self.admin = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}")
        (item,) = self.call("top?range=1h")["items"]
        self.assertEqual(item["served_bytes"], 8 * MIB)
        history = self.call(f"history?range=24h&upstream={UPSTREAM}")
        self.assertEqual(sum(filter(None, history["requests"])), 2)
        self.assertEqual(sum(filter(None, history["fetched_bytes"])), 4 * MIB)


class EventTests(RequestCase):
    """The stream of events."""

    def test_stream(self) -> None:
        """What happens is told as it does, and a stop says goodbye and waits for no stream."""
        connection = self.admin.connect()
        self.addCleanup(connection.close)
        connection.request("GET", f"{PREFIX}events?topics=request,transfer,changed")
        stream = connection.getresponse()
        self.assertEqual(stream.getheader("Content-Type"), "text/event-stream")
        target, fault = self.blob(hold_at=MIB)
        download = Download(self.clients, target)
        self.wait_for_event(stream, "transfer")
        fault.release.set()
        download.join(60)
        self.assertEqual(self.wait_for_event(stream, "request")[-1]["kind"], "blob")
        named = self.wait_for_event(stream, "changed")
        self.assertEqual(named, {"repositories": [f"{UPSTREAM}/{REPOSITORY}"]})
        began = time.monotonic()
        self.daemon.stop()
        self.assertEqual(self.wait_for_event(stream, "bye"), {"reason": "drain"})
        self.assertEqual(stream.read(), b"\n")
        self.assertLess(time.monotonic() - began, 20)

    def wait_for_event(self, stream: Any, name: str) -> Any:
        """The data of the next event with a name."""
        event = b""
        for line in iter(stream.readline, b""):
            if line.startswith(b"event: "):
                event = line.split()[1]
            elif line.startswith(b"data: ") and event == name.encode():
                return json.loads(line.removeprefix(b"data: "))
        self.fail(f"the stream ended without {name}")
