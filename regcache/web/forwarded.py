"""The client of a request that came through trusted proxies: X-Forwarded-For, X-Forwarded-Proto.

Each proxy appends the address that connected to it. So the list is read from its end: as long as an
address is that of a trusted proxy, the entry before it can be trusted.

==============================  ======================================================
the list, from its end          who the client is
==============================  ======================================================
an address that is not trusted  that one; entries before it may be invented
an address that is trusted      go on with the entry before it
an entry that is no address     the proxy that added it: no more is known
its beginning                   the first address
==============================  ======================================================

If the peer is no trusted proxy, these headers are ignored.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network

from twisted.web.http_headers import Headers

from regcache.access.grants import parse_address
from regcache.light_dataclass import dataclass

#: How many entries are read, from the end: more proxies in a row do not occur.
MOST_ENTRIES = 64
#: For how many addresses it is remembered whether they are trusted.
_MOST_REMEMBERED = 1024
#: The longest textual form of an address, with brackets and port.
_LONGEST = 64
_BRACKETS = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?\Z")
_V4_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}\Z")
_SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What trusted proxies say about a request.

    :ivar address: of the client, textual.
    :ivar scheme: ``http`` or ``https``; None if it is not stated.
    """

    address: str
    scheme: str | None


class TrustedProxies:
    """The trusted proxies.

    :param networks: in which they are.
    :ivar exist: whether there are any.
    """

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks = tuple(ip_network(each, strict=False) for each in networks)
        self.exist = bool(self._networks)
        self.trusts = lru_cache(_MOST_REMEMBERED)(self._trusts)
        """Whether an address (textual) is that of a trusted proxy."""

    def _trusts(self, address: str) -> bool:
        parsed = parse_address(address)
        return parsed is not None and any(
            parsed.version == each.version and parsed in each for each in self._networks
        )

    def client_address(self, address: str | None) -> str | None:
        """The address of a peer or a client, where that is one client's own.

        None on a unix socket, and for a proxy of which no more is known: strangers share these.
        """
        return None if address is None or self.trusts(address) else address

    def read(self, peer: str | None, headers: Headers) -> Forwarded | None:
        """What they say about the client of a request; None if nothing, or nothing trusted.

        :param peer: the address that is connected to us; None on a unix socket.
        """
        if not self.exist or peer is None:
            return None
        addresses = headers.getRawHeaders(b"X-Forwarded-For")
        schemes = headers.getRawHeaders(b"X-Forwarded-Proto")
        if not (addresses or schemes) or not self.trusts(peer):
            return None
        return Forwarded(self._client(peer, addresses or ()), _scheme(schemes or ()))

    def _client(self, peer: str, lines: Sequence[bytes]) -> str:
        found = peer
        entries = b",".join(lines).rsplit(b",", MOST_ENTRIES)[-MOST_ENTRIES:]
        for entry in reversed(entries):
            text = entry.decode("latin-1").strip(" \t")
            if not text:
                continue  # RFC 9110, 5.6.1.2
            address = _address(text)
            if address is None:
                break
            found = address
            if not self.trusts(address):
                break
        return found


def _address(text: str) -> str | None:
    """An address, with or without a port; None if it is none."""
    return _parsed(text) if len(text) <= _LONGEST else None


@lru_cache(_MOST_REMEMBERED)
def _parsed(text: str) -> str | None:
    within = _BRACKETS.match(text) or _V4_PORT.match(text)
    try:
        return str(parse_address(str(ip_address(within[1] if within else text))))
    except ValueError:
        return None


def _scheme(lines: Sequence[bytes]) -> str | None:
    """The last one that is named: that of the proxy which is connected to us."""
    named = b",".join(lines).rpartition(b",")[2].strip(b" \t").lower().decode("latin-1")
    return named if named in _SCHEMES else None
