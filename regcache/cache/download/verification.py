"""Every byte is there: verify, release, store, or find whose fault it is that it is wrong."""

from twisted.logger import Logger

from regcache.cache.download.answers import Answers
from regcache.cache.download.blob_source import BlobSource, DownloadOwner
from regcache.cache.download.partial_claim import PartialClaim
from regcache.cache.download.readers import Readers
from regcache.errors import UpstreamBadAnswer
from regcache.interfaces import ICacheEvents


class Verification:
    """Completes one file; content that several answers spoilt is fetched afresh once.

    :ivar afresh: that may be done still.
    """

    _log = Logger()

    def __init__(
        self, origin: BlobSource, readers: Readers, events: ICacheEvents, owner: DownloadOwner
    ) -> None:
        """
        :param readers: which has the file.
        """
        self.afresh = True
        self._file = readers.file
        self._upstream = origin.registry.identity
        self._readers = readers
        self._events = events
        self._owner = owner
        self._resumed = readers.file.present.total > 0

    async def store(self, answers: Answers, partial_claim: PartialClaim) -> bool:
        """Verify and store the content. Its last bytes go out before it has its name.

        :returns: False where it is to be fetched afresh for those who still wait.
        :raises UpstreamBadAnswer: if it has not its digest; answers are broken off.
        :raises OSError: if the disk fails.
        """
        if not await self._file.verify():
            return self._reject(answers)
        self._readers.release_all()
        await self._file.commit()
        partial_claim.release()
        await self._owner.fetched(answers.result())
        return True

    async def begin_anew(self, partial_claim: PartialClaim) -> None:
        """Forget all bytes; this is done once. :raises OSError: if the disk fails."""
        self.afresh = self._resumed = False
        await self._file.clear()
        partial_claim.release()
        self._readers.begin_anew()

    def _reject(self, answers: Answers) -> bool:
        mixed = self._resumed or answers.count > 1
        self._log.warn(
            "{digest} from {upstream} fails its digest{mixed}",
            digest=self._file.digest,
            upstream=self._upstream.name,
            mixed=", assembled from several answers" if mixed else "",
        )
        self._events.digest_mismatch(self._upstream.name)
        if not self._resumed and len(answers.url_indexes) == 1:
            urls = frozenset(answers.url_indexes)
            self._owner.lied(self._file.digest, self._upstream, urls)
        failure = UpstreamBadAnswer(self._upstream.name, "the content fails its digest")
        self._readers.break_off(str(failure))
        if mixed and self.afresh and self._readers:
            return False
        raise failure
