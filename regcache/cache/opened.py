"""Blobs as they are handed to requests."""

import errno

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from regcache.cache.download.reader import FileSource, Reader
from regcache.cache.status import CacheStatus, hit
from regcache.digests import Digest
from regcache.interfaces import IContentFile, IReader
from regcache.light_dataclass import dataclass
from regcache.timings import FetchTimings


@dataclass(frozen=True, slots=True)
class OpenBlob:
    """A blob whose answer may begin. The request calls ``reader.leave`` in the end.

    :ivar content: the whole verified content, if it is small and in memory; else None.
    :ivar timings: of the request to the upstream that brings it; None where none does.
    """

    reader: IReader
    status: CacheStatus
    content: bytes | None = None
    timings: FetchTimings | None = None


@dataclass(frozen=True, slots=True)
class BlobHead:
    """The answer to HEAD of a blob; ``size`` None where the upstream does not state it."""

    size: int | None
    status: CacheStatus


@implementer(IContentFile)
class MemoryFile:
    """Verified content in memory, with the interface of a file."""

    def __init__(self, digest: Digest, content: bytes) -> None:
        self.digest = digest
        self.content = content
        self.size: int | None = len(content)

    def read(self, offset: int, length: int) -> "Deferred[bytes]":
        """At once."""
        return succeed(self.content[offset : offset + length])

    def read_now(self, offset: int, length: int) -> bytes:
        """At once."""
        return self.content[offset : offset + length]

    def cached(self, offset: int, length: int) -> bool:
        """Never: sendfile needs a file."""
        return False

    def fileno(self) -> int:
        """Never: there is no descriptor. :raises OSError: EBADF, always."""
        raise OSError(errno.EBADF, "content in memory has no descriptor")

    def close(self) -> None:
        """Nothing is open."""


def in_memory(digest: Digest, content: bytes) -> OpenBlob:
    """A hit whose content is in memory."""
    return OpenBlob(Reader(FileSource(MemoryFile(digest, content))), hit(0), content)
