"""Answers of a site that is limited: over HTTP/1.1 and HTTP/2, from memory and from readers."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.principals import (
    UNLIMITED,
    Decision,
    Principal,
    PrincipalKind,
    TransferLimits,
)
from regcache.cache.download.reader import FileSource, Reader
from regcache.web.answer_limits import AnswerLimits
from regcache.web.pacing.bucket import SAVED
from regcache.web.pacing.fair_share import PERIOD
from regcache.web.pacing.pacing import Pacing
from regcache.web.request import LARGEST_WHOLE, Request
from regcache.web.respond import send_body
from regcache.web.sender import Part, Sender
from regcache.web.site import ConnectionLimits
from tests.support.http2_client import Http2Client, make_http2_site
from tests.support.senders import make_terms
from tests.support.web_client import MemoryClient, RecordList, make_site
from tests.web.pacing.test_paced_reader import MemoryFile

MIB = 1024 * 1024
RATE = 100_000
STALL = 3.0
CONTENT = bytes(each % 251 for each in range(4 * MIB))
STEP = 0.005


class AnswersCase(SynchronousTestCase):
    """A site whose dispatcher sends what the target says: ``/blob/N`` or ``/body/N`` bytes.

    :ivar accounts: who asks, by the target's last part; without one it is an address.
    """

    rate: int | None = RATE

    def setUp(self) -> None:
        self.clock = Clock()
        self.records = RecordList()
        self.pacing = Pacing(self.clock, lambda step: step())
        self.pacing.limit(self.rate)
        self.terms = make_terms(self.clock, STALL)
        self.limits: dict[str, TransferLimits] = {}
        self.senders = []
        self.site = make_site(self.dispatch, self.clock, **self.options())

    def options(self) -> dict[str, Any]:
        """Of the site."""
        return {
            "recorders": [self.records],
            "pacing": self.pacing,
            "limits": ConnectionLimits(stall=STALL),
        }

    senders: list[Sender]

    def dispatch(self, request: Request) -> "Deferred[None] | None":
        """Answer."""
        _, kind, size, *account = request.path.decode().split("/")
        if account:
            limits = self.limits.get(account[0], UNLIMITED)
            principal = Principal(PrincipalKind.ACCOUNT, account[0], None)
            request.facts.decided(Decision(principal, (), 0.0, limits=limits))
        content = CONTENT[: int(size)]
        if kind == "body":
            send_body(request, content, "text/plain")
            return None
        request.responseHeaders.setRawHeaders("Content-Length", [size])
        reader: Any = Reader(FileSource(MemoryFile(content)))  # type: ignore[arg-type]
        sender = Sender(request, reader, [Part(0, int(size))], self.terms)
        self.senders.append(sender)
        return sender.send()

    def ask(self, target: str, address: str = "192.0.2.7", method: str = "GET") -> MemoryClient:
        """Ask over a connection of its own."""
        client = MemoryClient(self.site, peer=IPv4Address("TCP", address, 40000))
        return client.request(method, target)

    def pass_time(self, seconds: float) -> None:
        """Turn the clock in small steps."""
        self.clock.pump([STEP] * round(seconds / STEP))

    def body(self, client: MemoryClient) -> bytes:
        """What a client has of the body."""
        return client.raw.partition(b"\r\n\r\n")[2]

    def assert_near(self, count: int, seconds: float, part: float = 0.05) -> None:
        """About so much of the rate was sent."""
        self.assertLessEqual(abs(count - RATE * seconds), RATE * seconds * part)

    def assert_at_rest(self) -> None:
        """No timer of the pacing runs, and no transfer is known."""
        self.assertIsNone(self.pacing._timer)
        self.assertEqual({each.members for each in self.pacing._parties._known.values()}, {0})


class BlobTests(AnswersCase):
    """Bodies of blobs."""

    def test_rate(self) -> None:
        """One answer has its rate, from the first byte on, and arrives whole."""
        client = self.ask("/blob/1000000")
        self.assertGreater(len(self.body(client)), RATE * PERIOD / 2)
        for _ in range(9):
            before = len(self.body(client))
            self.pass_time(1)
            self.assert_near(len(self.body(client)) - before, 1, 0.15)
        self.pass_time(1)
        self.assertEqual(self.body(client), CONTENT[:1000000])
        self.assertEqual(self.records.last.ended_early, "")
        self.assertEqual(self.records.last.body_bytes, 1000000)
        self.assert_at_rest()

    def test_no_stall(self) -> None:
        """Who waits for longer than a client may stall is no client that stalls."""
        self.pacing.limit(1024)
        client = self.ask("/blob/20000")
        self.pass_time(5 * STALL)
        self.assertFalse(client.transport.aborted)
        self.pacing.limit(None)
        self.pass_time(1)
        self.assertEqual(self.body(client), CONTENT[:20000])

    def test_stall(self) -> None:
        """A client that takes nothing is cut though it is limited, and gives all back."""
        client = self.ask("/blob/1000000")
        client.channel.pauseProducing()
        self.pass_time(2 * STALL)
        self.assertTrue(client.transport.aborted)
        client.leave()
        self.assertEqual(self.records.last.ended_early, "the client took nothing for too long")
        self.assert_at_rest()

    def test_full(self) -> None:
        """A client that is full for a while gets all, and others its part meanwhile."""
        slow, other = self.ask("/blob/300000"), self.ask("/blob/900000", "192.0.2.8")
        slow.channel.pauseProducing()
        before = len(self.body(other))
        self.pass_time(2)
        self.assert_near(len(self.body(other)) - before, 2, 0.15)
        slow.channel.resumeProducing()
        self.pass_time(10)
        self.assertEqual(self.body(slow), CONTENT[:300000])
        self.assertEqual(self.body(other), CONTENT[:900000])
        self.assert_at_rest()

    def test_leaving(self) -> None:
        """A client that leaves ends its part at once."""
        one, other = self.ask("/blob/1000000"), self.ask("/blob/1000000", "192.0.2.8")
        self.pass_time(1)
        one.leave()
        before = len(self.body(other))
        self.pass_time(2)
        self.assert_near(len(self.body(other)) - before, 2, 0.15)
        other.leave()
        self.assert_at_rest()

    def test_full_when_it_begins(self) -> None:
        """A body begins when the client has taken what is before it."""
        client = self.ask("/body/10")
        client.channel.pauseProducing()
        client.request("GET", "/blob/50000")
        self.pass_time(1)
        self.assertTrue(client.raw.endswith(b"\r\n\r\n"))
        client.channel.resumeProducing()
        self.pass_time(1)
        self.assertEqual(client.raw.count(b"HTTP/1.1 200"), 2)
        self.assertTrue(client.raw.endswith(CONTENT[:50000]))

    def test_addresses(self) -> None:
        """An address with many connections has as much as one with a single one."""
        many = [self.ask("/blob/4000000") for _ in range(8)]
        one = self.ask("/blob/4000000", "192.0.2.8")
        self.pass_time(1)
        before = [len(self.body(client)) for client in (one, *many)]
        self.pass_time(10)
        got = [len(self.body(client)) for client in (one, *many)]
        self.assert_near(got[0] - before[0], 5, 0.1)
        self.assert_near(sum(got[1:]) - sum(before[1:]), 5, 0.1)

    def test_accounts(self) -> None:
        """An account is one, wherever its requests come from; its own limits hold."""
        self.limits["bob"] = TransferLimits(rate=RATE // 10)
        many = [self.ask("/blob/4000000/alice", f"192.0.2.{number}") for number in range(8)]
        one = self.ask("/blob/4000000", "192.0.2.8")
        bob = self.ask("/blob/4000000/bob", "192.0.2.8")
        clients = [bob, one, *many]
        self.pass_time(1)
        before = [len(self.body(client)) for client in clients]
        self.pass_time(10)
        got = [len(self.body(client)) for client in clients]
        self.assert_near(got[0] - before[0], 1, 0.1)
        self.assert_near(got[1] - before[1], 4.5, 0.1)
        self.assert_near(sum(got[2:]) - sum(before[2:]), 4.5, 0.1)
        bob.leave()
        principal = self.records.last.principal
        assert principal is not None
        self.assertEqual((self.records.last.account, principal.name), ("bob", "bob"))
        self.assertNotIn("principal", self.records.last.as_fields())


class MemoryTests(AnswersCase):
    """Bodies from memory."""

    def test_large(self) -> None:
        """A large one has its rate, and ends cleanly."""
        client = self.ask("/body/500000")
        self.pass_time(2)
        count = len(self.body(client))
        self.assertLessEqual(count, RATE * (2 + SAVED))
        self.assertGreater(count, RATE * 1.9)
        self.pass_time(4)
        self.assertEqual(client.answer().body, CONTENT[:500000])
        self.assert_at_rest()

    def test_large_full(self) -> None:
        """One whose client is full waits for it, and one whose client has left is over."""
        client = self.ask("/body/500000")
        client.channel.pauseProducing()
        count = len(self.body(client))
        self.pass_time(STALL - 1)
        self.assertEqual(len(self.body(client)), count)
        client.channel.resumeProducing()
        self.assertGreater(len(self.body(client)), count)
        client.leave()
        self.assert_at_rest()

    def test_small(self) -> None:
        """Small ones are written whole until more was sent than has come; then they wait, too."""
        clients = [self.ask(f"/body/{LARGEST_WHOLE}") for _ in range(8)]
        whole = [client for client in clients if len(self.body(client)) == LARGEST_WHOLE]
        self.assertEqual(len(whole), 1)
        self.assertTrue(all(client.raw.startswith(b"HTTP/1.1 200") for client in clients))
        self.pass_time(8 * LARGEST_WHOLE / RATE - SAVED - 0.2)
        self.assertLess(sum(len(self.body(client)) for client in clients), 8 * LARGEST_WHOLE)
        self.pass_time(0.5)
        for client in clients:
            self.assertEqual(client.answer().body, CONTENT[:LARGEST_WHOLE])
        self.assert_at_rest()

    def test_no_body(self) -> None:
        """HEAD costs nothing, and never waits."""
        for _ in range(3):
            self.ask("/body/60000")
        answer = self.ask("/body/60000", method="HEAD").answer(heads_only=True)
        self.assertEqual(answer.headers["content-length"], "60000")
        self.assertEqual(len(self.records.records), 2)

    def test_beside_blobs(self) -> None:
        """A small one does not wait behind the blobs of others."""
        for number in range(20):
            self.ask("/blob/4000000", f"192.0.2.{number}")
        self.pass_time(2)
        client = self.ask("/body/5000", "192.0.2.77")
        self.pass_time(0.25)
        self.assertEqual(client.answer().body, CONTENT[:5000])


class UnlimitedTests(AnswersCase):
    """Without a limit."""

    rate = None

    def test_at_once(self) -> None:
        """All is sent at once, and nobody is known."""
        blob, body = self.ask("/blob/4000000"), self.ask("/body/4000000")
        self.assertEqual(self.body(blob), CONTENT[:4000000])
        self.assertEqual(self.body(body), CONTENT[:4000000])
        self.assertEqual(len(self.pacing._parties), 0)

    def test_limits_of_one(self) -> None:
        """Those who have limits of their own are held to them."""
        self.limits["alice"] = TransferLimits(rate=RATE, downloads=1)
        first, second = self.ask("/blob/200000/alice"), self.ask("/blob/200000/alice")
        self.assertEqual(self.body(self.ask("/blob/4000000/bob")), CONTENT[:4000000])
        self.pass_time(1)
        self.assertEqual(self.body(second), b"")
        self.assertTrue(second.raw.startswith(b"HTTP/1.1 200"))
        self.pass_time(1)
        self.assertEqual(self.body(first), CONTENT[:200000])
        self.pass_time(3)
        self.assertEqual(self.body(second), CONTENT[:200000])
        self.assertFalse(second.transport.aborted)


class LateLimitTests(AnswersCase):
    """A limit that comes while answers are under way."""

    rate = None

    def limit(self) -> None:
        """As the daemon does it."""
        self.pacing.limit(RATE)
        for sender in self.senders:
            sender.limit()

    def test_answer_under_way(self) -> None:
        """It is limited from then on, once, and arrives whole."""
        client = MemoryClient(self.site)
        write, large = client.transport.write, 60_000

        def write_and_fill(data: bytes) -> None:
            write(data)
            if len(client.raw) > large:
                client.channel.pauseProducing()

        client.transport.write = write_and_fill  # type: ignore[method-assign]
        client.request("GET", "/blob/300000")
        count = len(self.body(client))
        self.assertLess(count, 300000)
        large = 10**9
        self.limit()
        self.limit()
        self.assertEqual(len(self.body(client)), count)
        client.channel.resumeProducing()
        self.pass_time(1)
        self.assert_near(len(self.body(client)) - count, 1 + SAVED, 0.1)
        self.pass_time(2)
        self.assertEqual(self.body(client), CONTENT[:300000])
        self.assert_at_rest()

    def test_account_under_way(self) -> None:
        """An account that gets a rate is held to it; one that is gone goes on as it was."""
        limits = {name: TransferLimits(rate=RATE) for name in ("alice", "bob")}
        self.pacing.limit(10 * RATE)
        alice, bob = (self.ask(f"/blob/3000000/{name}") for name in limits)
        self.pass_time(0.5)
        answers = AnswerLimits(self.pacing, set(self.senders))
        answers.limit_accounts(lambda name: limits["alice"] if name == "alice" else None)
        before = [len(self.body(each)) for each in (alice, bob)]
        self.pass_time(1)
        grown = [len(self.body(each)) - at for each, at in zip((alice, bob), before, strict=True)]
        self.assert_near(grown[0], 1, 0.5)
        self.assert_near(grown[1], 9, 0.15)
        answers.limit_accounts(lambda name: UNLIMITED)
        self.pacing.limit(None)
        self.pass_time(1)
        for each in (alice, bob):
            self.assertEqual(self.body(each), CONTENT[:3000000])
        self.assert_at_rest()

    def test_account_without_limit(self) -> None:
        """An answer that had no limit at all is limited from then on."""
        client = MemoryClient(self.site)
        write = client.transport.write

        def write_and_fill(data: bytes) -> None:
            write(data)
            client.channel.pauseProducing()

        client.transport.write = write_and_fill  # type: ignore[method-assign]
        client.request("GET", "/blob/300000/alice")
        client.transport.write = write  # type: ignore[method-assign]
        count = len(self.body(client))
        self.assertLess(count, 300000)
        answers = AnswerLimits(self.pacing, set(self.senders))
        answers.limit_accounts(lambda name: TransferLimits(rate=RATE))
        client.channel.resumeProducing()
        self.pass_time(1)
        self.assert_near(len(self.body(client)) - count, 1 + SAVED, 0.1)

    def test_before_and_after(self) -> None:
        """Answers that have ended, or are limited already, are left alone."""
        self.ask("/blob/1000")
        self.limit()
        client = self.ask("/blob/100000")
        self.limit()
        self.pass_time(2)
        self.assertEqual(self.body(client), CONTENT[:100000])
        self.limit()
        self.assert_at_rest()

    def test_source(self) -> None:
        """Where the bytes are from is known all the same."""
        self.limit()
        self.ask("/blob/1000000")
        self.assertIsInstance(self.senders[0].source, Reader)


class Http2Tests(AnswersCase):
    """Streams of one connection."""

    def setUp(self) -> None:
        super().setUp()
        site = make_http2_site(self.dispatch, self.clock, **self.options())
        self.client = Http2Client(site, window=2**20)

    def pass_time(self, seconds: float) -> None:
        """Turn the clock, and carry bytes both ways."""
        for _ in range(round(seconds / STEP)):
            self.clock.advance(STEP)
            self.client.carry()

    def count(self, stream: int) -> int:
        """Bytes of a body that have come."""
        return len(self.client.answers[stream].body)

    def test_rate(self) -> None:
        """Streams share the rate equally, and arrive whole."""
        one = self.client.begin(target="/blob/500000")
        two = self.client.begin(target="/body/500000")
        self.client.carry()
        self.assertGreater(self.count(one), 0)
        self.assertEqual(self.client.answers[two].status, 200)
        self.pass_time(5)
        self.assertLessEqual(self.count(one) + self.count(two), RATE * (5 + SAVED))
        self.assert_near(self.count(one) + self.count(two), 5)
        self.assert_near(self.count(two), 2.5, 0.15)
        self.pass_time(6)
        for stream in (one, two):
            answer = self.client.answers[stream]
            self.assertEqual((answer.body, answer.ended), (CONTENT[:500000], True))
        self.assert_at_rest()

    def test_closed_window(self) -> None:
        """A stream whose window is closed is paused, and goes on when the client opens it."""
        self.client.takes = False
        one = self.client.begin(target="/blob/200000")
        self.client.carry()
        self.pass_time(2)
        self.assertLessEqual(self.count(one), 65535)
        self.client.takes = True
        self.client.h2.increment_flow_control_window(2**20)
        self.client.carry()
        self.pass_time(3)
        self.assertEqual(self.client.answers[one].body, CONTENT[:200000])

    def test_reset(self) -> None:
        """A stream that the client resets gives back what it has."""
        one = self.client.begin(target="/blob/500000")
        self.client.carry()
        self.client.h2.reset_stream(one)
        self.client.carry()
        self.pass_time(0.1)
        self.assert_at_rest()
