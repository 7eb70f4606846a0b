"""Bounded tables in memory, for keys that come from the network."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedTable(Generic[Key, Value]):
    """A mapping of bounded weight that drops the least recently used entries, and expired ones.

    :param limit: of the sum of all weights; by default each entry weighs 1.
    :param clock: by which entries expire; only needed if some do.
    """

    def __init__(self, limit: int, clock: IReactorTime | None = None) -> None:
        self._limit = limit
        self._clock = clock
        self._weight = 0
        self._entries: OrderedDict[Key, tuple[Value, int, tuple[float, float] | None]]
        self._entries = OrderedDict()

    def __len__(self) -> int:
        """How many entries there are, including expired ones that were not found yet."""
        return len(self._entries)

    def __contains__(self, key: Key) -> bool:
        """Whether there is an entry, expired or not. This counts as no use."""
        return key in self._entries

    @property
    def weight(self) -> int:
        """The sum of the weights."""
        return self._weight

    def get(self, key: Key) -> Value | None:
        """The value, or None. This counts as a use."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, _, life = entry
        if life is not None:
            assert self._clock is not None, "nothing expires without a clock"
            if not life[0] <= self._clock.seconds() < life[1]:
                self.drop(key)
                return None
        self._entries.move_to_end(key)
        return value

    def put(
        self, key: Key, value: Value, weight: int = 1, seconds: float | None = None
    ) -> Sequence[Value]:
        """Set a value; the least recently used ones are dropped for it. One too heavy is not kept.

        :param seconds: when it expires; None: never. If the clock is set back it expires, too.
        :returns: the values that were dropped; also the new one, if it is too heavy.
        """
        former = self._entries.pop(key, None)
        if former is not None:
            self._weight -= former[1]
        if weight > self._limit:
            return (value,)
        life = None
        if seconds is not None:
            assert self._clock is not None, "nothing expires without a clock"
            now = self._clock.seconds()
            life = (now, now + seconds)
        self._entries[key] = (value, weight, life)
        self._weight += weight
        return self._make_room() if self._weight > self._limit else ()

    def drop(self, key: Key) -> None:
        """Forget a value, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= entry[1]

    def values(self) -> list[Value]:
        """All values, including expired ones that were not found yet."""
        return [entry[0] for entry in self._entries.values()]

    def drop_where(self, concerned: Callable[[Key, Value], bool]) -> None:
        """Forget all entries for which a function returns True. It is called for each entry."""
        for key in [key for key, entry in self._entries.items() if concerned(key, entry[0])]:
            self.drop(key)

    def clear(self) -> None:
        """Forget all values."""
        self._entries.clear()
        self._weight = 0

    def _make_room(self) -> list[Value]:
        gone = []
        while self._weight > self._limit:
            _, (value, freed, _life) = self._entries.popitem(last=False)
            self._weight -= freed
            gone.append(value)
        return gone
