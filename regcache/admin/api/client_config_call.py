"""GET client-config: how a client program is set up to pull through this cache."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from regcache.admin.api.call_problems import InvalidProblem
from regcache.admin.api.callers import Caller, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.kinds import Choice, Flag, Parameter, Text
from regcache.admin.api.schemas import FLAG, TEXT, array, nullable, record, words
from regcache.client_setup.guide import TOOLS, guide_for
from regcache.client_setup.located import NoSuchHostError, locate_registries
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


def client_config_routes(find: FindServed) -> list[CallRoute]:
    """The call."""

    async def handle(asked: AskedCall) -> dict[str, Any]:
        served = _seen(await find(), asked.caller)
        try:
            located = locate_registries(served, asked.values["host"] or "", _names(asked))
        except NoSuchHostError as error:
            field = "host" if asked.values["host"] else "upstreams"
            raise InvalidProblem(field, str(error)) from None
        setup = SetUp(located, asked.values["login"])
        return told_guide(guide_for(asked.values["tool"], setup))

    return [CallRoute(GET_CLIENT_CONFIG, handle)]


def _names(asked: AskedCall) -> list[str]:
    names = (asked.values["upstreams"] or "").split(",")
    return [name.strip() for name in names if name.strip()]


def _seen(served: ServedHere, caller: Caller) -> ServedHere:
    """The same without upstreams of which the caller may see nothing."""
    seen = [each for each in served.registries if caller.sees_upstream(each.name)]
    return replace(served, registries=seen)
