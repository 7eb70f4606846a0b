"""Suspects content of damage if a client asks again for a blob that it has just got completely.

Clients check the digest of a layer, and ask for it again from the start if that is wrong. So
content that the same client asks for twice within a minute is verified, after the second answer,
and at most once an hour. Damaged content is removed, and the third request fetches it again.

Clients pull again for other reasons, too, all that an image has, over and over. So few blobs are
verified at once, few more wait for that, and only what was found is told in the log.
"""

from twisted.internet.defer import DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.interfaces import IBlobStore, Verified

#: A client that asks again within this time probably found damage (seconds).
SOON = 60.0
#: Content is verified at most once in this time (seconds).
VERIFIED_FOR = 3600.0
#: How many answers, and how many verifications, are remembered (entries).
MOST_SENT, MOST_VERIFIED = 4096, 4096

#: How many blobs are verified at the same time, and how many wait for that: they are read beside
#: what clients ask for.
MOST_AT_ONCE, MOST_WAITING = 2, 256


class Suspicions:
    """Remembers what was sent to which client, and verifies content that is asked for again."""

    _log = Logger()

    def __init__(self, store: IBlobStore, clock: IReactorTime) -> None:
        self._store = store
        self._sent: BoundedTable[tuple[str, Digest], bool] = BoundedTable(MOST_SENT, clock)
        self._verified: BoundedTable[Digest, bool] = BoundedTable(MOST_VERIFIED, clock)
        self._turns = DeferredSemaphore(MOST_AT_ONCE)

    def __len__(self) -> int:
        """How many answers are remembered."""
        return len(self._sent) + len(self._verified)

    def sent(self, client: str, digest: Digest) -> None:
        """Note that a client was sent all of a blob."""
        self._sent.put((client, digest), True, seconds=SOON)

    def is_suspect(self, client: str, digest: Digest) -> bool:
        """Whether a client that asks for a blob from its start was just sent all of it."""
        return bool(self._sent.get((client, digest))) and not self._verified.get(digest)

    def verify(self, digest: Digest, size: int) -> None:
        """Verify a stored blob, unless that was done within the hour, or too many wait for it.

        :param size: in bytes.
        """
        if self._verified.get(digest) or len(self._turns.waiting) >= MOST_WAITING:
            return
        self._verified.put(digest, True, seconds=VERIFIED_FOR)
        verifying = self._turns.run(self._store.verify, digest, size)
        verifying.addCallbacks(self._was_verified, self._failed, callbackArgs=(digest,))

    def _was_verified(self, verified: Verified, digest: Digest) -> None:
        if verified is Verified.SOUND:
            return
        self._log.info(
            "{digest} was asked for twice in a row, and verified: {what}",
            digest=str(digest),
            what="it is not stored" if verified is Verified.MISSING else "it is damaged",
        )

    def _failed(self, failure: Failure) -> None:
        self._log.warn("a blob could not be verified: {why}", why=failure.getErrorMessage())
