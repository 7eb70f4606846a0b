"""Routing: which upstream a request means, by Host, ``?ns=``, path prefix and default.

It is a total function without I/O. Its truth table is in docs/clients.md; a test compares the
two. What a client sends can only choose among the configured upstreams. It is never used as an
address to connect to.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from functools import lru_cache

from regcache import causes
from regcache.errors import NameInvalidError, NameUnknownError
from regcache.globs import glob_matches
from regcache.host_rules import HostRules, answers_by_default, plain_host
from regcache.light_dataclass import dataclass
from regcache.references import Target, is_repository_name, looks_like_registry

_REG_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?\.?\Z")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]{0,5})?\Z")
#: What a file of seats allows (:mod:`regcache.config.seat_settings`).
_SEAT_LABEL = re.compile(r"[a-z0-9]{6,40}\Z")
_HOSTS_KEPT = 1024  # clients choose them
_MAX_HOST_LENGTH = 255


class InvalidHostError(ValueError):
    """A Host header is no valid name or address (RFC 9110, 7.2)."""


class AdminHostError(NameUnknownError):
    """The Host is one of ``admin.hosts``: it means the operator's pages, no upstream."""


@dataclass(frozen=True, slots=True)
class UpstreamNames:
    """The names by which clients reach one upstream, and which of its repositories they may have.

    :ivar hosts: exact host names, or ``*.`` wildcards that stand for one or more labels.
    :ivar default_namespace: put before names of one component ("" for none).
    :ivar allow: globs of repositories, of which one must match.
    :ivar deny: globs of which none may match.
    """

    name: str
    _: KW_ONLY
    aliases: Sequence[str] = ()
    hosts: Sequence[str] = ()
    default_namespace: str = ""
    allow: Sequence[str] = ("*",)
    deny: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes.

    :ivar upstream: the configured name of the upstream.
    :ivar repository: the name there, with its default namespace.
    :ivar namespace: the ``ns`` as it was asked, for ``OCI-Namespace``; None without one.
    """

    upstream: str
    repository: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingTable:
    """All that routing depends on, indexed. Made by :meth:`build`.

    :ivar default_hosts: the hosts for which the default upstream answers; None if they are not
        configured, which has a rule of its own.
    """

    upstreams: Mapping[str, UpstreamNames]
    names: Mapping[str, str]
    hosts: HostRules
    default_upstream: str | None
    default_hosts: HostRules | None
    domain: str | None
    admin_hosts: HostRules

    @classmethod
    def build(
        cls,
        upstreams: Sequence[UpstreamNames],
        default_upstream: str | None = None,
        *,
        default_hosts: Sequence[str] | None = None,
        domain: str | None = None,
        admin_hosts: Sequence[str] = (),
    ) -> "RoutingTable":
        """Index plain values from the configuration, which has checked them already."""
        hosts = [(host, each.name) for each in upstreams for host in each.hosts]
        return cls(
            upstreams={each.name: each for each in upstreams},
            names={
                name.lower(): each.name for each in upstreams for name in (each.name, *each.aliases)
            },
            hosts=HostRules.build(hosts),
            default_upstream=default_upstream,
            default_hosts=None
            if default_hosts is None
            else HostRules.build([(host, "default") for host in default_hosts]),
            domain=None if domain is None else plain_host(domain),
            admin_hosts=HostRules.build([(host, "admin") for host in admin_hosts]),
        )

    def view(self) -> "RoutingTable":
        """The table of the view of what is cached: each upstream by its name, with all of it."""
        names = [
            UpstreamNames(each.name, aliases=each.aliases, default_namespace=each.default_namespace)
            for each in self.upstreams.values()
        ]
        return RoutingTable.build(names)

    def is_admin_host(self, host: str | None) -> bool:
        """Whether a normalised host is one of ``admin.hosts``."""
        if host is None or not self.admin_hosts:
            return False
        return self.admin_hosts.find(host) is not None

    def answers_by_default(self, host: str | None) -> bool:
        """Whether the default upstream answers under this normalised host."""
        return answers_by_default(host, self.hosts, self.default_hosts, self.domain)

    def split_seat_host(self, host: str) -> tuple[str, str] | None:
        """The host of ours that a name may stand for, and the label of a seat in it.

        ``docker-k3j9x2fq7m.example.com`` may be ``docker.example.com``, asked by one seat. A name
        that is configured as it stands is itself.

        :param host: normalised.
        """
        first, dot, rest = host.partition(".")
        name, _, label = first.rpartition("-")
        if not name or not _SEAT_LABEL.match(label) or self._is_configured(host):
            return None
        base = name + dot + rest
        known = self.hosts.find(base) is not None or self.answers_by_default(base)
        return (base, label) if known and not self.is_admin_host(base) else None

    def _is_configured(self, host: str) -> bool:
        exact = [self.hosts.exact, self.admin_hosts.exact]
        if self.default_hosts is not None:
            exact.append(self.default_hosts.exact)
        return any(host in each for each in exact)


@lru_cache(_HOSTS_KEPT)
def normalise_host(raw: str) -> str | None:
    """A Host header in lower case, without port and trailing dot; None if it is empty.

    Addresses come in their canonical form, IPv6 without brackets.

    :raises InvalidHostError: if it is no valid name or address.
    """
    if not raw:
        return None
    match = _AUTHORITY.match(raw) if len(raw) <= _MAX_HOST_LENGTH else None
    if match is None:
        raise InvalidHostError("the Host header is no name or address")
    host = match[1]
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise InvalidHostError("the Host header is no valid address") from None
    if not _REG_NAME.match(host) or ".." in host:
        raise InvalidHostError("the Host header is no valid name")
    return plain_host(host)


def resolve_namespace(table: RoutingTable, host: str | None, target: Target) -> str | None:
    """The upstream that Host and ``ns`` name, or None where neither names one.

    :param host: as :func:`normalise_host` gives it.
    :raises NameUnknownError: for an ``ns`` that names none, and where the two disagree.
    """
    if table.is_admin_host(host):
        raise AdminHostError("this host serves no upstream")
    named = None if host is None else table.hosts.find(host)
    for namespace in target.query.get("ns", ()):
        meant = table.names.get(namespace.lower())
        if meant is None:
            raise NameUnknownError("no upstream has the name that ns gives")
        if named is not None and meant != named:
            raise NameUnknownError("the host and ns name different upstreams")
        named = meant
    return named


def resolve(table: RoutingTable, host: str | None, target: Target) -> Route:
    """The upstream and repository of a target that has a repository name.

    :param host: as :func:`normalise_host` gives it; None for a request without one.
    :raises NameUnknownError: where nothing or no one thing is named, or it is not allowed.
    :raises NameInvalidError: if what remains is no repository name.
    """
    named = resolve_namespace(table, host, target)
    by_host = host is not None and table.hosts.find(host) is not None
    repository = target.name
    if not by_host:
        named, repository = _strip_prefix(table, named, target.name)
    if named is None:
        if table.default_upstream is None or not table.answers_by_default(host):
            raise NameUnknownError(_nothing_named(host))
        named = table.default_upstream
    namespaces = target.query.get("ns", ())
    return Route(
        named,
        permitted_name(table.upstreams[named], repository),
        namespaces[0] if namespaces else None,
    )


def _nothing_named(host: str | None) -> str:
    if host is None:  # the view of what is cached, or HTTP/1.0
        return "the name has to begin with that of an upstream"
    return f"no upstream is served under the host name {host[:255]}"


def _strip_prefix(table: RoutingTable, named: str | None, name: str) -> tuple[str | None, str]:
    """Take a registry off the front of a name, where the Host names no upstream.

    :param named: the upstream that ``ns`` names, if any.
    """
    first, _, rest = name.partition("/")
    meant = table.names.get(first.lower())
    if meant is not None and (rest or looks_like_registry(first)):
        if named is not None and meant != named:
            raise NameUnknownError("ns and the first part of the name are different upstreams")
        if not rest:
            raise NameUnknownError("the name is that of a registry, not of a repository")
        return meant, rest
    if named is None and looks_like_registry(first):
        raise NameUnknownError("no upstream has the name that the repository begins with")
    return named, name


def permitted_name(upstream: UpstreamNames, name: str) -> str:
    """The name at the upstream, if it may be asked for.

    :raises NameUnknownError: if ``allow`` and ``deny`` leave it out.
    """
    repository = name
    if upstream.default_namespace and "/" not in name:
        repository = f"{upstream.default_namespace}/{name}"
    if not is_repository_name(repository):
        raise NameInvalidError("the repository name breaks the grammar, or is too long")
    allowed = any(glob_matches(pattern, repository) for pattern in upstream.allow)
    if not allowed or any(glob_matches(pattern, repository) for pattern in upstream.deny):
        key = "deny" if allowed else "allow"
        cause = causes.forbidden(f"upstreams.{upstream.name}.{key}")
        raise NameUnknownError("this repository is not served here", cause=cause)
    return repository
