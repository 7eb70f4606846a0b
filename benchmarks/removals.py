"""For how long others wait for the index while the largest images are deleted.

    python -m benchmarks.removals [--images 20000]

The index has as many images as that, and two of those that are deleted: an index of 4,096 images,
each with a configuration, a layer of its own and one that all share; and an image of 4,096 layers.
Each is deleted as the daemon does it, one step after the other. Meanwhile somebody looks up content
every few milliseconds, as who pulls does.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react

from benchmarks.plans import made_index, opened
from regcache.digests import Digest
from regcache.facts import Descriptor, Manifest
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.manifest_body import MOST_DESCRIPTORS
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from regcache.removals import RemovalTarget, manifest_of
from regcache.store.index import SqliteIndex
from regcache.store.index_contents import Proof, record_blob
from regcache.store.index_names import Statement, record_manifest, record_tag
from regcache.store.index_opening import connect

HELD_FOR = 0.05
"""Seconds that a look-up may wait."""

_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_THEN = 1_700_000_000.0
_SHARED = Descriptor(Digest.of(b"shared"), 1000, _LAYER)


def _repository(name: str) -> Repository:
    return Repository(UpstreamIdentity("upstream.test"), name)


def _manifest(name: str, media_type: str) -> Manifest:
    content = name.encode()
    return Manifest(Digest.of(content), media_type, content)


def _listed(name: str) -> tuple[Descriptor, ...]:
    own = (Descriptor(Digest.of(f"{part} {name}".encode()), 1000, _LAYER) for part in ("c", "l"))
    return (*own, _SHARED)


def _children() -> Iterator[tuple[Manifest, tuple[Descriptor, ...]]]:
    for number in range(MOST_DESCRIPTORS):
        name = f"child {number}"
        yield _manifest(name, OCI_MANIFEST), _listed(name)


def _put(
    connection: sqlite3.Connection, name: str, made: Manifest, listed: tuple[Descriptor, ...]
) -> None:
    repository, proof = _repository(name), Proof("", _THEN)
    record_manifest(connection, repository, made, Statement(listed, None), proof)
    for each in listed if made.media_type == OCI_MANIFEST else ():
        record_blob(connection, RepositoryContent(repository, each.digest), 1000, True, proof)


def add_large(path: str) -> dict[str, RemovalTarget]:
    """Add what is deleted; by what it is called here."""
    index, image = _manifest("index", OCI_INDEX), _manifest("image", OCI_MANIFEST)
    members = tuple(
        Descriptor(made.digest, len(made.content), OCI_MANIFEST) for made, _ in _children()
    )
    layers = tuple(
        Descriptor(Digest.of(b"layer %d" % number), 1000, _LAYER)
        for number in range(MOST_DESCRIPTORS)
    )
    with closing(connect(path, create=False)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for made, listed in _children():
            _put(connection, "large/index", made, listed)
        _put(connection, "large/index", index, members)
        _put(connection, "large/image", image, layers)
        for name, made in (("large/index", index), ("large/image", image)):
            record_tag(connection, _repository(name), "1", made.digest, now=_THEN)
        connection.execute("COMMIT")
    return {
        "index of 4,096 images": manifest_of(_repository("large/index"), index.digest),
        "image of 4,096 layers": manifest_of(_repository("large/image"), image.digest),
    }


class Waiting:
    """How long look-ups wait for the index at worst (seconds)."""

    def __init__(self, index: SqliteIndex) -> None:
        self.worst = 0.0
        self.count = 0
        self._index = index
        self._loop = LoopingCall(self._look)
        self._loop.start(0.002)

    async def _timed(self) -> None:
        began = time.perf_counter()
        await self._index.content(RepositoryContent(_repository("team1/app1"), _SHARED.digest))
        self.worst = max(self.worst, time.perf_counter() - began)
        self.count += 1

    def _look(self) -> "Deferred[None]":
        return Deferred.fromCoroutine(self._timed())

    def stop(self) -> float:
        """Look up no more."""
        self._loop.stop()
        return self.worst


async def delete(index: SqliteIndex, target: RemovalTarget) -> tuple[int, int]:
    """Delete it from the index; in how many steps, and how much went."""
    removals = index.removals
    await removals.look(target)
    effect = await removals.remove(target, 1)
    steps, gone = 1, len(effect.gone)
    while effect.unfinished:
        await removals.look_further()
        effect = await removals.remove_further(1)
        steps, gone = steps + 1, gone + len(effect.gone)
    return steps, gone


async def run(reactor: Any, path: str, targets: dict[str, RemovalTarget]) -> None:
    """Measure, and print."""
    async with opened(reactor, path) as index:
        for name, target in targets.items():
            waiting, began = Waiting(index), time.perf_counter()
            steps, gone = await delete(index, target)
            seconds, worst = time.perf_counter() - began, waiting.stop()
            print(
                f"{name}: {gone} contents in {steps} steps and {seconds * 1000:.0f} ms,"
                f" look-ups waited {worst * 1000:.0f} ms at most ({waiting.count})",
                "!" * (worst > HELD_FOR),
            )


def main() -> None:
    """Make the index, and measure."""
    with made_index(__doc__ or "") as path:
        targets = add_large(path)
        react(lambda reactor: Deferred.fromCoroutine(run(reactor, path, targets)))


if __name__ == "__main__":
    main()
