"""Where JSON is parsed: what is small at once, what is large in a thread, one after the other."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import DeferredLock

from regcache.interfaces import IWorkPool

T = TypeVar("T")

#: What is parsed at once (bytes): a fraction of a millisecond, less than the way to a thread.
SMALL = 8 * 1024
#: Objects, lists and their members in one body. Four MiB have room for some millions of them,
#: which take the parser half a second and a hundred MiB; the largest that is real has a fraction
#: of this.
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
    """Does work on JSON without keeping the reactor.

    To parse four MiB keeps the interpreter's lock for tens of milliseconds, in whatever thread.
    Of several threads that want it the reactor's is one among many, so large bodies have one
    turn after the other.
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
