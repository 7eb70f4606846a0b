"""Grants: which action is allowed on which repositories, and to whom (the rules)."""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from regcache.globs import glob_matches
from regcache.htpasswd import ANYBODY, EVERY_ACCOUNT
from regcache.light_dataclass import dataclass

Network = IPv4Network | IPv6Network


class Action(Enum):
    """What a client may do."""

    PULL = "pull"
    DELETE = "delete"
    ADMIN = "admin"


EVERY_ACTION = frozenset(Action)


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions on some repositories.

    :ivar upstreams: names of upstreams; None for all.
    :ivar repositories: globs of repositories, named as their upstream does; None for all.
    """

    actions: frozenset[Action]
    upstreams: frozenset[str] | None = None
    repositories: tuple[str, ...] | None = None

    @property
    def is_everywhere(self) -> bool:
        """Whether it is for all repositories of all upstreams."""
        return self.upstreams is None and self.repositories is None

    def narrowed(
        self, *, actions: frozenset[Action] = EVERY_ACTION, upstreams: frozenset[str] | None = None
    ) -> "Grant":
        """As much of it as is within these actions and upstreams; None for all of these."""
        named = self.upstreams
        if upstreams is not None:
            named = upstreams if named is None else named & upstreams
        return Grant(self.actions & actions, named, self.repositories)

    def covers(self, action: Action, upstream: str, repository: str) -> bool:
        """Whether an action on one repository is granted."""
        if action not in self.actions:
            return False
        if self.upstreams is not None and upstream not in self.upstreams:
            return False
        globs = self.repositories
        return globs is None or any(glob_matches(glob, repository) for glob in globs)


@dataclass(frozen=True, slots=True)
class Rule:
    """A grant, and whom it is for: all of its conditions must hold.

    :ivar accounts: names, :data:`EVERY_ACCOUNT`, or :data:`ANYBODY`.
    :ivar networks: where the request must come from; empty for anywhere.
    """

    accounts: frozenset[str]
    grant: Grant
    networks: tuple[Network, ...] = ()

    def holds(self, account: str, address: IPv4Address | IPv6Address | None) -> bool:
        """Whether the rule is for a client.

        :param account: a name; "" for an anonymous client.
        :param address: None where there is none, as on a unix socket: no network has it.
        """
        named = account in self.accounts or EVERY_ACCOUNT in self.accounts
        if not (ANYBODY in self.accounts or (account and named)):
            return False
        return not self.networks or any(_within(address, each) for each in self.networks)


def _within(address: IPv4Address | IPv6Address | None, network: Network) -> bool:
    return address is not None and address.version == network.version and address in network


def parse_address(text: str | None) -> IPv4Address | IPv6Address | None:
    """An address as it is compared with networks: IPv4 in IPv6 is IPv4 (RFC 4291, 2.5.5.2)."""
    if text is None:
        return None
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


class Rules:
    """What accounts and others are granted.

    :param restricted: whether access is restricted at all; else everybody may pull everything.
    :param admins: accounts that may do everything everywhere.
    :param rules: they add up. None at all: every account may pull everything, others nothing.
    :param names: the upstream of each name and alias; what is missing stands for itself.
    """

    def __init__(
        self,
        restricted: bool,
        admins: Iterable[str] = (),
        rules: Sequence[Rule] = (),
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._names = dict(names or {})
        self._admins = frozenset(admins)
        #: Whether there are accounts and no rules: then every account may pull everything.
        self.any_account_may_pull = restricted and not rules
        self._rules = tuple(rules) or (_default_rule(restricted),)
        #: Whether what is granted depends on where a request comes from.
        self.by_network = any(rule.networks for rule in self._rules)

    @property
    def anybody_may_delete(self) -> bool:
        """Whether deletion is granted to anyone at all."""
        return bool(self._admins) or any(
            Action.DELETE in rule.grant.actions for rule in self._rules
        )

    def named_upstreams(self, names: Iterable[str]) -> frozenset[str]:
        """The upstreams that some names or aliases mean."""
        return frozenset(self._names.get(each, each) for each in names)

    def granted(self, account: str, address: str | None) -> tuple[Grant, ...]:
        """What a client may do.

        :param account: a name whose proof was right; "" for an anonymous client.
        :param address: textual; None where there is none.
        """
        if account and account in self._admins:
            return (Grant(EVERY_ACTION),)
        parsed = parse_address(address) if self.by_network else None
        return tuple(rule.grant for rule in self._rules if rule.holds(account, parsed))


def _default_rule(restricted: bool) -> Rule:
    accounts = frozenset({EVERY_ACCOUNT if restricted else ANYBODY})
    return Rule(accounts, Grant(frozenset({Action.PULL})))
