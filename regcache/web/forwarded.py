"""What trusted proxies say of the clients behind them: X-Forwarded-For and X-Forwarded-Proto.

Each proxy adds the address of who connected to it at the end. So the list is read from its end: as
long as an address is that of a trusted proxy, what it says of the one before is believed.

==============================  ======================================================
the list, from its end          who the client is
==============================  ======================================================
an address that is not trusted  that one; what is before it may be invented
an address that is trusted      goes on
what is no address              the proxy behind it, which is all that is known
its beginning                   the first address
==============================  ======================================================

Nothing of it is believed from a peer that is no trusted proxy.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

from twisted.web.http_headers import Headers

from regcache.access.grants import parse_address

#: Further entries are not looked at: nobody has so many proxies.
MOST_ENTRIES = 64
#: Addresses whose trust is remembered.
_MOST_REMEMBERED = 1024
#: The longest textual form of an address, with brackets and port.
_LONGEST = 64
_BRACKETS = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?\Z")
_V4_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}\Z")
_SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What is believed of a request that came through a proxy.

    :ivar address: of the client, textual.
    :ivar scheme: ``http`` or ``https``; None where it is not said.
    """

    address: str
    scheme: str | None


class TrustedProxies:
    """The proxies that are believed.

    :param networks: theirs.
    """

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks = tuple(ip_network(each, strict=False) for each in networks)
        self.trusts = lru_cache(_MOST_REMEMBERED)(self._trusts)
        """Whether an address (textual) is that of a trusted proxy."""

    def _trusts(self, address: str) -> bool:
        parsed = parse_address(address)
        return parsed is not None and any(
            parsed.version == each.version and parsed in each for each in self._networks
        )

    def read(self, peer: str | None, headers: Headers) -> Forwarded | None:
        """What is said of the client of a request; None where nothing is, or is believed.

        :param peer: who is connected to us; None on a unix socket.
        """
        if not self._networks or peer is None:
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
    if len(text) > _LONGEST:
        return None
    within = _BRACKETS.match(text) or _V4_PORT.match(text)
    try:
        return str(parse_address(str(ip_address(within[1] if within else text))))
    except ValueError:
        return None


def _scheme(lines: Sequence[bytes]) -> str | None:
    """The last one that is named: that of the proxy which is connected to us."""
    named = b",".join(lines).rpartition(b",")[2].strip(b" \t").lower().decode("latin-1")
    return named if named in _SCHEMES else None
