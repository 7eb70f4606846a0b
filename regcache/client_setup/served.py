"""What clients have to know of a configuration: where it listens, and what it serves."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from enum import Enum

from regcache.host_rules import HostRules, answers_by_default
from regcache.light_dataclass import dataclass

#: Where a listener has no port that is known: of systemd, for instance.
USUAL_PORTS = {"https": 443, "http": 5000}
LOOPBACK_HOST = "127.0.0.1"
_ANY = frozenset({"", "0.0.0.0", "::"})
_LOOPBACK = frozenset({"localhost", "::1"})


class LoginNeed(Enum):
    """Whether clients need an account to pull."""

    NONE = "none"
    SOME = "some"  # not for everything, or not everywhere
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class ListeningPlace:
    """One listener for clients that does not redirect.

    :ivar scheme: http or https.
    :ivar port: as configured; None where that is not known.
    :ivar interface: the address that it is bound to; "" for all.
    :ivar names: of its certificates.
    :ivar authority: certificates in PEM that clients have to trust, since systems do not know who
        issued its certificate; "" where they do.
    """

    scheme: str
    port: int | None
    _: KW_ONLY
    interface: str = ""
    names: Sequence[str] = ()
    authority: str = ""

    @property
    def is_local(self) -> bool:
        """Whether only its own machine can connect."""
        return is_loopback(self.interface)

    @property
    def is_everywhere(self) -> bool:
        """Whether it is bound to no address of its own."""
        return self.interface in _ANY

    @property
    def effective_port(self) -> int:
        """The port that clients connect to."""
        return USUAL_PORTS[self.scheme] if self.port is None else self.port


@dataclass(frozen=True, slots=True)
class ServedRegistry:
    """One upstream.

    :ivar name: as configured, which is what clients call the registry.
    :ivar aliases: further names that clients may call it.
    :ivar hosts: names that mean it, wildcards included.
    :ivar server: the URL of the registry itself, which clients fall back to; "" for the usual one.
    """

    name: str
    _: KW_ONLY
    aliases: Sequence[str] = ()
    hosts: Sequence[str] = ()
    server: str = ""


@dataclass(frozen=True, slots=True)
class ServedHere:
    """All that the set-up of clients depends on.

    :ivar default_upstream: answers where none is named; None for none.
    :ivar default_hosts: as configured; None for the rule of its own.
    :ivar admin_hosts: name no upstream.
    :ivar machine: what this machine calls itself.
    """

    places: Sequence[ListeningPlace]
    registries: Sequence[ServedRegistry]
    _: KW_ONLY
    login: LoginNeed = LoginNeed.NONE
    default_upstream: str | None = None
    default_hosts: Sequence[str] | None = None
    domain: str | None = None
    admin_hosts: Sequence[str] = ()
    machine: str = "localhost"

    @property
    def host_rules(self) -> HostRules:
        """Which host means which registry."""
        return HostRules.build(
            [(host, each.name) for each in self.registries for host in each.hosts]
        )

    def named_by(self, host: str) -> str | None:
        """The registry that a host means; None where it means none of its own."""
        return self.host_rules.find(host)

    def answers_by_default(self, host: str) -> bool:
        """Whether the default upstream answers under a host."""
        rules = None
        if self.default_hosts is not None:
            rules = HostRules.build([(each, "default") for each in self.default_hosts])
        return answers_by_default(host, self.host_rules, rules, self.domain)


def is_loopback(host: str) -> bool:
    """Whether an address or name means the machine itself."""
    return host in _LOOPBACK or host.startswith("127.")
