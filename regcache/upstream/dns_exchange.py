"""One question to one name server: over UDP, and over TCP if configured or needed.

Every query over UDP has a socket and an identifier of its own, so that an attacker has to guess
both (RFC 5452). A datagram is ignored unless it comes from the server that was asked and
repeats the question.

That is why ``twisted.names`` is not used. Its oldest supported version accepts any datagram whose
16-bit identifier matches, from any sender. Newer versions compare the sender, but none compares
the question.
"""

# ruff: noqa: N805 - methods of a zope interface have no self
import secrets
import struct
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from regcache.upstream.deadlines import cancellable, within
from regcache.upstream.dialling import hang_up
from regcache.upstream.dns_messages import (
    MalformedMessageError,
    Question,
    Reply,
    StrayAnswerError,
    decode_reply,
    encode_query,
)


class NameServerError(Exception):
    """A name server gives no usable answer."""


class INameServer(Interface):
    """A name server that can be asked."""

    def ask(question: Question, seconds: float) -> "Deferred[Reply]":
        """Ask within a number of seconds. Fails with NameServerError, or is cancelled."""


class _Query:
    """A question that was sent: its message, and its reply."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._identifier = secrets.randbelow(65536)
        self.reply: Deferred[Reply] = Deferred()

    def message(self) -> bytes:
        try:
            return encode_query(self._identifier, self._question)
        except ValueError as error:
            raise NameServerError(str(error)) from None

    def received(self, data: bytes) -> None:
        """Take a message, unless it is not the answer to this question."""
        try:
            reply = decode_reply(data, self._identifier, self._question)
        except StrayAnswerError:
            return
        except MalformedMessageError as error:
            self.failed(f"malformed: {error}")
            return
        if not self.reply.called:
            self.reply.callback(reply)

    def failed(self, reason: str) -> None:
        """There will be no reply."""
        if not self.reply.called:
            self.reply.errback(NameServerError(reason))


class _Datagrams(DatagramProtocol):
    noisy = False

    def __init__(self, query: _Query) -> None:
        self._query = query

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self._query.received(datagram)

    def connectionRefused(self) -> None:
        self._query.failed("refused")


class _Stream(Protocol):
    """Messages over TCP have their length in front (RFC 1035, 4.2.2); one is read."""

    def __init__(self, query: _Query) -> None:
        self._query = query
        self._received = b""

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        if len(self._received) < 2:
            return
        (length,) = struct.unpack_from("!H", self._received)
        if len(self._received) < length + 2:
            return
        self._query.received(self._received[2 : length + 2])
        self._query.failed("it answers something else")

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._query.failed("the connection broke off")


@implementer(INameServer)
class NameServer:
    """One name server.

    :param reactor: IReactorTime, IReactorTCP, IReactorUDP.
    :param address: an IP address.
    :param tcp_only: do not even try UDP.
    """

    _log = Logger()

    def __init__(self, reactor: Any, address: str, port: int, tcp_only: bool) -> None:
        self._reactor = reactor
        self._address = address
        self._port = port
        self._tcp_only = tcp_only
        self._well = True

    def ask(self, question: Question, seconds: float) -> "Deferred[Reply]":
        """Ask over UDP. If the reply is truncated, ask again over TCP."""
        asking = Deferred.fromCoroutine(self._ask(question, seconds))
        return asking.addCallbacks(self._note_reply, self._note_failure)

    async def _ask(self, question: Question, seconds: float) -> Reply:
        if self._tcp_only:
            return await self._within(self._over_tcp(question, seconds), seconds)
        reply = await self._within(self._over_udp(question), seconds)
        if not reply.truncated:
            return reply
        try:
            return await self._within(self._over_tcp(question, seconds), seconds)
        except NameServerError:
            if not reply.addresses:
                raise
            return reply  # some of the addresses are enough

    async def _within(self, asking: Any, seconds: float) -> Reply:
        def late() -> NameServerError:
            return NameServerError("no answer within its time")

        waiting: Deferred[Reply] = Deferred.fromCoroutine(asking)
        return await within(self._reactor, seconds, waiting, late=late, discard=lambda _: None)

    async def _over_udp(self, question: Question) -> Reply:
        query = _Query(question)
        message = query.message()
        interface = "::" if ":" in self._address else ""
        try:
            port = self._reactor.listenUDP(0, _Datagrams(query), interface, 4096)
        except CannotListenError:
            raise NameServerError("no socket for it") from None
        try:
            port.connect(self._address, self._port)
            port.write(message)
            return await query.reply
        except OSError as error:
            raise NameServerError(error.strerror or "unreachable") from None
        finally:
            port.stopListening()

    async def _over_tcp(self, question: Question, seconds: float) -> Reply:
        query = _Query(question)
        message = query.message()
        kind = TCP6ClientEndpoint if ":" in self._address else TCP4ClientEndpoint
        endpoint = kind(self._reactor, self._address, self._port, seconds)
        factory = Factory.forProtocol(lambda: _Stream(query))
        factory.noisy = False
        try:
            stream = await cancellable(endpoint.connect(factory), hang_up)
        except ConnectError:
            raise NameServerError("no connection") from None
        try:
            stream.transport.write(struct.pack("!H", len(message)) + message)
            return await query.reply
        finally:
            hang_up(stream)

    def _note_reply(self, reply: Reply) -> Reply:
        if not self._well:
            self._log.info("name server {address} answers again", address=self._address)
        self._well = True
        return reply

    def _note_failure(self, failure: Failure) -> Failure:
        if failure.check(NameServerError) and self._well:
            self._well = False
            self._log.warn(
                "name server {address}: {why}",
                address=self._address,
                why=failure.getErrorMessage(),
            )
        return failure
