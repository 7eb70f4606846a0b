"""Writing, hashing and allocating content that grows.

All of it is called in threads, one call at a time per file; but one may store while another
hashes.

:func:`allocate` uses fallocate(2) itself. os.posix_fallocate writes zeros if the file system cannot
allocate, which would double the work of the disk; the system call fails instead.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Iterator, Sequence

from regcache.digests import Digest
from regcache.store.file_operations import VectorWrite, write_all

Piece = tuple[int, list["bytes | memoryview"]]
"""An offset, and the buffers to be written from there on."""

Stretch = tuple[int, list[Piece]]
"""What is hashed in one go: the file up to an offset, by reading it, and what follows there."""

_READ_SIZE = 1024 * 1024


def cut(offset: int, chunks: Sequence[bytes], gaps: Sequence[tuple[int, int]]) -> Iterator[Piece]:
    """The parts of ``chunks`` that fall into the gaps; the first chunk begins at ``offset``.

    :param gaps: sorted, disjoint.
    """
    for start, end in gaps:
        position = offset
        buffers: list[bytes | memoryview] = []
        for chunk in chunks:
            first, last = max(start - position, 0), min(end - position, len(chunk))
            if first < last:
                buffers.append(_part(chunk, first, last))
            position += len(chunk)
        yield start, buffers


def _part(chunk: bytes, first: int, last: int) -> "bytes | memoryview":
    """A part of a chunk. It is copied if the chunk is more than twice as large."""
    length = last - first
    if length == len(chunk):
        return chunk
    return chunk[first:last] if 2 * length < len(chunk) else memoryview(chunk)[first:last]


def length_of(pieces: Sequence[Piece]) -> int:
    """The number of bytes in all pieces."""
    return sum(len(buffer) for _, buffers in pieces for buffer in buffers)


class GrowingContent:
    """Hashes a file from the front while it is written in any order.

    The hash is that of the bytes in the file: each is written only once. Bytes that were written
    after a gap are read again to be hashed.

    :ivar hashed_to: everything before this offset has been hashed.
    """

    def __init__(self, digest: Digest, pwritev: VectorWrite = os.pwritev) -> None:
        self._digest = digest
        self._pwritev = pwritev
        self._hasher = digest.hasher()
        self.hashed_to = 0

    def write(self, descriptor: int, pieces: Sequence[Piece], present_to: int) -> None:
        """Write the pieces; hash those that follow on what was hashed.

        :param present_to: all bytes before this offset are in the file. Up to twice as many as are
            written are read and hashed: so after a resume the hash catches up step by step.
        :raises OSError: if the disk fails; nothing of the pieces is hashed then.
        """
        self.catch_up(descriptor, present_to, 2 * length_of(pieces))
        self.store(descriptor, pieces)
        self._hash_pieces(pieces)

    def store(self, descriptor: int, pieces: Sequence[Piece]) -> None:
        """Write the pieces, while another thread may hash. :raises OSError: if the disk fails."""
        for start, buffers in pieces:
            write_all(descriptor, buffers, start, self._pwritev)

    def hash(self, descriptor: int, stretches: Sequence[Stretch]) -> None:
        """Hash pieces that were stored, while another thread may store.

        :raises OSError: if the disk fails, or the file is too short; ``hashed_to`` says how far it
            came.
        """
        for read_to, pieces in stretches:
            self.catch_up(descriptor, read_to, read_to)
            self._hash_pieces(pieces)

    def _hash_pieces(self, pieces: Sequence[Piece]) -> None:
        for start, buffers in pieces:
            if start == self.hashed_to:
                for buffer in buffers:
                    self._hasher.update(buffer)  # type: ignore[arg-type]
                    self.hashed_to += len(buffer)

    def forget_hash(self) -> None:
        """Hash from the start of the file again."""
        self._hasher = self._digest.hasher()
        self.hashed_to = 0

    def catch_up(self, descriptor: int, end: int, budget: int) -> None:
        """Read and hash towards ``end``, at most ``budget`` bytes.

        :raises OSError: if the disk fails, or the file is shorter.
        """
        end = min(end, self.hashed_to + budget)
        buffer = memoryview(bytearray(min(_READ_SIZE, max(0, end - self.hashed_to))))
        while self.hashed_to < end:
            view = buffer[: end - self.hashed_to]
            count = os.preadv(descriptor, [view], self.hashed_to)
            if not count:
                raise OSError(errno.EIO, "the file is shorter than its content")
            self._hasher.update(view[:count])  # type: ignore[arg-type]
            self.hashed_to += count

    def matches(self, descriptor: int, size: int) -> bool:
        """Whether everything is hashed, is ``size`` bytes, and has the digest.

        Bytes after that were not written by us, and are cut off; no reader reads them.

        :raises OSError: if it cannot be cut off.
        """
        if os.fstat(descriptor).st_size > size:
            os.ftruncate(descriptor, size)
        return self.is_exactly(descriptor, size)

    def is_exactly(self, descriptor: int, size: int) -> bool:
        """Whether everything is hashed, the file is ``size`` bytes, and has the digest."""
        whole = self.hashed_to == size == os.fstat(descriptor).st_size
        return whole and self._hasher.hexdigest() == self._digest.hex


STEP = 64 * 1024 * 1024
"""Most bytes allocated by one call, so that none of them takes long."""

_KEEP_SIZE = 1  # linux/falloc.h: FALLOC_FL_KEEP_SIZE, since the size says how much was written
_NOT_SUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})

Fallocate = Callable[[int, int, int, int], int]


def _system_call() -> Fallocate | None:
    """The C library's function with 64 bit offsets, or None where there is none."""
    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if function is None:
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    function.restype = ctypes.c_int
    result: Fallocate = function
    return result


_FALLOCATE = _system_call()


def allocate(
    descriptor: int, start: int, end: int, system_call: Fallocate | None = _FALLOCATE
) -> None:
    """Reserve disk space for ``[start, end)`` of a file. Blocks.

    Does nothing if the file system does not support it.

    :raises OSError: if there is no space (ENOSPC, EDQUOT), or the disk fails.
    """
    while system_call is not None and start < end:
        length = min(STEP, end - start)
        if system_call(descriptor, _KEEP_SIZE, start, length) == 0:
            start += length
            continue
        code = ctypes.get_errno()
        if code in _NOT_SUPPORTED:
            return
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
