"""A client of a site without a network: raw bytes in, raw bytes out."""

import json
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress, ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from regcache.web.http1.channel import Http1Site
from regcache.web.records import RequestRecord
from regcache.web.site import Site

PEER = IPv4Address("TCP", "192.0.2.7", 40000)


@dataclass(frozen=True)
class Answer:
    """One parsed answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The OCI code of the first error."""
        return str(self.json["errors"][0]["code"])


class MemoryTransport(StringTransport):
    """Notes how it was closed."""

    aborted = False

    def abortConnection(self) -> None:
        """Note that the connection was cut."""
        self.aborted = True
        self.disconnecting = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Part of the interface of TCP transports; there is no packet to delay."""


class MemoryClient:
    """One connection to a site.

    :ivar transport: the server's side of it.
    """

    def __init__(self, site: Site, *, secure: bool = False, peer: IAddress = PEER) -> None:
        self.transport = MemoryTransport(peerAddress=peer)
        if secure:
            alsoProvides(self.transport, ISSLTransport)
        channel = site.buildProtocol(peer)
        assert channel is not None
        self.channel: Any = channel
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """The client sends some bytes."""
        self.channel.dataReceived(data)

    def request(
        self,
        method: str,
        target: str,
        *lines: str,
        host: str | None = "localhost",
        body: bytes = b"",
        version: str = "1.1",
    ) -> "MemoryClient":
        """The client sends a whole request."""
        head = [f"{method} {target} HTTP/{version}", *lines]
        if host is not None:
            head.append(f"Host: {host}")
        if body:
            head.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        return self

    def leave(self) -> None:
        """The client closes the connection."""
        self.channel.connectionLost(Failure(ConnectionLost()))

    @property
    def raw(self) -> bytes:
        """All bytes that the server has written."""
        return bytes(self.transport.value())

    def answers(self, *, heads_only: bool = False) -> list[Answer]:
        """All whole answers so far. ``heads_only``: they answer HEAD."""
        found = []
        rest = self.raw
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            status_line, *lines = head.decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
            }
            length = 0 if heads_only else int(headers.get("content-length", 0))
            found.append(Answer(int(status_line.split(" ")[1]), headers, rest[:length]))
            rest = rest[length:]
        return found

    def answer(self, *, heads_only: bool = False) -> Answer:
        """The only answer."""
        (answer,) = self.answers(heads_only=heads_only)
        return answer


class RecordList:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[RequestRecord] = []

    def __call__(self, record: RequestRecord) -> None:
        self.records.append(record)

    @property
    def last(self) -> RequestRecord:
        """The latest record."""
        return self.records[-1]


def make_site(dispatch: Any, clock: Clock | None = None, **options: Any) -> Site:
    """A site with a clock that stands still."""
    return Http1Site(dispatch, clock or Clock(), **options)
