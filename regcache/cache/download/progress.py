"""How far a partial file is: pure questions."""

from regcache.cache.download.blob_source import WITHHELD
from regcache.interfaces import IPartialFile


def is_complete(file: IPartialFile) -> bool:
    """Whether every byte is present."""
    return file.size is not None and file.present.covers(0, file.size)


def exceeds_withheld(file: IPartialFile) -> bool:
    """Whether the content is long enough for its head to go out before it was verified."""
    return (file.present.end_of(0) if file.size is None else file.size) > WITHHELD


def too_much_missing(file: IPartialFile, finish: int | None) -> bool:
    """Whether a download that nobody reads should be parked.

    :param finish: the most that may be missing (bytes); None: anything. Of content that does
        not say its size, the most that may be present.
    """
    if finish is None:
        return False
    present = file.present.total
    return present > finish if file.size is None else file.size - present > finish
