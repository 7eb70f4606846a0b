"""An internet in memory: names, servers that speak raw HTTP, connections, and a clock."""

import errno
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import (
    ConnectBindError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.upstream.resolver import INames


@dataclass
class Seen:
    """A request as it arrived at a server."""

    host: str
    port: int
    method: str
    target: str
    headers: dict[str, str]
    line: "Line"

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


def response(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An answer as bytes. Underscores of header names stand for hyphens."""
    fields = {"Content-Length": str(len(body))}
    fields.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = [f"HTTP/1.1 {status} X"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value != "absent"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


Handler = Callable[[Seen], "bytes | None"]
RawHandler = Callable[["Line", bytes], None]
NameServerHandler = Callable[[bytes], list[bytes]]


class Line:
    """One connection, seen from the server."""

    def __init__(self, network: "Network", host: str, port: int, handler: Handler) -> None:
        self.network = network
        self.host, self.port = host, port
        self.handler = handler
        self.transport = Transport(self)
        self.closed_by_client = False
        self.received = b""
        self.raw: RawHandler | None = network.raw_servers.get((host, port))

    def client_wrote(self, data: bytes) -> None:
        if self.raw is not None:
            self.raw(self, data)
            return
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            first, *fields = head.decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ")
            pairs = (each.split(": ", 1) for each in fields)
            headers = {name.lower(): value for name, value in pairs}
            seen = Seen(self.host, self.port, method, target, headers, self)
            self.network.requests.append(seen)
            answer = self.handler(seen)
            if answer is not None:
                self.send(answer[: answer.index(b"\r\n\r\n") + 4] if method == "HEAD" else answer)

    def send(self, data: bytes) -> None:
        self.transport.queue.append(data)
        self.network.callLater(0, self.transport.flush)

    def close(self) -> None:
        self.network.callLater(0, self.transport.lost, ConnectionDone())


@implementer(ITCPTransport)
class Transport:
    """The client's end of a connection."""

    disconnecting = False

    def __init__(self, line: Line) -> None:
        self.line = line
        self.protocol = None
        self.queue: list[bytes] = []
        self.paused = False
        self.gone = False

    def flush(self) -> None:
        while self.queue and not self.paused and not self.gone:
            self.protocol.dataReceived(self.queue.pop(0))

    def lost(self, reason: Exception) -> None:
        self.flush()
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(reason))

    def write(self, data: bytes) -> None:
        if not self.gone:
            self.line.client_wrote(data)

    def writeSequence(self, data: list[bytes]) -> None:
        self.write(b"".join(data))

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        self.line.network.callLater(0, self.flush)

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseConnection(self) -> None:
        self.line.closed_by_client = True
        self.line.network.callLater(0, self.lost, ConnectionDone())

    def abortConnection(self) -> None:
        self.line.closed_by_client = True
        self.queue.clear()
        self.line.network.callLater(0, self.lost, ConnectionAborted())

    def loseWriteConnection(self) -> None:
        self.loseConnection()

    def getTcpNoDelay(self) -> bool:
        return False

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        pass

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 1)

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self.line.host, self.line.port)


class Connector:
    """An attempt that has not come to an end."""

    def __init__(self, factory: object, host: str, port: int) -> None:
        self.factory = factory
        self.destination = IPv4Address("TCP", host, port)
        self.stopped = False

    def getDestination(self) -> IPv4Address:
        return self.destination

    def stopConnecting(self) -> None:
        self.stopped = True


class Socket:
    """A UDP socket of the client."""

    def __init__(self, network: "Network", protocol: object) -> None:
        self.network = network
        self.protocol = protocol
        self.peer = ("", 0)
        self.closed = False

    def connect(self, host: str, port: int) -> None:
        self.peer = (host, port)

    def write(self, data: bytes) -> None:
        handler = self.network.name_servers.get(self.peer)
        if handler is None:
            self.network.callLater(0, self._tell, lambda: self.protocol.connectionRefused())
            return
        for answer in handler(data):
            self.network.callLater(
                0, self._tell, lambda a=answer: self.protocol.datagramReceived(a, self.peer)
            )

    def _tell(self, call: Callable[[], None]) -> None:
        if not self.closed:
            call()

    def stopListening(self) -> None:
        self.closed = True


@implementer(INames)
class Network(Clock):
    """The clock, the dialler and the names of a test.

    :ivar dialled: (address, port) of every attempt to connect.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, list[str]] = {}
        self.lookups: list[str] = []
        self.exhausted = False
        self.servers: dict[tuple[str, int], Handler | None] = {}
        self.dialled: list[tuple[str, int]] = []
        self.lines: list[Line] = []
        self.requests: list[Seen] = []
        self.raw_servers: dict[tuple[str, int], RawHandler] = {}
        self.name_servers: dict[tuple[str, int], NameServerHandler] = {}
        self.sockets: list[Socket] = []

    def listenUDP(self, port, protocol, interface="", maxPacketSize=8192) -> Socket:
        self.sockets.append(Socket(self, protocol))
        return self.sockets[-1]

    def serve_raw(self, address: str, port: int, handler: RawHandler) -> None:
        """Put a server on the network that gets every byte as it comes."""
        self.servers[(address, port)] = lambda _: None
        self.raw_servers[(address, port)] = handler

    def serve(self, address: str, port: int, handler: Handler | None) -> None:
        """Put a server on the network; None is one that swallows every attempt to connect."""
        self.servers[(address, port)] = handler

    def lookup(self, host: str, port: int) -> "Deferred[list[IPv4Address | IPv6Address]]":
        self.lookups.append(host)
        found = self.names.get(host, [host] if host.replace(".", "").isdigit() else [])
        kinds = ((IPv6Address if ":" in a else IPv4Address)("TCP", a, port) for a in found)
        return succeed(list(kinds))

    def connectTCP(self, host, port, factory, timeout=30, bindAddress=None) -> Connector:
        self.dialled.append((host, port))
        connector = Connector(factory, host, port)
        factory.startedConnecting(connector)
        if self.exhausted:
            self._fail(connector, 0, ConnectBindError(errno.EMFILE, "Too many open files"))
        elif (host, port) not in self.servers:
            self._fail(connector, 0, ConnectionRefusedError())
        elif self.servers[(host, port)] is None:
            self._fail(connector, timeout, TimeoutError())
        else:
            self.callLater(0, self._connect, connector, host, port)
        return connector

    def _fail(self, connector: Connector, delay: float, reason: Exception) -> None:
        def fail() -> None:
            if not connector.stopped:
                connector.factory.clientConnectionFailed(connector, Failure(reason))

        self.callLater(delay, fail)

    def _connect(self, connector: Connector, host: str, port: int) -> None:
        if connector.stopped:
            return
        line = Line(self, host, port, self.servers[(host, port)])
        self.lines.append(line)
        protocol = connector.factory.buildProtocol(IPv4Address("TCP", host, port))
        line.transport.protocol = protocol
        protocol.makeConnection(line.transport)

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(200):
            self.advance(0)

    def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass, in steps, and everything happen meanwhile."""
        for _ in range(round(seconds / step)):
            self.advance(step)
            self.settle()
