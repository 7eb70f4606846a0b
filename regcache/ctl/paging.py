"""Reads lists of the API to their end."""

from typing import Any

from regcache.ctl.client import IAsksDaemon

#: Rows of a page: what the API gives at most.
MOST_ROWS = 200


async def all_pages(daemon: IAsksDaemon, call: str, **parameters: Any) -> list[dict[str, Any]]:
    """All rows of a list."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await daemon.get(call, limit=MOST_ROWS, cursor=cursor, **parameters)
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items
