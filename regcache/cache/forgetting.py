"""One message that has everything forget a digest, a tag, a repository or an account.

Memory is in many places, and what is under way may put something back a moment later. So a
removal is a message with a number, its generation:

1. The generation is raised: what began before it is refused wherever it is to be kept.
2. Everybody who subscribed is told, drops what it remembers, and has nothing of it noted or
   stored any more when it has acknowledged. A download goes on for who reads it, and keeps nothing.
3. When all have acknowledged the caller removes what is on the disk, and in the index.

Where content is damaged or missing, the same message goes round with generation 0: nothing is
too old to be stored, since the bytes may be fetched anew at this very moment.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.digests import Digest
from regcache.generations import Generations
from regcache.interfaces import IIndex

#: Removals whose generation is remembered; see :class:`regcache.generations.Generations`.
MOST_REMOVED = 10_000


class Kind(Enum):
    """What a removal is about, and what its key is then."""

    CONTENT = "a digest"
    TAG = "a repository and a tag"
    REPOSITORY = "a repository"
    ACCOUNT = "the name of an account"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is to be forgotten.

    :ivar generation: of the removal; what began before it is not to be kept. 0: the bytes were
        only lost.
    """

    kind: Kind
    key: Hashable
    generation: int = 0


class Subscriber(Protocol):
    """Who remembers something."""

    def forget(self, message: Forgotten) -> "Deferred[None] | None":
        """Drop what the message is about; fires when nothing of it can come back."""


class IndexOfContent:
    """Has the index forget that the bytes of content are here."""

    _log = Logger()

    def __init__(self, index: IIndex) -> None:
        self._index = index

    def forget(self, message: Forgotten) -> "Deferred[None] | None":
        """Fires when it is written; a fault is logged, and found out at the next look-up."""
        if message.kind is not Kind.CONTENT or not isinstance(message.key, Digest):
            return None
        forgetting = self._index.forget_content(message.key)
        return forgetting.addErrback(self._failed, message.key)

    def _failed(self, failure: Failure, digest: Digest) -> None:
        failure.trap(OSError)
        why = failure.getErrorMessage()
        self._log.warn("forgetting {digest} failed: {why}", digest=digest, why=why)


class Forgetting:
    """Tells everybody who remembers something.

    :param removed: the generations of what was removed.
    """

    def __init__(self, removed: Generations[Hashable]) -> None:
        self.removed = removed
        self._subscribers: list[Subscriber] = []

    def subscribe(self, *subscribers: Subscriber) -> None:
        """Have them told from now on."""
        self._subscribers += subscribers

    def remove(self, kind: Kind, key: Hashable) -> "Deferred[None]":
        """Have something forgotten that an operator removes; fires when all have done so.

        Fails with the first failure: then it is not certain that nothing comes back.
        """
        return self._tell(Forgotten(kind, key, self.removed.advance(key)))

    def lost(self, digest: Digest) -> "Deferred[None]":
        """Have content forgotten whose bytes are gone."""
        return self._tell(Forgotten(Kind.CONTENT, digest))

    def _tell(self, message: Forgotten) -> "Deferred[None]":
        told = [subscriber.forget(message) for subscriber in self._subscribers]
        waiting = [done for done in told if done is not None]
        return gatherResults(waiting, consumeErrors=True).addCallback(lambda _: None)
