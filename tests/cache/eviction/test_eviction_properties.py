"""What holds between any two steps, with open files, and kills in the midst of a step."""

import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from regcache.cache.removal import NotHereError, PinnedError
from regcache.digests import Digest
from regcache.interfaces import IContentFile, IWorkPool, NoRoomError
from regcache.pins import Pin
from regcache.removals import blob_of, manifest_of, tag_of
from regcache.retention import FIRST, Position, Selection
from regcache.store import index_opening
from regcache.store.index_file import IndexWriteError
from regcache.store.index_writes import RETRY
from tests.store.test_index_lock import OtherProgram
from tests.support.evictions import Storage
from tests.support.index_cases import repository_of

KIB = 1024
APP = repository_of("a")
IMAGES = 6
LIMIT = 240 * KIB

#: The layers of each image: some are shared.
LAYERS = [[(f"layer {n}", 8 * KIB * (n + 1)), (f"base {n % 2}", 30 * KIB)] for n in range(IMAGES)]

NUMBERS = st.integers(0, IMAGES - 1)
STEPS = st.one_of(
    st.tuples(st.just("pull"), NUMBERS),
    st.tuples(st.sampled_from(["use", "pin", "unpin", "delete", "open", "close"]), NUMBERS),
    st.tuples(st.sampled_from(["delete_manifest", "delete_base", "delete_at_once"]), NUMBERS),
    st.tuples(st.just("claim"), st.integers(1, LIMIT)),
    st.tuples(st.just("claim"), st.integers(LIMIT // 2, LIMIT)),
    st.tuples(st.just("pass"), st.sampled_from([1, 700, 100_000])),
    st.tuples(st.just("sweep"), st.sampled_from([600, 50_000])),
    st.tuples(st.just("crash"), st.integers(0, 12)),
    st.tuples(st.sampled_from(["lock", "unlock"]), NUMBERS),
)


@implementer(IWorkPool)
class MortalPool:
    """Does each job at once, until it dies: then no job is done, nor comes to an end.

    :ivar left: jobs until then; None: it does not die.
    """

    def __init__(self) -> None:
        self.left: int | None = None

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Do it, if it lives."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                return Deferred()
        return execute(function, *args)


class Machine:
    """A daemon that can be killed, and what is known of it."""

    def __init__(self, case: SynchronousTestCase, directory: str) -> None:
        self.case = case
        self.directory = directory
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.open_files: dict[int, IContentFile] = {}
        self.manifests: dict[int, Digest] = {}
        self.deleted: set[int] = set()  # while they are read, which goes on
        self.complete = {True: 0, False: 0}  # how many images were shown as such
        self.unknown: set[Digest] = set()  # stored as the daemon was killed, before that was noted
        self.other: OtherProgram | None = None  # has locked the index
        self.start()

    def start(self) -> None:
        """A daemon on the directory; files are counted, as they are soon after a start."""
        self.pool = MortalPool()
        self.storage = Storage(
            self.directory, self.clock, LIMIT, pool=self.pool, index_pool=self.pool
        )
        self.storage.start()
        self.finish(self.storage.removal.begin())
        self.finish(self.storage.removal.resume())
        self.storage.ledger.contents = self.storage.on_disk()
        self.storage.monitor.refresh()
        self.unknown = set(self.storage.files()) - self.known()

    def finish(self, coroutine: Any) -> Any:
        """Do something to its end, or until the daemon is killed."""
        doing = Deferred.fromCoroutine(coroutine)
        expected = (NotHereError, PinnedError, NoRoomError)
        refused = (IndexWriteError,) if self.other else ()
        doing.addErrback(lambda failure: failure.trap(*expected, *refused))
        self.clock.pump([0] * 60)
        if not doing.called:
            self.clock.pump([0.2] * 20)  # it waits for what is open
        return doing

    def kill(self) -> None:
        """It is killed, and starts again."""
        self.pool.left = 0
        for file in self.open_files.values():
            file.close()
        self.open_files.clear()
        self.storage.evictor.running = False
        for call in self.clock.getDelayedCalls():
            call.cancel()
        self.storage.file.close()
        self.end_lock()
        self.start()

    def end_lock(self) -> None:
        """The other program unlocks the index, if it has locked it."""
        if self.other is not None:
            self.other.end()
            self.other.close()
            self.other = None

    def known(self) -> set[Digest]:
        """What the index says is stored."""
        found: set[Digest] = set()
        after: Position | None = FIRST
        pins = self.storage.file.read(
            lambda connection: connection.execute(
                "SELECT c.digest FROM contents c JOIN places p ON p.content_id = c.id"
                " JOIN pinned n ON n.digest = c.digest"
            ).fetchall()
        )
        found |= {Digest("sha256", key[1:].hex()) for (key,) in pins}
        while after is not None:
            page = self.case.successResultOf(self.storage.index.places.candidates(after, 1e12))
            found |= {each.digest for each in page.candidates}
            after = page.after
        return found

    def digest(self, number: int) -> Digest:
        """The digest of the first layer of an image."""
        name, size = LAYERS[number][0]
        return Digest.of(name.encode().ljust(size, b"."))

    # What can happen.

    def pull(self, number: int) -> None:
        """An image comes, as far as there is room for it."""
        listed = []
        for name, size in LAYERS[number]:
            digest = Digest.of(name.encode().ljust(size, b"."))
            listed.append(digest)
            if digest not in self.storage.files():
                claim = self.storage.claim(size)
                if claim is None:
                    continue
                room = claim.room()
                got: list[object] = []
                room.addCallbacks(got.append, lambda failure: failure.trap(NoRoomError))
                self.clock.pump([0.2] * 20)
                if got:
                    self.storage.add_blob(name, size)
                claim.release()
        manifest = self.storage.add_manifest(f"image {number}", *listed)
        self.manifests[number] = manifest.digest
        self.storage.tag(f"v{number}", manifest.digest)

    def use(self, number: int) -> None:
        """Its layer is used."""
        self.storage.index.touch(self.digest(number), self.clock.seconds())

    def pin(self, number: int) -> None:
        """It is pinned."""
        self.change(self.storage.index.pins.pin(APP, f"v{number}", Pin("", 1.0)))

    def unpin(self, number: int) -> None:
        """It is not pinned any more."""
        self.change(self.storage.index.pins.unpin(APP, f"v{number}"))
        self.change(self.storage.index.pins.settle())

    def change(self, changing: "Deferred[Any]") -> None:
        """Wait for a change of the index, which a lock refuses."""
        if self.other is not None:
            changing.addErrback(lambda failure: failure.trap(IndexWriteError))
            self.clock.pump([0.2] * 20)

    def lock(self, _number: int) -> None:
        """Another program locks the index."""
        if self.other is None:
            self.other = OtherProgram(self.storage.paths.index)
            self.other.lock()

    def unlock(self, _number: int) -> None:
        """It ends that; what was kept in memory is written."""
        if self.other is not None:
            self.end_lock()
            self.clock.pump([RETRY] * 2)

    def delete(self, number: int) -> None:
        """It is deleted by an operator, unless it is pinned."""
        self.finish(self.storage.removal.remove(tag_of(APP, f"v{number}")))
        self.deleted.add(number)

    def delete_manifest(self, number: int) -> None:
        """It is deleted by its digest."""
        self.finish(self.storage.removal.remove(manifest_of(APP, self.manifests[number])))
        self.deleted.add(number)

    def delete_base(self, number: int) -> None:
        """What it shares with others is deleted, and nothing else."""
        name, size = LAYERS[number][1]
        digest = Digest.of(name.encode().ljust(size, b"."))
        self.finish(self.storage.removal.remove(blob_of(APP, digest)))

    def delete_at_once(self, number: int) -> None:
        """It is deleted while other things make way for something."""
        claim = self.storage.claim(LIMIT // 2)
        if claim is not None:
            claim.room().addErrback(lambda failure: failure.trap(NoRoomError))
        self.delete(number)
        if claim is not None:
            self.clock.pump([0.2] * 20)
            claim.release()

    def open(self, number: int) -> None:
        """Somebody begins to read its layer."""
        if number not in self.open_files:
            looking = self.storage.store.look_up(self.digest(number), LAYERS[number][0][1])
            found = getattr(looking, "result", None)
            if found is not None and found.file is not None:
                self.open_files[number] = found.file
                self.deleted.discard(number)

    def close(self, number: int) -> None:
        """Who reads it has read it."""
        if number in self.open_files:
            self.open_files.pop(number).close()

    def claim(self, size: int) -> None:
        """Room is made for something that is given up then."""
        claim = self.storage.claim(size)
        if claim is not None:
            claim.room().addErrback(lambda failure: failure.trap(NoRoomError))
            self.clock.pump([0.2] * 20)
            claim.release()

    def sweep(self, age: int) -> None:
        """What was not used for so long goes."""
        now = self.clock.seconds()
        self.finish(self.storage.sweeper.sweep(Selection(now, now - age)))

    def passing(self, seconds: int) -> None:
        """Time passes."""
        self.clock.advance(seconds)
        self.clock.pump([0.2] * 20)

    # What holds.

    def check(self) -> None:
        """What must be true between any two steps."""
        case, files = self.case, set(self.storage.files())
        known = self.known()
        case.assertEqual(self.storage.ledger.contents, self.storage.on_disk())
        case.assertTrue(known <= files, "what is shown is there")
        if self.other is None:  # until then it is only in memory that something was stored
            self.unknown &= files - known
            case.assertTrue(files - known <= self.unknown, "what is there is known")
        for number, file in self.open_files.items():
            case.assertTrue(self.digest(number) in files or number in self.deleted)
            name, size = LAYERS[number][0]
            content = case.successResultOf(file.read(0, size))
            case.assertEqual(content, name.encode().ljust(size, b"."))
        self.check_complete(files)

    def check_complete(self, files: set[Digest]) -> None:
        """An image that is shown as complete is complete."""
        for number in self.manifests:
            asked = self.storage.index.catalogue.image(APP, f"v{number}")
            image = self.case.successResultOf(asked)
            needed = {self.manifests[number]}
            needed |= {Digest.of(name.encode().ljust(size, b".")) for name, size in LAYERS[number]}
            for platform in image.platforms if image else ():
                self.complete[platform.complete] += 1
                self.case.assertTrue(not platform.complete or needed <= files)


class EvictionPropertyTests(SynchronousTestCase):
    """The ledger equals the disk, what is shown is there, and what is kept stays."""

    def test_both_are_shown(self) -> None:
        """Images are shown as complete, and as incomplete once they lost a layer."""
        machine = Machine(self, os.path.abspath(self.mktemp()))
        machine.pull(0)
        machine.passing(700)
        machine.check()
        self.assertEqual(machine.complete, {True: 1, False: 0})
        machine.delete_base(0)
        machine.check()
        self.assertEqual(machine.complete, {True: 1, False: 1})
        machine.storage.stop()

    @settings(max_examples=int(os.environ.get("REGCACHE_EXAMPLES", "40")), deadline=None)
    @example([("open", 0), ("open", 3), ("claim", LIMIT - 40 * KIB), ("pull", 0)])
    @example([("pin", 0), ("pin", 3), ("claim", LIMIT - 90 * KIB), ("pull", 1)])
    @example([("pin", 0), ("sweep", 600), ("unpin", 0), ("sweep", 600)])
    @example([("crash", 2), ("claim", LIMIT), ("crash", 4), ("claim", LIMIT), ("pull", 0)])
    @example([("crash", 3), ("sweep", 600), ("crash", 6), ("delete", 0), ("pull", 0)])
    @example([("lock", 0), ("claim", LIMIT), ("delete", 0), ("unlock", 0), ("claim", LIMIT)])
    @example([("delete", 0), ("lock", 0), ("pull", 0), ("delete", 0), ("unlock", 0)])
    @example([("delete", 0), ("lock", 0), ("pull", 0), ("crash", 0), ("sweep", 600)])
    @given(st.lists(STEPS, min_size=4, max_size=25))
    def test_any_order(self, steps: list[tuple[str, int]]) -> None:
        """The rules of eviction hold after random events in any order."""
        self.patch(index_opening, "BUSY_WAIT", 0.0)
        directory = os.path.abspath(tempfile.mkdtemp(dir="."))
        machine = Machine(self, directory)
        try:
            for number in range(IMAGES):
                machine.pull(number)
            machine.passing(700)
            for number, (action, value) in enumerate(steps):
                kept = self.kept(machine)
                if action == "crash":
                    self.crash(machine, value, steps[number + 1 :][:1])
                elif action == "pass":
                    machine.passing(value)
                else:
                    getattr(machine, action)(value)
                if action != "unpin":
                    self.assertTrue(kept <= set(machine.storage.files()), "pins are kept")
                machine.check()
        finally:
            for file in machine.open_files.values():
                file.close()
            machine.storage.evictor.running = False
            for call in machine.clock.getDelayedCalls():
                call.cancel()
            machine.end_lock()
            machine.storage.file.close()
            shutil.rmtree(directory)

    def kept(self, machine: Machine) -> set[Digest]:
        """What pins cover of what is stored."""
        rows = machine.storage.file.read(
            lambda connection: connection.execute("SELECT digest FROM pinned").fetchall()
        )
        return {Digest("sha256", key[1:].hex()) for (key,) in rows} & machine.known()

    def crash(self, machine: Machine, jobs: int, following: list[tuple[str, int]]) -> None:
        """The daemon is killed so many jobs later, in the midst of what happens next."""
        machine.pool.left = jobs
        for action, value in following:
            if action in ("pull", "delete", "claim", "sweep", "use"):
                getattr(machine, action)(value)
        machine.kill()
