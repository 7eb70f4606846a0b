"""Content that is about to leave the disk, and who waits until it has."""

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed

from regcache.digests import Digest
from regcache.gate import Gate


class LeavingContents:
    """While content is being evicted nobody opens its file, and none gets its name.

    So nobody finds a file that the index has forgotten, and none is removed that came since.
    """

    def __init__(self) -> None:
        self._gates: dict[Digest, Gate] = {}

    def __contains__(self, digest: Digest) -> bool:
        """Whether it is being evicted."""
        return digest in self._gates

    def __iter__(self) -> Iterator[Digest]:
        """What is being evicted."""
        return iter(self._gates)

    def begin(self, digest: Digest, busy: bool) -> bool:
        """Have others wait from now on, unless it is busy."""
        if busy:
            return False
        self._gates[digest] = Gate()
        return True

    def end(self, digest: Digest, removing: "Deferred[bool]") -> "Deferred[bool]":
        """Let those who wait go on when it is removed, or that failed."""

        def ended(outcome: Any) -> Any:
            self._gates.pop(digest).succeed()
            return outcome

        return removing.addBoth(ended)

    def over(self, digest: Digest) -> "Deferred[None]":
        """Fires when it is not being evicted, or not any more."""
        gate = self._gates.get(digest)
        return succeed(None) if gate is None else gate.wait()
