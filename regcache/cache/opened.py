"""Blobs as requests get them."""

import errno
from dataclasses import dataclass

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from regcache.cache.download.reader import FileSource, Reader
from regcache.cache.status import CacheStatus, hit
from regcache.digests import Digest
from regcache.interfaces import IContentFile, IReader


@dataclass(frozen=True, slots=True)
class OpenBlob:
    """A blob whose answer may begin. Whoever gets it calls ``reader.leave`` in the end.

    :ivar content: all of it, verified, where it is small and in memory.
    """

    reader: IReader
    status: CacheStatus
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class BlobHead:
    """What HEAD says of a blob; ``size`` None where the upstream does not say it."""

    size: int | None
    status: CacheStatus


@implementer(IContentFile)
class MemoryFile:
    """Verified content in memory, in the shape of a file."""

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
        """There is nothing that sendfile could take."""
        return False

    def fileno(self) -> int:
        """There is none. :raises OSError: EBADF, always."""
        raise OSError(errno.EBADF, "content in memory has no descriptor")

    def close(self) -> None:
        """Nothing is open."""


def in_memory(digest: Digest, content: bytes) -> OpenBlob:
    """A hit that needs no file."""
    return OpenBlob(Reader(FileSource(MemoryFile(digest, content))), hit(0), content)
