"""Finds what a slow request waited for most: a phase, the upstream, the client or the disk."""

from typing import Any

from regcache.causes import Cause
from regcache.timings import CONNECT, DNS, FIRST_BYTE, QUEUE, REDIRECT, TLS, TOKEN
from regcache.web.records import RequestRecord

#: The verdict that each phase counts for.
_CODES = {
    QUEUE: "slow.queue",
    DNS: "slow.dns",
    CONNECT: "slow.connect",
    TLS: "slow.connect",
    TOKEN: "slow.token",
    REDIRECT: "slow.first_byte",
    FIRST_BYTE: "slow.first_byte",
}


def largest_share(record: RequestRecord, median: int | None) -> Cause | None:
    """Return the verdict on a slow request; None if its phases and waits are not known.

    :param median: bytes a second that its upstream sends usually; None if that is not known.
    """
    seconds = _phases(record) | _waits(record)
    if not seconds:
        return None
    code = max(seconds, key=lambda each: seconds[each])
    if seconds[code] <= 0:
        return None
    return Cause(code, _params(code, seconds[code], record, median))


def _phases(record: RequestRecord) -> dict[str, float]:
    """Return the seconds of each verdict between the request and its first byte.

    Its fetch may have begun earlier, for another request.
    """
    found: dict[str, float] = {}
    begun = record.seconds if record.first_byte is None else record.first_byte
    for phase in record.timings.phases if record.timings is not None else ():
        end = min(phase.start + phase.duration, record.arrived + begun)
        within = end - max(phase.start, record.arrived)
        code = _CODES[phase.name]
        found[code] = found.get(code, 0.0) + max(0.0, within)
    return found


def _waits(record: RequestRecord) -> dict[str, float]:
    if record.flow is None:
        return {}
    waits = record.flow.waits
    return {
        "slow.upstream": waits.upstream,
        "slow.client": waits.client,
        "slow.disk": waits.disk,
    }


def _params(code: str, seconds: float, record: RequestRecord, median: int | None) -> dict[str, Any]:
    if code == "slow.queue":
        return {"seconds": round(seconds, 3)}
    if code in ("slow.client", "slow.disk"):
        return {"bytes_per_s": rate_of(record)}
    host = slowest_host(record, code)
    if code == "slow.upstream":
        return {"host": host, "bytes_per_s": rate_of(record), "median_bytes_per_s": median}
    return {"host": host, "seconds": round(seconds, 3), "phase": code.removeprefix("slow.")}


def rate_of(record: RequestRecord) -> int:
    """Return the bytes a second of a body, from its first byte on."""
    sending = record.seconds - (record.first_byte or 0.0)
    return round(record.body_bytes / sending) if sending > 0 else 0


def slowest_host(record: RequestRecord, code: str) -> str | None:
    """Return the host of the longest phase of a verdict; that of the last phase if none is."""
    phases = list(record.timings.phases) if record.timings is not None else []
    if not phases:
        return None
    own = [phase for phase in phases if _CODES[phase.name] == code]
    return max(own, key=lambda phase: phase.duration).host if own else phases[-1].host
