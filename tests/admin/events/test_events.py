"""GET events: streams of what changes."""

import json
from typing import Any

from twisted.internet.defer import Deferred, succeed

from regcache.access.grants import Action, Grant, Rule
from regcache.admin.api.calls import PREFIX, AskedCall, CallRoute
from regcache.admin.api.events_call import EventCall, EventIds
from regcache.admin.events.changes import Changed, Changes
from regcache.admin.events.event_stream import LONGEST_FULL
from regcache.admin.events.hub import COMMENT, MOST_OF_ONE, STEP, EventHub
from regcache.admin.events.topics import MOST_ITEMS, MOST_ROWS
from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.ring import RequestRing
from regcache.cache.forgetting import Forgotten, Kind
from regcache.digests import Digest
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.watched_file import INTERVAL
from tests.access.accounts import hashed
from tests.admin.requests.rows import ALPINE, row
from tests.support.api import ALICE, ROOT, ApiCase
from tests.support.image_parts import KnownParts
from tests.support.web_client import MemoryClient

PULL = frozenset({Action.PULL})


class Events:
    """A client of a stream."""

    def __init__(self, client: MemoryClient) -> None:
        self.client = client
        self._read = 0

    @property
    def raw(self) -> bytes:
        """All that came, without the framing of chunks."""
        _, _, body = self.client.raw.partition(b"\r\n\r\n")
        found = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            found += body[: int(size, 16)]
            body = body[int(size, 16) + 2 :]
        return found

    def take(self) -> list[tuple[str, Any]]:
        """The events since the last time, with their data."""
        events = []
        text = self.raw.decode()
        for block in text[self._read :].split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "event" in fields:
                events.append((fields["event"], json.loads(fields["data"])))
                self.last_id = fields["id"]
        self._read = len(text)
        return events


class EventCase(ApiCase):
    """A hub, and calls that answer what a test wants."""

    def routes(self) -> list[CallRoute]:
        self.pending = PendingRecords()
        self.ring, self.changes = RequestRing(self.pending), Changes()
        self.known = KnownParts()
        ids = EventIds(self.ring, self.changes)
        self.hub = EventHub(self.clock)
        self.answers: dict[str, Any] = {
            "status": {"verdict": "ok"},
            "transfers": {"items": []},
            "upstreams": {"items": [{"name": "docker.io", "state": "ok"}]},
            "jobs": {"items": []},
        }
        handlers = {path: self.handler(path) for path in self.answers}
        call = EventCall(
            self.hub,
            self.callers,
            ids,
            ring=self.ring,
            images=self.known.finder,
            changes=self.changes,
            handlers=handlers,
        )
        return call.routes()

    def handler(self, path: str) -> Any:
        """Answers from the table, for some later."""

        def handle(asked: AskedCall) -> Any:
            answer = self.answers[path]
            if isinstance(answer, Exception):
                raise answer
            return succeed(answer) if path == "status" else answer

        return handle

    def listen(self, query: str = "", *lines: str) -> Events:
        """Begin a stream."""
        client = MemoryClient(self.site)
        client.request("GET", f"{PREFIX}events{query}", *lines, host=self.host)
        return Events(client)

    def wait(self, seconds: float = STEP) -> None:
        """Time passes."""
        for _ in range(round(seconds / STEP)):
            self.clock.advance(STEP)


class StreamTests(EventCase):
    """What a stream is."""

    def test_begin(self) -> None:
        """It says what it is and when to come back, and tells at first how all is."""
        events = self.listen()
        raw = events.client.raw
        self.assertIn(b"Content-Type: text/event-stream\r\n", raw)
        self.assertIn(b"Cache-Control: no-store\r\n", raw)
        self.assertTrue(events.raw.startswith(b"retry: 3000\n\n"))
        told = events.take()
        self.assertEqual([name for name, _ in told], ["status", "upstream"])
        self.wait(10)
        self.assertEqual(events.take(), [])

    def test_comments(self) -> None:
        """What tells nothing sends a comment each 15 s."""
        events = self.listen("?topics=job")
        self.wait(2 * COMMENT + 1)
        self.assertEqual(events.raw.count(b":\n\n"), 2)

    def test_topics(self) -> None:
        """Only what was asked for is told; what there is not is refused."""
        events = self.listen("?topics=upstream")
        self.assertEqual([name for name, _ in events.take()], ["upstream"])
        self.assert_problem(self.get("events?topics=upstream,more"), 400, "INVALID")

    def test_head(self) -> None:
        """HEAD is answered with the head alone."""
        answer = self.ask("HEAD", "events")
        self.assertEqual((answer.status, len(self.hub)), (200, 0))

    def test_leaving(self) -> None:
        """When the last client has left nothing runs any more."""
        events = self.listen()
        events.client.leave()
        self.wait()
        self.assertEqual(len(self.hub), 0)
        self.wait(30)
        waiting = [each for each in self.clock.getDelayedCalls() if each.getTime() < 10**10]
        self.assertEqual(waiting, [])

    def test_too_many(self) -> None:
        """Nobody has more than some streams; who left makes room."""
        first = self.listen()
        for _ in range(MOST_OF_ONE - 1):
            self.listen()
        self.assert_problem(self.get("events"), 503, "UNAVAILABLE")
        first.client.leave()
        self.listen()
        self.assertEqual(len(self.hub), MOST_OF_ONE)

    def test_slow_client(self) -> None:
        """A client that takes nothing is told what is new when it does, or is cut off."""
        slow, gone = self.listen("?topics=status"), self.listen("?topics=status")
        for each in (slow, gone):
            each.take()
            each.client.channel.pauseProducing()
        self.answers["status"] = {"verdict": "bad"}
        self.wait(10)
        self.assertEqual(slow.take(), [])
        slow.client.channel.resumeProducing()
        self.wait(2)
        self.assertEqual(slow.take(), [("status", {"verdict": "bad"})])
        self.wait(LONGEST_FULL)
        self.assertTrue(gone.client.transport.aborted)
        self.assertEqual(len(self.hub), 1)

    def test_failing_call(self) -> None:
        """What cannot be answered now is told when it can."""
        self.answers["status"] = OSError("the index is busy")
        events = self.listen("?topics=status")
        self.assertEqual(events.take(), [])
        self.answers["status"] = {"verdict": "ok"}
        self.wait(3)
        self.assertEqual(events.take(), [("status", {"verdict": "ok"})])

    def test_slow_call(self) -> None:
        """As long as one look goes on there is no other."""
        waiting: Deferred[Any] = Deferred()
        self.answers["upstreams"] = waiting
        events = self.listen("?topics=upstream")
        self.wait(10)
        self.answers["upstreams"] = {"items": []}
        waiting.callback({"items": [{"name": "a"}]})
        self.wait(5)
        self.assertEqual(events.take(), [("upstream", {"name": "a"}), ("reset", {})])


class EndTests(EventCase):
    """When a stream ends."""

    def test_drain(self) -> None:
        """A daemon that drains says so, and ends it: no stop waits for it."""
        events = self.listen("?topics=job")
        self.site.drain()
        idle = self.site.when_idle()
        self.wait()
        self.assertEqual(events.take(), [("bye", {"reason": "drain"})])
        self.assertEqual(self.site.active_requests, set())
        events.client.leave()
        self.successResultOf(idle)

    def test_stop(self) -> None:
        """A service that stops ends all of them."""
        events = self.listen("?topics=job")
        self.hub.startService()
        self.hub.stopService()
        self.assertEqual(events.take(), [("bye", {"reason": "drain"})])

    def test_account(self) -> None:
        """An account that is gone, or has another password, is told nothing more."""
        events = self.listen("?topics=status", f"Authorization: {ALICE}")
        self.wait(STEP)
        self.assertEqual([name for name, _ in events.take()], ["status"])
        assert self.gatekeeper is not None
        self.gatekeeper.access.replace_accounts({"alice": hashed("another")})
        self.wait(STEP)
        self.assertEqual(events.take()[-1], ("bye", {"reason": "session over"}))
        self.assertEqual(len(self.hub), 0)

    def test_contract(self) -> None:
        """A removed account is told nothing two seconds later: the file is read, then looked."""
        self.assertLess(INTERVAL + STEP, 2.0)

    def test_session(self) -> None:
        """A session that was ended is told nothing more."""
        token, _ = self.sessions.begin("", "")
        cookie = f"Cookie: regcache-5001={token}"
        events = self.listen("?topics=job", cookie)
        self.wait(STEP)
        self.assertEqual(events.take(), [])
        self.sessions.end(token)
        self.wait(STEP)
        self.assertEqual(events.take(), [("bye", {"reason": "session over"})])

    def test_session_during_a_look(self) -> None:
        """A session that ends while a look waits for the index is told nothing of what it found."""
        token, _ = self.sessions.begin("", "")
        events = self.listen("?topics=job,status", f"Cookie: regcache-5001={token}")
        self.wait(STEP)
        events.take()
        jobs: Deferred[Any] = Deferred()
        self.answers["jobs"] = jobs
        self.wait(3)
        self.sessions.end(token)
        self.answers["status"] = {"verdict": "bad"}
        jobs.callback({"items": [{"id": "1"}]})
        self.wait(3)
        self.assertEqual(events.take(), [("bye", {"reason": "session over"})])


class TopicTests(EventCase):
    """What each topic tells."""

    def test_requests(self) -> None:
        """Requests are told as they end, the newest last; of too many some are left out."""
        self.pending(row())
        events = self.listen("?topics=request")
        self.wait()
        self.assertEqual(events.take(), [])
        for number in range(3):
            self.pending(row(reference=f"r{number}"))
        self.wait()
        ((name, items),) = events.take()
        self.assertEqual(
            (name, [each["reference"] for each in items]), ("request", ["r0", "r1", "r2"])
        )
        for _ in range(MOST_ITEMS + 5):
            self.pending(row())
        self.wait()
        ((_, items),) = events.take()
        self.assertEqual((items[0], len(items)), ({"dropped": 5}, MOST_ITEMS + 1))
        for _ in range(MOST_ROWS + 100):
            self.pending(row())
        self.wait()
        ((_, items),) = events.take()
        self.assertEqual(items[0], {"dropped": MOST_ROWS + 100 - MOST_ITEMS})

    def test_transfers(self) -> None:
        """Of a download the fields are told that changed, and how it went."""
        transfer = {
            "digest": ALPINE,
            "names": ["docker.io/a"],
            "size_bytes": 100,
            "here_bytes": 10,
            "state": "running",
            "readers": [{}],
        }
        events = self.listen("?topics=transfer")
        self.answers["transfers"] = {"items": [transfer]}
        self.wait()
        self.assertEqual(events.take(), [("transfer", [transfer])])
        self.answers["transfers"] = {"items": [transfer | {"here_bytes": 60}]}
        self.wait()
        changed = {"digest": ALPINE, "names": ["docker.io/a"], "here_bytes": 60}
        self.assertEqual(events.take(), [("transfer", [changed])])
        self.pending(row(reference=ALPINE, ended_early="docker.io: reset", kind="blob"))
        self.answers["transfers"] = {"items": []}
        self.wait()
        gone = {"digest": ALPINE, "names": ["docker.io/a"], "gone": "failed"}
        self.assertEqual(events.take(), [("transfer", [gone])])

    def test_gone(self) -> None:
        """A download is done when all is here or its readers were served, else it is parked."""
        for changes, expected in (
            ({"here_bytes": 100}, "done"),
            ({"state": "verifying"}, "done"),
            ({}, "done"),
            ({"readers": []}, "parked"),
        ):
            transfer = {"digest": ALPINE, "names": ["a"], "size_bytes": 100, "here_bytes": 10}
            transfer |= {"state": "running", "readers": [{}]} | changes
            self.answers["transfers"] = {"items": [transfer]}
            events = self.listen("?topics=transfer")
            events.take()
            self.answers["transfers"] = {"items": []}
            self.wait()
            self.assertEqual(events.take()[0][1][0]["gone"], expected, changes)
            events.client.leave()

    def test_items(self) -> None:
        """Upstreams and jobs are told one by one, when they are others."""
        events = self.listen("?topics=job,upstream")
        events.take()
        self.answers["jobs"] = {"items": [{"id": "1", "state": "running"}]}
        self.answers["upstreams"] = {"items": [{"name": "docker.io", "state": "down"}]}
        self.wait(3)
        told = events.take()
        self.assertIn(("job", {"id": "1", "state": "running"}), told)
        self.assertIn(("upstream", {"name": "docker.io", "state": "down"}), told)
        self.assertEqual(len(told), 2)

    def test_upstream_that_is_gone(self) -> None:
        """Of an upstream that is not there any more a client is told to read all again."""
        events = self.listen("?topics=upstream,job")
        events.take()
        self.answers["jobs"] = {"items": [{"id": "1"}]}
        self.wait(3)
        self.assertEqual(events.take(), [("job", {"id": "1"})])
        self.answers |= {"jobs": {"items": []}, "upstreams": {"items": [{"name": "new"}]}}
        self.wait(3)
        self.assertEqual(events.take(), [("reset", {}), ("upstream", {"name": "new"})])

    def test_changed(self) -> None:
        """What was fetched or removed is told by repository; what may be any without a name."""
        events = self.listen("?topics=changed")
        self.pending(row(outcome="miss"))
        self.pending(row())
        where = Repository(UpstreamIdentity("docker.io"), "b")
        self.changes.forget(Forgotten(Kind.TAG, (where, "latest"), 1))
        self.changes.forget(Forgotten(Kind.RIGHT, RepositoryContent(where, Digest.of(b"")), 1))
        self.wait(2)
        names = {"repositories": ["docker.io/library/alpine", "docker.io/b"]}
        self.assertEqual(events.take(), [("changed", names)])
        self.changes.forget(Forgotten(Kind.CONTENT, Digest.of(b"")))
        self.wait(2)
        self.assertEqual(events.take(), [("changed", {"repositories": []})])

    def test_very_many_requests(self) -> None:
        """Of more requests than are looked at, what they fetched may be anywhere."""
        events = self.listen("?topics=changed")
        self.pending(row(outcome="miss"))
        for _ in range(MOST_ROWS):
            self.pending(row())
        self.pending(row(outcome="miss", repository="last"))
        self.wait(2)
        self.assertEqual(events.take(), [("changed", {"repositories": []})])

    def test_any_beside_one(self) -> None:
        """Where any may have changed no name is told: it would say that it was no other."""
        events = self.listen("?topics=changed")
        self.changes.forget(Forgotten(Kind.CONTENT, Digest.of(b"")))
        self.pending(row(outcome="miss"))
        self.wait(2)
        self.assertEqual(events.take(), [("changed", {"repositories": []})])

    def test_again(self) -> None:
        """What changes again after that was told is told again."""
        events = self.listen("?topics=changed")
        where = Repository(UpstreamIdentity("docker.io"), "b")
        for _ in range(2):
            self.changes.forget(Forgotten(Kind.TAG, (where, "latest"), 1))
            self.wait(2)
            self.assertEqual(events.take(), [("changed", {"repositories": ["docker.io/b"]})])

    def test_many_changes(self) -> None:
        """More changes than are remembered may be any."""
        changes = Changes(3)
        for number in range(10):
            changes.note(Changed("u", str(number)))
            changes.note(Changed("u", str(number)))
        self.assertEqual(changes.count, 10)
        self.assertEqual(changes.since(9), [Changed("u", "9")])
        self.assertEqual(changes.since(10), [])
        self.assertIsNone(changes.since(6))
        self.assertIsNone(changes.since(11))


class ReturnTests(EventCase):
    """Clients that come back."""

    def test_gap(self) -> None:
        """What was missed is told, if it is still known."""
        events = self.listen("?topics=request")
        self.pending(row(reference="seen"))
        self.wait()
        events.take()
        events.client.leave()
        self.pending(row(reference="missed"))
        again = self.listen("?topics=request", f"Last-Event-ID: {events.last_id}")
        ((_, items),) = again.take()
        self.assertEqual([each["reference"] for each in items], ["missed"])

    def come_back(self, events: Events, query: str) -> Events:
        """Break off, and show what was told last."""
        events.client.leave()
        self.wait()
        return self.listen(query, f"Last-Event-ID: {events.last_id}")

    def test_not_yet_told(self) -> None:
        """An event that overtakes others is no word that these were told."""
        query = "?topics=request,job,changed"
        events = self.listen(query)
        events.take()
        self.pending(row(outcome="miss", reference="early"))
        self.changes.note(Changed("docker.io", "swept"))
        self.answers["jobs"] = {"items": [{"id": "1"}]}
        self.clock.advance(STEP)
        self.assertEqual([name for name, _ in events.take()], ["request", "job"])
        self.pending(row(reference="late"))
        told = dict(self.come_back(events, query).take())
        self.assertEqual([each["reference"] for each in told["request"]], ["late"])
        names = ["docker.io/library/alpine", "docker.io/swept"]
        self.assertEqual(told["changed"], {"repositories": names})

    def test_goodbye_during_a_look(self) -> None:
        """A stream that ends while images are looked up has not told the requests."""
        events = self.listen("?topics=request,job")
        self.pending(row(reference=ALPINE, kind="blob"))
        self.known.wait = Deferred()
        self.wait()
        self.hub.stopService()
        self.assertEqual(events.take(), [("bye", {"reason": "drain"})])
        waiting, self.known.wait = self.known.wait, None
        waiting.callback(None)
        ((_, items),) = self.come_back(events, "?topics=request").take()
        self.assertEqual([each["reference"] for each in items], [ALPINE])

    def test_downloads(self) -> None:
        """Who comes back is told all downloads that there are, or that there are none."""
        transfer = {"digest": ALPINE, "names": ["docker.io/a"], "state": "running"}
        self.answers["transfers"] = {"items": [transfer]}
        events = self.listen("?topics=transfer")
        events.take()
        self.answers["transfers"] = {"items": []}
        again = self.come_back(events, "?topics=transfer")
        self.assertEqual(again.take(), [("transfer", [])])
        self.wait(3)
        self.assertEqual(again.take(), [])

    def test_upstream_that_went(self) -> None:
        """Who was told of an upstream that went meanwhile is told to read all again."""
        query = "?topics=status,upstream"
        events = self.listen(query)
        events.take()
        self.answers["upstreams"] = {"items": [{"name": "docker.io", "state": "down"}]}
        events = self.come_back(events, query)
        down = ("upstream", {"name": "docker.io", "state": "down"})
        self.assertEqual(events.take(), [("status", {"verdict": "ok"}), down])
        self.answers["upstreams"] = {"items": [{"name": "new"}]}
        events = self.come_back(events, query)
        new = ("upstream", {"name": "new"})
        self.assertEqual(events.take()[1:], [("reset", {}), new])
        self.assertEqual(self.come_back(events, query).take()[1:], [new])

    def test_gone_before_a_look(self) -> None:
        """A stream that ends before it could look at the upstreams has told nothing of them."""
        query = "?topics=status,upstream"
        events = self.listen(query)
        events.take()
        self.answers["upstreams"] = OSError("the index is busy")
        events = self.come_back(events, query)
        self.assertEqual([name for name, _ in events.take()], ["status"])
        self.answers["upstreams"] = {"items": []}
        self.assertEqual(self.come_back(events, query).take()[1:], [("reset", {})])

    def test_reset(self) -> None:
        """Else a client is told to read all again."""
        node = self.ring.node
        counts = ("9-0-0", "0-9-0", "0-0-9", "-1-0-0", "0", "0-0", "0-0-0-0", f"{'9' * 100}-0-0")
        numbers = (*(f"{each}-0" for each in counts), "0-0-0")
        wrong = ("", "x", "other-0-0-0-0", *(f"{node}-{each}" for each in numbers))
        for text in (*wrong, f"{node}-\u0661-0-0-0".encode().decode("latin-1")):
            events = self.listen("?topics=request", f"Last-Event-ID: {text}")
            self.assertEqual(events.take(), [("reset", {})], text)
            events.client.leave()
            self.wait()


class AccountTests(EventCase):
    """What an account sees."""

    rules = (Rule(frozenset({"alice"}), Grant(PULL, frozenset({"docker.io"}), ("library/**",))),)

    def test_account(self) -> None:
        """An account is told of what it may pull, and of its own requests."""
        events = self.listen("?topics=request,changed", f"Authorization: {ALICE}")
        root = self.listen("?topics=request", f"Authorization: {ROOT}")
        self.pending(row(account="bob", outcome="miss"))
        self.pending(row(repository="secret", account="bob", outcome="miss"))
        self.pending(row(repository="secret", account="alice", outcome="denied", status=403))
        self.wait(2)
        told = dict(events.take())
        self.assertEqual(told["changed"], {"repositories": ["docker.io/library/alpine"]})
        principals = [each["principal"] for each in told["request"]]
        self.assertEqual(principals, [None, "alice"])
        self.assertEqual(len(dict(root.take())["request"]), 3)
