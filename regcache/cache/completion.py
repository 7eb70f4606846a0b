"""Every byte is there: verify, release, store, or find whose fault it is that it is wrong."""

from twisted.logger import Logger

from regcache.cache.answers import Answers
from regcache.cache.audience import Audience
from regcache.cache.keeping import Keeping
from regcache.cache.origin import DownloadOwner, Origin
from regcache.errors import UpstreamBadAnswer
from regcache.interfaces import ICacheEvents


class Completion:
    """Completes one file; content that several answers spoilt is fetched afresh once.

    :ivar afresh: that may be done still.
    """

    _log = Logger()

    def __init__(
        self, origin: Origin, audience: Audience, events: ICacheEvents, owner: DownloadOwner
    ) -> None:
        """
        :param audience: which has the file.
        """
        self.afresh = True
        self._file = audience.file
        self._upstream = origin.registry.name
        self._audience = audience
        self._events = events
        self._owner = owner
        self._resumed = audience.file.present.total > 0

    async def store(self, answers: Answers, keeping: Keeping) -> bool:
        """Verify and store the content. Its last bytes go out before it has its name.

        :returns: False where it is to be fetched afresh for those who still wait.
        :raises UpstreamBadAnswer: if it has not its digest; answers are broken off.
        :raises OSError: if the disk fails.
        """
        if not await self._file.verify():
            return self._reject(answers)
        self._audience.release_all()
        await self._file.commit()
        keeping.release()
        await self._owner.fetched(answers.result())
        return True

    async def begin_anew(self, keeping: Keeping) -> None:
        """Forget all bytes; this is done once. :raises OSError: if the disk fails."""
        self.afresh = self._resumed = False
        await self._file.clear()
        keeping.release()
        self._audience.begin_anew()

    def _reject(self, answers: Answers) -> bool:
        mixed = self._resumed or answers.count > 1
        self._log.warn(
            "{digest} from {upstream} fails its digest{mixed}",
            digest=self._file.digest,
            upstream=self._upstream,
            mixed=", assembled from several answers" if mixed else "",
        )
        self._events.digest_mismatch(self._upstream)
        if not self._resumed and len(answers.url_indexes) == 1:
            urls = frozenset(answers.url_indexes)
            self._owner.lied(self._file.digest, self._upstream, urls)
        failure = UpstreamBadAnswer(self._upstream, "the content fails its digest")
        self._audience.break_off(str(failure))
        if mixed and self.afresh and self._audience:
            return False
        raise failure
