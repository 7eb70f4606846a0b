"""Is what was fetched what its digest says, and whose fault is it if not?"""

from enum import Enum

from twisted.logger import Logger

from regcache.cache.fetching import Fetching
from regcache.interfaces import ICacheEvents, IPartialFile

_log = Logger()


class Verdict(Enum):
    """What to think of a file of which every byte is present."""

    RIGHT = "it has its digest"
    WRONG = "one answer, whole, has wrong bytes"
    MIXED = "what several answers brought does not fit: nobody is to blame yet"


async def examine(
    file: IPartialFile, fetching: Fetching, resumed: bool, upstream: str, events: ICacheEvents
) -> Verdict:
    """Verify a file.

    :param resumed: some of it was brought before the present answers.
    :raises OSError: if it cannot be read.
    """
    if await file.verify():
        return Verdict.RIGHT
    mixed = resumed or fetching.bodies > 1
    _log.warn(
        "{digest} from {upstream} fails its digest{mixed}",
        digest=file.digest,
        upstream=upstream,
        mixed=", assembled from several answers" if mixed else "",
    )
    events.digest_mismatch(upstream)
    return Verdict.MIXED if mixed else Verdict.WRONG
