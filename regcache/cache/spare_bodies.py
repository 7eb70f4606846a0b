"""Manifests that came where only their heads were asked for.

An upstream that takes no HEAD is asked with GET. The body that comes is paid for, so whoever
asks next gets it, and nothing is asked twice:

==============  =============================  ================================================
what is kept    event                          what follows
==============  =============================  ================================================
nothing         a head comes with a body,      head and body are kept
                asked for without credentials
nothing         ... with credentials           the body is kept; the head was just used
head and body   a head is asked for with       it is this one; the body is kept
                credentials
any             the body is asked for          it is this one; nothing is kept
any             :data:`KEPT_FOR` is over       nothing is kept
==============  =============================  ================================================
"""

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.facts import ContentHead, ManifestAnswer
from regcache.identity import Repository
from regcache.media_types import MANIFEST_TYPES

#: How long a body is kept for who asks next (seconds): the steps of one request.
KEPT_FOR = 10.0
#: Memory for all of them (bytes); each is known by its tag and by its digest.
MEMORY = 16 * 1024 * 1024
#: What one costs beside its content (bytes).
OVERHEAD = 1024


@dataclass(frozen=True, slots=True)
class _Spare:
    """:ivar names: the references that it is known by.
    :ivar unused: nobody who may use credentials has been told the head yet.
    """

    names: frozenset[str]
    head: ContentHead
    body: ManifestAnswer
    unused: bool


class SpareBodies:
    """Keeps them for a moment, by repository and reference."""

    def __init__(self, clock: IReactorTime) -> None:
        self._spares: BoundedTable[tuple[Repository, str], _Spare] = BoundedTable(MEMORY, clock)

    @property
    def weight(self) -> int:
        """Bytes that they cost."""
        return self._spares.weight

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
        """A head that is as good as what the upstream would say now; once."""
        spare = self._spares.get((repository, reference))
        if spare is None or not spare.unused:
            return None
        self.keep(repository, reference, spare.head, anonymous=False)
        return spare.head

    def body(self, repository: Repository, reference: str) -> ManifestAnswer | None:
        """A body that has come already; once."""
        spare = self._spares.get((repository, reference))
        if spare is None:
            return None
        for name in spare.names:
            self._spares.drop((repository, name))
        return spare.body
