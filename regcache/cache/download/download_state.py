"""The states of a download, see :mod:`regcache.cache.download.download`."""

from enum import Enum


class DownloadState(Enum):
    """Where a download is in its life."""

    OPENING = "opening"
    PROVING = "proving"
    FILLING = "filling"
    PARKING = "parking"
    CHECKING = "checking"
    OVER = "over"
