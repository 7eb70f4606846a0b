"""Upstream URLs that gave wrong bytes for a digest. They are not asked for it for a while.

===========================================  ===============================================
what a URL gave for the digest               what follows
===========================================  ===============================================
wrong bytes, for the second time             it rests for ``FIRST_REST``
wrong bytes again, after its rest            it rests twice as long as before, at most for
                                             ``LONGEST_REST``
a page (text/html) instead of content of     it counts half: the fourth page is followed by a
unknown size                                 rest, and each two further ones double it, at
                                             most to ``LONGEST_AFTER_PAGE``
a page, where a manifest says another size   refused at once; it counts for nothing
nothing wrong while it rests, and for        its wrong answers are forgotten
``LONGEST_REST`` after that
===========================================  ===============================================

A captive portal or a login page answers everything with a page, for some minutes. That says
nothing about the registry. To ask again costs a few kilobytes, so the rest can be short. Wrong
bytes of the right size may cost as much traffic as the blob, and their cause seldom ends by itself.
"""

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.identity import UpstreamIdentity
from regcache.light_dataclass import dataclass

#: The weight of a wrong answer, and of a page.
WRONG, PAGE = 2, 1
#: With so much weight a URL rests: it is not asked for the digest for a while.
PATIENCE = 2 * WRONG
#: The first rest; each further one is twice as long (seconds).
FIRST_REST = 10.0
#: The longest rest, and how long wrong answers are remembered after a rest (seconds).
LONGEST_REST = 600.0
#: The longest rest that follows a page (seconds).
LONGEST_AFTER_PAGE = 60.0
#: How many entries are kept; the oldest are dropped, since digests come from the network.
MOST_ENTRIES = 1000

_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Blame:
    """The wrong answers of a URL for a digest.

    :ivar weight: of all of them together.
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
        """Note that a URL gave bytes that have another digest.

        :param page: whether they are plainly a page for people.
        """
        key = (digest, upstream, url_index)
        past = self._blames.get(key)
        weight = (0 if past is None else past.weight) + (PAGE if page else WRONG)
        rest = _rest(weight, LONGEST_AFTER_PAGE if page else LONGEST_REST)
        blame = Blame(weight, self._clock.seconds() + rest)
        self._blames.put(key, blame, seconds=rest + LONGEST_REST)

    def skipped(self, digest: Digest, upstream: UpstreamIdentity, url_count: int) -> frozenset[int]:
        """The indexes of the upstream's URLs that must not be asked for the digest now."""
        if not self._blames:
            return _NONE  # as nearly always
        return frozenset(
            index for index in range(url_count) if self._rests((digest, upstream, index))
        )

    def _rests(self, key: tuple[Digest, UpstreamIdentity, int]) -> bool:
        blame = self._blames.get(key)
        return blame is not None and self._clock.seconds() < blame.rests_until


def _rest(weight: int, longest: float) -> float:
    """How long a URL rests, by the weight of its wrong answers (seconds)."""
    if weight < PATIENCE:
        return 0.0
    doublings = min((weight - PATIENCE) // WRONG, 10)  # more of them are longer than any rest
    return min(FIRST_REST * float(2**doublings), longest)
