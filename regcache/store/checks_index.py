"""The part of the index that checks of the disk ask."""

from collections.abc import Set as AbstractSet
from typing import Any

from twisted.internet.defer import Deferred

from regcache.digests import Digest
from regcache.identity import UpstreamIdentity
from regcache.store import index_checks, index_contents
from regcache.store.index_thread import IndexThread


class ChecksIndex:
    """Questions of checks, over the thread of an index. All fail with OSError."""

    def __init__(self, thread: IndexThread) -> None:
        self._thread = thread

    def stored_between(
        self, first: Digest, last: Digest, upstream: UpstreamIdentity | None = None
    ) -> "Deferred[dict[Digest, int]]":
        """The sizes of stored contents from one digest to another; of an upstream's, or all."""
        return self._thread.read(index_checks.stored_between, first, last, upstream)

    def leaving_between(self, first: Digest, last: Digest) -> "Deferred[AbstractSet[Digest]]":
        """What is about to be removed."""
        return self._thread.read(index_checks.leaving_between, first, last)

    def images_with(self, digest: Digest) -> "Deferred[list[str]]":
        """The names of some images that content belongs to, the latest checked first."""
        return self._thread.read(index_checks.images_with, digest)

    def adopt(self, digest: Digest, size: int, now: float) -> "Deferred[None]":
        """Note verified content that was found; no repository gets a right to it."""
        return self._thread.write(index_checks.adopt, digest, size, now)

    def stored_bytes(self, upstream: UpstreamIdentity | None = None) -> "Deferred[int]":
        """The sum of all sizes, or of those of an upstream."""
        return self._thread.read(index_checks.stored_bytes, upstream)

    def occupied_bytes(self) -> "Deferred[int]":
        """What all of it takes on the disk, in blocks; kept, not added up."""
        return self._thread.read(index_contents.occupied_bytes)

    def progress(self, name: str) -> "Deferred[dict[str, Any]]":
        """How far some work has come; empty if that is not known."""
        return self._thread.read(index_checks.find_progress, name)

    def note_progress(self, name: str, value: dict[str, Any]) -> "Deferred[None]":
        """Note it."""
        return self._thread.write(index_checks.note_progress, name, value)
