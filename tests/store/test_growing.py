"""Tests for regcache.store.growing: which parts of chunks are written, and what they keep."""

import ctypes
import errno
import os
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from regcache.store.growing import STEP, allocate, cut

CHUNK = bytes(range(100))


class CutTests(SynchronousTestCase):
    """Tests for :func:`cut`."""

    def test_parts(self) -> None:
        """What falls into gaps is given, chunk by chunk, under the offset where it begins."""
        pieces = list(cut(10, [CHUNK, CHUNK], [(10, 15), (60, 170)]))
        found = [(start, b"".join(map(bytes, buffers))) for start, buffers in pieces]
        self.assertEqual(found, [(10, CHUNK[:5]), (60, CHUNK[50:] + CHUNK[:60])])

    def test_small_part_keeps_no_chunk(self) -> None:
        """A part keeps at most twice its own bytes: a small one is copied, a large one not."""
        for end, kept in ((11, 1), (59, 49), (61, 100), (109, 100), (110, 100)):
            ((_, (part,)),) = cut(10, [CHUNK], [(10, end)])
            whole = part.obj if isinstance(part, memoryview) else part
            self.assertEqual((bytes(part), len(whole)), (CHUNK[: end - 10], kept))


class AllocateTests(SynchronousTestCase):
    """Tests for :func:`allocate`."""

    def test_by_the_system(self) -> None:
        """The real call leaves the size of the file as it is."""
        with tempfile.TemporaryFile(dir=".") as file:
            allocate(file.fileno(), 0, 1 << 20)
            self.assertEqual(os.fstat(file.fileno()).st_size, 0)

    def test_steps(self) -> None:
        """No call allocates more than a step, and together they allocate all."""
        calls: list[tuple[int, int]] = []

        def record(descriptor: int, mode: int, start: int, length: int) -> int:
            calls.append((start, length))
            return 0

        allocate(3, 5, 5 + 2 * STEP + 1, record)
        self.assertEqual(calls, [(5, STEP), (5 + STEP, STEP), (5 + 2 * STEP, 1)])

    def failing(self, *codes: int) -> int:
        """How many calls are made when the first ones fail so."""
        errors = list(codes)
        calls = []

        def fail(descriptor: int, mode: int, start: int, length: int) -> int:
            calls.append(start)
            if not errors:
                return 0
            ctypes.set_errno(errors.pop(0))
            return -1

        allocate(3, 0, 2 * STEP, fail)
        return len(calls)

    def test_unsupported(self) -> None:
        """Where it cannot be done nothing is done."""
        self.assertEqual([self.failing(errno.EOPNOTSUPP), self.failing(errno.ENOSYS)], [1, 1])
        allocate(3, 0, 100, None)

    def test_interrupted(self) -> None:
        """An interrupted call is made again."""
        self.assertEqual(self.failing(errno.EINTR), 3)

    def test_full(self) -> None:
        """A full disk is an OSError."""
        error = self.assertRaises(OSError, self.failing, errno.ENOSPC)
        self.assertEqual(error.errno, errno.ENOSPC)
