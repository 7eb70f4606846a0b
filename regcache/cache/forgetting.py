"""One message by which all parts of the cache forget a digest, a tag, a repository or an account.

Several parts remember something of it, and work under way may put it back a moment later. So a
removal is a message with a number, its generation:

1. The generation is raised. Results of work that began under an older one are not kept.
2. Every subscriber is told. It drops what it remembers, and acknowledges when nothing of it can
   be recorded or stored any more. A running download goes on for its readers, and keeps nothing.
3. When all have acknowledged, the caller removes the files and the entries of the index.

Content that another repository still needs stays: then only the right to it is removed.

If content is damaged or missing, or is evicted, the same message is sent with generation 0. Then
work under way may still be kept, since it may be fetching these bytes again, and rights to the
content stay. The index is told of an eviction before this message is sent.
"""

from collections.abc import Hashable
from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.digests import Digest
from regcache.generations import Generations
from regcache.identity import RepositoryContent
from regcache.interfaces import IIndex
from regcache.light_dataclass import dataclass

#: Removals whose generation is remembered; see :class:`regcache.generations.Generations`.
MOST_REMOVED = 10_000


class Kind(Enum):
    """What a removal is about; the value says what its key is."""

    CONTENT = "a digest"
    RIGHT = "a repository's content"
    TAG = "a repository and a tag"
    REPOSITORY = "a repository"
    ACCOUNT = "the name of an account"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is to be forgotten.

    :ivar generation: of the removal; results of work that began before it are not to be kept. 0:
        the bytes were only lost.
    :ivar evicted: they made room for others, and the index knows it.
    """

    kind: Kind
    key: Hashable
    generation: int = 0
    evicted: bool = False


def is_removed(removed: Generations[Hashable], content: RepositoryContent, since: int) -> bool:
    """Whether content was removed, or a repository's right to it, after a generation."""
    if since == removed.current:
        return False
    return removed.concerns(content.digest, since) or removed.concerns(content, since)


class Subscriber(Protocol):
    """A part that remembers something, or works on it."""

    def forget(self, message: Forgotten) -> "Deferred[None] | None":
        """Drop what the message is about. Fires when nothing can put it back any more."""


class IndexOfContent:
    """Lets the index forget that the bytes of some content are stored, where they were lost.

    What is removed the removal itself takes from the index, with the rights to it.
    """

    _log = Logger()

    def __init__(self, index: IIndex) -> None:
        self._index = index

    def forget(self, message: Forgotten) -> "Deferred[None] | None":
        """Fires when that is written. A fault is logged: the next look-up misses the file, too."""
        if message.generation or message.evicted or not isinstance(message.key, Digest):
            return None
        forgetting = self._index.forget_content(message.key)
        return forgetting.addErrback(self._failed, message.key)

    def _failed(self, failure: Failure, digest: Digest) -> None:
        failure.trap(OSError)
        why = failure.getErrorMessage()
        self._log.warn("forgetting {digest} failed: {why}", digest=digest, why=why)


class Forgetting:
    """Sends the messages to all subscribers.

    :param removed: the generations of what was removed.
    """

    def __init__(self, removed: Generations[Hashable]) -> None:
        self.removed = removed
        self._subscribers: list[Subscriber] = []

    def subscribe(self, *subscribers: Subscriber) -> None:
        """Send them every message from now on."""
        self._subscribers += subscribers

    def remove(self, kind: Kind, key: Hashable) -> "Deferred[None]":
        """Let all parts forget what an operator removes. Fires when all have acknowledged.

        Fails with the first failure of a subscriber: then something might still put it back.
        """
        return self._tell(Forgotten(kind, key, self.removed.advance(key)))

    def lost(self, digest: Digest) -> "Deferred[None]":
        """Let all parts forget content whose bytes are gone."""
        return self._tell(Forgotten(Kind.CONTENT, digest))

    def evicted(self, digest: Digest) -> "Deferred[None]":
        """Have content forgotten whose bytes made room for others."""
        return self._tell(Forgotten(Kind.CONTENT, digest, evicted=True))

    def _tell(self, message: Forgotten) -> "Deferred[None]":
        told = [subscriber.forget(message) for subscriber in self._subscribers]
        waiting = [done for done in told if done is not None]
        return gatherResults(waiting, consumeErrors=True).addCallback(lambda _: None)
