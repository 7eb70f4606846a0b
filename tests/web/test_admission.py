"""How many connections there may be at once."""

from typing import Any

from h2.errors import ErrorCodes
from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.web.admission import MOST_KNOWN, Admission, address_key, text_key
from regcache.web.request import Request
from regcache.web.respond import send_text
from tests.support.http2_client import Http2Client, make_http2_site
from tests.support.web_client import MemoryClient, RecordList, make_site


def peer(host: str, port: int = 1) -> IAddress:
    """A client at an address."""
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)


ONE, OTHER, THIRD = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class AdmissionTests(SynchronousTestCase):
    """Counts of connections."""

    def test_addresses(self) -> None:
        """A /64 of IPv6 is one address, and so is IPv4 within IPv6; unix sockets have none."""
        for host, key in (
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("fe80::1%eth0", "fe80::/64"),
        ):
            self.assertEqual(address_key(peer(host)), key)
        self.assertIsNone(address_key(UNIXAddress(None)))

    def test_many_addresses(self) -> None:
        """However many come, only the keys of the latest are remembered."""
        for number in range(MOST_KNOWN + 50):
            address = f"10.0.{number // 256}.{number % 256}"
            self.assertEqual(text_key(address), address)
        self.assertEqual(text_key.cache_info().currsize, MOST_KNOWN)

    def test_per_address(self) -> None:
        """One address has no more than its share over all ports, and others have theirs."""
        admission = Admission(100, 2)
        self.assertTrue(admission.enter(address_key(peer("192.0.2.1", 5))))
        self.assertTrue(admission.enter(address_key(peer("192.0.2.1", 6))))
        self.assertFalse(admission.enter(ONE))
        self.assertTrue(admission.enter(OTHER))
        admission.leave(ONE)
        self.assertTrue(admission.enter(ONE))

    def test_in_all(self) -> None:
        """All together have no more than the limit."""
        admission = Admission(2, 2)
        self.assertTrue(admission.enter(ONE) and admission.enter(OTHER))
        self.assertFalse(admission.enter(THIRD))
        admission.leave(OTHER)
        self.assertTrue(admission.enter(THIRD))

    def test_unix(self) -> None:
        """Unix sockets take nobody's place."""
        admission = Admission(1, 1)
        for _ in range(3):
            self.assertTrue(admission.enter(admission.key_of(UNIXAddress(None))))
        self.assertTrue(admission.enter(ONE))
        admission.leave(admission.key_of(UNIXAddress(None)))
        self.assertEqual(admission.total, 1)

    def test_shared(self) -> None:
        """Connections of a proxy count in all alone, and requests for their clients."""
        admission = Admission(4, 2, {"10.0.0.1"}.__contains__)
        self.assertEqual(admission.key_of(peer("192.0.2.1")), ONE)
        shared = admission.key_of(peer("10.0.0.1"))
        self.assertTrue(all(admission.enter(shared) for _ in range(3)))
        self.assertTrue(admission.enter_request(ONE) and admission.enter_request(ONE))
        self.assertFalse(admission.enter_request(ONE))
        self.assertFalse(admission.enter(ONE))
        self.assertTrue(admission.enter_request(OTHER))
        admission.leave_request(ONE)
        self.assertTrue(admission.enter(ONE))
        self.assertFalse(admission.enter(shared))
        admission.leave(ONE)
        admission.leave(shared)
        admission.leave_request(ONE)
        admission.leave_request(OTHER)
        self.assertEqual((admission.total, len(admission._counts)), (2, 0))

    @given(some.lists(some.tuples(some.booleans(), some.integers(0, 5)), max_size=200))
    def test_any_order(self, steps: list[tuple[bool, int]]) -> None:
        """It keeps the limits in any order of events, and forgets clients that are gone."""
        admission, inside = Admission(8, 3), [0] * 6
        for enters, number in steps:
            client = f"192.0.2.{number}"
            if enters:
                room = sum(inside) < 8 and inside[number] < 3
                self.assertEqual(admission.enter(client), room)
                inside[number] += room
            elif inside[number]:
                admission.leave(client)
                inside[number] -= 1
        self.assertEqual(admission.total, sum(inside))
        self.assertEqual(len(admission._counts), len([count for count in inside if count]))


class ConnectionTests(SynchronousTestCase):
    """A site that takes two connections of an address."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.records = RecordList()
        self.admission = Admission(100, 2)
        options: dict[str, Any] = {"recorders": [self.records], "admission": self.admission}
        self.site = make_site(lambda request: send_text(request, "ok"), self.clock, **options)
        self.begun: list[Request] = []
        self.http2 = make_http2_site(self.dispatch, self.clock, **options)

    def dispatch(self, request: Request) -> "Deferred[None]":
        """Answer when the test wants it."""
        self.begun.append(request)
        return Deferred()

    def test_first_byte(self) -> None:
        """What is too much gets 503 at its first byte, and its connection is closed."""
        silent = [MemoryClient(self.site) for _ in range(5)]
        self.assertEqual(self.admission.total, 0)
        for client in silent[:2]:
            client.send(b"G")
        self.assertEqual(self.admission.total, 2)
        refused = silent[2].request("GET", "/")
        self.assertEqual(refused.answer().status, 503)
        self.assertEqual(refused.answer().headers["connection"], "close")
        self.assertTrue(refused.transport.disconnecting)
        record = self.records.last
        self.assertEqual((record.status, record.ended_early), (503, "too many connections"))
        refused.leave()
        self.assertEqual(self.admission.total, 2)
        silent[0].leave()
        self.assertEqual(silent[3].request("GET", "/").answer().status, 200)
        for client in (*silent[1:2], *silent[3:]):
            client.leave()
        self.assertEqual(self.admission.total, 0)

    def test_many_requests(self) -> None:
        """A connection counts once, however much it sends."""
        client = MemoryClient(self.site)
        client.send(b"\r\n")
        for _ in range(5):
            client.request("GET", "/")
        self.assertEqual(len(client.answers()), 5)
        self.assertEqual(self.admission.total, 1)
        client.leave()

    def test_without_limit(self) -> None:
        """The site of operators counts nobody."""
        site = make_site(lambda request: send_text(request, "ok"), self.clock)
        clients = [MemoryClient(site).request("GET", "/") for _ in range(5)]
        self.assertEqual({client.answer().status for client in clients}, {200})

    def test_http2(self) -> None:
        """A connection of HTTP/2 that is too much is told to calm down, and closed."""
        taken = [Http2Client(self.http2) for _ in range(2)]
        refused = Http2Client(self.http2, takes=False)
        self.assertEqual(refused.goaway, ErrorCodes.ENHANCE_YOUR_CALM)
        self.assertTrue(refused.transport.disconnecting)
        self.assertEqual(self.records.last.status, 503)
        for client in (refused, *taken):
            client.leave()
        self.assertEqual(self.admission.total, 0)

    def test_streams(self) -> None:
        """The first stream has the place of its connection; each beside it needs another one."""
        client = Http2Client(self.http2)
        first, second, third = [client.answers[client.begin()] for _ in range(3)]
        client.carry()
        self.assertEqual(self.admission.total, 2)
        self.assertEqual((third.reset, len(self.begun)), (ErrorCodes.REFUSED_STREAM, 2))
        send_text(self.begun[0], "ok")
        client.carry()
        self.assertTrue(first.ended)
        self.assertEqual(self.admission.total, 1)
        fourth = client.answers[client.begin()]
        client.carry()
        self.assertEqual((fourth.reset, len(self.begun)), (None, 3))
        self.assertIsNone(second.reset)
        client.leave()
        self.assertEqual(self.admission.total, 0)

    def test_malformed_stream(self) -> None:
        """A request that is malformed keeps no place."""
        client = Http2Client(self.http2)
        client.begin()
        for _ in range(5):
            client.begin("GET", "/", ("x", " y"))
            client.carry()
        self.assertLessEqual(self.admission.total, 2)
        send_text(self.begun[0], "ok")
        client.carry()
        self.assertEqual(self.admission.total, 1)
        client.leave()
        self.assertEqual(self.admission.total, 0)
