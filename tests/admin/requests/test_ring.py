"""The ring of requests."""

import sys
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.ring import MOST_KEPT, RequestLog, RequestRing
from tests.admin.requests.rows import row
from tests.admin.requests.test_details import timings

#: What a row with names of usual length may take, with all that belongs to it (bytes).
MOST_ROW_BYTES = 1000


class RingTests(SynchronousTestCase):
    """What is kept."""

    def test_overfilled(self) -> None:
        """The ring keeps the last 20,000 requests, in the order in which they ended."""
        pending = PendingRecords()
        ring = RequestRing(pending)
        for serial in range(1, MOST_KEPT + 501):
            pending(row(serial=serial))
        self.assertEqual((len(ring), ring.count), (MOST_KEPT, MOST_KEPT + 500))
        self.assertEqual(ring.ended()[0].serial, 501)
        self.assertEqual(
            [each.serial for each in ring.latest(2)], [MOST_KEPT + 499, MOST_KEPT + 500]
        )
        self.assertEqual(len(ring.latest(10**9)), MOST_KEPT)

    def test_row_size(self) -> None:
        """A row that shares nothing with others is small."""
        one = row(agent=b"docker/27.1 go/1.22" + b"x" * 40)
        size = sys.getsizeof(one) + sum(sys.getsizeof(each) for each in one)
        self.assertLess(size, 2 * MOST_ROW_BYTES)

    def test_pending(self) -> None:
        """Every question first takes in the requests that have ended."""
        pending = PendingRecords()
        ring = RequestRing(pending)
        slow = row(seconds=60.0, timings=timings(dns=60.0))
        asking: list[Callable[[], object]] = [
            lambda: len(ring),
            lambda: ring.count,
            lambda: ring.ended()[-1].serial == slow.serial,
            lambda: ring.latest(1)[-1].serial == slow.serial,
            lambda: ring.details.find(slow._replace(timings=None)).timings,
            lambda: ring.clients.known(),
        ]
        for number, ask in enumerate(asking):
            slow = slow._replace(serial=number + 1, status=502, peer=f"10.0.0.{number}")
            pending(slow)
            self.assertTrue(ask(), number)
        self.assertEqual(len(ring.clients), len(asking))

    def test_others(self) -> None:
        """What is not for the distribution API is not kept."""
        pending = PendingRecords()
        ring = RequestRing(pending)
        pending(row(is_distribution=False))
        self.assertEqual((len(ring), ring.count), (0, 0))

    def test_ids(self) -> None:
        """Ids are those of one process, and lead back to the request."""
        ring, other = RequestRing(PendingRecords()), RequestRing(PendingRecords())
        one = row(serial=0xBEEF)
        self.assertEqual(ring.serial_of(ring.id_of(one)), 0xBEEF)
        self.assertNotEqual(ring.id_of(one), other.id_of(one))
        node = ring.id_of(one).partition("-")[0]
        for wrong in (other.id_of(one), "", node, f"{node}-", f"{node}-zz", f"{node}-+1", "-1"):
            self.assertIsNone(ring.serial_of(wrong), wrong)
        self.assertIsNone(ring.serial_of(f"{node}-{'f' * 1000}"))

    def test_find(self) -> None:
        """A request is found by its id as long as it is kept."""
        pending = PendingRecords()
        ring = RequestRing(pending, 2)
        log = RequestLog(ring, lambda: [], lambda: 0.0)
        first, second, third = row(), row(), row()
        for each in (first, second, third):
            pending(each)
        self.assertIsNone(log.find(ring.id_of(first)))
        self.assertIs(log.find(ring.id_of(third)), third)
        self.assertIsNone(log.find("nonsense"))
