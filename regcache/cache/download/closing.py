"""The end of a download: saved or removed, the file closed, its table told."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.blob_source import DownloadOwner
from regcache.cache.download.partial_claim import PartialClaim
from regcache.cache.download.readers import Readers
from regcache.digests import Digest
from regcache.gate import Gate


class Closing:
    """Ends one download. Readers of verified content keep the file open.

    :ivar done: opens when the next download of the digest may begin.
    """

    _log = Logger()

    def __init__(self, digest: Digest, readers: Readers, owner: DownloadOwner) -> None:
        self.done = Gate()
        self._digest = digest
        self._readers = readers
        self._owner = owner
        self._finished = False

    def begin(self, partial_claim: PartialClaim, discard: bool) -> None:
        """Save the partial file or remove it, and finish."""
        ending = Deferred.fromCoroutine(partial_claim.end(discard))
        ending.addErrback(self._failed)
        ending.addCallback(lambda _: self.finish())

    def finish(self) -> None:
        """Let the next download of the digest begin.

        It may do so at once, and needs the file: so that is closed before.
        """
        self._finished = True
        self.close_file()
        self._owner.closed(self._digest)
        self.done.succeed()

    def close_file(self) -> None:
        """Close the file if the download is over and nobody has something to read."""
        unread = not self._readers or not self._readers.verified
        if self._finished and unread and self._readers.opened:
            self._readers.file.close()

    def _failed(self, failure: Failure) -> None:
        self._log.failure("ending the download of {digest} failed", failure, digest=self._digest)
