"""The PROXY protocol, versions 1 and 2: a proxy first sends the address of its client.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, section 2. The inner protocol gets
the connection only when the header is complete, so that its peer's address is always the client's.

=========  ============================  ==================================================
state      event                         what holds afterwards
=========  ============================  ==================================================
unknown    the beginning of a signature  unknown
unknown    a signature of version 1      line
unknown    a signature of version 2      head
unknown    anything else                 refused
line       CRLF within 107 bytes         over; or refused, if the line is not valid
line       more bytes without one        refused
head       16 bytes                      body; or refused, if they are not valid
body       all that they announced       over; or refused, if the addresses are incomplete
any        time-out                      refused
=========  ============================  ==================================================

Over: the inner protocol gets the connection, with the addresses of the header. Refused: it is
closed, and a line is logged. A connection that ends before its first byte is neither: some health
checks do that.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's factories have no annotations)

import ipaddress
import re
import struct
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.light_dataclass import dataclass
from regcache.seam.hand_over import hand_over_stream

HEADER_TIMEOUT = 10.0
"""Seconds for the header to come. A proxy sends it with the first packet."""

LONGEST_LINE = 107
"""Bytes of a header of version 1 with its CRLF (section 2.1)."""

_SIGNATURE_1 = b"PROXY "
_SIGNATURE_2 = b"\r\n\r\n\x00\r\nQUIT\n"
_HEAD = struct.Struct(">12sBBH")
_PORT = rb"(0|[1-9][0-9]{0,4})"
_LINE = re.compile(
    rb"PROXY (?:(UNKNOWN)(?: .*)?|(TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) %b %b)\Z"
    % (_PORT, _PORT),
    re.DOTALL,
)
_LOCAL, _PROXY = 0x20, 0x21
#: The length of the addresses by family and transport (bytes). Datagrams count as unknown
#: (section 2.2).
_TCP4, _TCP6, _UNIX = 0x11, 0x21, 0x31
_LENGTHS = {_TCP4: 12, _TCP6: 36, _UNIX: 216}
_KNOWN = frozenset({0x00, 0x12, 0x22, 0x32, *_LENGTHS})


class ProxyHeaderError(ValueError):
    """The bytes are no valid header of the PROXY protocol."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The content of a header.

    :ivar peer: the client; None if the header names none: then the proxy itself is the peer.
    :ivar host: the address that the client connected to; None likewise.
    :ivar rest: the bytes after the header.
    """

    peer: IAddress | None
    host: IAddress | None
    rest: bytes


class ProxyHeaderReader:
    """Reads a header, which may arrive in pieces. Keeps no more of it than the addresses."""

    def __init__(self) -> None:
        self._data = b""
        self._skip = 0
        self._addresses: tuple[IAddress | None, IAddress | None] | None = None

    def feed(self, data: bytes) -> ProxyHeader | None:
        """Take some bytes. Returns the header when it is complete, else None.

        :raises ProxyHeaderError: as soon as it is certain that the bytes are no valid header.
        """
        if self._addresses is not None:
            return self._skip_rest(data)
        self._data += data
        if _begins(self._data, _SIGNATURE_1):
            return self._read_line()
        if _begins(self._data, _SIGNATURE_2):
            return self._read_binary()
        raise ProxyHeaderError("it does not begin with a PROXY header")

    def _read_line(self) -> ProxyHeader | None:
        line, end, rest = self._data.partition(b"\r\n")
        if len(line) + 2 > LONGEST_LINE if end else len(line) >= LONGEST_LINE:
            raise ProxyHeaderError("its PROXY header is too long")
        if not end:
            return None
        return ProxyHeader(*parse_line(line), rest)

    def _read_binary(self) -> ProxyHeader | None:
        if len(self._data) < _HEAD.size:
            return None
        _, command, family, length = _HEAD.unpack_from(self._data)
        if command not in (_LOCAL, _PROXY) or family not in _KNOWN:
            raise ProxyHeaderError("its PROXY header is of no known kind")
        wanted = 0 if command == _LOCAL else _LENGTHS.get(family, 0)
        if length < wanted:
            raise ProxyHeaderError("its PROXY header has no addresses")
        if len(self._data) < _HEAD.size + wanted:
            return None
        addresses = self._data[_HEAD.size : _HEAD.size + wanted]
        self._addresses = _addresses(family, addresses) if wanted else (None, None)
        self._skip = length - wanted
        return self._skip_rest(self._data[_HEAD.size + wanted :])

    def _skip_rest(self, data: bytes) -> ProxyHeader | None:
        """Skip what follows the addresses (section 2.2, TLV vectors); it is not used here."""
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        if self._skip:
            return None
        assert self._addresses is not None
        return ProxyHeader(*self._addresses, data[skipped:])


def _begins(data: bytes, signature: bytes) -> bool:
    """Whether the data may be the beginning of a signature, or begins with one."""
    return data[: len(signature)] == signature[: len(data)]


def parse_line(line: bytes) -> tuple[IAddress | None, IAddress | None]:
    """The addresses of a header of version 1, without its CRLF.

    :raises ProxyHeaderError: if it is not valid.
    """
    match = _LINE.match(line)
    if match is None:
        raise ProxyHeaderError("its PROXY header is malformed")
    unknown, protocol, *addresses = match.groups()
    if unknown:
        return None, None
    source, destination, source_port, port = (text.decode("ascii") for text in addresses)
    try:
        if protocol == b"TCP4":
            return _v4(ipaddress.IPv4Address(source), int(source_port)), _v4(
                ipaddress.IPv4Address(destination), int(port)
            )
        return _v6(ipaddress.IPv6Address(source), int(source_port)), _v6(
            ipaddress.IPv6Address(destination), int(port)
        )
    except ValueError:
        raise ProxyHeaderError("its PROXY header has no valid addresses") from None


def _addresses(family: int, data: bytes) -> tuple[IAddress, IAddress]:
    if family == _TCP4:
        first, second, source, port = struct.unpack(">4s4sHH", data)
        return _v4(ipaddress.IPv4Address(first), source), _v4(ipaddress.IPv4Address(second), port)
    if family == _TCP6:
        first, second, source, port = struct.unpack(">16s16sHH", data)
        return _v6(ipaddress.IPv6Address(first), source), _v6(ipaddress.IPv6Address(second), port)
    return UNIXAddress(None), UNIXAddress(None)


def _v4(address: ipaddress.IPv4Address, port: int) -> IAddress:
    return IPv4Address("TCP", str(address), _port(port))


def _v6(address: ipaddress.IPv6Address, port: int) -> IAddress:
    """An IPv6 address; if it is a mapped IPv4 address, that, since it is the same client."""
    mapped = address.ipv4_mapped
    if mapped is not None:
        return _v4(mapped, port)
    return IPv6Address("TCP", str(address), _port(port))


def _port(number: int) -> int:
    if number > 65535:
        raise ValueError("no port")
    return number


class ProxiedFactory(ServerFactory):
    """The factory of a listener behind a proxy.

    :param factory: makes the inner protocol, with the client's address.
    """

    noisy = False

    def __init__(self, factory: IProtocolFactory, clock: IReactorTime) -> None:
        self.factory = factory
        self.clock = clock

    def startFactory(self) -> None:
        """The port is open."""
        self.factory.doStart()

    def stopFactory(self) -> None:
        """The port is closed."""
        self.factory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> "ProxiedConnection":
        """A proxy has connected."""
        return ProxiedConnection(self.factory, self.clock)


class ProxiedConnection(Protocol):
    """Waits for the header, and hands the connection to the inner protocol."""

    _log = Logger()

    def __init__(self, factory: IProtocolFactory, clock: IReactorTime) -> None:
        self._factory = factory
        self._clock = clock
        self._reader = ProxyHeaderReader()
        self._overdue: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """A proxy has connected."""
        self._overdue = self._clock.callLater(HEADER_TIMEOUT, self._too_late)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of the header, and perhaps of what follows it."""
        if self._overdue is None:
            return  # it is being closed
        try:
            header = self._reader.feed(data)
        except ProxyHeaderError as error:
            self._refuse(str(error))
            return
        if header is not None:
            self._stop_waiting()
            self._hand_over(header)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The proxy has left before its header was complete."""
        self._stop_waiting()

    def _hand_over(self, header: ProxyHeader) -> None:
        transport: Any = self.transport
        peer, host = header.peer or transport.getPeer(), header.host or transport.getHost()
        protocol = self._factory.buildProtocol(peer)
        if protocol is None:
            transport.abortConnection()
            return
        hand_over_stream(transport, protocol, peer, host)
        if header.rest:
            protocol.dataReceived(header.rest)

    def _too_late(self) -> None:
        self._overdue = None
        self._refuse("it sent no PROXY header in time")

    def _refuse(self, reason: str) -> None:
        self._stop_waiting()
        transport: Any = self.transport
        address = transport.getPeer()
        self._log.warn(
            "closed a connection of {proxy}: {why}",
            proxy=getattr(address, "host", None) or "a unix socket",
            why=reason,
        )
        transport.abortConnection()

    def _stop_waiting(self) -> None:
        overdue, self._overdue = self._overdue, None
        if overdue is not None and overdue.active():
            overdue.cancel()
