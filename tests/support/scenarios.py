"""Sequences of events in the life of the blob pipeline, and what must hold after each of them."""

import random
import shutil
import tempfile
from dataclasses import replace
from typing import Any

from regcache.cache.download import fill, planning, retries
from regcache.cache.download.continued_body import ContinuedBody
from regcache.errors import ServiceUnavailableError, UpstreamFailure
from regcache.store import interval_saver
from tests.support.bodies import Fault
from tests.support.pipeline import Daemon
from tests.support.pullers import Puller


class Scenario:
    """Clients come and go; the daemon stops and starts; nobody does anything wrong."""

    most_faults = 0

    def __init__(
        self,
        directory: str,
        sizes: list[int],
        finish: int | None,
        chunk: int,
        second: UpstreamFailure | None = None,
        shared: bool = False,
    ) -> None:
        """
        :param second: what a second URL of each upstream says to everything; None: no such.
        :param shared: two upstreams have the same blob.
        """
        contents = [random.Random(each).randbytes(size) for each, size in enumerate(sizes)]
        if shared:
            contents, sizes = contents[:1] * 2, sizes[:1] * 2
        self.place = tempfile.mkdtemp(dir=directory)
        self.daemon = Daemon(self.place, contents, finish)
        for registry in self.daemon.registries:
            registry.chunk = chunk
            registry.stall_timeout = 30.0
            if second is not None:
                registry.url_count, registry.refusing = 2, {1: second}
                self.most_faults //= 2
        self.clients: list[Puller] = []
        self.evictions = 0
        self.forgotten = [0 for _ in sizes]
        self.planned = [0 for _ in sizes]

    def play(self, events: list[tuple[Any, ...]]) -> None:
        """Let everything happen, and look after each event."""
        try:
            for name, *arguments in events:
                getattr(self, name)(*arguments)
                self.check()
            self.end()
        finally:
            self.daemon.close()
            shutil.rmtree(self.place)

    def pull(
        self,
        number: int,
        repository: str,
        parts: list[tuple[int, int]],
        hesitant: bool,
        slow: bool,
    ) -> None:
        """A client comes."""
        number %= len(self.daemon.contents)
        takes_files = len(self.clients) % 2 == 0
        client = Puller(self.daemon, number, repository, parts, hesitant, takes_files)
        client.slow = slow
        self.clients.append(client)

    def turn(self, count: int) -> None:
        """Milliseconds pass."""
        self.daemon.turn(count)

    def wait(self, seconds: float) -> None:
        """Seconds pass."""
        self.daemon.clock.advance(seconds)
        self.daemon.turn(20)

    def evict(self, number: int) -> None:
        """A stored blob is removed."""
        digest = self.daemon.digests[number % len(self.daemon.digests)]
        self.daemon.caches.store.remove(digest)
        self.evictions += 1

    def remove(self, number: int) -> None:
        """An operator removes a blob."""
        self.daemon.remove(number % len(self.daemon.digests))
        self.evictions += 1

    def _living(self, choice: int) -> list[Puller]:
        """Some client that is being served, if there is one."""
        living = [client for client in self.clients if client.outcome is None]
        return living[choice % len(living) :][:1] if living else []

    def begin_part(self, choice: int) -> None:
        """A client that hesitated begins."""
        for client in self._living(choice):
            client.begin()

    def pause(self, choice: int) -> None:
        """A client takes nothing for now."""
        for client in self._living(choice):
            client.pause()

    def resume(self, choice: int) -> None:
        """It takes more."""
        for client in self._living(choice):
            client.resume()

    def leave(self, choice: int) -> None:
        """A client goes."""
        for client in self._living(choice):
            client.leave()

    def change_disk(self, latency: float) -> None:
        """The disk becomes faster or slower."""
        self.daemon.disk.latency = latency

    def restart(self) -> None:
        """The daemon stops and starts. What waits for the disk is forgotten."""
        for number, _ in enumerate(self.forgotten):
            self.forgotten[number] += self.daemon.queued(number)
        self.daemon.stop()
        for client in self.clients:
            client.leave()
        self.daemon.settle()
        self.daemon.assert_nothing_left()
        self.daemon.start()

    def kill(self, jobs_done: int) -> None:
        """The daemon is killed and started. So is what the saved intervals do not show."""
        for number, _ in enumerate(self.forgotten):
            most = 2 * interval_saver.SAVE_BEHIND + fill.QUEUE_HIGH
            unsaved = min(most, self.daemon.present(number))
            self.forgotten[number] += self.daemon.queued(number) + unsaved
        self.daemon.kill(jobs_done)
        for client in self.clients:
            client.lose()
        self.daemon.start()

    def check(self) -> None:
        """What holds at any time."""
        daemon = self.daemon
        assert not daemon.problems, daemon.problems
        assert not daemon.faults, daemon.faults
        for sink in daemon.doomed:
            assert sink is None or sink.outcome is not None, "not aborted after a mismatch"
        daemon.doomed.clear()
        for client in self.clients:
            self.check_outcome(client)
        self.check_sources()
        daemon.assert_readers_have_what_is_there()
        daemon.assert_bodies_are_wanted()

    def check_sources(self) -> None:
        """Nobody reads what is only another upstream's word."""
        for download in self.daemon.caches.downloads._all.values():
            for client in self.clients:
                if client.reader in download.readers._readers and not download.readers.verified:
                    assert download.task.upstream == client.upstream, "unverified bytes"

    def check_outcome(self, client: Puller) -> None:
        """Only the end of the daemon keeps a client from what it asks for."""
        assert not self.daemon.caches.events.mismatches
        if client.outcome == "refused":
            assert isinstance(client.error, ServiceUnavailableError), client.error
        elif client.outcome == "aborted":
            assert client.reason == "the daemon is stopping", client.reason

    def end(self) -> None:
        """All faults end; every answer must, too, and every blob can be pulled."""
        daemon = self.daemon
        self.mend()
        for client in self.clients:
            client.hesitant = False
            client.resume()
            client.begin()
        daemon.settle()
        for client in self.clients:
            assert client.outcome is not None, "an answer never ends"
        self.check()
        daemon.clock.advance(700.0)
        for number in range(len(daemon.contents)):
            self.pull_at_last(number)
        assert len(daemon.caches.downloads) == 0
        daemon.stop()
        daemon.assert_nothing_left()
        daemon.assert_only_verified()
        for number in range(len(daemon.contents)):
            self.check_bytes(number)

    def pull_at_last(self, number: int) -> None:
        """A blob can be pulled; wrong bytes from an earlier day cost one attempt."""
        for spoilt in (True, False):
            client = Puller(self.daemon, number, "org/app", [])
            self.daemon.settle()
            self.check()
            if client.outcome == "complete":
                return
            assert spoilt, client.error
            assert "fails its digest" in str(client.reason), client.error

    def mend(self) -> None:
        """Nothing goes wrong from now on."""

    def check_bytes(self, number: int) -> None:
        """No byte is fetched twice, but for what each event may cost."""
        daemon = self.daemon
        size, sent = len(daemon.contents[number]), daemon.registries[number].sent
        # A body may read through what is present, and bring a chunk before and behind it.
        overlap = planning.SKIP + 2 * daemon.registries[number].chunk
        allowed = (1 + self.evictions + self.redone(number)) * size + self.forgotten[number]
        allowed += len(daemon.bodies(number)) * overlap
        assert sent <= allowed, f"{sent} bytes were sent of {size}, at most {allowed} are due"

    def redone(self, number: int) -> int:
        """How often a blob had to be fetched anew."""
        return 0


class Breaking(Scenario):
    """Answers break off, as often as a download takes it."""

    most_faults = retries.MOST_TRIES - 1

    def upstream_errs(self, number: int, fault: Fault) -> None:
        """One of the next answers goes wrong."""
        registries = self.daemon.registries
        number %= len(registries)
        self.planned[number] += 1
        if self.planned[number] > self.most_faults:
            return
        size = len(self.daemon.contents[number])
        scaled = {
            name: place * size // 1000
            for name in ("cut", "stall", "ends", "flip")
            if (place := getattr(fault, name)) is not None
        }
        registries[number].faults.append(replace(fault, **scaled))

    def mend(self) -> None:
        """Nothing goes wrong from now on."""
        for registry in self.daemon.registries:
            registry.faults.clear()

    def redone(self, number: int) -> int:
        """An answer from the beginning where a part was asked for costs a blob."""
        bodies = self.daemon.bodies(number)
        return sum(body._fault.ignore_range or bool(body._fault.surplus) for body in bodies)


class Relaying(Breaking):
    """Nothing is stored, and answers break off all the same."""

    def __init__(self, directory: str, **world: Any) -> None:
        super().__init__(directory, **world)
        self.daemon.limit = self.daemon.spaces[-1].limit = 0

    def check_outcome(self, client: Puller) -> None:
        """A client that takes next to nothing has an end, too."""
        if client.outcome != "aborted" or "the client took less" not in str(client.reason):
            super().check_outcome(client)

    def redone(self, number: int) -> int:
        """Each client costs a blob, and so does what is not stored after all."""
        relayed = sum(
            isinstance(body._consumer, ContinuedBody) for body in self.daemon.bodies(number)
        )
        return super().redone(number) + relayed + self.daemon.refused()


class Troubled(Breaking):
    """Upstreams lie, disks fill up."""

    most_faults = 1000

    def check_outcome(self, client: Puller) -> None:
        """Anything may happen to a client, but for what :class:`Puller` complains about."""

    def disk_errs(self, count: int) -> None:
        """The disk fails."""
        self.daemon.disk.failing = count

    def mention(self, number: int, size: int) -> None:
        """A manifest states a size, which may be wrong."""
        self.daemon.mention(number % len(self.daemon.contents), size)

    def space_changes(self, limit: int) -> None:
        """Blobs over another limit are not stored."""
        self.daemon.limit = self.daemon.spaces[-1].limit = limit

    def mend(self) -> None:
        """Nothing goes wrong from now on."""
        daemon = self.daemon
        daemon.disk.failing = 0
        daemon.limit = daemon.spaces[-1].limit = 2**60
        for registry in daemon.registries:
            registry.faults.clear()

    def redone(self, number: int) -> int:
        """Each event costs one blob at most."""
        daemon = self.daemon
        bodies = daemon.bodies(number)
        spoilt = sum(_spoils(body._fault) for body in bodies)
        relayed = sum(isinstance(body._consumer, ContinuedBody) for body in bodies)
        return spoilt + relayed + daemon.refused() + daemon.disk_failures()


def _spoils(fault: Fault) -> bool:
    """Whether an answer with this fault may cost what was fetched before."""
    lies = fault.flip is not None or fault.shift or fault.claim_size or fault.hide_size
    return bool(lies or fault.ignore_range or fault.surplus)
