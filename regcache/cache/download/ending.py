"""How a download ends: verified and stored, saved for a later download, or dropped."""

from enum import Enum

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.answers import Answers, SizeConflict
from regcache.cache.download.context import DownloadContext, DownloadEvents, DownloadTask
from regcache.cache.download.readers import Readers
from regcache.cache.download.target import NO_ROOM, FillTarget, PartialClaim
from regcache.cache.removed_files import SOON
from regcache.cache.sight.proofs import agrees
from regcache.errors import WRONG_BYTES, UpstreamFailure, UpstreamWrongBytes
from regcache.gate import Gate, has_result
from regcache.interfaces import IPartialFile


class StorageDecision(Enum):
    """What is stored of content that was verified.

    ==========  ===============================================================================
    STORE       the file gets its final name, and the index is told
    LINK_ONLY   another download has stored it meanwhile: only the right to it is recorded
    NOTHING     there is no space, or it was removed by an operator since the download began
    ==========  ===============================================================================
    """

    STORE = "store"
    LINK_ONLY = "link only"
    NOTHING = "nothing"


class Closing:
    """Decides what is kept of a download, closes its file, and lets the next one begin.

    :ivar released: opens when the next download of the digest may begin.
    :ivar over: opens when this one is over. After a removal it goes on for its readers until then.
    :ivar superseded: whether another download has stored the content.
    :ivar storing: whether the content is being stored or recorded.
    """

    _log = Logger()

    def __init__(
        self,
        task: DownloadTask,
        readers: Readers,
        context: DownloadContext,
        events: DownloadEvents,
    ) -> None:
        self.released, self.over = Gate(), Gate()
        self.superseded = self.storing = False
        self._task = task
        self._readers = readers
        self._context = context
        self._events = events
        self._file: IPartialFile | None = None

    @property
    def forsaken(self) -> bool:
        """Whether the content was removed since the download began."""
        removed, since = self._context.removed, self._task.generation
        return since != removed.current and removed.concerns(self._task.digest, since)

    def decide(self, target: FillTarget) -> StorageDecision:
        """What is to be stored of the content, at this moment."""
        if self.forsaken or not target.stored:
            return StorageDecision.NOTHING
        return StorageDecision.LINK_ONLY if self.superseded else StorageDecision.STORE

    def opened(self, file: IPartialFile) -> "Verification":
        """There is a file; who verifies it."""
        self._file = file
        if self.forsaken:
            self._give_up_names()
        return Verification(
            self._task,
            file,
            closing=self,
            readers=self._readers,
            context=self._context,
            events=self._events,
        )

    def forsake(self) -> "Deferred[None]":
        """Keep nothing, since the content was removed. Fires when nothing can be kept any more."""
        if self._file is not None and not self.storing:
            self._give_up_names()
        return self.released.wait()

    def _give_up_names(self) -> None:
        """Leave the names on the disk to the next download. The open file is still filled and read.

        If the disk refuses that, the next one waits until this one is over.
        """
        assert self._file is not None
        self._file.discard().addCallbacks(lambda _: self._release(), self._not_given_up)

    def _not_given_up(self, failure: Failure) -> None:
        failure.trap(OSError)
        digest, reason = self._task.digest, failure.getErrorMessage()
        self._log.warn("{digest} cannot be removed yet: {reason}", digest=digest, reason=reason)

    def begin(self, partial_claim: PartialClaim | None, discard: bool) -> None:
        """Save the partial file or remove it, if there is one, and finish."""
        if partial_claim is None:
            self.finish()
            return
        ending = Deferred.fromCoroutine(partial_claim.end(discard or self.forsaken))
        ending.addErrback(self._failed)
        ending.addCallback(lambda _: self.finish())

    def finish(self) -> None:
        """Let the next download of the digest begin.

        It may use the file at once, so that is closed before.
        """
        self._close()
        self._release()
        self._events.over(self._task)
        self.over.succeed()

    def reader_left(self) -> None:
        """Close the file if it was the last one."""
        if self.over.open:
            self._close()

    def _release(self) -> None:
        if not self.released.open:
            self._events.released(self._task)
            self.released.succeed()

    def _close(self) -> None:
        """Close the file, unless readers still need its verified content."""
        if self._readers and self._readers.verified:
            return
        if self._file is not None:
            self._file.close()
        self._readers.let_go()

    def _failed(self, failure: Failure) -> None:
        digest = self._task.digest
        self._log.failure("ending the download of {digest} failed", failure, digest=digest)


class Verification:
    """Verifies and stores one file. If several answers made it wrong, it is fetched again, once."""

    _log = Logger()

    def __init__(
        self,
        task: DownloadTask,
        file: IPartialFile,
        *,
        closing: Closing,
        readers: Readers,
        context: DownloadContext,
        events: DownloadEvents,
    ) -> None:
        self._begun_anew = False
        self._task = task
        self._file = file
        self._closing = closing
        self._readers = readers
        self._context = context
        self._events = events
        self._resumed = file.present.total > 0

    @property
    def may_begin_anew(self) -> bool:
        """Whether it may still be fetched again."""
        return not (self._begun_anew or self._closing.forsaken)

    def judge(
        self, failure: UpstreamFailure, answers: Answers, target: FillTarget
    ) -> tuple[bool, bool]:
        """Whether to drop what is here when an upstream is given up, and to fetch it afresh."""
        conflict, afresh = isinstance(failure, SizeConflict), not target.answered
        if answers.deny_mention(failure):
            self._events.size_is_wrong(self._task.digest)
            conflict, afresh = True, not target.heads_out  # no client has been told that size
        return conflict, conflict and afresh and self.may_begin_anew

    async def prove(self, answers: Answers) -> None:
        """Ask whether the upstream has the content, of which all bytes are here already.

        :raises UpstreamFailure: if it has not.
        :raises SizeConflict: if its answer is about something else.
        """
        digest, source = self._task.digest, self._task.source
        head = await source.registry.head_blob(source.repository.name, digest)
        if not agrees(head, digest, self._file.size):
            reason = "its answer to HEAD is not that of this blob"
            raise SizeConflict(self._task.upstream.name, reason)
        answers.credentials = head.credentials

    async def complete(self, answers: Answers, target: FillTarget) -> bool:
        """Verify and store the content. Readers get the last bytes before it has its name.

        :returns: False if it has to be fetched again for readers that still wait.
        :raises UpstreamWrongBytes: if it has another digest; answers that have begun are aborted.
        :raises OSError: if the disk fails.
        """
        verifying = self._file.verify()
        if not (verifying.result if has_result(verifying) else await verifying):
            return self._reject(answers, target)
        decision = self._closing.decide(target)
        if decision is not StorageDecision.STORE or not self._file.crowded:
            self._readers.release_all()
        if decision is StorageDecision.STORE:
            await self._commit()
        else:
            await self._file.discard()
        if not target.stored:
            self._log.info(
                "{digest} from {upstream} is passed through and not kept: {reason}",
                digest=self._task.digest,
                upstream=self._task.upstream.name,
                reason=NO_ROOM,
            )
        target.partial_claim.release()
        # Decided again, since it may have been removed meanwhile; the removal waits for our end.
        if self._closing.decide(target) is not StorageDecision.NOTHING:
            self._closing.storing = True
            await self._events.fetched(answers.result())
        elif decision is StorageDecision.STORE:
            await self._remove_again()
        return True

    async def _remove_again(self) -> None:
        """Remove the file, of which the index is not told, unless another download stores one.

        The content is held meanwhile, so that no other file gets the name and is removed.
        """
        held, digest = self._context.store.held, self._task.digest
        while not self._closing.superseded:
            if held.begin(digest):
                await held.end(digest, remove=True)
                return
            await deferLater(self._context.clock, SOON)

    async def _commit(self) -> None:
        self._closing.storing = True
        try:
            await self._file.commit()
        finally:
            if not self._readers.verified:
                self._readers.release_all()

    async def begin_anew(self, target: FillTarget) -> None:
        """Forget all bytes; possible only once. :raises OSError: if the disk fails."""
        self._begun_anew, self._resumed = True, False
        await self._file.clear()
        target.partial_claim.release()
        self._readers.begin_anew()

    def _reject(self, answers: Answers, target: FillTarget) -> bool:
        failure = UpstreamWrongBytes(self._task.upstream.name, WRONG_BYTES)
        if answers.deny_mention(failure):
            # Perhaps it is right, and longer than a manifest says: the next attempt tells.
            _, afresh = self.judge(failure, answers, target)
        else:
            afresh = self._blame(failure, answers)
        if afresh and self._readers:
            return False
        raise failure

    def _blame(self, failure: UpstreamFailure, answers: Answers) -> bool:
        """Note wrong bytes, and who gave them. Gives whether another attempt makes sense."""
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
            self._events.wrong_bytes(digest, upstream, url_index, page=answers.page)
        self._readers.break_off(str(failure))
        return mixed and self.may_begin_anew
