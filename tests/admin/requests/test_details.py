"""Where the time of slow requests went."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache import causes
from regcache.admin.requests.details import (
    LEAST_BODY,
    MOST_DETAILED,
    MOST_UPSTREAMS,
    RequestDetails,
)
from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.ring import RequestRing
from regcache.admin.requests.verdicts import verdict_of
from regcache.interfaces import Wait
from regcache.timings import (
    CONNECT,
    DNS,
    FIRST_BYTE,
    PHASES,
    QUEUE,
    REDIRECT,
    TLS,
    TOKEN,
    FetchTimings,
)
from regcache.web.flow import STEP, Flow
from tests.admin.requests.rows import row

AT = 1_800_000_000.0


def timings(**durations: float) -> FetchTimings:
    """Phases one after the other, from the arrival of the request on."""
    found, at = FetchTimings(lambda: AT), AT
    for name, duration in durations.items():
        found.add(name, at, at + duration, f"{name.replace('_', '-')}.test")
        at += duration
    return found


def flow(wait: Wait, seconds: float = 40.0) -> Flow:
    """An answer that waited for one all the time."""
    found = Flow()
    for _ in range(int(seconds / STEP)):
        found.look(STEP, wait, 0)
    return found


class ShareTests(SynchronousTestCase):
    """The largest share is the verdict."""

    def test_phases(self) -> None:
        """Each phase has its verdict, with its host and its seconds."""
        for name, code in (
            (QUEUE, "slow.queue"),
            (DNS, "slow.dns"),
            (CONNECT, "slow.connect"),
            (TLS, "slow.connect"),
            (TOKEN, "slow.token"),
            (REDIRECT, "slow.first_byte"),
            (FIRST_BYTE, "slow.first_byte"),
        ):
            durations = dict.fromkeys(PHASES, 0.1) | {name: 3.0}
            one = row(first_byte=3.6, seconds=3.7, timings=timings(**durations), outcome="miss")
            verdict = verdict_of(one)
            self.assertEqual(verdict.code, code, name)
            self.assertGreaterEqual(verdict.params["seconds"], 3.0)
            if name is not QUEUE:
                self.assertEqual(verdict.params["host"], f"{name.replace('_', '-')}.test")

    def test_waits(self) -> None:
        """Who was waited for has a verdict with the rate."""
        for wait in (Wait.UPSTREAM, Wait.CLIENT, Wait.DISK):
            one = row(
                first_byte=1.0,
                seconds=41.0,
                body_bytes=4000,
                flow=flow(wait),
                timings=timings(dns=0.5, first_byte=0.5),
            )
            verdict = verdict_of(one, 777)
            self.assertEqual(verdict.code, f"slow.{wait.value}")
            self.assertEqual(verdict.params["bytes_per_s"], 100)
        upstream = verdict_of(row(seconds=41.0, flow=flow(Wait.UPSTREAM)), 777)
        self.assertEqual(upstream.params["median_bytes_per_s"], 777)

    def test_joined(self) -> None:
        """Of a request that was joined only counts what came after."""
        earlier = FetchTimings(lambda: AT)
        earlier.add(DNS, AT - 60.0, AT - 1.0, "a.test")
        earlier.add(FIRST_BYTE, AT - 1.0, AT + 4.0, "b.test")
        one = row(first_byte=4.0, seconds=4.0, timings=earlier, outcome="collapsed")
        verdict = verdict_of(one)
        self.assertEqual((verdict.code, verdict.params["seconds"]), ("slow.first_byte", 4.0))

    def test_unknown(self) -> None:
        """Where nothing is known, and where it was not slow, the outcome is the verdict."""
        self.assertEqual(verdict_of(row(seconds=60.0)).code, "ok.hit")
        self.assertEqual(verdict_of(row(seconds=60.0, flow=flow(Wait.LIMIT))).code, "ok.hit")
        fast = row(seconds=0.5, timings=timings(dns=0.4))
        self.assertEqual(verdict_of(fast).code, "ok.hit")

    def test_precedence(self) -> None:
        """A slow answer that was stale is stale first."""
        one = row(outcome="stale", cause=causes.STALE_DEADLINE, seconds=50.0, flow=flow(Wait.DISK))
        self.assertEqual(verdict_of(one).code, "stale.deadline")


class DetailsTests(SynchronousTestCase):
    """What is kept."""

    def test_overfilled(self) -> None:
        """The last 500 slow or failed ones are kept with all that is known; rows have not."""
        pending = PendingRecords()
        ring = RequestRing(pending)
        for number in range(MOST_DETAILED + 100):
            pending(row(seconds=40.0, flow=flow(Wait.CLIENT, 1.0)))
            pending(row(seconds=0.1, timings=timings(dns=0.1)))
            if number == 0:
                first = ring.ended()[0]
        self.assertEqual(len(ring.details), MOST_DETAILED)
        self.assertTrue(all(each.flow is each.timings is None for each in ring.ended()))
        last = ring.ended()[-2]
        self.assertIsNotNone(ring.details.find(last).flow)
        self.assertIsNone(ring.details.find(first).flow)
        self.assertEqual(verdict_of(first).code, "slow.client")

    def download(self, rate: int, **changes: Any) -> Any:
        """A download at a rate."""
        known: dict[str, Any] = {"outcome": "miss", "flow": flow(Wait.UPSTREAM, 1.0)}
        return row(body_bytes=10 * rate, first_byte=0.0, seconds=10.0, **(known | changes))

    def test_median(self) -> None:
        """The median is that of downloads that waited for the upstream, within a week."""
        details = RequestDetails()
        self.assertIsNone(details.median("docker.io", AT))
        for factor in (1, 2, 9):
            details.take_off(self.download(factor * LEAST_BODY))
        details.take_off(self.download(50 * LEAST_BODY, flow=flow(Wait.CLIENT)))
        details.take_off(self.download(60 * LEAST_BODY, outcome="hit"))
        details.take_off(self.download(1))
        self.assertEqual(details.median("docker.io", AT), 2 * LEAST_BODY)
        self.assertIsNone(details.median("docker.io", AT + 8 * 86_400))

    def test_upstreams(self) -> None:
        """Rates of a bounded number of upstreams are remembered."""
        details = RequestDetails()
        for number in range(MOST_UPSTREAMS + 5):
            details.take_off(self.download(LEAST_BODY, upstream=f"u{number}"))
        self.assertIsNone(details.median(f"u{MOST_UPSTREAMS + 4}", AT))
