"""How content gets from the cache to a client, and the events of the cache that are counted."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Callable
from enum import Enum

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from regcache.interfaces.store import IContentFile


class Wait(Enum):
    """Who an answer waits for."""

    UPSTREAM = "upstream"
    CLIENT = "client"
    DISK = "disk"
    LIMIT = "a limit of this cache"


class IReaderSink(Interface):
    """Sends the bytes of a reader to a client, in the reactor thread."""

    def write(data: bytes) -> None:
        """Send bytes. It pauses the reader, by its producer methods, when it has enough."""

    def send_file(file: IContentFile, start: int, end: int, sent: Callable[[int], None]) -> bool:
        """Send ``[start, end)`` from the file itself, if that is possible here; else False.

        :param sent: called once with how many bytes were sent, perhaps fewer than that, perhaps at
            once; not called if the client leaves. Do not write before it is called.
        """

    def range_ended() -> None:
        """All bytes of the range were written. Another range may begin."""

    def broken(reason: str) -> None:
        """No more bytes will come: abort the connection. Called at most once."""


class IReader(Interface):
    """Reads a complete or growing file for one answer. It is an IPushProducer, too."""

    size: int | None = Attribute("Bytes of the whole content, or None while it is not known.")
    waits_for: Wait = Attribute("Who it waits for, where its client would take more.")

    def ready() -> "Deferred[None]":
        """Fires when the head of the answer may be sent; fails with what prevents it."""

    def begin(start: int, end: int | None, sink: IReaderSink) -> None:
        """Send ``[start, end)`` to the sink; an end of None is the end of the content."""

    def pass_to(sink: IReaderSink) -> None:
        """Send the rest of the range to another sink. Nothing happens between ranges."""

    def leave() -> None:
        """The client has left, or has everything. Idempotent."""

    def client_is_fast(fast: bool) -> None:
        """Whether the client is fast, so that larger pieces may be read. By default it is slow."""

    def pauseProducing() -> None:
        """The client takes nothing for now."""

    def pause_for_limit() -> None:
        """As ``pauseProducing``, but because of a limit: no time counts against the client."""

    def resumeProducing() -> None:
        """The client takes more."""

    def stopProducing() -> None:
        """The client has left."""


class ICacheEvents(Interface):
    """Counts events of the cache."""

    def digest_mismatch(upstream: str) -> None:
        """Content from the upstream had another digest than it should."""

    def storage_error() -> None:
        """A write was refused by the disk."""
