"""Host names as the configuration writes them: exact ones and wildcards, and what they mean.

All hosts are normalised: in lower case, without port and trailing dot, IPv6 without brackets.
"""

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from functools import lru_cache

from regcache.light_dataclass import dataclass

_HOSTS_KEPT = 1024  # clients choose them


@dataclass(frozen=True, slots=True)
class HostRules:
    """A map from exact names and wildcards to values."""

    exact: Mapping[str, str] = field(default_factory=dict)
    wildcards: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def build(cls, pairs: Sequence[tuple[str, str]]) -> "HostRules":
        """Sort (pattern, value) pairs into exact names and wildcards."""
        exact = {plain_host(host): value for host, value in pairs if not host.startswith("*.")}
        wildcards = {plain_host(host[2:]): value for host, value in pairs if host.startswith("*.")}
        return cls(exact, wildcards)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.exact or self.wildcards)

    def find(self, host: str) -> str | None:
        """The value for a normalised host; an exact name wins, then the longest wildcard."""
        if host in self.exact:
            return self.exact[host]
        rest = host
        while self.wildcards and "." in rest:
            rest = rest.partition(".")[2]
            if rest in self.wildcards:
                return self.wildcards[rest]
        return None


def answers_by_default(
    host: str | None, hosts: HostRules, default_hosts: HostRules | None, domain: str | None
) -> bool:
    """Whether the default upstream answers under a host.

    :param hosts: that name upstreams.
    :param default_hosts: None if they are not configured, which has a rule of its own.
    """
    if host is not None and (host == "localhost" or is_address(host)):
        return True
    if default_hosts is not None:
        return host is not None and default_hosts.find(host) is not None
    return not hosts and not _is_in(host, domain)


def _is_in(host: str | None, domain: str | None) -> bool:
    if host is None or domain is None:
        return False
    return host == domain or host.endswith("." + domain)


@lru_cache(_HOSTS_KEPT)
def is_address(host: str) -> bool:
    """Whether a normalised host is an IP literal."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def plain_host(host: str) -> str:
    """A host name in lower case, without the dot at its end."""
    return host.lower().removesuffix(".")


def covers(names: Collection[str], host: str) -> bool:
    """Whether certificate names cover a host or a wildcard (RFC 6125, section 6.4.3)."""
    plain = host.strip("[]")
    if plain in names:
        return True
    _, dot, parent = plain.partition(".")
    return bool(dot) and not plain.startswith("*.") and f"*.{parent}" in names
