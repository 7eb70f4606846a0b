"""Which outgoing proxy a connection goes through, if any. Pure."""

# ruff: noqa: N805 - methods of a zope interface have no self
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import field
from ipaddress import ip_address, ip_network

from zope.interface import Interface, implementer

from regcache.light_dataclass import dataclass
from regcache.upstream.addresses import address_class, is_address, is_local_name
from regcache.upstream.urls import Origin


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that is asked to CONNECT (RFC 9110, 9.3.6).

    :ivar host: a name, or an address without brackets.
    :ivar authorization: the value of Proxy-Authorization; "" for none.
    """

    host: str
    port: int
    authorization: str = field(default="", repr=False)

    @classmethod
    def make(cls, host: str, port: int, username: str | None, password: str | None) -> "Proxy":
        """A proxy with Basic credentials (RFC 7617), unless the user name is None."""
        if username is None:
            return cls(host, port)
        pair = f"{username}:{password or ''}".encode()
        return cls(host, port, "Basic " + b64encode(pair).decode("ascii"))


class IProxyRules(Interface):
    """Decides which proxy to use. For the same origin the answer is always the same."""

    def proxy_for(origin: Origin) -> Proxy | None:
        """The proxy to connect through; None for a direct connection."""


@implementer(IProxyRules)
@dataclass(frozen=True, slots=True)
class FixedProxy:
    """One proxy for everything, or, without one, a direct connection to everything."""

    proxy: Proxy | None = None

    def proxy_for(self, origin: Origin) -> Proxy | None:
        """The one proxy."""
        return self.proxy


DIRECT = FixedProxy()


@implementer(IProxyRules)
@dataclass(frozen=True, slots=True)
class EnvironmentProxies:
    """The proxies of the usual environment variables.

    :ivar by_scheme: the proxies of HTTPS_PROXY and HTTP_PROXY, under ``https`` and ``http``.
    :ivar exceptions: the entries of NO_PROXY, see :func:`bypasses`.
    """

    by_scheme: Mapping[str, Proxy]
    exceptions: Sequence[str] = ()

    def proxy_for(self, origin: Origin) -> Proxy | None:
        """The proxy of the scheme, never for this machine itself."""
        proxy = self.by_scheme.get(origin.scheme)
        if proxy is None or _is_this_machine(origin.host):
            return None
        if any(bypasses(each, origin) for each in self.exceptions):
            return None
        return proxy


def exceptions_of(text: str) -> list[str]:
    """The entries of NO_PROXY: separated by commas, spaces around them ignored."""
    entries = (entry.strip().lower() for entry in text.split(","))
    return [entry for entry in entries if entry]


def bypasses(entry: str, origin: Origin) -> bool:
    """Whether an entry of NO_PROXY means an origin.

    ``*`` means all; ``10.0.0.0/8`` and ``10.0.0.1`` addresses, as written in the URL; a name
    means itself and all below it; ``.name`` and ``*.name`` only what is below. A port may follow.
    """
    if entry == "*":
        return True
    if "/" in entry:
        return _in_network(origin.host, entry)
    host, port = _split_port(entry)
    if port is not None and port != str(origin.port):
        return False
    if is_address(host):
        return is_address(origin.host) and ip_address(host) == ip_address(origin.host)
    name = origin.host.rstrip(".")
    below = host.removeprefix("*")
    if below.startswith("."):
        return name.endswith(below)
    return name == host or name.endswith(f".{host}")


def _split_port(entry: str) -> tuple[str, str | None]:
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest[1:] if rest.startswith(":") else None
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, None


def _in_network(host: str, entry: str) -> bool:
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False


def _is_this_machine(host: str) -> bool:
    return is_local_name(host) or (is_address(host) and address_class(host) == "loopback")
