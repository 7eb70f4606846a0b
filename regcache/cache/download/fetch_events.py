"""What a download hears from its fills."""

from typing import Protocol

from twisted.python.failure import Failure

from regcache.cache.download.blob_source import NotStoredError
from regcache.errors import UpstreamFailure
from regcache.interfaces import IBlobBody


class FetchEvents(Protocol):
    """The download whose fills these are."""

    def size_announced(self, size: int | None, body: IBlobBody) -> None:
        """An answer fits. :raises NotStoredError: where there is no space for it."""

    def answered(self) -> None:
        """The first fitting answer is there."""

    def progressed(self) -> None:
        """Bytes were written, the size became known, or a fill ended."""

    def drained(self) -> None:
        """No fill is left after all were told to stop."""

    def gave_up(self, failure: UpstreamFailure) -> None:
        """The upstream does not give the blob."""

    def not_stored(self, error: NotStoredError) -> None:
        """The blob cannot be stored."""

    def storage_failed(self, error: BaseException | None, body: IBlobBody | None = None) -> None:
        """The disk refused a write, or the space for a body that nobody has touched yet."""

    def failed(self, failure: Failure) -> None:
        """Something that nobody foresaw."""
