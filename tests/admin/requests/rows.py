"""Records of requests, as tests need them."""

from itertools import count
from typing import Any

from regcache.web.records import RequestRecord

ALPINE = "sha256:" + "a" * 64
_serials = count(1)


def row(**changes: Any) -> RequestRecord:
    """Make the row of a hit on a manifest, with some changes."""
    known: dict[str, Any] = {
        "peer": "192.0.2.7",
        "account": "",
        "method": "GET",
        "kind": "manifest",
        "upstream": "docker.io",
        "repository": "library/alpine",
        "reference": "3.20",
        "status": 200,
        "body_bytes": 1000,
        "outcome": "hit",
        "cache_status": "regcache; hit",
        "first_byte": 0.002,
        "seconds": 0.004,
        "ended_early": "",
        "serial": next(_serials),
        "arrived": 1_800_000_000.0,
        "agent": b"docker/27",
        "is_distribution": True,
    }
    return RequestRecord(**(known | changes))
