"""POST reload: reads the configuration file again."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from regcache.admin.api.callers import Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.schemas import TEXT, array, record

RELOAD = ApiCall(
    method="POST",
    path="reload",
    role=Role.ADMIN,
    text="Reads the configuration file again, and puts it in force whole: names the keys that "
    "changed, and those whose new values take a restart. A file that is wrong changes nothing.",
    answer=record(changed=array(TEXT), restart=array(TEXT), warnings=array(TEXT)),
)
#: All of them.
CALLS = (RELOAD,)


def reload_routes(reload: "Callable[[], Deferred[dict[str, Any]]]") -> list[CallRoute]:
    """The call.

    :param reload: gives what the call answers, or fails with a Problem.
    """

    async def handle(asked: AskedCall) -> dict[str, Any]:
        return await reload()

    return [CallRoute(RELOAD, handle)]
