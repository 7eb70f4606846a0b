"""Tests for what is left of a partial file after a restart, and for what its sidecar says."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.intervals import Intervals
from regcache.store.blob_store import BlobStore
from regcache.store.partial import PartialFile
from regcache.store.partial_names import Sidecar, encode_sidecar, read_boot_id, read_sidecar
from regcache.store.paths import PartialKey, StorePaths
from tests.store.stores import StoreTestCase, open_descriptors
from tests.support.pools import HeldPool, ImmediatePool

CONTENT = bytes(range(1, 240)) * 4
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)


class SidecarTests(StoreTestCase):
    """Tests for sidecars: nothing implausible is believed."""

    def setUp(self) -> None:
        super().setUp()
        self.path = self.paths.sidecar(PartialKey(DIGEST))

    def write(self, durable: bool = False, **changes: Any) -> None:
        """Write a sidecar, with some values replaced in the file."""
        state = Sidecar(
            100,
            anonymous=False,
            present=Intervals([(0, 50), (60, 70)]),
            synced=Intervals([(0, 10)]),
        )
        self.paths.replace(self.path, encode_sidecar(state, DIGEST, "boot"), durable)
        with open(self.path) as source:
            document = json.load(source)
        with open(self.path, "w") as target:
            json.dump({**document, **changes}, target)

    def read(self, boot_id: str = "boot", file_size: int = 100) -> Sidecar | None:
        """Read it back."""
        return read_sidecar(self.path, DIGEST, boot_id=boot_id, file_size=file_size)

    def test_same_boot(self) -> None:
        """As long as the machine has not been started anew all that was present counts."""
        for durable in (False, True):
            self.write(durable)
            state = self.read()
            assert state is not None
            self.assertEqual((state.size, state.anonymous), (100, False))
            self.assertEqual(list(state.present), [(0, 50), (60, 70)])
            self.assertEqual(list(state.synced), [(0, 10)])

    def test_other_boot(self) -> None:
        """After a start of the machine only what was synced counts."""
        self.write()
        state = self.read("another")
        assert state is not None
        self.assertEqual(list(state.present), [(0, 10)])

    def test_no_boot_id(self) -> None:
        """Where the kernel does not name its boots each may be another one."""
        self.write(boot_id="")
        state = self.read("")
        assert state is not None
        self.assertEqual(list(state.present), [(0, 10)])

    def test_missing(self) -> None:
        """Without a sidecar nothing is known."""
        self.assertIsNone(self.read())

    def test_implausible(self) -> None:
        """What we would not have written is not believed, and raises nothing."""
        values: list[tuple[str, list[Any]]] = [
            ("version", [2, None, "1"]),
            ("digest", ["sha256:00", None, str(Digest.of(b"other"))]),
            ("size", [-1, 2**60, "100", 1.5, True, 40]),
            ("anonymous", [1, None, "yes"]),
            ("present", [None, {}, [[0]], [[5, 5]], [[9, 5]], [[-1, 5]], [["0", 5]], [[0, 101]]]),
            ("present", [[[0, 5], [5, 9]], [[7, 9], [0, 5]], [[0, True]], 7, [[0, 5, 9]]]),
            ("synced", [[[0, 1.5]], [[0, 101]], "x"]),
            ("present", [[[2 * n, 2 * n + 1] for n in range(5000)]]),
        ]
        for key, wrong in values:
            for value in wrong:
                self.write(**{key: value})
                self.assertIsNone(self.read(), f"{key}={value!r}")

    def test_not_json(self) -> None:
        """A file that is cut, empty, zeros, nested without end or huge is not believed."""
        for text in (b"", b'{"version": 1', b"\0" * 4096, b"[" * 100_000, b" " * 600_000, b"\xff"):
            with open(self.path, "wb") as target:
                target.write(text)
            self.assertIsNone(self.read(), text[:20])

    def test_shorter_file(self) -> None:
        """Intervals behind the end of the file are not believed."""
        self.write()
        self.assertIsNone(self.read(file_size=69))

    def test_many_intervals(self) -> None:
        """Of too many intervals a part is kept, and can be read."""
        present = Intervals((2 * n, 2 * n + 1) for n in range(10_000))
        content = encode_sidecar(Sidecar(None, present=present), DIGEST, "boot")
        self.paths.replace(self.path, content, durable=False)
        state = self.read(file_size=30_000)
        assert state is not None
        self.assertEqual(list(state.present), list(present)[:4096])

    def test_boot_id(self) -> None:
        """The kernel's name for this boot stays the same."""
        self.assertEqual(read_boot_id(), read_boot_id())
        self.assertNotIn("\n", read_boot_id())


class ResumeTests(StoreTestCase):
    """Tests for opening what an earlier process left."""

    def leave(self, sync: bool) -> None:
        """Fetch one half of the content, and stop without closing anything properly."""
        file = self.open_partial(DIGEST)
        file.set_size(SIZE)
        file.anonymous = False
        self.successResultOf(file.write(0, [CONTENT[:500]]))
        self.successResultOf(file.save(sync))
        self.successResultOf(file.write(500, [CONTENT[500:600]]))
        file.close()

    def test_resume(self) -> None:
        """What was saved is there again, and the rest completes it."""
        for boot_id, sync in (("boot-1", False), ("boot-1", True), ("boot-2", True)):
            self.leave(sync)
            file = self.open_partial(DIGEST, self.new_store(boot_id=boot_id))
            self.assertEqual(list(file.present), [(0, 500)])
            self.assertEqual((file.size, file.anonymous), (SIZE, False))
            self.successResultOf(file.write(500, [CONTENT[500:]]))
            self.assertTrue(self.successResultOf(file.verify()))
            self.successResultOf(file.discard())
            file.close()

    def test_crash_of_the_machine(self) -> None:
        """What was not synced counts for nothing once the machine has been started anew."""
        self.leave(sync=False)
        file = self.open_partial(DIGEST, self.new_store(boot_id="boot-2"))
        self.assertEqual(list(file.present), [])

    def test_written_during_sync(self) -> None:
        """What is written while a sync runs is not taken for synced."""
        pool = HeldPool()
        opening = self.new_store(pool).open_partial(DIGEST)
        pool.release_all()
        file = self.successResultOf(opening)
        first, saved, second = (
            file.write(0, [CONTENT[:300]]),
            file.save(),
            file.write(300, [CONTENT[300:]]),
        )
        self.assertEqual([job[1] for job in pool.jobs][1], os.fdatasync)
        pool.release()
        pool.release(1)  # the second write, while the sync is still under way
        pool.release_all()
        for outcome in (first, saved, second):
            self.successResultOf(outcome)
        file.close()
        pool.release_all()
        resumed = self.open_partial(DIGEST, self.new_store(boot_id="boot-2"))
        self.assertEqual(list(resumed.present), [])

    def test_clear_forgets_what_was_synced(self) -> None:
        """Bytes from before a clear do not come back, even if they were synced then."""
        file = self.open_partial(DIGEST)
        self.successResultOf(file.write(0, [CONTENT]))
        self.successResultOf(file.save())
        self.successResultOf(file.clear())
        self.successResultOf(file.write(0, [b"other bytes" * 200]))
        self.successResultOf(file.save(sync=False))
        file.close()
        resumed = self.open_partial(DIGEST, self.new_store(boot_id="boot-2"))
        self.assertEqual(list(resumed.present), [])

    def test_broken_sidecar(self) -> None:
        """With a broken sidecar the file begins anew, and its bytes are gone."""
        self.leave(sync=True)
        with open(self.paths.sidecar(PartialKey(DIGEST)), "w") as target:
            target.write("{}")
        file = self.open_partial(DIGEST, self.new_store())
        self.assertEqual((list(file.present), file.size), ([], None))
        self.assertEqual(os.stat(self.paths.partial(PartialKey(DIGEST))).st_size, 0)
        self.assertFalse(os.path.exists(self.paths.sidecar(PartialKey(DIGEST))))

    def test_sidecar_without_file(self) -> None:
        """A sidecar whose file is gone is not believed."""
        self.leave(sync=True)
        os.unlink(self.paths.partial(PartialKey(DIGEST)))
        self.assertEqual(list(self.open_partial(DIGEST, self.new_store()).present), [])

    def append(self, content: bytes) -> None:
        """Have somebody write behind the end of the file."""
        with open(self.paths.partial(PartialKey(DIGEST)), "ab") as target:
            target.write(content)

    def test_bytes_behind_the_intervals(self) -> None:
        """What lies behind the last interval is cut off: it counts for nothing."""
        for much in (1, 10 * SIZE):
            self.leave(sync=True)
            self.append(b"!" * much)
            file = self.open_partial(DIGEST, self.new_store())
            self.assertEqual(list(file.present), [(0, 500)])
            self.assertEqual(os.stat(self.paths.partial(PartialKey(DIGEST))).st_size, 500)
            self.successResultOf(file.write(500, [CONTENT[500:]]))
            self.assertTrue(self.successResultOf(file.verify()))
            self.successResultOf(file.discard())
            file.close()

    def test_bytes_behind_the_content(self) -> None:
        """What is appended while the content is fetched is cut off before it is committed."""
        file = self.open_partial(DIGEST)
        file.set_size(SIZE)
        self.successResultOf(file.write(0, [CONTENT]))
        self.append(b"!" * 100)
        self.assertTrue(self.successResultOf(file.verify()))
        self.successResultOf(file.commit())
        self.assertEqual(os.stat(self.paths.blob(DIGEST)).st_size, SIZE)
        self.assertEqual(self.found(DIGEST, size=SIZE), CONTENT)

    def test_tampered_bytes(self) -> None:
        """Resumed bytes are hashed again, so a change on disk is found before the commit."""
        self.leave(sync=True)
        with open(self.paths.partial(PartialKey(DIGEST)), "r+b") as target:
            target.write(b"!")
        file = self.open_partial(DIGEST, self.new_store())
        self.successResultOf(file.write(500, [CONTENT[500:]]))
        self.assertFalse(self.successResultOf(file.verify()))


def result_of(deferred: "Deferred[Any]") -> Any:
    """The result that a Deferred has already."""
    return SynchronousTestCase().successResultOf(deferred)


class PartialFileModel(RuleBasedStateMachine):
    """Random lives of a partial file, beside a model that remembers every byte."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.paths = StorePaths(self.folder)
        self.paths.prepare()
        self.descriptors = open_descriptors()
        self.boot = 0
        self.bytes: dict[int, int] = {}
        self.saved: dict[int, int] = {}
        self.synced: dict[int, int] = {}
        self.file = self.open()

    def open(self) -> PartialFile:
        """As after a restart."""
        store = BlobStore(Clock(), ImmediatePool(), self.paths, boot_id=f"boot-{self.boot}")
        file = result_of(store.open_partial(DIGEST))
        assert isinstance(file, PartialFile)
        return file

    @rule(
        start=st.integers(0, SIZE - 1),
        lengths=st.lists(st.integers(0, 400), min_size=1, max_size=4),
        wrong=st.integers(0, 9),
    )
    def write(self, start: int, lengths: list[int], wrong: int) -> None:
        """Bytes arrive; now and then an upstream lies."""
        source = CONTENT if wrong else bytes(SIZE)
        chunks, position = [], start
        for length in lengths:
            chunks.append(source[position : position + length])
            position += len(chunks[-1])
        result_of(self.file.write(start, chunks))
        for offset, byte in enumerate(b"".join(chunks), start):
            self.bytes.setdefault(offset, byte)

    @rule()
    def write_rest(self) -> None:
        """An honest upstream gives all that is missing."""
        for start, end in self.file.present.gaps(0, SIZE):
            result_of(self.file.write(start, [CONTENT[start:end]]))
            self.bytes.update(enumerate(CONTENT[start:end], start))

    @rule(sync=st.booleans())
    def save(self, sync: bool) -> None:
        """The intervals are written down."""
        result_of(self.file.save(sync))
        self.saved = dict(self.bytes)
        if sync:
            self.synced = dict(self.bytes)

    @rule()
    def restart(self) -> None:
        """The process ends: what was saved is left."""
        self.file.close()
        self.bytes = dict(self.saved)
        self.file = self.open()

    @rule()
    def crash(self) -> None:
        """The machine goes down: what was synced is left, and the rest may be zeros."""
        self.file.close()
        self.boot += 1
        self.bytes, self.saved = dict(self.synced), dict(self.synced)
        self.lose_pages()
        self.file = self.open()
        result_of(self.file.save(sync=True))

    def lose_pages(self) -> None:
        """Write zeros where nothing was synced."""
        with open(self.paths.partial(PartialKey(DIGEST)), "r+b") as target:
            for offset in set(range(os.fstat(target.fileno()).st_size)) - set(self.synced):
                os.pwrite(target.fileno(), b"\0", offset)

    @precondition(lambda self: self.bytes)
    @rule()
    def clear(self) -> None:
        """The download begins anew."""
        result_of(self.file.clear())
        self.bytes, self.saved, self.synced = {}, {}, {}

    @rule(start=st.integers(0, SIZE), length=st.integers(1, SIZE))
    def read(self, start: int, length: int) -> None:
        """Somebody reads what is present."""
        if self.file.present.covers(start, start + 1):
            content = result_of(self.file.read(start, length))
            expected = bytes(self.bytes[start + at] for at in range(len(content)))
            assert content == expected
            now = self.file.read_now(start, length)
            assert now is None or now == expected

    @rule()
    def finish(self) -> None:
        """All bytes come: the content is committed, or is none."""
        self.write_rest()
        self.file.set_size(SIZE)
        right = bytes(self.bytes[at] for at in range(SIZE)) == CONTENT
        assert result_of(self.file.verify()) is right
        result_of(self.file.commit() if right else self.file.discard())
        if right:
            with open(self.paths.blob(DIGEST), "rb") as source:
                assert source.read() == CONTENT
        self.bytes, self.saved, self.synced = {}, {}, {}
        self.restart()

    @invariant()
    def presence(self) -> None:
        """What is said to be present is what was written and kept."""
        expected = Intervals((offset, offset + 1) for offset in sorted(self.bytes))
        assert self.file.present == expected

    def teardown(self) -> None:
        self.file.close()
        leftover = open_descriptors() - self.descriptors
        shutil.rmtree(self.folder)
        assert not leftover, leftover


class PartialFileModelTests(SynchronousTestCase):
    """Runs :class:`PartialFileModel`."""

    def test_model(self) -> None:
        """A partial file gives the bytes that were written or none, after any events."""
        case: Callable[[], Any] = PartialFileModel.TestCase
        test = case()
        test.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
        test.runTest()
