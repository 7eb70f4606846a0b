"""Sends a JSON object to a URL, over a connection of its own."""

import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost, DNSLookupError
from twisted.internet.protocol import Protocol
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
        """
        posting: Deferred[int] = Deferred.fromCoroutine(self._post(url, content))
        posting.addTimeout(SECONDS, self._reactor)
        try:
            status = await posting
        except TimeoutError:
            raise NotTakenError(f"no answer within {SECONDS:g} s", again=True) from None
        except DNSLookupError:
            raise NotTakenError("its host name cannot be resolved", again=True) from None
        except ConnectError as error:
            raise NotTakenError(error.osError or _plain(error), again=True) from None
        except (ConnectionDone, ConnectionLost, ResponseFailed, OSError) as error:
            raise NotTakenError(_plain(error), again=True) from None
        if 300 <= status < 400:
            why = f"it answered {status}: redirects are not followed, so write where it leads to"
            raise NotTakenError(why, again=False)
        if not 200 <= status < 300:
            again = status >= 500 or status in _BUSY
            raise NotTakenError(f"it answered {status}", again=again)

    async def _post(self, url: str, content: Mapping[str, Any]) -> int:
        # It takes a while to load, and most daemons tell nobody.
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


def _plain(error: Exception) -> str:
    """Why a connection ended, without the address."""
    reasons = getattr(error, "reasons", None)
    inner = reasons[0].value if reasons else error
    kind = type(inner).__name__
    if type(inner).__module__.startswith("OpenSSL"):
        return "its certificate is not valid, or TLS fails"
    return f"the connection fails ({kind})"
