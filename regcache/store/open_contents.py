"""The stored contents that are open: one descriptor for each, however many readers it has.

A client may ask for the same blob in hundreds of streams, and a process may have only a few
thousand descriptors.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any

from twisted.internet.defer import Deferred, fail

from regcache.digests import Digest
from regcache.light_dataclass import dataclass
from regcache.store.content_file import CachedReads, ContentFile, FileClosedError, OpenFile
from regcache.store.contents import Signature, signature_of

#: Look-ups of one content that go on side by side; further ones wait for one of them.
MOST_TOGETHER = 4


@dataclass(slots=True)
class SharedFile:
    """An open file, and how many readers use it."""

    opened: OpenFile
    signature: Signature
    holders: int = 0

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return self.signature[1]

    async def is_unchanged(self) -> bool:
        """Whether the file was not written to since it was opened. Fails with OSError."""
        status: os.stat_result = await self.opened.run(os.fstat)
        return signature_of(status) == self.signature


@dataclass(slots=True)
class Opening:
    """Look-ups of one content that are under way.

    :ivar outdated: whether the content was removed or replaced meanwhile.
    :ivar waiting: who wants to share what one of them opens.
    """

    count: int = 0
    outdated: bool = False
    waiting: "list[Deferred[bool]]" = field(default_factory=list)

    def tell(self, is_open: bool) -> None:
        """Let those go on who wait for a look-up to end."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.callback(is_open)


class _Share:
    """An open file as one of several readers has it. Closing this does not affect the others.

    :param closed: called once, when it is closed.
    """

    def __init__(self, opened: OpenFile, closed: Callable[[], None]) -> None:
        self._opened = opened
        self._closed = closed
        self.closing = False

    def fileno(self) -> int:
        """The descriptor. :raises FileClosedError: after :meth:`close`."""
        if self.closing:
            raise FileClosedError
        return self._opened.fileno()

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Call ``function(descriptor, *args)`` in the pool; the file stays open meanwhile."""
        if self.closing:
            return fail(FileClosedError())
        return self._opened.run(function, *args)

    def close(self) -> None:
        """Close it for this reader. Idempotent."""
        if not self.closing:
            self.closing = True
            self._closed()


class OpenContents:
    """The stored contents that are being read. For the reactor thread.

    A descriptor is closed when its last reader is, so there are no more entries than descriptors.
    """

    def __init__(self, cached: CachedReads) -> None:
        self._cached = cached
        self._open: dict[Digest, SharedFile] = {}
        self._opening: dict[Digest, Opening] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Digest]:
        """What is being read or opened."""
        return iter([*self._open, *(each for each in self._opening if each not in self._open)])

    def __contains__(self, digest: Digest) -> bool:
        """Whether it is being read or opened."""
        return digest in self._open or digest in self._opening

    def share(self, digest: Digest) -> ContentFile | None:
        """Another reader of content that is open already; None if it is not."""
        shared = self._open.get(digest)
        return None if shared is None else self._reader(digest, shared)

    def opened_soon(self, digest: Digest) -> "Deferred[bool] | None":
        """Fires when a look-up that is under way ends, with whether the content is open now.

        Hundreds of streams may ask for one content before its file is open, and each would open
        it. None if few look-ups are under way: one that is slow does not delay the others.
        """
        opening = self._opening.get(digest)
        if opening is None or opening.count < MOST_TOGETHER:
            return None
        waiter: Deferred[bool] = Deferred()
        opening.waiting.append(waiter)
        return waiter

    def begin_opening(self, digest: Digest) -> Opening:
        """Content is going to be looked up and opened; for :meth:`add`. End it in any case."""
        opening = self._opening.get(digest)
        if opening is None:
            opening = self._opening[digest] = Opening()
        opening.count += 1
        return opening

    def end_opening(self, digest: Digest, opening: Opening) -> None:
        """It was looked up, and opened if it is here."""
        opening.count -= 1
        if not opening.count and self._opening.get(digest) is opening:
            del self._opening[digest]
        opening.tell(digest in self._open)

    def find(self, digest: Digest) -> "SharedFile | None":
        """The open file behind the readers of some content; None if it is not open."""
        return self._open.get(digest)

    def add(
        self, digest: Digest, opened: OpenFile, signature: Signature, opening: Opening
    ) -> ContentFile:
        """A reader of content that has been opened. If it is open by now, use that descriptor.

        If the content was removed or replaced meanwhile, no other reader gets this file.
        """
        shared = self._open.get(digest)
        if shared is None:
            shared = SharedFile(opened, signature)
            if not opening.outdated:
                self._open[digest] = shared
        else:
            opened.close()
        return self._reader(digest, shared)

    def forget(self, digest: Digest) -> None:
        """Let later readers open the file anew: it was removed or replaced. Present ones go on."""
        self._open.pop(digest, None)
        opening = self._opening.pop(digest, None)
        if opening is not None:
            opening.outdated = True

    def _reader(self, digest: Digest, shared: SharedFile) -> ContentFile:
        shared.holders += 1
        share = _Share(shared.opened, lambda: self._left(digest, shared))
        return ContentFile(digest, shared.size, share, self._cached)

    def _left(self, digest: Digest, shared: SharedFile) -> None:
        shared.holders -= 1
        if not shared.holders:
            if self._open.get(digest) is shared:
                del self._open[digest]
            shared.opened.close()
