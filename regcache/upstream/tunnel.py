"""Connects through an outgoing HTTP proxy, by CONNECT (RFC 9110, 9.3.6)."""

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.timings import CONNECT, measured
from regcache.upstream.deadlines import cancellable
from regcache.upstream.dialling import Dialler, connected_within, hang_up
from regcache.upstream.failures import ForbiddenAddressError, ProxyError
from regcache.upstream.proxies import Proxy
from regcache.upstream.resolver import INames
from regcache.upstream.urls import Origin

LONGEST_ANSWER = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5][0-9]{2})(?: |\r|\Z)")
_UNAUTHORISED = (401, 407)  # some proxies say 401 where 407 is meant


@implementer(IStreamClientEndpoint)
class TunnelEndpoint:
    """A connection to an origin through a proxy.

    The proxy is configured by the operator, so its address is not checked. Of the target only the
    name can be checked; the caller does that.

    :param names: resolves the proxy's host.
    :param timeout: seconds until the proxy must have connected.
    :param allowed: whether the target may be connected to at all.
    """

    def __init__(
        self,
        reactor: Any,
        names: INames,
        *,
        proxy: Proxy,
        timeout: float,
        target: Origin,
        allowed: bool,
    ) -> None:
        self._reactor = reactor
        self._names = names
        self._proxy = proxy
        self._timeout = timeout
        self._target = target
        self._allowed = allowed

    def connect(self, protocolFactory: IProtocolFactory) -> "Deferred[IProtocol]":
        """Connect within the time-out.

        Fails with ForbiddenAddressError, ProxyError or TimeoutError.
        """
        return connected_within(self._reactor, self._timeout, self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        if not self._allowed:
            raise ForbiddenAddressError
        with measured(CONNECT, self._target.host):
            tunnel = await self._dial(factory)
            return await cancellable(tunnel.established, hang_up)

    async def _dial(self, inner: IProtocolFactory) -> "_Tunnel":
        found = await self._names.lookup(self._proxy.host, self._proxy.port)
        if not found:
            raise ProxyError("the name of the outgoing proxy cannot be resolved")
        factory = _TunnelFactory(self._target, self._proxy, inner)
        try:
            dialled = await Dialler(self._reactor, found, factory, self._timeout).connect()
        except ConnectTimeoutError:
            raise
        except ConnectError:
            raise ProxyError("no connection to the outgoing proxy") from None
        assert isinstance(dialled, _Tunnel)
        return dialled


class _TunnelFactory(Factory):
    noisy = False

    def __init__(self, target: Origin, proxy: Proxy, inner: IProtocolFactory) -> None:
        self._target = target
        self._proxy = proxy
        self._inner = inner

    def buildProtocol(self, addr: IAddress | None) -> "_Tunnel":
        return _Tunnel(connect_request(self._target, self._proxy), self._inner, addr)


def connect_request(target: Origin, proxy: Proxy) -> bytes:
    """The request that opens a tunnel."""
    lines = [f"CONNECT {target.netloc} HTTP/1.1", f"Host: {target.netloc}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class _Tunnel(Protocol):
    """Asks the proxy to connect, and then hands over the connection.

    :ivar established: fires with the protocol at the end of the tunnel.
    """

    def __init__(self, request: bytes, factory: IProtocolFactory, address: Any) -> None:
        self.established: Deferred[IProtocol] = Deferred(lambda _: hang_up(self))
        self._request = request
        self._factory = factory
        self._address = address
        self._inner: IProtocol | None = None
        self._head = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        if self.established.called:
            return
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if len(head) > LONGEST_ANSWER:
            self._refused(ProxyError("the answer of the outgoing proxy is too long"))
        elif end:
            self._answered(head, rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self._refused(ProxyError("the outgoing proxy closed the connection"))

    def _answered(self, head: bytes, rest: bytes) -> None:
        match = _STATUS.match(head)
        status = int(match[1]) if match else 0
        if 200 <= status < 300:
            self._open(rest)
        elif status in _UNAUTHORISED:
            reason = f"the outgoing proxy wants other credentials ({status})"
            self._refused(ProxyError(reason, unauthorised=True))
        else:
            told = f"answered {status}" if status else "does not speak HTTP"
            self._refused(ProxyError(f"the outgoing proxy {told}"))

    def _open(self, rest: bytes) -> None:
        inner = self._factory.buildProtocol(self._address)
        if inner is None:
            self._refused(ProxyError("the connection is not wanted any more"))
            return
        self._inner, self._head = inner, b""
        assert self.transport is not None
        inner.makeConnection(self.transport)
        self.established.callback(inner)
        if rest:
            inner.dataReceived(rest)

    def _refused(self, error: ProxyError) -> None:
        if not self.established.called:
            self.established.errback(error)
            hang_up(self)
