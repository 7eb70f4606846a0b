"""What happened to a key since somebody looked: numbered events, in bounded memory."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from regcache.bounded import BoundedTable

Key = TypeVar("Key", bound=Hashable)


class Generations(Generic[Key]):
    """Numbers events, and says whether one concerned a key.

    The keys are named by the network, so only the last ``most`` of them are remembered. A key
    that had to make room counts as concerned by the last event that was forgotten: who asks is
    told once too often to look again, and never too seldom.

    :ivar current: the number of the last event.
    """

    def __init__(self, most: int) -> None:
        self.current = 0
        self._events: BoundedTable[Key, int] = BoundedTable(most)
        self._forgotten = 0

    def resume(self, number: int) -> None:
        """Go on behind a number that was given before this process began."""
        self.current = max(self.current, number)

    def advance(self, key: Key) -> int:
        """Something happens to a key; the number of that."""
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
