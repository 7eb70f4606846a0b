"""Which clients pass the cache by."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.requests.bypassing import (
    GRACE,
    MANY_PINGS,
    AddressCounts,
    ClientCounts,
)
from regcache.causes import NOT_FOUND
from regcache.web.records import CLIENT_LEFT
from tests.admin.requests.rows import row

_BEGAN = 1_800_000_000.0
_LATER = _BEGAN + GRACE
PING: dict[str, Any] = {"kind": "ping", "upstream": "", "repository": "", "reference": ""}
DENIED: dict[str, Any] = {"status": 401, "outcome": "denied"}
ERROR: dict[str, Any] = {"status": 502, "outcome": "error"}
BLOB: dict[str, Any] = {"kind": "blob"}
#: Requests of several clients.
MIXED: list[dict[str, Any]] = [
    {"peer": peer, "agent": agent} | what
    for what in ({}, PING, PING | DENIED, ERROR, BLOB, BLOB | {"method": "HEAD"}, BLOB | ERROR)
    for peer, agent in (("a", b"x"), ("a", b"y"), ("b", b"x"))
]


class BypassTests(SynchronousTestCase):
    """The table at the top of the module."""

    def counts(self, *requests: dict[str, Any]) -> AddressCounts:
        """What is known after some requests."""
        counts = AddressCounts("192.0.2.7")
        for each in requests:
            counts.take(row(**each))
        return counts

    def reason(self, *requests: dict[str, Any], now: float = _LATER) -> str | None:
        """Why the client is said to pass by."""
        found = self.counts(*requests).bypass(now)
        return None if found is None else found.reason

    def test_rows(self) -> None:
        """Each row, and what is none."""
        for requests, reason in (
            ([{}], None),
            ([PING], None),
            ([PING | DENIED], "challenged"),
            ([DENIED], "challenged"),
            ([DENIED, DENIED], "challenged"),
            ([DENIED, {}], None),
            ([PING | DENIED, {"method": "HEAD"}], None),
            ([DENIED, {}, BLOB | DENIED], "challenged"),
            ([DENIED, {"status": 304}], None),
            ([{"status": 403}], "failed"),
            ([DENIED, {"status": 403}], "failed"),
            ([ERROR], "failed"),
            ([ERROR, PING], "failed"),
            ([ERROR, {}], None),
            ([ERROR, BLOB], None),
            ([{}, BLOB | ERROR], "failed"),
            ([{}, BLOB | ERROR, {}], "failed"),
            ([{}, BLOB | ERROR, BLOB], None),
            ([{"status": 404}], "failed"),
            ([{"status": 404, "cause": NOT_FOUND}], None),
            ([{"status": CLIENT_LEFT}], None),
            ([{"kind": "tags", **ERROR}], None),
            ([PING] * MANY_PINGS, "pings"),
            ([PING] * (MANY_PINGS - 1), None),
            ([PING] * MANY_PINGS + [{}], None),
            ([{}] + [PING] * MANY_PINGS, "pings"),
        ):
            self.assertEqual(self.reason(*requests), reason, requests)

    def test_grace(self) -> None:
        """A login, and another try, take their time; it counts from the first trouble on."""
        self.assertIsNone(self.reason(DENIED, now=_LATER - 1))
        late = {**ERROR, "arrived": _LATER}
        self.assertEqual(self.reason(DENIED, late), "failed")
        self.assertEqual(self.counts(DENIED, late).bypass(_LATER).since, _BEGAN)  # type: ignore[union-attr]

    def test_counts(self) -> None:
        """All requests are counted, also of a client that does not bypass the cache."""
        found = self.counts(PING | DENIED, DENIED, ERROR, {}, BLOB, BLOB | {"method": "HEAD"})
        numbers = found.challenged, found.failed, found.pings, found.layers
        self.assertEqual(numbers, (2, 1, 1, 1))


def _facts(counts: ClientCounts) -> dict[str, list[Any]]:
    """All that is known of each address."""
    names = AddressCounts.__slots__
    return {peer: [getattr(one, each) for each in names] for peer, one in counts.known().items()}


class TableTests(SynchronousTestCase):
    """All addresses."""

    def test_overfilled(self) -> None:
        """However many addresses come, so many are known: those that were heard of last."""
        counts = ClientCounts(most=10)
        for number in range(1000):
            counts.take([row(peer=f"2001:db8::{number:x}", arrived=_BEGAN + number, **DENIED)])
            counts.take([row(peer="192.0.2.1", arrived=_BEGAN + number, **DENIED)])
        self.assertEqual(len(counts), 10)
        self.assertIn("192.0.2.1", counts.known())
        self.assertIn("2001:db8::3e7", counts.known())
        self.assertNotIn("2001:db8::1", counts.known())

    def test_served(self) -> None:
        """Who is simply served takes no place; who had trouble is counted from then on."""
        counts = ClientCounts()
        for _ in range(3):
            counts.take([row(peer="a", **BLOB)])
        self.assertEqual(len(counts), 0)
        counts.take([row(peer="a", **ERROR)])
        counts.take([row(peer="a", **BLOB)])
        self.assertEqual(counts.known()["a"].layers, 1)

    @given(st.lists(st.sampled_from(MIXED), max_size=30))
    def test_together(self, requests: list[dict[str, Any]]) -> None:
        """Requests count the same together as one by one."""
        records = [row(**each, arrived=_BEGAN + at) for at, each in enumerate(requests)]
        together, apart = ClientCounts(), ClientCounts()
        together.take(records)
        for record in records:
            apart.take([record])
        self.assertEqual(_facts(together), _facts(apart))

    def test_bypassing(self) -> None:
        """Those that pass by, the latest first; a unix socket has no address."""
        counts = ClientCounts()
        counts.take([row(peer="a", **DENIED)])
        counts.take([row(peer="b", arrived=_BEGAN + 1, **ERROR)])
        counts.take([row(peer="c")])
        counts.take([row(peer="", **DENIED)])
        found = [(each.peer, how.reason) for each, how in counts.bypassing(_LATER + 1)]
        self.assertEqual(found, [("b", "failed"), ("a", "challenged")])
