"""Reads lists of the API to their end."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from regcache.ctl.client import IAsksDaemon

#: Rows of a page: what the API gives at most.
MOST_ROWS = 200


async def all_pages(daemon: IAsksDaemon, call: str, **parameters: Any) -> list[dict[str, Any]]:
    """All rows of a list."""
    return [row async for page in _pages(daemon, call, parameters) for row in page["items"]]


async def all_repositories(
    daemon: IAsksDaemon, **parameters: Any
) -> tuple[list[dict[str, Any]], str]:
    """All rows of the list of repositories, and what is missing there; "" if nothing is.

    What a large index of an older version knows of is counted behind the answers: the list has not
    all of it before that is done.
    """
    items: list[dict[str, Any]] = []
    missing = ""
    async for page in _pages(daemon, "repositories", parameters):
        items += page["items"]
        if page["counting"] is not None:
            missing = (
                "repositories are still being counted ({counted} of {repositories}), and those that"
                " are not are missing here: try again in some minutes"
            ).format_map(page["counting"])
    return items, missing


async def _pages(
    daemon: IAsksDaemon, call: str, parameters: Mapping[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = await daemon.get(call, limit=MOST_ROWS, cursor=cursor, **parameters)
        yield page
        cursor = page["next"]
        if cursor is None:
            return
