"""Tests for regcache.store.growing: which parts of chunks are written, and what they keep."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.store.growing import cut

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
