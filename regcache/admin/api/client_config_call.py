"""GET client-config: how a client program is set up to pull through this cache."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from regcache.admin.api.call_problems import ForbiddenProblem, InvalidProblem
from regcache.admin.api.callers import Caller, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.kinds import Choice, Flag, Parameter, Text
from regcache.admin.api.schemas import FLAG, TEXT, array, nullable, record, words
from regcache.client_setup.guide import TOOLS, guide_for
from regcache.client_setup.located import Located, NoSuchHostError, locate_registries
from regcache.client_setup.seat_guide import SeatClient, for_seat, seat_guide
from regcache.client_setup.served import ServedHere
from regcache.client_setup.steps import SetUp
from regcache.client_setup.told import told_guide
from regcache.client_setup.words import NOTES, TEXTS, TITLES

_BLOCK = record(kind=words("file", "shell"), path=nullable(TEXT), text=TEXT, part=FLAG, secret=FLAG)
_STEP = record(title_code=words(*TITLES), text_code=nullable(words(*TEXTS)), blocks=array(_BLOCK))
GET_CLIENT_CONFIG = ApiCall(
    method="GET",
    path="client-config",
    role=Role.READ,
    text="How a client program is set up: its files whole, or `part` of one, and commands; and the "
    "name under which each registry is pulled here. `regcachectl client-config` has the codes in "
    "words.",
    parameters=(
        Parameter("tool", Choice(tuple(TOOLS)), "The program.", required=True),
        Parameter(
            "host", Text(300, 1), "The host that clients are to use, with its port or as a URL."
        ),
        Parameter("login", Flag(), "Have a place for an account in any case.", default=False),
        Parameter("upstreams", Text(2048, 1), "Names of upstreams, with commas; else all."),
        Parameter(
            "seat",
            Text(255, 1),
            "For administrators: a seat, with the one proof that the program can send; that may "
            "be its host.",
        ),
    ),
    answer=record(
        steps=array(_STEP),
        names=array(record(registry=TEXT, host=TEXT)),
        login_needed=FLAG,
        notes=array(words(*NOTES)),
    ),
)
#: All of them.
CALLS = (GET_CLIENT_CONFIG,)

FindServed = Callable[[], "Deferred[ServedHere]"]
"""Gives what the configuration in force serves."""


FindSeat = Callable[[str], SeatClient]
"""Gives a seat by its name. It raises a problem if there is none, or if it has ended."""


def client_config_routes(find: FindServed, find_seat: FindSeat) -> list[CallRoute]:
    """The call."""

    async def handle(asked: AskedCall) -> dict[str, Any]:
        served, tool, seat = _seen(await find(), asked.caller), asked.values["tool"], None
        if asked.values["seat"] is not None:
            seat = _seat(asked, find_seat)
            served = for_seat(served, seat)
        located = _located(asked, served)
        if seat is not None:
            return told_guide(seat_guide(tool, seat, located))
        return told_guide(guide_for(tool, SetUp(located, asked.values["login"])))

    return [CallRoute(GET_CLIENT_CONFIG, handle)]


def _seat(asked: AskedCall, find: FindSeat) -> SeatClient:
    if asked.caller.role is not Role.ADMIN:
        raise ForbiddenProblem("what a seat can show is for administrators")
    return find(asked.values["seat"])


def _located(asked: AskedCall, served: ServedHere) -> Located:
    try:
        return locate_registries(served, asked.values["host"] or "", _names(asked))
    except NoSuchHostError as error:
        field = "host" if asked.values["host"] else "upstreams"
        raise InvalidProblem(field, str(error)) from None


def _names(asked: AskedCall) -> list[str]:
    names = (asked.values["upstreams"] or "").split(",")
    return [name.strip() for name in names if name.strip()]


def _seen(served: ServedHere, caller: Caller) -> ServedHere:
    """The same without upstreams of which the caller may see nothing."""
    seen = [each for each in served.registries if caller.sees_upstream(each.name)]
    return replace(served, registries=seen)
