"""Removes files before the index knows that, where the disk is too full for the index to say so.

=========  =======================================  ============================================
state      event                                    next state, or result
=========  =======================================  ============================================
there      it is being stored, or being evicted     over: another file has to make room
there      nobody stores or removes it              held: no file gets its name any more, and
                                                    requests for it wait
held       the disk refuses to remove it            over: failed; the file stays, and requests
                                                    go on
held       the file is removed, or was not there    gone
gone       the index can be changed, and content    over: requests go on, and find nothing
           goes with this change
gone       the index can be changed, and content    reported as lost, so that the index says
           stays: it is pinned by now, or goes in   that its bytes are not here; then requests
           a step of its own                        go on, and may store it again
gone       the index cannot be changed              the same
any        the daemon is killed                     the next look-up misses the file
=========  =======================================  ============================================

A client cannot store content again before it is reported as lost. So a newer file never is.
"""

from collections import deque
from collections.abc import Iterable

from regcache.cache.forgetting import Forgetting
from regcache.digests import Digest
from regcache.interfaces import IBlobStore
from regcache.removals import RemovalEffect

#: So many bytes of files are removed at a time to make room for the index. If content is pinned
#: meanwhile, no more than these are lost.
ENOUGH = 8 * 1024 * 1024


class FilesAhead:
    """The files of contents that one change of the index removes, or a later one.

    :param seen: what that change is going to do.
    """

    def __init__(self, store: IBlobStore, forgetting: Forgetting, seen: RemovalEffect) -> None:
        self._store = store
        self._forgetting = forgetting
        largest_first = sorted(seen.gone, key=lambda each: -each.size)
        self._left = deque((each.digest, each.size) for each in largest_first)
        self._left += [(digest, 0) for digest in seen.going]
        self._held: list[Digest] = []
        self._removed: list[Digest] = []

    async def remove_some(self) -> bool:
        """Remove files until there is enough room, if any are left. Fails with OSError.

        :returns: whether any was removed. :meth:`end` has to follow.
        """
        room, before = 0, len(self._removed)
        while room < ENOUGH and self._left:
            digest, size = self._left.popleft()
            if not self._store.held.begin(digest):
                continue
            self._held.append(digest)
            await self._store.held.remove(digest)
            self._removed.append(digest)
            room += size
        return len(self._removed) > before

    async def end(self, gone: Iterable[Digest]) -> None:
        """Report files of contents that stay in the index as lost; then let requests go on.

        :param gone: the contents that the index has removed.
        """
        known = set(gone)
        try:
            for digest in self._removed:
                if digest not in known:
                    await self._forgetting.lost(digest)
        finally:
            for digest in self._held:
                await self._store.held.end(digest, remove=False)
