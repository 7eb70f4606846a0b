"""Upstream URLs that gave wrong bytes under a digest, and are left alone for a while.

===========================================  ===============================================
what a URL gave under the digest             what follows
===========================================  ===============================================
wrong bytes, for the second time             it rests for ``FIRST_REST``
wrong bytes again, after its rest            it rests twice as long as before, at most for
                                             ``LONGEST_REST``
a page (text/html) instead of content        half as much as wrong bytes: the fourth page is
whose size nobody knew, or of another size   followed by a rest, every second one doubles
than a manifest says                         it, at most to ``LONGEST_AFTER_PAGE``
nothing wrong while it rests and for         its past is forgotten
``LONGEST_REST`` behind
===========================================  ===============================================

A captive portal or a login page answers everything with a page for some minutes, and says
nothing of what the registry has. To ask once more costs a few kilobytes, so the end of it is
noticed soon. Wrong bytes of the right size may cost as much as the blob, and their cause seldom
ends by itself.
"""

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.identity import UpstreamIdentity

#: How much a wrong answer weighs, and one that is plainly a page.
WRONG, PAGE = 2, 1
#: With so much a URL is not asked for the digest for a while.
PATIENCE = 2 * WRONG
#: For how long it is not asked at first; each further time it is twice as long (seconds).
FIRST_REST = 10.0
#: The longest rest, and how long behind it the past is remembered (seconds).
LONGEST_REST = 600.0
#: The longest rest that follows a page (seconds).
LONGEST_AFTER_PAGE = 60.0
#: Entries kept; the oldest make room, since digests come from the network.
MOST_ENTRIES = 1000


@dataclass(frozen=True, slots=True)
class Blame:
    """What a URL has done under a digest.

    :ivar weight: of its wrong answers together.
    :ivar rests_until: when it may be asked again (seconds of the clock).
    """

    weight: int
    rests_until: float


class DistrustedUrls:
    """Weighs wrong answers per digest, upstream and URL."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._blames: BoundedTable[tuple[Digest, UpstreamIdentity, int], Blame]
        self._blames = BoundedTable(MOST_ENTRIES, clock)

    def blame(
        self, digest: Digest, upstream: UpstreamIdentity, url_index: int, *, page: bool
    ) -> None:
        """Note that a URL gave bytes that fail the digest.

        :param page: they are plainly a page for people.
        """
        key = (digest, upstream, url_index)
        past = self._blames.get(key)
        weight = (0 if past is None else past.weight) + (PAGE if page else WRONG)
        rest = _rest(weight, LONGEST_AFTER_PAGE if page else LONGEST_REST)
        blame = Blame(weight, self._clock.seconds() + rest)
        self._blames.put(key, blame, seconds=rest + LONGEST_REST)

    def skipped(self, digest: Digest, upstream: UpstreamIdentity, url_count: int) -> frozenset[int]:
        """The indexes of the upstream's URLs that are not to be asked for the digest now."""
        return frozenset(
            index for index in range(url_count) if self._rests((digest, upstream, index))
        )

    def _rests(self, key: tuple[Digest, UpstreamIdentity, int]) -> bool:
        blame = self._blames.get(key)
        return blame is not None and self._clock.seconds() < blame.rests_until


def _rest(weight: int, longest: float) -> float:
    """How long a URL rests whose wrong answers weigh so much (seconds)."""
    if weight < PATIENCE:
        return 0.0
    doublings = min((weight - PATIENCE) // WRONG, 10)  # more of them are longer than any rest
    return min(FIRST_REST * float(2**doublings), longest)
