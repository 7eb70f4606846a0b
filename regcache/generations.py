"""Numbered events by key, in bounded memory: has anything happened to a key since then?"""

from collections.abc import Hashable
from typing import Generic, TypeVar

from regcache.bounded import BoundedTable

Key = TypeVar("Key", bound=Hashable)


class Generations(Generic[Key]):
    """Numbers events, and says whether one concerned a key.

    Keys come from the network, so only the last ``most`` of them are remembered. A forgotten key
    counts as if the last forgotten event concerned it. So a caller may look again once too often,
    but never too seldom.

    :ivar current: the number of the last event.
    """

    def __init__(self, most: int, first: int = 0) -> None:
        """
        :param first: where the numbers begin. Where they outlast the process it is the time, so
            that they are above all earlier ones, whether or not those can be read.
        """
        self.current = first
        self._events: BoundedTable[Key, int] = BoundedTable(most)
        self._forgotten = 0

    def resume(self, number: int) -> None:
        """Continue after a number that was given before this process began."""
        self.current = max(self.current, number)

    def advance(self, key: Key) -> int:
        """Note an event that concerns a key. Returns its number."""
        self.current += 1
        for number in self._events.put(key, self.current):
            self._forgotten = max(self._forgotten, number)
        return self.current

    def concerns(self, key: Key, since: int) -> bool:
        """Whether something happened to a key after ``current`` was ``since``."""
        if since == self.current:
            return False
        number = self._events.get(key)
        return (self._forgotten if number is None else number) > since
