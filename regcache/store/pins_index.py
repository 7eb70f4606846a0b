"""The part of the index that knows what is pinned: see :class:`~regcache.interfaces.IPins`."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from regcache.identity import Repository
from regcache.interfaces import IPins
from regcache.pins import Pin
from regcache.store import index_pins
from regcache.store.index_pins import PinRound
from regcache.store.index_thread import IndexThread


@implementer(IPins)
class PinsIndex:
    """Pins, in the file of the index."""

    def __init__(self, thread: IndexThread) -> None:
        self._thread = thread
        self._patterns: tuple[str, ...] = ()
        self._settled = True

    def set_patterns(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(patterns)
        self._settled = not patterns

    @property
    def patterns(self) -> tuple[str, ...]:
        """Those that are set."""
        return self._patterns

    def matches(self, repository: Repository, tag: str) -> bool:
        """Whether a pattern pins a tag."""
        upstream = repository.upstream.name
        return index_pins.matches(self._patterns, upstream, repository.name, tag)

    def pin(self, repository: Repository, reference: str, pin: Pin) -> "Deferred[None]":
        return self._thread.write(index_pins.pin, repository, reference, pin)

    def unpin(self, repository: Repository, reference: str) -> "Deferred[None]":
        return self._thread.write(index_pins.unpin, repository, reference)

    def is_pinned(self, repository: Repository, reference: str) -> "Deferred[bool]":
        return self._thread.read(index_pins.is_pinned, repository, reference)

    def pins(self, after: tuple[str, str, str], limit: int) -> "Deferred[list[Pin]]":
        return self._thread.read(index_pins.list_pins, after, limit)

    def settle(self) -> "Deferred[None]":
        return Deferred.fromCoroutine(self._settle())

    async def _settle(self) -> None:
        work = PinRound(self._patterns)
        try:
            while not work.over:
                work = await self._thread.write_for(index_pins.step, work)
        except OSError:
            # On a full disk what is covered too much stays; too little must never be.
            if not self._settled:
                raise
        else:
            self._settled = True
