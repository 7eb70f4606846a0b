"""Removes the files of contents that the index has removed, unless they are stored again meanwhile.

The index has a mark at each content whose file is to go. Who stores content again names the file
first, and then tells the index, in the same turn of the reactor; that removes the mark. So whether
a file may go is decided while nobody can name it. Who has opened a file before, and has it recorded
because a right was proved, asks first whether it still has its name and is not held:

=========  ======================================  =============================================
state      event                                   next state, or result
=========  ======================================  =============================================
waiting    it is being stored, or being evicted    waiting; nothing else waits for it
waiting    nobody stores or removes it             held: no file gets its name any more, and
                                                   requests for it wait
held       a client wants to open or to store it   held: the client waits
held       a client reads the old file             held: it reads on, also without a name
held       the index says that it is marked        going: nobody has told the index of a newer
                                                   file, so this one is the old one
held       the index says that it is not marked    over: it was stored again before it was held;
                                                   the file stays
held       the index cannot be asked               over: failed; the file and the mark stay
going      the file is removed, or was not there   over: who waits stores a new file, and tells
                                                   the index
going      the disk refuses                        over: failed; the mark stays
any        the daemon is killed                    the mark is there: the next start goes on
=========  ======================================  =============================================

While something is held, this waits for the index and for the removal of files only, never for
content that is in use. So nobody waits for each other. A download that waits for the name of its
file holds up neither of them.
"""

from collections.abc import Sequence

from twisted.internet.defer import DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from regcache.digests import Digest
from regcache.interfaces import IBlobStore, IRemovalIndex

#: So many contents are held at a time, so that a request for one of them waits for few others.
MOST_HELD = 16
#: After so many seconds it is tried again to hold content that is being stored.
SOON = 0.01


class RemovedFiles:
    """Removes files behind the index."""

    def __init__(self, index: IRemovalIndex, store: IBlobStore, clock: IReactorTime) -> None:
        self._index = index
        self._store = store
        self._clock = clock

    async def free(self, digests: Sequence[Digest]) -> None:
        """Remove the files of contents that were not stored again. Fails with OSError."""
        for start in range(0, len(digests), MOST_HELD):
            some = digests[start : start + MOST_HELD]
            waiting = await self._free(some)
            while waiting:
                await deferLater(self._clock, SOON)
                waiting = await self._free(waiting)
            await self._index.have_left(some)

    async def _free(self, digests: Sequence[Digest]) -> list[Digest]:
        """Remove some files. Return the contents that are being stored at this moment."""
        held = [each for each in digests if self._store.held.begin(each)]
        leaving: list[Digest] = []
        try:
            if held:
                leaving = await self._index.still_leaving(held)
        finally:
            await self._end(held, leaving)
        for digest in leaving:
            await self._store.remove_partials(digest)
        return [each for each in digests if each not in held]

    async def _end(self, held: Sequence[Digest], leaving: Sequence[Digest]) -> None:
        """Remove files, and let all requests go on. Fails with OSError after that."""
        ending = [self._store.held.end(each, each in leaving) for each in held]
        for _, outcome in await DeferredList(ending, consumeErrors=True):
            if isinstance(outcome, Failure):
                outcome.raiseException()
