"""How content gets from the cache to a client, and who counts what befalls the cache."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from regcache.interfaces.store import IContentFile


class IReaderSink(Interface):
    """Who sends a reader's bytes to a client, in the reactor thread."""

    def write(data: bytes) -> None:
        """Send on. Pauses the reader through its producer methods when it has enough."""

    def send_file(file: IContentFile, start: int, end: int, sent: Callable[[int], None]) -> bool:
        """Send ``[start, end)`` from the file itself, if that is possible here; else False.

        :param sent: called once with how many bytes are on their way, possibly fewer than
            that, possibly at once; not called if the client leaves. Nothing is written before.
        """

    def range_ended() -> None:
        """All bytes of the range were written; another range may begin."""

    def broken(reason: str) -> None:
        """No more will come: abort the connection. Called at most once."""


class IReader(Interface):
    """One client response fed from a file, finished or growing; an IPushProducer too."""

    size: int | None = Attribute("Bytes of the whole content, or None while nobody knows.")

    def ready() -> "Deferred[None]":
        """Fires when the head of the answer may go out; fails with what prevents it."""

    def begin(start: int, end: int | None, sink: IReaderSink) -> None:
        """Send ``[start, end)`` to the sink; an end of None is the end of the content."""

    def leave() -> None:
        """The client is gone, or served. Idempotent."""

    def client_is_fast(fast: bool) -> None:
        """How much the client may hold depends on it. Until it is told so, it is slow."""

    def pauseProducing() -> None:
        """The client takes nothing for now."""

    def hold() -> None:
        """As ``pauseProducing``, but because of a limit: no time counts against the client."""

    def resumeProducing() -> None:
        """The client takes more."""

    def stopProducing() -> None:
        """The client is gone."""


class ICacheEvents(Interface):
    """Who counts what befalls the cache."""

    def digest_mismatch(upstream: str) -> None:
        """Content from the upstream failed its digest."""

    def storage_error() -> None:
        """A write was refused by the disk."""
