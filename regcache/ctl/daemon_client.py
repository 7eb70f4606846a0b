"""Asks the daemon's API, over its unix socket or a URL.

What answers may be anything: an answer has a bounded size and time, and no redirect is followed.
"""

import errno
import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from treq.client import HTTPClient
from twisted.internet import defer
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
)
from twisted.internet.task import deferLater
from twisted.web.client import URI, Agent, ResponseFailed
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from regcache.ctl.client import NoDaemonError, RefusedError
from regcache.ctl.locating import DaemonAddress

PREFIX = "/api/v1/"
#: Seconds to connect, and for an answer: the daemon itself gives up after 25.
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 40.0
#: For all of an answer: a list of a year's usage is large.
BODY_SECONDS, MOST_BYTES = 120.0, 64 * 1024 * 1024
_JSON = "application/json"
_CHANGE = {"X-Regcache": ["1"], "Content-Type": [_JSON]}
_GONE = (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    ConnectingCancelledError,
    DNSLookupError,
    ResponseFailed,
    defer.CancelledError,
    defer.TimeoutError,
    OSError,  # the path of a socket is too long, for instance
)


@implementer(IAgentEndpointFactory)
class _SocketEndpoints:
    """Connects to the unix socket; the host of the URL is ignored."""

    def __init__(self, reactor: Any, path: str) -> None:
        self._reactor = reactor
        self._path = path

    def endpointForURI(self, uri: URI) -> UNIXClientEndpoint:
        """The socket."""
        return UNIXClientEndpoint(self._reactor, self._path, CONNECT_SECONDS)


class DaemonClient:
    """Asks one daemon.

    :param login: account and password, for a URL; None without.
    """

    def __init__(
        self, reactor: Any, address: DaemonAddress, login: tuple[str, str] | None = None
    ) -> None:
        self._reactor = reactor
        self._address = address
        self._login = login
        self._base = address.url or "http://localhost"
        if address.socket:
            endpoints = _SocketEndpoints(reactor, address.socket)
            agent = Agent.usingEndpointFactory(reactor, endpoints)
        else:
            agent = Agent(reactor, connectTimeout=CONNECT_SECONDS)
        self._http = HTTPClient(agent)

    async def get(self, call: str, **parameters: Any) -> Any:
        """The answer to a GET."""
        query = {name: _text(value) for name, value in parameters.items() if value is not None}
        return await self._ask("GET", call, params=query)

    async def change(self, method: str, call: str, body: Mapping[str, Any]) -> Any:
        """The answer to what changes something."""
        content = json.dumps(body).encode()
        return await self._ask(method, call, headers=_CHANGE, data=content)

    async def pause(self, seconds: float) -> None:
        """Wait before the next question."""
        await deferLater(self._reactor, seconds)

    async def open_link(self, link: str) -> None:
        """Begin a session with a one-time link, or its token; its cookie is kept."""
        await self.change("POST", "session", {"link": link.rpartition("/")[2]})

    async def _ask(self, method: str, call: str, **options: Any) -> Any:
        try:
            response = await self._http.request(
                method,
                self._base + PREFIX + call,
                auth=self._login,
                timeout=ANSWER_SECONDS,
                reactor=self._reactor,
                allow_redirects=False,
                unbuffered=True,
                **options,
            )
            content = await self._body(response)
        except _GONE as error:
            raise NoDaemonError(*_why_gone(self._address, error)) from None
        if response.code == 204:
            return None
        if 300 <= response.code < 400:
            raise RefusedError({"detail": _redirection(self._address, response)})
        return _read(self._address, response.code, content)

    async def _body(self, response: Any) -> bytes:
        pieces, size = [], 0

        def take(piece: bytes) -> None:
            nonlocal size
            size += len(piece)
            if size > MOST_BYTES:
                why = f"{self._address} answers with more than {MOST_BYTES} bytes"
                raise RefusedError({"detail": why})
            pieces.append(piece)

        await response.collect(take).addTimeout(BODY_SECONDS, self._reactor)
        return b"".join(pieces)


def _read(address: DaemonAddress, status: int, content: bytes) -> Any:
    """The JSON of an answer. :raises RefusedError: where it is a problem."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        raise RefusedError({"detail": _strange(address, status)}) from None
    if status < 400:
        return answer
    if not isinstance(answer, dict) or answer.get("code") in (None, "UNKNOWN_CALL"):
        raise RefusedError({"detail": _strange(address, status)})
    raise RefusedError(answer)


def _strange(address: DaemonAddress, status: int) -> str:
    """What is said where another server answers, or a listener for clients."""
    return (
        f"{address} gives no answer of regcache's API ({status}); --url is that of its admin "
        "endpoint, or of one of admin.hosts"
    )


def _redirection(address: DaemonAddress, response: Any) -> str:
    """What is said of one, without its path: it may have a secret in it."""
    locations = response.headers.getRawHeaders("location", [""])
    try:
        url = urlsplit(locations[0])
    except ValueError:
        url = urlsplit("")
    where = f"{url.scheme}://{url.hostname}" if url.scheme and url.hostname else "elsewhere"
    return (
        f"{address} redirects to {where}, which is not followed; if that is right, --url names it"
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _why_gone(address: DaemonAddress, error: BaseException) -> tuple[str, str]:
    """Why no daemon answers, and what to do about it."""
    if isinstance(error, ResponseFailed) and error.reasons:
        error = error.reasons[0].value  # what broke it off, where TLS did, for instance
    if isinstance(error, defer.CancelledError | defer.TimeoutError):
        return f"no daemon answers at {address} in time: it was connected to, and said nothing", ""
    reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
    number = getattr(error, "osError", None)
    if isinstance(number, int):
        reason = os.strerror(number)  # without what Twisted puts before it
    if address.socket and number == errno.EACCES:
        reason = f"{reason}: that takes root, or a member of the group that the socket has"
    return f"no daemon answers at {address}: {reason}", "--socket, --url or -c says where it is"
