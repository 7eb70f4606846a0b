"""What a download holds on disk: its claim of space, and its partial file's end."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.interfaces import IPartialFile, ISpace, ISpaceClaim

#: The intervals are written beside the file each time this much was added (bytes): what a
#: crash may cost.
SAVE_EVERY = 8 * 1024 * 1024


class PartialClaim:
    """Keeps one partial file within its claim, and saves it or drops it in the end."""

    _log = Logger()

    def __init__(self, file: IPartialFile, space: ISpace) -> None:
        self.file = file
        self._space = space
        self._claim: ISpaceClaim | None = None
        self._saved = self._written = file.present.total
        self._saving = False

    def claim(self, size: int) -> bool:
        """Have a claim of at least ``size`` bytes in all; whether that was granted."""
        if self._claim is None:
            self._claim = self._space.claim(size)
            if self._claim is not None:
                self._claim.wrote(self.file.present.total)
            return self._claim is not None
        return self._claim.grow(size)

    def written(self) -> None:
        """Account for what was written; save the intervals if it is much, one save at a time."""
        total = self.file.present.total
        if self._claim is not None and total > self._written:
            self._claim.wrote(total - self._written)
        self._written = total
        if self._saving or total - self._saved < SAVE_EVERY:
            return
        self._saving, self._saved = True, total
        self.file.save(sync=False).addCallbacks(self._was_saved, self._not_saved)

    def _was_saved(self, _: None) -> None:
        self._saving = False

    def _not_saved(self, failure: Failure) -> None:
        self._saving = False
        failure.trap(OSError)
        self._log.warn(
            "the intervals of {digest} cannot be saved: {reason}",
            digest=self.file.digest,
            reason=failure.getErrorMessage(),
        )

    async def end(self, discard: bool) -> None:
        """Save the file for another day, or remove it."""
        ending: Deferred[None] = self.file.discard() if discard else self.file.save()
        try:
            await ending
        except OSError as error:
            self._log.warn(
                "the partial file of {digest} cannot be {what}: {error}",
                digest=self.file.digest,
                what="removed" if discard else "saved",
                error=error,
            )
        self.release()

    def release(self) -> None:
        """Give the claim back. Idempotent."""
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.release()
