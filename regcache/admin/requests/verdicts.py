"""Finds the verdict on a request: a code and parameters that say why it went as it did.

The first row of this table that applies is the verdict:

====================================  ==================================================
code                                  when
====================================  ==================================================
denied.private, .rule, .upstream,     the refusal has this cause
denied.quota
denied.login                          401 to a request without credentials
denied.credentials                    401 to one that had some
denied.other                          any other refusal
failed.not_found, .down, .limited,    the error has this cause
failed.digest
failed.digest                         the answer was cut, since its bytes were wrong
ended.client                          the client left
failed.broken                         the answer was cut for another reason
failed.other                          any other error
stale.*, relay.*                      the status of the cache has this cause
slow.*                                it was slow: the largest share of its time, if that is
                                      known (:mod:`regcache.admin.requests.shares`)
ok.hit, .revalidated, .stale,         otherwise, by the outcome
.joined, .miss
====================================  ==================================================
"""

from regcache.admin.requests.shares import largest_share
from regcache.causes import Cause
from regcache.errors import WRONG_BYTES
from regcache.times import time_text
from regcache.web.records import CLIENT_LEFT, LEFT, RequestRecord

#: A request is slow if its first byte took so long, or all of it (seconds).
SLOW_FIRST_BYTE, SLOW_IN_ALL = 2.0, 30.0
_OK = {"hit": "ok.hit", "none": "ok.hit", "revalidated": "ok.revalidated", "collapsed": "ok.joined"}
_MISSED = "ok.miss"


def is_slow(record: RequestRecord) -> bool:
    """Return whether a request was slow, or an open one is slow already."""
    first = record.seconds if record.first_byte is None else record.first_byte
    return first >= SLOW_FIRST_BYTE or record.seconds >= SLOW_IN_ALL


def is_failed(record: RequestRecord) -> bool:
    """Return whether it failed: not if its client left, nor if a 401 asked for a login."""
    if record.is_open or record.status == CLIENT_LEFT:
        return False
    if record.outcome == "denied":
        return record.shows_login
    return record.outcome == "error" or _was_cut(record)


def verdict_of(record: RequestRecord, median: int | None = None) -> Cause:
    """Return the verdict on a request, as far as it is known now.

    :param median: bytes a second that its upstream sends usually; None if that is not known.

    The text for a verdict may name the upstream and the principal; these are in the record.
    """
    return (
        record.verdict
        or _denied(record)
        or _failed(record)
        or _cause(record, "stale.", "relay.")
        or (largest_share(record, median) if is_slow(record) else None)
        or Cause(_OK.get(record.outcome, _MISSED), {})
    )


def _denied(record: RequestRecord) -> Cause | None:
    told = _cause(record, "denied.")
    if told is not None:
        return told
    if record.outcome != "denied":
        return None
    if record.status != 401:
        return Cause("denied.other", {})
    return Cause("denied.credentials" if record.shows_login else "denied.login", {})


def _failed(record: RequestRecord) -> Cause | None:
    if record.outcome == "error" and not record.is_open and record.status != CLIENT_LEFT:
        return _cause(record, "failed.") or Cause("failed.other", {"status": record.status})
    if WRONG_BYTES in record.ended_early:
        return Cause("failed.digest", {})
    if record.status == CLIENT_LEFT or record.ended_early == LEFT:
        return Cause("ended.client", {"bytes": record.body_bytes})
    return Cause("failed.broken", {}) if _was_cut(record) else None


def _was_cut(record: RequestRecord) -> bool:
    return bool(record.ended_early) and record.ended_early != LEFT and not record.is_open


def _cause(record: RequestRecord, *families: str) -> Cause | None:
    """Return the cause that was recorded, if its code is of one of these families."""
    cause = record.cause
    if cause is None or not cause.code.startswith(families):
        return None
    params = dict(cause.params)
    seconds = params.pop("seconds", None)
    if seconds is not None:
        params["until"] = time_text(record.arrived + record.seconds + seconds)
    return Cause(cause.code, params)
