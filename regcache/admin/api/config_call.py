"""GET config: the configuration in force, without its secrets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, field
from typing import Any

from regcache.admin.api.call_problems import ForbiddenProblem
from regcache.admin.api.callers import Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.schemas import COUNT, TEXT, TIME, array, nullable, record
from regcache.light_dataclass import dataclass
from regcache.times import time_or_null, time_text

GET_CONFIG = ApiCall(
    method="GET",
    path="config",
    role=Role.READ,
    text="The long form of the configuration in force, without secrets, and where each key is set.",
    answer=record(
        file=nullable(TEXT),
        loaded=TIME,
        last_error=nullable(record(time=nullable(TIME), errors=array(TEXT))),
        config={"type": "object"},
        lines={"type": "object", "additionalProperties": COUNT},
    ),
)
#: All of them.
CALLS = (GET_CONFIG,)


@dataclass(frozen=True, slots=True)
class RefusedConfig:
    """Why a later configuration was not taken.

    :ivar time: Unix seconds.
    :ivar lines: as check-config has them.
    """

    time: float
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class ConfigFacts:
    """A configuration.

    :ivar values: the long form as plain JSON, without secrets.
    :ivar loaded: Unix seconds.
    :ivar file: that it was read from; None for none.
    :ivar lines: of the keys that the file sets, by their path.
    :ivar last_error: why the file is not in force as it is now; None where it is.
    """

    values: Mapping[str, Any]
    loaded: float
    _: KW_ONLY
    file: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    last_error: RefusedConfig | None = None


def config_routes(config: Callable[[], ConfigFacts]) -> list[CallRoute]:
    """The call."""

    def handle(asked: AskedCall) -> dict[str, Any]:
        if asked.caller.role is not Role.ADMIN and asked.caller.account:
            raise ForbiddenProblem("the configuration is for administrators")
        facts = config()
        error = facts.last_error
        return {
            "file": facts.file,
            "loaded": time_text(facts.loaded),
            "last_error": None
            if error is None
            else {"time": time_or_null(error.time), "errors": list(error.lines)},
            "config": dict(facts.values),
            "lines": dict(facts.lines),
        }

    return [CallRoute(GET_CONFIG, handle)]
