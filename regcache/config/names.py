"""Names on the network: hosts, URLs, name servers, proxies, networks, origins.

Every function takes text and gives the normal form, or raises ValueError(why) with a
message that is free of the text itself where that may hold a secret.
"""

import ipaddress
import re
from typing import Literal
from urllib.parse import unquote, urlsplit

from regcache.config.values import REDACTED, NameServerAddress, ProxyAddress

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*\Z")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAMESPACE = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_ACCOUNT = re.compile(r"[^\s:]{1,255}\Z")


def host_name(text: str) -> str:
    """A host name or an address, as a Host header has it: lower case, no port, no dot at the end.

    IPv6 addresses are in brackets.
    """
    name = text.lower().removesuffix(".")
    if name.startswith("["):
        return f"[{_address(name[1:-1], 6)}]" if name.endswith("]") else _no_host(text)
    if re.fullmatch(r"[0-9.]+", name):
        return _address(name, 4)
    if re.search(r":[0-9]+\Z", name) and name.count(":") == 1:
        raise ValueError(f"'{text}' has a port; leave it out, ports are ignored")
    if len(name) > 253 or not _NAME.match(name):
        return _no_host(text)
    return name


def _no_host(text: str) -> str:
    raise ValueError(f"'{text[:80]}' is no host name")


def _address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"'{text[:80]}' is no IP address") from None
    if address.version != version or "%" in text:
        raise ValueError(f"'{text[:80]}' is no IPv{version} address")
    return str(address)


def host_pattern(text: str) -> str:
    """A host name, or ``*.`` and a host name."""
    if text.startswith("*."):
        if "[" in text or re.fullmatch(r"[0-9.]+", text[2:]):
            raise ValueError("a wildcard stands before a name, not before an address")
        return "*." + host_name(text[2:])
    if "*" in text:
        raise ValueError("a wildcard is one leading '*.', as in *.example.com")
    return host_name(text)


def domain_name(text: str) -> str:
    """A host name under which others are made."""
    name = host_name(text)
    if "[" in name or re.fullmatch(r"[0-9.]+", name):
        raise ValueError("must be a name, not an address")
    return name


def host_and_port(text: str) -> str:
    """``host`` or ``host:port``, lower case."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return host_name(text)
    return f"{host_name(host)}:{_port(port)}"


def _port(text: str) -> int:
    if not _PORT.match(text) or int(text) > 65535:
        raise ValueError("the port must be from 1 to 65535")
    return int(text)


def _split(text: str, schemes: tuple[str, ...]) -> tuple[str, str | None, str, str]:
    """Scheme, userinfo, host with port and path of a URL without query and fragment."""
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("not a URL")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("not a URL") from None
    if parts.scheme not in schemes:
        raise ValueError(f"must begin with {' or '.join(s + '://' for s in schemes)}")
    if "?" in text or "#" in text:
        raise ValueError("may have no query and no fragment")
    userinfo, at, authority = parts.netloc.rpartition("@")
    if not authority:
        raise ValueError("has no host")
    try:
        return parts.scheme, userinfo if at else None, host_and_port(authority), parts.path
    except ValueError:
        raise ValueError("has no valid host and port") from None


def url(text: str) -> str:
    """An http or https URL in normal form: no default port, no slash at the end."""
    scheme, userinfo, authority, path = _split(text, ("http", "https"))
    if userinfo is not None:
        raise ValueError("may hold no credentials; use username and password")
    path = path.rstrip("/")
    if not _PATH.match(path) or any(part in (".", "..") for part in path.split("/")):
        raise ValueError("the path may hold plain names only")
    default = ":443" if scheme == "https" else ":80"
    return f"{scheme}://{authority.removesuffix(default)}{path}"


def webhook(text: str) -> str:
    """An http or https URL to post to. Path and query may be anything: they may hold a token."""
    base, mark, query = text.partition("?")
    scheme, userinfo, authority, path = _split(base, ("http", "https"))
    if userinfo is not None:
        raise ValueError("may hold no credentials before the host")
    if not query.isascii() or not query.isprintable() or " " in query or "#" in query:
        raise ValueError("not a URL")
    return f"{scheme}://{authority}{path or '/'}{mark}{query}"


def write_webhook(url: str) -> str:
    """Its scheme and host: the rest may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{REDACTED}"


def origin(text: str) -> str:
    """``*`` or an exact origin (RFC 6454): scheme, host and port."""
    if text == "*":
        return text
    scheme, userinfo, authority, path = _split(text, ("http", "https"))
    if userinfo is not None or path:
        raise ValueError("an origin is scheme, host and port only, as in https://ui.example.com")
    default = ":443" if scheme == "https" else ":80"
    return f"{scheme}://{authority.removesuffix(default)}"


def proxy(text: str) -> ProxyAddress | Literal["direct"]:
    """``direct``, or ``http://[user:password@]host[:port]``."""
    if text == "direct":
        return "direct"
    _, userinfo, authority, path = _split(text, ("http",))
    if path.strip("/"):
        raise ValueError("a proxy has no path")
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, port = authority, "80"
    if userinfo is None:
        return ProxyAddress(host, int(port))
    username, _, password = userinfo.partition(":")
    decoded = unquote(username) + unquote(password)
    if not username or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in decoded):
        raise ValueError("the credentials of the proxy are not valid")
    return ProxyAddress(host, int(port), unquote(username), unquote(password))


def write_proxy(value: ProxyAddress | Literal["direct"]) -> str:
    """The text that :func:`proxy` reads, without the secrets."""
    if not isinstance(value, ProxyAddress):
        return value
    userinfo = f"{REDACTED}:{REDACTED}@" if value.username is not None else ""
    return f"http://{userinfo}{value.host}:{value.port}"


def name_server(text: str) -> NameServerAddress:
    """``8.8.8.8``, ``8.8.8.8:53``, ``[2001:4860:4860::8888]:53``, also with ``tcp://``."""
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme not in ("udp", "tcp"):
        raise ValueError("must be an address, or begin with udp:// or tcp://")
    address, port = rest, "53"
    if rest.startswith("["):
        address, _, tail = rest[1:].partition("]")
        if tail:
            port = tail.removeprefix(":") if tail.startswith(":") else ""
    elif rest.count(":") == 1:
        address, _, port = rest.partition(":")
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise ValueError("a name server is an IP address, as in 8.8.8.8") from None
    return NameServerAddress("tcp" if scheme == "tcp" else "udp", str(parsed), _port(port))


def write_name_server(server: NameServerAddress) -> str:
    """The text that :func:`name_server` reads."""
    address = f"[{server.address}]" if ":" in server.address else server.address
    return f"{server.protocol}://{address}:{server.port}"


def network(text: str) -> str:
    """A network in CIDR notation, or one address."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as fault:
        hint = ": it has host bits set" if "host bits" in str(fault) else ""
        raise ValueError(f"'{text[:80]}' is no network such as 10.0.0.0/8{hint}") from None


def upstream_name(text: str) -> str:
    """What clients call a registry: ``host`` or ``host:port``, lower case."""
    return host_and_port(text)


def namespace(text: str) -> str:
    """One or more components of a repository name (OCI distribution specification)."""
    if len(text) > 255 or not _NAMESPACE.match(text):
        raise ValueError("must be a repository name, such as library")
    return text


def account(text: str) -> str:
    """An account's name; ``anonymous`` stands for everybody without one."""
    if not _ACCOUNT.match(text):
        raise ValueError("an account may not be empty or hold spaces or colons")
    return text
