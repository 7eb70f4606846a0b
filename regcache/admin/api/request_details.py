"""What GET request tells of one request beside its item."""

from collections.abc import Iterator
from typing import Any

from regcache.admin.api.request_items import IMAGE, image_of, milliseconds
from regcache.admin.api.schemas import (
    COUNT,
    INTEGER,
    TEXT,
    array,
    nullable,
    record,
    words,
)
from regcache.admin.requests.details import Details
from regcache.images import ImagePart
from regcache.timings import EVENTS, JOINED, PHASES, FetchTimings
from regcache.web.flow import MOST_SAMPLES, Flow
from regcache.web.records import RequestRecord

_PHASE = record(phase=words(*PHASES), start_ms=INTEGER, duration_ms=COUNT, host=nullable(TEXT))
_EVENT = record(
    at_ms=INTEGER, kind=words(*EVENTS), offset_bytes=nullable(COUNT), text=nullable(TEXT)
)
#: The fields.
DETAILS = {
    "cache_status": nullable(TEXT),
    "error": nullable(TEXT),
    "hosts": array(TEXT),
    "phases": nullable(array(_PHASE)),
    "waits": nullable(record(upstream_ms=COUNT, client_ms=COUNT, disk_ms=COUNT)),
    "samples": nullable(record(step_ms=COUNT, bytes=array(COUNT, maxItems=MOST_SAMPLES))),
    "median_bytes_per_s_7d": nullable(COUNT),
    "events": nullable(array(_EVENT)),
    "image": IMAGE,
}


def details_of(
    row: RequestRecord, details: Details, median: int | None, part: ImagePart | None
) -> dict[str, Any]:
    """The fields of one request.

    :param median: bytes a second that its upstream sends usually.
    :param part: the image that it belongs to.
    """
    timings, flow = details
    phases = None if timings is None else [_phase(each, row) for each in timings.phases]
    return {
        "cache_status": row.cache_status or None,
        "error": row.error or row.ended_early or None,
        "hosts": [] if timings is None else _hosts(timings),
        "phases": phases,
        "waits": None if flow is None else _waits(flow),
        "samples": None if flow is None else _samples(flow),
        "median_bytes_per_s_7d": median,
        "events": None if timings is None else list(_events(timings, row)),
        "image": _image(row, part),
    }


def _hosts(timings: FetchTimings) -> list[str]:
    """Each once, in the order in which they were met."""
    return list(dict.fromkeys(each.host for each in timings.phases if each.host))


def _phase(phase: Any, row: RequestRecord) -> dict[str, Any]:
    return {
        "phase": phase.name,
        "start_ms": round((phase.start - row.arrived) * 1000),
        "duration_ms": milliseconds(phase.duration),
        "host": phase.host or None,
    }


def _waits(flow: Flow) -> dict[str, int | None]:
    waits = flow.waits
    return {
        "upstream_ms": milliseconds(waits.upstream),
        "client_ms": milliseconds(waits.client),
        "disk_ms": milliseconds(waits.disk),
    }


def _samples(flow: Flow) -> dict[str, Any]:
    return {"step_ms": milliseconds(flow.step), "bytes": list(flow.samples)}


def _events(timings: FetchTimings, row: RequestRecord) -> Iterator[dict[str, Any]]:
    if row.outcome == "collapsed":
        yield {"at_ms": 0, "kind": JOINED, "offset_bytes": None, "text": None}
    for each in timings.events:
        at = round((each.at - row.arrived) * 1000)
        yield {
            "at_ms": at,
            "kind": each.kind,
            "offset_bytes": each.offset,
            "text": each.text or None,
        }


def _image(row: RequestRecord, part: ImagePart | None) -> dict[str, Any] | None:
    """The image that is known; else what was asked for, where that is one."""
    if not row.upstream or not row.repository:
        return None
    if part is None and row.kind == "manifest":
        part = ImagePart(row.reference, "")
    return image_of(f"{row.upstream}/{row.repository}", part)
