"""Under what names the catalog shows repositories: those by which one would pull them here.

Under a Host or ``ns`` that names an upstream that is the plain name. Elsewhere it is the plain
name for the default upstream where that answers, and ``<upstream>/<repository>`` for others.
The catalog is sorted by these names, so ``last`` tells for every upstream where to go on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from regcache.references import looks_like_registry
from regcache.web.hosts import RoutingTable


@dataclass(frozen=True, slots=True)
class Shelf:
    """The repositories of one upstream, under a common prefix ("" for plain names).

    :ivar ambiguous: first components that mean another upstream, so that a plain name which
        begins with one would not lead here.
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
        """The repository behind which a page begins; None if this shelf is through.

        :param last: the last name of the page before, "" for the first page.
        """
        if last.startswith(self.prefix):
            return last[len(self.prefix) :]
        return None if last > self.prefix else ""


def shelves(table: RoutingTable, host: str | None, named: str | None) -> list[Shelf]:
    """What the catalog is put together from.

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
    """The place in the catalog that a name stands for."""
    for shelf in found:
        if shelf.ambiguous and last.startswith(f"{shelf.upstream}/"):
            return last.removeprefix(f"{shelf.upstream}/")
    return last
