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

#: How long a client may take to fetch the parts of an image (seconds).
LONGEST_PULL = 600.0
#: Clients and repositories that are remembered; of others a part may count as a pull.
MOST_PULLS = 8192


class _Start:
    """What a client was given last of a repository, and when (clock seconds)."""

    __slots__ = ("at", "by_tag", "digest", "is_index")

    def __init__(self, at: float, digest: Digest, is_index: bool, by_tag: bool) -> None:
        self.at, self.digest = at, digest
        self.is_index, self.by_tag = is_index, by_tag


class PullStarts:
    """Remembers what clients began to pull. They choose the keys, so it is bounded.

    It is asked for each manifest, so what is known of a client is changed in its place.
    """

    def __init__(self, clock: IReactorTime, most: int = MOST_PULLS) -> None:
        self._clock = clock
        self._starts: BoundedTable[Hashable, _Start] = BoundedTable(most)

    def __len__(self) -> int:
        return len(self._starts)

    def begins(self, key: Hashable, digest: Digest, *, is_index: bool, by_tag: bool) -> bool:
        """Whether a client that is given a manifest begins a pull with it.

        :param key: the client and the repository.
        """
        now, begun = self._clock.seconds(), self._starts.get(key)
        if begun is None:
            self._starts.put(key, _Start(now, digest, is_index, by_tag))
            return True
        is_part = False
        if not by_tag and begun.at <= now < begun.at + LONGEST_PULL:
            is_part = begun.by_tag and begun.digest == digest
            if begun.is_index and not is_index and not is_part:
                return False
        begun.at, begun.digest = now, digest
        begun.is_index, begun.by_tag = is_index, by_tag
        return not is_part
