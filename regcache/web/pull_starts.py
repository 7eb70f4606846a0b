"""Tells which requests for manifests begin a pull, so that one pull is counted once.

=====================================  ==================================================
a GET of a manifest                    is
=====================================  ==================================================
by tag                                 a pull
by digest, of what the same client     a part of that pull, once
was just given by tag
by digest, of an index                 a pull: the tag was asked for with HEAD, or never
by digest, of an image, and the same   a part of the pull of that index
client was lately given an index of
this repository
by digest, of an image otherwise       a pull
=====================================  ==================================================

HEAD is none: a client that sends it has the image already, or asks for it with GET next.
"""

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.light_dataclass import dataclass

#: How long a client may take to fetch the parts of an image (seconds).
LONGEST_PULL = 600.0
#: Clients and repositories that are remembered; of others a part may count as a pull.
MOST_PULLS = 8192


@dataclass(frozen=True, slots=True)
class _Start:
    digest: Digest
    is_index: bool
    by_tag: bool


class PullStarts:
    """Remembers what clients began to pull. They choose the keys, so it is bounded."""

    def __init__(self, clock: IReactorTime, most: int = MOST_PULLS) -> None:
        self._starts: BoundedTable[Hashable, _Start] = BoundedTable(most, clock)

    def __len__(self) -> int:
        return len(self._starts)

    def begins(self, key: Hashable, digest: Digest, *, is_index: bool, by_tag: bool) -> bool:
        """Whether a client that is given a manifest begins a pull with it.

        :param key: the client and the repository.
        """
        if not by_tag:
            begun = self._starts.get(key)
            if begun is not None and begun.by_tag and begun.digest == digest:
                self._put(key, _Start(digest, is_index, False))
                return False
            if begun is not None and begun.is_index and not is_index:
                return False
        self._put(key, _Start(digest, is_index, by_tag))
        return True

    def _put(self, key: Hashable, start: _Start) -> None:
        self._starts.put(key, start, seconds=LONGEST_PULL)
