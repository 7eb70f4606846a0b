"""Blobs as requests get them."""

from dataclasses import dataclass

from regcache.cache.download.memory_file import MemoryFile
from regcache.cache.download.reader import FileSource, Reader
from regcache.cache.status import CacheStatus, hit
from regcache.digests import Digest
from regcache.interfaces import IReader


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


def in_memory(digest: Digest, content: bytes) -> OpenBlob:
    """A hit that needs no file."""
    return OpenBlob(Reader(FileSource(MemoryFile(digest, content))), hit(0), content)
