"""GET doctor, POST doctor: looks at the daemon and its surroundings."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from regcache.admin.api.call_problems import ForbiddenProblem
from regcache.admin.api.callers import Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.schemas import TEXT, array, nullable, record, words
from regcache.doctor.findings import Finding, Level

_ANSWER = record(
    items=array(
        record(
            check=TEXT,
            level=words(*(each.value for each in Level)),
            text=TEXT,
            fix=nullable(TEXT),
        )
    ),
)
GET_DOCTOR = ApiCall(
    method="GET",
    path="doctor",
    role=Role.READ,
    text="Looks at configuration, disk, certificates, ports, clients, and at what is known of the "
    "upstreams; `fix` is what to type or to change.",
    answer=_ANSWER,
)
POST_DOCTOR = ApiCall(
    method="POST",
    path="doctor",
    role=Role.ADMIN,
    text="The same, and asks the upstreams: each step to `/v2/`, the time, HEAD of a manifest, and "
    "at most 4 MiB of a layer that is here.",
    answer=_ANSWER,
)
#: All of them.
CALLS = (GET_DOCTOR, POST_DOCTOR)

Examine = Callable[[bool], Coroutine[Any, Any, Sequence[Finding]]]
"""Looks at all of it; asks the upstreams, if that is wanted."""


def doctor_routes(examine: Examine) -> list[CallRoute]:
    """The calls."""

    async def get(asked: AskedCall) -> dict[str, Any]:
        if asked.caller.role is not Role.ADMIN and asked.caller.account:
            raise ForbiddenProblem("this is for administrators")
        return _told(await examine(False))

    async def post(_: AskedCall) -> dict[str, Any]:
        return _told(await examine(True))

    return [CallRoute(GET_DOCTOR, get), CallRoute(POST_DOCTOR, post)]


def _told(findings: Sequence[Finding]) -> dict[str, Any]:
    return {"items": [each.told() for each in findings]}
