"""What keeps images from leaving the disk."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from regcache.identity import Repository
from regcache.pins import Pin


class IPins(Interface):
    """Pins by hand, and by patterns; what they cover is not evicted.

    A pin of a tag covers what the tag names, now and later, with all that this lists.
    """

    def set_patterns(patterns: Sequence[str]) -> None:
        """Which tags are pinned besides; counts in full after :meth:`settle`."""

    def pin(repository: Repository, reference: str, pin: Pin) -> "Deferred[None]":
        """Pin a tag or a digest by hand. Fails with OSError."""

    def unpin(repository: Repository, reference: str) -> "Deferred[None]":
        """Take a pin back; counts in full after :meth:`settle`. Fails with OSError."""

    def is_pinned(repository: Repository, reference: str) -> "Deferred[bool]":
        """Whether a tag or a digest was pinned by hand. Fails with OSError."""

    def pins(after: tuple[str, str, str], limit: int) -> "Deferred[list[Pin]]":
        """A page of the pins by hand, sorted, behind one. Fails with OSError.

        ``after``: the names of upstream and repository, and the reference.
        """

    def settle() -> "Deferred[None]":
        """Find what is covered no more, since tags moved or pins went. Fails with OSError."""
