"""Parses JSON: small bodies at once, large ones in a thread, one after the other."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import DeferredLock

from regcache.interfaces import IWorkPool

T = TypeVar("T")

#: Bodies up to this size are parsed at once (bytes): that takes less time than a job in a thread.
SMALL = 8 * 1024
#: How many objects, lists and members one body may have. In 4 MiB there can be some millions, for
#: which the parser needs half a second and 100 MiB; real bodies have a fraction of this number.
MOST_VALUES = 256 * 1024


class TooManyValuesError(ValueError):
    """A body has more values than anything real, and is not parsed."""


def load_json(content: bytes) -> Any:
    """Parse JSON in UTF-8.

    :raises ValueError: if it is none.
    :raises TooManyValuesError: if it has more than :data:`MOST_VALUES` values.
    """
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise TooManyValuesError("it has too many values")
    try:
        return json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


class Parser:
    """Does work on JSON without blocking the reactor.

    Parsing 4 MiB holds the interpreter's lock for tens of milliseconds, even in a thread. With
    several such threads the reactor's would have to compete with all of them. So large bodies are
    parsed one after the other.
    """

    def __init__(self, pool: IWorkPool) -> None:
        self._pool = pool
        self._turn = DeferredLock()

    async def run(self, size: int, function: Callable[..., T], *arguments: Any) -> T:
        """Call ``function(*arguments)``, whose work grows with ``size`` bytes."""
        if size <= SMALL:
            return function(*arguments)
        result: T = await self._turn.run(self._pool.run, function, *arguments)
        return result
