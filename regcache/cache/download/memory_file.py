"""Small content that is in memory, in the shape of a file."""

import errno

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from regcache.digests import Digest
from regcache.interfaces import IContentFile
from regcache.intervals import Intervals


@implementer(IContentFile)
class MemoryFile:
    """Verified content in memory.

    :ivar present: all of it.
    """

    def __init__(self, digest: Digest, content: bytes) -> None:
        self.digest = digest
        self.content = content
        self.size: int | None = len(content)
        self.present = Intervals([(0, len(content))])

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
