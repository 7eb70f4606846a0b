"""The end of a download: saved or removed, told to its table, the file closed."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.audience import Audience
from regcache.cache.keeping import Keeping
from regcache.cache.origin import DownloadOwner
from regcache.cache.waiters import Gate
from regcache.digests import Digest


class Closing:
    """Ends one download. Readers that still have something to read keep the file open.

    :ivar done: opens when the next download of the digest may begin.
    """

    _log = Logger()

    def __init__(self, digest: Digest, audience: Audience, owner: DownloadOwner) -> None:
        self.done = Gate()
        self._digest = digest
        self._audience = audience
        self._owner = owner

    def begin(self, keeping: Keeping, discard: bool) -> None:
        """Save the partial file or remove it, and finish."""
        ending = Deferred.fromCoroutine(keeping.end(discard))
        ending.addErrback(self._failed)
        ending.addCallback(lambda _: self.finish())

    def finish(self) -> None:
        """Let the next download of the digest begin."""
        self._owner.closed(self._digest)
        self.done.succeed()
        self.close_file()

    def close_file(self) -> None:
        """Close the file if the download is over and nobody reads."""
        if self.done.open and not self._audience and self._audience.opened:
            self._audience.file.close()

    def _failed(self, failure: Failure) -> None:
        self._log.failure("ending the download of {digest} failed", failure, digest=self._digest)
