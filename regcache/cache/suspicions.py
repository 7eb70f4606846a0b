"""Clients that ask again for a blob that they were just sent whole: they found it damaged.

A client that is sent a layer checks its digest, and asks again from the start if that is wrong.
So content that the same client asks for twice within a minute is verified, behind the second
answer, and once an hour at most. What is damaged is removed, and the third request fetches it
anew.
"""

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.interfaces import IBlobStore, Verified

#: Who asks again within this time had no use for what was sent (seconds).
SOON = 60.0
#: Content is verified once in this time, whoever suspects it (seconds).
VERIFIED_FOR = 3600.0
#: What was sent to whom, and what was verified: so much is remembered (entries).
MOST_SENT, MOST_VERIFIED = 4096, 4096


class Suspicions:
    """Remembers what was sent to whom, and verifies what is asked for again."""

    _log = Logger()

    def __init__(self, store: IBlobStore, clock: IReactorTime) -> None:
        self._store = store
        self._sent: BoundedTable[tuple[str, Digest], bool] = BoundedTable(MOST_SENT, clock)
        self._verified: BoundedTable[Digest, bool] = BoundedTable(MOST_VERIFIED, clock)

    def __len__(self) -> int:
        """How much is remembered."""
        return len(self._sent) + len(self._verified)

    def sent(self, client: str, digest: Digest) -> None:
        """A client was sent all of a blob."""
        self._sent.put((client, digest), True, seconds=SOON)

    def is_suspect(self, client: str, digest: Digest) -> bool:
        """Whether a client that asks for a blob from its start was sent all of it just now."""
        return bool(self._sent.get((client, digest))) and not self._verified.get(digest)

    def verify(self, digest: Digest, size: int) -> None:
        """Verify a stored blob, unless that was done within the hour.

        :param size: in bytes.
        """
        if self._verified.get(digest):
            return
        self._verified.put(digest, True, seconds=VERIFIED_FOR)
        verifying = self._store.verify(digest, size)
        verifying.addCallbacks(self._was_verified, self._failed, callbackArgs=(digest,))

    def _was_verified(self, verified: Verified, digest: Digest) -> None:
        what = "it is what it has to be" if verified is Verified.SOUND else "it is damaged"
        self._log.info(
            "{digest} was asked for twice in a row, and verified: {what}",
            digest=str(digest),
            what="it is not stored" if verified is Verified.MISSING else what,
        )

    def _failed(self, failure: Failure) -> None:
        self._log.warn("a blob could not be verified: {why}", why=failure.getErrorMessage())
