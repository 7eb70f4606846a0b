"""Manifests that came although only their heads were asked for.

An upstream that does not answer HEAD is asked with GET, which may count against its quota. So
the body is kept for a moment, for the next question about the same manifest:

==============  =============================  ================================================
what is kept    event                          what follows
==============  =============================  ================================================
nothing         a head comes with a body,      head and body are kept
                asked for without credentials
nothing         ... with credentials           the body is kept; the head was just used
head and body   a head is asked for with       the kept head is given; the body is kept
                credentials
any             the body is asked for          the kept body is given; nothing is kept
any             :data:`KEPT_FOR` is over, or   nothing is kept
                an operator removes something
==============  =============================  ================================================
"""

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.cache.forgetting import Forgotten
from regcache.facts import ContentHead, ManifestAnswer
from regcache.identity import Repository
from regcache.light_dataclass import dataclass
from regcache.media_types import MANIFEST_TYPES

#: How long a body is kept (seconds): as long as the steps of one request take.
KEPT_FOR = 10.0
#: Memory for all of them (bytes). Each counts twice: it is found by its tag and by its digest.
MEMORY = 16 * 1024 * 1024
#: What one takes beside its content (bytes).
OVERHEAD = 1024


@dataclass(frozen=True, slots=True)
class _Spare:
    """:ivar names: the references that it is known by.
    :ivar unused: whether the head was not yet given as the answer to a question with credentials.
    """

    names: frozenset[str]
    head: ContentHead
    body: ManifestAnswer
    unused: bool


class SpareBodies:
    """Keeps such bodies for a moment, by repository and reference.

    A subscriber of :mod:`regcache.cache.forgetting`.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._spares: BoundedTable[tuple[Repository, str], _Spare] = BoundedTable(MEMORY, clock)

    @property
    def weight(self) -> int:
        """How many bytes they take."""
        return self._spares.weight

    def forget(self, message: Forgotten) -> None:
        """What is removed must be asked for again. All are dropped, since removals are rare."""
        if message.generation:
            self._spares.clear()

    def keep(
        self, repository: Repository, reference: str, head: ContentHead, anonymous: bool
    ) -> None:
        """Keep the body of a head, if it has one that may be a manifest.

        :param anonymous: it was asked for without credentials.
        """
        if head.body is None or head.media_type not in MANIFEST_TYPES:
            return
        names = frozenset({reference, str(head.digest or reference)})
        spare = _Spare(names, head, head.body, anonymous)
        for name in names:
            weight = OVERHEAD + len(head.body.content)
            self._spares.put((repository, name), spare, weight, seconds=KEPT_FOR)

    def head(self, repository: Repository, reference: str) -> ContentHead | None:
        """The kept head, which is as new as an answer of the upstream; given once."""
        spare = self._spares.get((repository, reference))
        if spare is None or not spare.unused:
            return None
        self.keep(repository, reference, spare.head, anonymous=False)
        return spare.head

    def body(self, repository: Repository, reference: str) -> ManifestAnswer | None:
        """The kept body; given once."""
        spare = self._spares.get((repository, reference))
        if spare is None:
            return None
        for name in spare.names:
            self._spares.drop((repository, name))
        return spare.body
