"""Tests for regcache.store.partial: what a thread receives by itself."""

import errno
import os
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

from twisted.internet.task import Clock

from regcache.digests import Digest
from regcache.interfaces import PIECES_BEHIND
from regcache.store import receiving
from regcache.store.content_file import CachedReads, FileClosedError, OpenFile
from regcache.store.partial import PartialFile
from regcache.store.partial_names import PartialNames
from regcache.store.partials import MOST_RECEIVING
from regcache.store.paths import PartialKey
from tests.store.stores import StoreTestCase
from tests.support.pools import HeldPool, ImmediatePool

CONTENT = bytes(range(251)) * 40
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)
#: Longer than any thread takes for a piece (seconds).
LONG = 120.0
Put = Callable[[memoryview], None]


def source(start: int, count: int = SIZE) -> Callable[[Put, int], None]:
    """Puts the content from an offset on, 1000 bytes at a time, in as few buffers as it may."""
    buffers = [bytearray(1000) for _ in range(PIECES_BEHIND + 1)]

    def put_all(put: Put, most: int) -> None:
        end = start + min(most, count)
        for number, at in enumerate(range(start, end, 1000)):
            buffer = buffers[number % len(buffers)]
            piece = CONTENT[at : min(at + 1000, end)]
            buffer[: len(piece)] = piece
            put(memoryview(buffer)[: len(piece)])

    return put_all


class ReceivingTests(StoreTestCase):
    """What a thread writes and hashes."""

    def open_sized(self, pool: Any = None) -> PartialFile:
        """A file whose size is known."""
        file = self.open_partial(DIGEST, self.new_store(pool or ImmediatePool()))
        file.set_size(SIZE)
        return file

    def verified(self, file: PartialFile) -> bool:
        """Whether it is right, by its hash and by its bytes."""
        right = self.successResultOf(file.verify())
        return bool(right) and self.successResultOf(file.read(0, SIZE)) == CONTENT

    def test_any_mixture(self) -> None:
        """Bytes that threads received and bytes that were written are one content."""
        file = self.open_sized()
        self.successResultOf(file.write(0, [CONTENT[:1500]]))
        received = self.successResultOf(file.receive(1500, 6000, source(1500)))
        self.assertEqual((received.count, received.fault), (4500, None))
        self.successResultOf(file.write(6000, [CONTENT[6000:]]))
        self.assertTrue(self.verified(file))

    def test_less_than_was_asked_for(self) -> None:
        """What did not come is not present."""
        file = self.open_sized()
        received = self.successResultOf(file.receive(0, 6000, source(0, 2500)))
        self.assertEqual(received.count, 2500)
        self.assertEqual(list(file.present), [(0, 2500)])

    def test_after_a_gap(self) -> None:
        """What lies behind a gap is read again to be hashed."""
        file = self.open_sized()
        self.successResultOf(file.receive(4000, 6000, source(4000)))
        self.successResultOf(file.receive(0, 4000, source(0)))
        self.successResultOf(file.receive(6000, SIZE, source(6000)))
        self.assertTrue(self.verified(file))

    def test_present(self) -> None:
        """A byte that is present is not written again: nothing is asked for."""
        file = self.open_sized()
        self.successResultOf(file.write(3000, [CONTENT[3000:3001]]))
        received = self.successResultOf(file.receive(0, 6000, source(500)))
        self.assertEqual((received.count, received.fault), (0, None))
        self.assertEqual(list(file.present), [(3000, 3001)])

    def test_too_much(self) -> None:
        """A source that puts more than it was asked for is refused the surplus."""
        file = self.open_sized()

        def greedy(put: Put, most: int) -> None:
            source(0)(put, most + 1000)

        received = self.successResultOf(file.receive(0, 2000, greedy))
        self.assertEqual(received.count, 2000)
        self.assertIsInstance(received.fault, ValueError)
        self.assertEqual(list(file.present), [(0, 2000)])

    def test_begun_anew_meanwhile(self) -> None:
        """What a thread receives while the file is begun anew does not count."""
        pool = HeldPool()
        file = self.opened_by(pool)
        receiving = file.receive(0, 6000, source(100))
        clearing = file.clear()
        pool.release_all()
        self.successResultOf(receiving)
        self.successResultOf(clearing)
        self.assertEqual(list(file.present), [])
        writing = file.write(0, [CONTENT])
        pool.release_all()
        self.successResultOf(writing)
        file.set_size(SIZE)
        verifying = file.verify()
        pool.release_all()
        self.assertTrue(self.successResultOf(verifying))

    def opened_by(self, pool: HeldPool) -> PartialFile:
        """A file whose jobs wait."""
        opening = self.new_store(pool).open_partial(DIGEST)
        pool.release_all()
        file: Any = self.successResultOf(opening)
        self.addCleanup(pool.release_all)
        self.addCleanup(file.close)
        file.set_size(SIZE)
        return file  # type: ignore[no-any-return]

    def test_closed_meanwhile(self) -> None:
        """The descriptor stays until the thread is done; after that nothing is received."""
        pool = HeldPool()
        file = self.opened_by(pool)
        number = file.fileno()
        receiving = file.receive(0, 6000, source(0))
        file.close()
        os.fstat(number)
        pool.release_all()
        self.assertEqual(self.successResultOf(receiving).count, 6000)
        self.assertRaises(OSError, os.fstat, number)
        self.failureResultOf(file.receive(6000, SIZE, source(0)), FileClosedError)

    def test_one_at_a_time(self) -> None:
        """While a thread receives, nobody else writes or hashes the file."""
        pool = HeldPool()
        file = self.opened_by(pool)
        receiving = file.receive(0, 6000, source(0))
        writing = file.write(6000, [CONTENT[6000:]])
        verifying = file.verify()
        self.assertEqual(len(pool.jobs), 1)
        pool.release_all()
        self.successResultOf(receiving)
        self.successResultOf(writing)
        self.assertTrue(self.successResultOf(verifying))

    def test_no_thread_begins(self) -> None:
        """Where no second thread can be started, the first one stores each piece itself."""
        self.patch(receiving, "Thread", NoThread)
        file = self.open_sized()
        received = self.successResultOf(file.receive(0, SIZE, source(0)))
        self.assertEqual((received.count, received.fault), (SIZE, None))
        self.assertTrue(self.verified(file))

    def test_source_fails(self) -> None:
        """What was put before the source failed is there, and what it failed with is told."""
        file = self.open_sized()
        lost = ConnectionError("lost")

        def failing(put: Put, most: int) -> None:
            source(0, 3000)(put, most)
            raise lost

        received = self.successResultOf(file.receive(0, SIZE, failing))
        self.assertEqual((received.count, received.fault), (3000, lost))
        self.successResultOf(file.receive(3000, SIZE, source(3000)))
        self.assertTrue(self.verified(file))

    def test_most_at_once(self) -> None:
        """So many bodies are received at once; the next has its turn when one of them ends."""
        pool = HeldPool()
        contents = [bytes([number]) * SIZE for number in range(MOST_RECEIVING + 1)]
        files = self.opened(pool, contents)

        def put_all(content: bytes) -> Callable[[Put, int], None]:
            return lambda put, most: put(memoryview(content)[:most])

        jobs = [
            file.receive(0, SIZE, put_all(content))
            for file, content in zip(files, contents, strict=True)
        ]
        self.assertEqual(len(pool.jobs), MOST_RECEIVING)
        pool.release()
        self.assertEqual(self.successResultOf(jobs[0]).count, SIZE)
        self.assertEqual(len(pool.jobs), MOST_RECEIVING)
        pool.release_all()
        self.assertEqual([self.successResultOf(job).count for job in jobs[1:]], [SIZE] * 4)
        verifying = [file.verify() for file in files]
        pool.release_all()
        self.assertEqual([self.successResultOf(each) for each in verifying], [True] * 5)

    def opened(self, pool: HeldPool, contents: Sequence[bytes]) -> list[PartialFile]:
        """Files of one store, whose jobs wait."""
        store = self.new_store(pool)
        opening = [store.open_partial(Digest.of(content)) for content in contents]
        pool.release_all()
        files: list[Any] = [self.successResultOf(each) for each in opening]
        self.addCleanup(pool.release_all)
        for file in files:
            self.addCleanup(file.close)
            file.set_size(SIZE)
        return files


class NoThread:
    """The system has no thread left."""

    def __init__(self, **arguments: object) -> None:
        """Nothing happens yet."""

    def start(self) -> None:
        """As threading says it."""
        raise RuntimeError("can't start new thread")


class FullDisk:
    """Has room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, descriptor: int, buffers: Sequence[Any], offset: int) -> int:
        """Write, or refuse."""
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        piece = bytes(buffers[0])[: self.room]
        self.room -= len(piece)
        return os.pwrite(descriptor, piece, offset)


class RefusingDisk(FullDisk):
    """Refuses a write when more wait behind it.

    :ivar behind: is set when they do.
    :ivar written: the offsets of what was written.
    """

    def __init__(self) -> None:
        super().__init__(SIZE)
        self.refused_at: int | None = 2000
        self.behind = Event()
        self.written: list[int] = []

    def __call__(self, descriptor: int, buffers: Sequence[Any], offset: int) -> int:
        """Write, or wait, and refuse."""
        if offset == self.refused_at:
            assert self.behind.wait(LONG)
            raise OSError(errno.EIO, "Input/output error")
        self.written.append(offset)
        return super().__call__(descriptor, buffers, offset)


class FullDiskTests(StoreTestCase):
    """A disk that becomes full while a thread receives."""

    def file_on(self, disk: FullDisk) -> PartialFile:
        """A file on a disk."""
        names = PartialNames(self.paths, PartialKey(DIGEST), "boot")
        raw, state, _ = names.open()
        opened, pool = OpenFile(raw, ImmediatePool()), ImmediatePool()
        owner: Any = self.new_store(pool)._partials
        owner.clock = Clock()
        file = PartialFile(
            names, opened, cached=CachedReads(), state=state, owner=owner, pwritev=disk
        )
        self.addCleanup(file.close)
        file.set_size(SIZE)
        return file

    def test_refused_with_more_behind(self) -> None:
        """Of pieces that wait behind one that the disk refuses, none is written or counted."""
        disk = RefusingDisk()
        file = self.file_on(disk)
        puts: list[int] = []

        def put_all(put: Put, most: int) -> None:
            for at in range(0, most, 1000):
                puts.append(at)
                if at == 4000:  # with this one it waits for the one that is refused
                    disk.behind.set()
                put(memoryview(CONTENT)[at : at + 1000])

        received = self.successResultOf(file.receive(0, SIZE, put_all))
        self.assertEqual((received.count, puts), (2000, [0, 1000, 2000, 3000, 4000]))
        assert isinstance(received.fault, OSError)
        self.assertEqual(received.fault.errno, errno.EIO)
        self.assertEqual((disk.written, list(file.present)), ([0, 1000], [(0, 2000)]))
        disk.refused_at = None
        self.successResultOf(file.receive(2000, SIZE, source(2000)))
        self.assertTrue(self.successResultOf(file.verify()))

    def test_full_disk(self) -> None:
        """What was written before is present and hashed, and nothing else; the fault is told."""
        disk = FullDisk(2500)
        file = self.file_on(disk)
        received = self.successResultOf(file.receive(0, SIZE, source(0)))
        self.assertEqual(received.count, 2000)
        assert isinstance(received.fault, OSError)
        self.assertEqual(received.fault.errno, errno.ENOSPC)
        self.assertEqual(list(file.present), [(0, 2000)])
        disk.room = SIZE
        self.successResultOf(file.receive(2000, SIZE, source(2000)))
        self.assertTrue(self.successResultOf(file.verify()))
