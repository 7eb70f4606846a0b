"""Scopes of tokens (distribution's token scope documentation): what is asked for, or granted."""

from collections.abc import Iterable, Sequence

from regcache.light_dataclass import dataclass

#: Scopes of one request that are looked at; clients ask for a few.
MOST_SCOPES = 32
#: The longest scope (characters): a name, two words, the actions.
LONGEST_SCOPE = 512

REPOSITORY = "repository"
REGISTRY = "registry"
CATALOG = "catalog"
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Scope:
    """Actions on one thing.

    :ivar kind: ``repository`` or ``registry``.
    :ivar name: of a repository as clients name it on this host, or ``catalog``.
    """

    kind: str
    name: str
    actions: frozenset[str]

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(sorted(self.actions))}"

    def allows(self, kind: str, name: str, action: str) -> bool:
        """Whether the scope is for this action on this thing."""
        same = self.kind == kind and self.name == name
        return same and (action in self.actions or EVERYTHING in self.actions)


def repository_scope(name: str, *actions: str) -> Scope:
    """The scope of a repository, as clients name it."""
    return Scope(REPOSITORY, name, frozenset(actions))


def parse_scopes(values: Iterable[str]) -> Sequence[Scope]:
    """Read ``scope`` parameters; several may stand in one, with spaces between.

    What is no scope is passed over, as is what is more than :data:`MOST_SCOPES`. A kind may have
    a class, ``repository(plugin)``, which says nothing here.
    """
    found: list[Scope] = []
    for text in (word for value in values for word in value.split()):
        scope = _parse(text)
        if scope is not None and len(found) < MOST_SCOPES:
            found.append(scope)
    return found


def _parse(text: str) -> Scope | None:
    if len(text) > LONGEST_SCOPE:
        return None
    kind, first, rest = text.partition(":")
    name, second, actions = rest.rpartition(":")
    kind = kind.partition("(")[0]
    if not (first and second and name) or kind not in (REPOSITORY, REGISTRY):
        return None
    words = frozenset(word for word in actions.split(",") if word)
    return Scope(kind, name, words) if words else None
