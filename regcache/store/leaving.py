"""Lets requests for content wait while it is being evicted."""

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed

from regcache.digests import Digest
from regcache.gate import Gate


class LeavingContents:
    """The contents that are being evicted. Their files are neither opened nor replaced.

    So no request finds a file that the index has forgotten, and no newer file is removed.
    """

    def __init__(self) -> None:
        self._gates: dict[Digest, Gate] = {}

    def __contains__(self, digest: Digest) -> bool:
        """Whether content is being evicted."""
        return digest in self._gates

    def __iter__(self) -> Iterator[Digest]:
        """The contents that are being evicted."""
        return iter(self._gates)

    def begin(self, digest: Digest, busy: bool) -> bool:
        """Let requests wait from now on; False if the content is in use."""
        if busy:
            return False
        self._gates[digest] = Gate()
        return True

    def end(self, digest: Digest, removing: "Deferred[bool]") -> "Deferred[bool]":
        """Let requests go on once the removal has ended or failed."""

        def ended(outcome: Any) -> Any:
            self._gates.pop(digest).succeed()
            return outcome

        return removing.addBoth(ended)

    def over(self, digest: Digest) -> "Deferred[None]":
        """Fires when the content is not being evicted (any more)."""
        gate = self._gates.get(digest)
        return succeed(None) if gate is None else gate.wait()
