"""How a download ends: verified and stored, saved for another day, or dropped."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.answers import Answers
from regcache.cache.download.context import DownloadContext, DownloadEvents, DownloadTask
from regcache.cache.download.readers import Readers
from regcache.cache.download.target import FillTarget, PartialClaim
from regcache.errors import UpstreamBadAnswer
from regcache.gate import Gate
from regcache.interfaces import IPartialFile


class Verification:
    """Completes one file; content that several answers spoilt is fetched afresh once.

    :ivar may_begin_anew: that was not done yet.
    """

    _log = Logger()

    def __init__(
        self,
        task: DownloadTask,
        file: IPartialFile,
        *,
        readers: Readers,
        context: DownloadContext,
        events: DownloadEvents,
    ) -> None:
        self.may_begin_anew = True
        self._task = task
        self._file = file
        self._readers = readers
        self._context = context
        self._events = events
        self._resumed = file.present.total > 0

    async def complete(self, answers: Answers, target: FillTarget) -> bool:
        """Verify and store the content. Its last bytes go out before it has its name.

        :returns: False where it is to be fetched afresh for those who still wait.
        :raises UpstreamBadAnswer: if it has not its digest; answers are broken off.
        :raises OSError: if the disk fails.
        """
        if not await self._file.verify():
            return self._reject(answers)
        if not (target.stored and self._file.crowded):
            self._readers.release_all()
        if target.stored:
            try:
                await self._file.commit()
            finally:
                if not self._readers.verified:
                    self._readers.release_all()
            target.partial_claim.release()
            await self._events.fetched(answers.result())
        else:
            self._log.info(
                "{digest} from {upstream} is passed through and not kept: there is no space for it",
                digest=self._task.digest,
                upstream=self._task.upstream.name,
            )
        return True

    async def begin_anew(self, target: FillTarget) -> None:
        """Forget all bytes; this is done once. :raises OSError: if the disk fails."""
        self.may_begin_anew = self._resumed = False
        await self._file.clear()
        target.partial_claim.release()
        self._readers.begin_anew()

    def _reject(self, answers: Answers) -> bool:
        mixed = self._resumed or answers.count > 1
        digest, upstream = self._task.digest, self._task.upstream
        self._log.warn(
            "{digest} from {upstream} fails its digest{mixed}",
            digest=digest,
            upstream=upstream.name,
            mixed=", assembled from several answers" if mixed else "",
        )
        self._context.events.digest_mismatch(upstream.name)
        if not self._resumed and len(answers.url_indexes) == 1:
            (url_index,) = answers.url_indexes
            self._events.wrong_bytes(digest, upstream, url_index)
        failure = UpstreamBadAnswer(upstream.name, "the content fails its digest")
        self._readers.break_off(str(failure))
        if mixed and self.may_begin_anew and self._readers:
            return False
        raise failure


class Closing:
    """Saves or removes the file of a download, closes it, and lets the next one begin.

    :ivar done: opens when the next download of the digest may begin.
    :ivar file: set when there is one.
    """

    _log = Logger()

    def __init__(self, task: DownloadTask, readers: Readers, events: DownloadEvents) -> None:
        self.done = Gate()
        self.file: IPartialFile | None = None
        self._task = task
        self._readers = readers
        self._events = events

    def begin(self, partial_claim: PartialClaim | None, discard: bool) -> None:
        """Save the partial file or remove it, if there is one, and finish."""
        if partial_claim is None:
            self.finish()
            return
        ending = Deferred.fromCoroutine(partial_claim.end(discard))
        ending.addErrback(self._failed)
        ending.addCallback(lambda _: self.finish())

    def finish(self) -> None:
        """Let the next download of the digest begin.

        It may do so at once, and needs the file: so that is closed before.
        """
        self._close()
        self._events.closed(self._task)
        self.done.succeed()

    def reader_left(self) -> None:
        """Close the file if it was the last one."""
        if self.done.open:
            self._close()

    def _close(self) -> None:
        """Close the file, unless somebody still reads what was verified."""
        if self.file is not None and not (self._readers and self._readers.verified):
            self.file.close()

    def _failed(self, failure: Failure) -> None:
        digest = self._task.digest
        self._log.failure("ending the download of {digest} failed", failure, digest=digest)
