"""What each recorder of requests for the API costs: processor time per request.

    python -m benchmarks.recorders

Over sockets so little is lost in what the machine does beside. So each request is a new record
here, with texts of its own as a client would send them, and as many are kept as the ring keeps.
"""

import time
from collections.abc import Callable, Sequence

from twisted.internet.task import Clock

from regcache.access.quotas import QuotaBook
from regcache.admin.requests.counting import RequestCounting
from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.ring import MOST_KEPT, RequestRing
from regcache.admin.requests.usage_counting import UsageCounting
from regcache.local_days import LocalDays
from regcache.web.records import Recorder, RequestRecord

ROUNDS, REQUESTS = 12, 2 * MOST_KEPT
"""The least time of the rounds counts: what others do only adds to it."""


def _usage(pending: PendingRecords) -> UsageCounting:
    days = LocalDays()
    return UsageCounting(days, QuotaBook(Clock(), days), lambda _account: False, pending)


_MAKERS: dict[str, Callable[[PendingRecords], object]] = {
    "the ring": RequestRing,
    "counts by minute and name": lambda pending: RequestCounting(dict, list, pending),
    "usage": _usage,
}


def _record(number: int) -> RequestRecord:
    """A hit, as the latest of so many."""
    seconds = 1e-4 + number * 1e-9
    return RequestRecord(
        peer="192.0.2.7",
        account="",
        method="GET",
        kind="manifest",
        upstream="docker.io",
        repository=f"library/{'a' * (1 + number % 9)}",
        reference=f"sha256:{number:064}",
        status=200,
        body_bytes=1500,
        outcome="hit",
        cache_status="regcache; hit",
        first_byte=seconds,
        seconds=seconds,
        ended_early="",
        path=b"/v2/library/a/manifests/sha256:%064d" % number,
        serial=number,
        arrived=1e9 + number * 1e-4,
        agent=b"docker/%d" % number,
        is_distribution=True,
    )


def _pending(kinds: Sequence[str]) -> PendingRecords:
    pending = PendingRecords()
    for kind in kinds:
        _MAKERS[kind](pending)
    pending(_record(0)._replace(kind="ping"))  # the first request of each client
    return pending


def _microseconds(recorders: Sequence[Recorder]) -> float:
    began = time.process_time()
    for number in range(REQUESTS):
        record = _record(number)
        for recorder in recorders:
            recorder(record)
    return (time.process_time() - began) / REQUESTS * 1e6


def measure() -> dict[str, float]:
    """Microseconds per request, by recorder, and of all together."""
    sets: dict[str, Sequence[Recorder]] = {"": ()}
    sets |= {kind: [_pending([kind])] for kind in _MAKERS}
    sets["all"] = [_pending(list(_MAKERS))]
    seen: dict[str, list[float]] = {name: [] for name in sets}
    for _ in range(ROUNDS):
        for name, recorders in sets.items():
            seen[name].append(_microseconds(recorders))
    return {name: min(values) - min(seen[""]) for name, values in seen.items() if name}


def main() -> None:
    """Measure, and print."""
    for name, cost in measure().items():
        print(f"{name}: {cost:.2f} µs per request")


if __name__ == "__main__":
    main()
