"""The names under which the catalog shows repositories: those by which they are pulled here.

If the Host or ``ns`` names an upstream, that is the plain name. Elsewhere it is the plain name for
the default upstream, if that answers there, and ``<upstream>/<repository>`` for the others. The
catalog is sorted by these names, so ``last`` says for every upstream where the next page begins.
"""

from collections.abc import Iterator

from regcache.light_dataclass import dataclass
from regcache.references import looks_like_registry
from regcache.web.hosts import RoutingTable


@dataclass(frozen=True, slots=True)
class Shelf:
    """The repositories of one upstream, under a common prefix ("" for plain names).

    :ivar ambiguous: first components that name another upstream: a plain name that begins with one
        of them would lead there.
    """

    upstream: str
    prefix: str
    ambiguous: frozenset[str] = frozenset()

    def key(self, repository: str) -> str:
        """The place of a repository in the catalog."""
        return self.prefix + repository

    def shown(self, repository: str) -> str:
        """The name under which a repository is shown."""
        first, _, rest = repository.partition("/")
        if self.ambiguous and rest and (first in self.ambiguous or looks_like_registry(first)):
            return f"{self.upstream}/{repository}"
        return self.key(repository)

    def after(self, last: str) -> str | None:
        """The repository after which a page begins; None if all of this shelf sorts before it.

        :param last: the last name of the page before, "" for the first page.
        """
        if last.startswith(self.prefix):
            return last[len(self.prefix) :]
        return None if last > self.prefix else ""


def shelves(table: RoutingTable, host: str | None, named: str | None) -> list[Shelf]:
    """The shelves of which the catalog consists.

    :param host: the normalised Host.
    :param named: the upstream that Host or ``ns`` name, if any.
    """
    if named is not None:
        return [Shelf(named, "")]
    return list(_all(table, host))


def _all(table: RoutingTable, host: str | None) -> Iterator[Shelf]:
    plain = table.default_upstream if table.answers_by_default(host) else None
    for upstream in table.upstreams:
        if upstream == plain:
            yield Shelf(upstream, "", frozenset(table.names))
        else:
            yield Shelf(upstream, f"{upstream}/")


def place(found: list[Shelf], last: str) -> str:
    """The place of a name in the catalog."""
    for shelf in found:
        if shelf.ambiguous and last.startswith(f"{shelf.upstream}/"):
            return last.removeprefix(f"{shelf.upstream}/")
    return last
