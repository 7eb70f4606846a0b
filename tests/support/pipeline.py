"""A daemon's blob pipeline with its disk, its clients and its upstreams, in one thread.

It can be stopped and killed, and started again over what is left on the disk.
"""

import hashlib
import io
import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from zope.interface import implementer

from regcache.cache.download.continued_body import ContinuedBody
from regcache.cache.download.fill import Fill
from regcache.cache.download.readers import Readers
from regcache.cache.download.relay import ClientPace
from regcache.cache.forgetting import Kind
from regcache.digests import Digest
from regcache.facts import Descriptor, Manifest
from regcache.identity import Repository
from regcache.interfaces import IWorkPool
from regcache.store.contents import Opened
from tests.support.bodies import FakeBody
from tests.support.caches import Caches, FakeSpace
from tests.support.indexes import MemoryIndex
from tests.support.registries import FakeRegistry

#: What of the store can be made to fail, by the name of the function that runs in the pool.
FALLIBLE = (
    "PartialNames.open",
    "keep_contents",
    "GrowingContent.write",
    "GrowingContent.store",
    "GrowingContent.hash",
    "GrowingContent.matches",
    "Receiving.run",
    "PartialFile._commit",
    "PartialFile._discard",
    "PartialFile._clear",
    "IntervalSaver._write",
    "allocate",
)


#: Lives that were killed. Of a dead process nothing runs any more, but to free a coroutine that
#: waits is to run its ``finally`` clauses: so they are kept.
_GRAVES: list[object] = []


@implementer(IWorkPool)
class Disk:
    """A pool whose jobs take their time, in order, and fail on demand.

    :ivar latency: seconds from the asking to the doing.
    :ivar failing: how many of the next jobs that can fail do.
    :ivar failed: how many did.
    """

    def __init__(self, clock: Clock) -> None:
        self.latency = 0.001
        self.failing = 0
        self.failed = 0
        self._clock = clock
        self._waiting: dict[IDelayedCall, Callable[[], Any]] = {}
        self._opened: list[io.FileIO] = []
        self._dead = False

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Do it later."""
        result: Deferred[Any] = Deferred()
        if self._dead:
            return result

        def arrived() -> None:
            job = self._waiting.pop(call)
            execute(job).chainDeferred(result)

        call = self._clock.callLater(self.latency, arrived)
        self._waiting[call] = lambda: self._do(function, args)
        return result

    def _do(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        name = getattr(function, "__qualname__", "")
        if self.failing and name.startswith(FALLIBLE):
            self.failing -= 1
            self.failed += 1
            raise OSError(28, "No space left on device")
        outcome = function(*args)
        for each in outcome if isinstance(outcome, list) else [outcome]:
            if isinstance(each, Opened):
                self._opened.append(each.raw)
            elif isinstance(each, tuple) and each and isinstance(each[0], io.FileIO):
                self._opened.append(each[0])
        return outcome

    def die(self, done: int) -> None:
        """The process is killed; so many of the jobs at hand were done before."""
        for job in list(self._waiting.values())[:done]:
            execute(job).addErrback(lambda _: None)
        self._dead = True
        with open(os.devnull, "rb") as nothing:
            for raw in self._opened:
                if not raw.closed:
                    os.dup2(nothing.fileno(), raw.fileno(), inheritable=False)


class Daemon:
    """The pipeline, over one directory and one index, in a sequence of lives.

    :ivar doomed: answers that depend on content of which it is known that it is wrong.
    :ivar faults: log events with a traceback: none is expected.
    :ivar problems: what clients complained about.
    :ivar stops, kills: how many lives ended so.
    """

    def __init__(self, directory: str, contents: list[bytes], finish: int | None) -> None:
        self.directory = directory
        self.finish = finish
        self.index = MemoryIndex()
        self.contents = contents
        self.registries = [FakeRegistry(Clock(), f"up{each}.test") for each in range(len(contents))]
        self.digests = [
            registry.add(content)
            for registry, content in zip(self.registries, contents, strict=True)
        ]
        self.past_bodies: list[list[FakeBody]] = [[] for _ in contents]
        self.doomed: list[Any] = []
        self.faults: list[LogEvent] = []
        self.problems: list[str] = []
        self.stops = self.kills = self._disk_failures = self.refused_before = 0
        self.spaces: list[FakeSpace] = []
        self.limit = 2**60
        globalLogPublisher.addObserver(self._log)
        self.start()

    def _log(self, event: LogEvent) -> None:
        if "log_failure" in event:
            self.faults.append(event)
        if "mixed" in event:  # a download says that its content fails its digest
            for download in self.caches.downloads._all.values():
                if download.is_open and download._verification is event["log_source"]:
                    readers = download.readers._readers
                    self.doomed += [reader._sink for reader in readers if reader.begun]

    def start(self) -> None:
        """Begin a life."""
        self.clock = Clock()
        self.clock.advance(1000.0 * (1 + self.stops + self.kills))
        self.disk = Disk(self.clock)
        for registry in self.registries:
            registry.clock = self.clock
        self.spaces.append(FakeSpace(self.limit))
        self.caches = Caches(
            self.directory,
            self.clock,
            *self.registries,
            finish=self.finish,
            pool=self.disk,
            index=self.index,
            space=self.spaces[-1],
        )

    def stop(self) -> None:
        """End a life well."""
        done: list[object] = []
        self.disk.failing = 0
        self.caches.downloads.stop().addBoth(done.append)
        self.settle(lambda: len(done) == 1)
        ours = [call for call in self.clock.getDelayedCalls() if _is_download(call)]
        assert not ours, ours
        self.caches.store.close().addBoth(done.append)
        self.settle()
        assert done == [None, None], done
        self._disk_failures += self.disk.failed
        self.stops += 1

    def kill(self, jobs_done: int) -> None:
        """End a life at once."""
        self.disk.die(jobs_done)
        self._disk_failures += self.disk.failed
        _GRAVES.append((self.caches, self.disk, self.clock))
        self.refused_before += self.spaces.pop().refused
        for past, registry in zip(self.past_bodies, self.registries, strict=True):
            past += registry.bodies
            registry.bodies = []
        self.kills += 1

    def mention(self, number: int, size: int) -> None:
        """Manifests of two repositories state a size of a blob."""
        content = b"of a size of %d" % size
        manifest = Manifest(Digest.of(content), "application/manifest", content)
        for name in ("org/app", "org/two"):
            self.index.record_manifest(
                Repository(self.registries[number].identity, name),
                manifest,
                [Descriptor(self.digests[number], size, "")],
                subject=None,
                credentials="",
                now=self.clock.seconds(),
            )

    def remove(self, number: int) -> list[object]:
        """An operator removes a blob; what is put in when that is done."""
        digest, caches, done = self.digests[number], self.caches, list[object]()
        removing = caches.forgetting.remove(Kind.CONTENT, digest)
        removing.addCallback(lambda _: caches.store.remove_partials(digest))
        removing.addCallback(lambda _: caches.store.remove(digest))
        removing.addCallback(lambda _: caches.index.forget_content(digest))
        removing.addBoth(done.append)
        return done

    def turn(self, count: int) -> None:
        """Let milliseconds pass."""
        for _ in range(count):
            self.clock.advance(0.001)

    def settle(self, reached: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until something is reached, or nothing is left to happen."""
        for _ in range(50_000):
            calls = self.clock.getDelayedCalls()
            if not calls or reached():
                return
            due = min(call.getTime() for call in calls)
            self.clock.advance(max(0.0, due - self.clock.seconds()))
        raise AssertionError("this never ends")

    def close(self) -> None:
        """Forget it."""
        globalLogPublisher.removeObserver(self._log)

    def disk_failures(self) -> int:
        """How many jobs of the disk failed in the lives that have ended."""
        return self._disk_failures

    def _download(self, number: int) -> Any:
        identity = self.registries[number].identity
        return self.caches.downloads._get(self.digests[number], identity)

    def queued(self, number: int) -> int:
        """Bytes of a blob that have arrived and wait for the disk."""
        download = self._download(number)
        if download is None or not download.is_open:
            return 0
        return sum(each._unwritten.queued for each in download._fetching.plan.fills)

    def present(self, number: int) -> int:
        """Bytes of a blob that are being fetched and were written."""
        download = self._download(number)
        if download is None or not download.is_open:
            return 0
        present: int = download.target.file.present.total
        return present

    def assert_readers_have_what_is_there(self) -> None:
        """No reader that takes bytes waits for some that may be sent."""
        for download in self.caches.downloads._all.values():
            for reader in download.readers._readers:
                waits_for_turn = reader in download.readers._to_wake
                assert not waits_for_turn or download.readers._waking, "whose turn is it?"
                if reader.wants and not reader._busy and not waits_for_turn:
                    released = download.readers.released(reader.position)
                    assert released <= reader.position, "a reader sleeps"

    def assert_bodies_are_wanted(self) -> None:
        """Every connection to an upstream has somebody who takes its bytes."""
        for body in [body for each in self.registries for body in each.bodies if body.open]:
            taker = body._consumer
            if isinstance(taker, Fill):
                if body._position == body._stop:
                    continue  # all has come but the end, or what ends it
                assert taker in taker._owner.plan.fills, "an upstream sends to nobody"
                assert not taker._no_more, "an upstream sends what is not taken"
            elif isinstance(taker, ContinuedBody):
                assert not taker._over, "an upstream sends to a client that is gone"

    def refused(self) -> int:
        """How many claims of space were refused."""
        return self.refused_before + sum(space.refused for space in self.spaces)

    def bodies(self, number: int) -> list[FakeBody]:
        """All bodies that were sent of a blob."""
        return self.past_bodies[number] + self.registries[number].bodies

    def assert_only_verified(self) -> None:
        """Check that each file under blobs/ has the digest in its name."""
        for folder, _, names in os.walk(os.path.join(self.directory, "blobs")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    found = hashlib.sha256(file.read()).hexdigest()
                assert found == name, f"{name} holds {found}"

    def assert_nothing_left(self) -> None:
        """After a stop: no download, call, descriptor, claim or upstream connection is left."""
        assert len(self.caches.downloads) == 0
        assert self.clock.getDelayedCalls() == []
        assert open_files_below(self.directory) == []
        assert all(claim.released for space in self.spaces for claim in space.claims)
        assert not [body for each in self.registries for body in each.bodies if body.open]


def _is_download(call: IDelayedCall) -> bool:
    """Whether a call is due to a download, and not to clients who read on without it."""
    function = getattr(call, "func", None)
    module = str(getattr(function, "__module__", ""))
    asks_again = next(iter(getattr(call, "args", ())), None)
    if isinstance(getattr(asks_again, "__self__", None), ContinuedBody):
        return False
    ours = module.startswith("regcache.cache.")
    return ours and module not in (Readers.__module__, ClientPace.__module__)


def open_files_below(directory: str) -> list[str]:
    """Which files of a directory this process has open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if path.startswith(directory):
            found.append(path)
    return found
