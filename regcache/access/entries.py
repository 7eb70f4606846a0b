"""One bounded table of entries with an end: sessions, one-time links, and what else expires.

It can put if absent, get, add and remove, each in one step. So it may lie elsewhere one day, and
several processes may share it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable


class Entries:
    """Entries by kind and key, each with an end.

    :param limits: how many entries each kind may have. If a kind is full, its least recently used
        entry is dropped, and never one of another kind: clients can fill some kinds.
    """

    def __init__(self, clock: IReactorTime, limits: Mapping[str, int]) -> None:
        self._tables: dict[str, BoundedTable[str, Any]] = {
            kind: BoundedTable(limit, clock) for kind, limit in limits.items()
        }

    def put_if_absent(self, kind: str, key: str, value: Any, *, seconds: float) -> bool:
        """Put an entry for some seconds; False where there is one, which stays."""
        table = self._tables[kind]
        if table.get(key) is not None:
            return False
        table.put(key, value, seconds=seconds)
        return True

    def get(self, kind: str, key: str) -> Any | None:
        """The value of an entry; None without one."""
        return self._tables[kind].get(key)

    def add(self, kind: str, key: str, amount: int, *, seconds: float) -> int:
        """Add to the number of an entry, which then lasts so long; its new number."""
        table = self._tables[kind]
        number = int(table.get(key) or 0) + amount
        table.put(key, number, seconds=seconds)
        return number

    def remove(self, kind: str, key: str) -> Any | None:
        """Remove an entry. Its value, for the first caller that removes it; else None."""
        table = self._tables[kind]
        value = table.get(key)
        table.drop(key)
        return value

    def values(self, kind: str) -> list[Any]:
        """The values of all entries of a kind, expired ones among them."""
        return self._tables[kind].values()

    def remove_where(self, kind: str, concerned: Callable[[Any], bool]) -> None:
        """Remove all entries of a kind for whose value a function returns True."""
        self._tables[kind].drop_where(lambda _key, value: concerned(value))
