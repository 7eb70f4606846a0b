"""Sends a JSON object to a URL, over a connection of its own."""

import json
import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed
from twisted.web.http_headers import Headers

from regcache import __version__
from regcache.admin.notifications.notifier import NotTakenError

#: Seconds that all of it may take.
SECONDS = 10.0
_HEADERS = Headers(
    {"Content-Type": ["application/json"], "User-Agent": [f"regcache/{__version__}"]}
)
#: Another try may help: the server is busy, or ill.
_BUSY = frozenset({408, 425, 429})


class Webhook:
    """Posts to a URL. Redirects are not followed, and no body is read."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    async def post(self, url: str, content: Mapping[str, Any]) -> None:
        """Send it.

        :raises NotTakenError: unless the answer is 2xx.
        :raises CancelledError: if it is called off, however the connection tells that.
        """
        posting: Deferred[int] = Deferred.fromCoroutine(self._post(url, content))
        posting.addTimeout(SECONDS, self._reactor, _not_answered)
        try:
            status = await posting
        except DNSLookupError:
            raise NotTakenError("its host name cannot be resolved", again=True) from None
        except ConnectingCancelledError:
            raise CancelledError from None
        except (ConnectError, ConnectionDone, ConnectionLost, ResponseFailed, OSError) as error:
            inner = _inner(error)
            if isinstance(inner, CancelledError):
                raise CancelledError from None
            raise NotTakenError(_plain(inner), again=True) from None
        if 300 <= status < 400:
            why = f"it answered {status}: redirects are not followed, so write where it leads to"
            raise NotTakenError(why, again=False)
        if not 200 <= status < 300:
            again = status >= 500 or status in _BUSY
            raise NotTakenError(f"it answered {status}", again=again)

    async def _post(self, url: str, content: Mapping[str, Any]) -> int:
        # It takes a while to load, and most daemons have no webhook.
        from treq.client import HTTPClient

        pool = HTTPConnectionPool(self._reactor, persistent=False)
        client = HTTPClient(Agent(self._reactor, connectTimeout=SECONDS, pool=pool))
        response = await client.post(
            url,
            headers=_HEADERS,
            data=json.dumps(content).encode(),
            allow_redirects=False,
            unbuffered=True,
        )
        response.deliverBody(_Unread())
        return int(response.code)


class _Unread(Protocol):
    """Closes the connection at the head of the answer: a body may be of any size."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


def _not_answered(result: Any, seconds: float) -> Any:
    """What a post comes to whose time is over."""
    if not isinstance(result, Failure):
        return result
    return Failure(NotTakenError(f"no answer within {seconds:g} s", again=True))


def _inner(error: Exception) -> BaseException:
    """What a failed request comes from."""
    reasons = getattr(error, "reasons", None)
    inner: BaseException = reasons[0].value if reasons else error
    return inner


def _plain(error: BaseException) -> str:
    """Why a connection ended, without the address."""
    if type(error).__module__.startswith("OpenSSL"):
        return "its certificate is not valid, or TLS fails"
    if isinstance(error, ConnectError) and isinstance(error.osError, int):
        return f"the connection fails ({os.strerror(error.osError)})"
    return f"the connection fails ({type(error).__name__})"
