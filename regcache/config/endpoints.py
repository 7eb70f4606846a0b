"""Server endpoint strings: their type, their syntax, and who can connect.

A string of digits is a bare port number. The rest is Twisted's notation,
``kind:argument:name=value`` with backslash as the escape.
"""

import ipaddress
import re

from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import getPlugins

from regcache.config.document import Node
from regcache.config.reading import Context, expected
from regcache.config.value_types import Scalar
from regcache.light_dataclass import dataclass

_PART = re.compile(r"((?:[^\\:]|\\.)*)(:|\Z)")

#: The arguments of the endpoints that everybody uses, in the order of their places.
_KNOWN = {
    "tcp": ("port", "interface", "backlog"),
    "tcp6": ("port", "interface", "backlog"),
    "unix": ("address", "mode", "backlog", "lockfile"),
    "systemd": ("domain", "index", "name"),
}


@dataclass(frozen=True, slots=True)
class ParsedEndpoint:
    """What can be told of an endpoint without opening it.

    :ivar local: only this machine can connect.
    """

    kind: str
    local: bool


def tcp_address(text: str) -> tuple[str, int] | None:
    """Interface and port of a TCP endpoint that is right; None for another one.

    :returns: "" for all interfaces.
    """
    if text.isdigit():
        return "", int(text)
    kind, _, rest = text.removeprefix("haproxy:").partition(":")
    if kind not in ("tcp", "tcp6"):
        return None
    arguments = _arguments(kind, rest)
    return arguments.get("interface", ""), int(arguments["port"])


def parse_endpoint(text: str) -> ParsedEndpoint:
    """Check an endpoint's syntax.

    :raises ValueError: saying what is wrong.
    """
    if text.isascii() and text.isdigit():
        _check_port(text)
        return ParsedEndpoint("port", False)
    kind, _, rest = text.partition(":")
    if kind == "haproxy":
        inner = parse_endpoint(rest)
        if inner.kind not in ("tcp", "tcp6", "unix", "systemd"):
            raise ValueError("after haproxy: an endpoint such as tcp:5000 must follow")
        return ParsedEndpoint("haproxy", False)
    if kind in _KNOWN:
        return ParsedEndpoint(kind, _check_known(kind, rest))
    if kind in ("ssl", "tls"):
        raise ValueError(f"use tcp: and the listener's tls section instead of {kind}:")
    if kind == "stdio" or kind not in _plugin_kinds():
        raise ValueError("unknown kind of endpoint; use tcp:, tcp6:, unix:, systemd: or haproxy:")
    return ParsedEndpoint(kind, False)


def endpoint() -> Scalar[str]:
    """An endpoint string, or a bare port number."""

    def parse(node: Node, _context: Context) -> str:
        if node.kind not in ("number", "text"):
            raise expected("an endpoint such as tcp:5000", node)
        value = str(node.value)
        parse_endpoint(value)
        return value

    def write(value: str) -> str | int:
        return int(value) if value.isdigit() else value

    return Scalar(parse, "endpoint", write)


def _plugin_kinds() -> set[str]:
    return {parser.prefix for parser in getPlugins(IStreamServerEndpointStringParser)}


def _arguments(kind: str, rest: str) -> dict[str, str]:
    """Named arguments; positional ones get the name of their place."""
    places = _KNOWN[kind]
    wrong = ValueError(f"wrong arguments; {kind}: takes {', '.join(places)}")
    named: dict[str, str] = {}
    for number, part in enumerate(_split(rest)):
        match = re.match(r"((?:[^\\=]|\\.)*)=(.*)\Z", part, re.DOTALL)
        if match is None and number >= len(places):
            raise wrong
        name, value = (match[1], match[2]) if match else (places[number], part)
        if name not in places or name in named:
            raise wrong
        named[name] = re.sub(r"\\(.)", r"\1", value)
    return named


def _split(rest: str) -> list[str]:
    parts: list[str] = []
    position = 0
    while rest and position <= len(rest):
        match = _PART.match(rest, position)
        if match is None:
            raise ValueError("a backslash at the end")
        parts.append(match[1])
        position = match.end()
        if match[2] == "":
            break
    return parts


def _check_known(kind: str, rest: str) -> bool:
    """Check the arguments; whether only this machine can connect."""
    arguments = _arguments(kind, rest)
    if "backlog" in arguments and not re.fullmatch("[0-9]{1,6}", arguments["backlog"]):
        raise ValueError("backlog must be a number")
    if kind in ("tcp", "tcp6"):
        _check_port(arguments.get("port", ""))
        return _check_interface(kind, arguments.get("interface", ""))
    if kind == "unix":
        _check_unix(arguments)
        return True
    _check_systemd(arguments)
    return False


def _check_port(text: str) -> None:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        raise ValueError("the port must be a number from 0 to 65535")


def _check_interface(kind: str, interface: str) -> bool:
    if not interface:
        return False
    try:
        address = ipaddress.ip_address(interface)
    except ValueError:
        raise ValueError("the interface must be an IP address") from None
    if address.version == 4 and kind == "tcp6":
        raise ValueError("tcp6: takes an IPv6 address")
    return address.is_loopback


def _check_unix(arguments: dict[str, str]) -> None:
    if not arguments.get("address", "").startswith("/"):
        raise ValueError("unix: takes an absolute path")
    if not re.fullmatch("[0-7]{1,4}", arguments.get("mode", "0")):
        raise ValueError("mode must be octal, such as 660")


def _check_systemd(arguments: dict[str, str]) -> None:
    if arguments.get("domain") not in ("INET", "INET6", "UNIX"):
        raise ValueError("systemd: takes domain=INET, INET6 or UNIX")
    if ("index" in arguments) == ("name" in arguments):
        raise ValueError("systemd: takes either index or name")
    if "index" in arguments and not re.fullmatch("[0-9]{1,4}", arguments["index"]):
        raise ValueError("index must be a number")
