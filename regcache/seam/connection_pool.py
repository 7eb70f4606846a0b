"""A pool of connections of another class than Twisted's, whose idle ones can be dropped by host.

Private: ``_factory``, ``_connections`` and ``_timeouts`` of ``HTTPConnectionPool``.

Why: the pool makes its connections itself, and the class cannot be given to it; and it closes the
idle ones of all hosts or of none.

Replaced by: a pool that takes the factory, and a key of what is to be closed.
"""

from collections.abc import Callable, Hashable
from typing import Any

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory
from twisted.web.client import HTTPConnectionPool

from regcache.seam.client_connection import ClientConnection

Build = Callable[[Callable[[Any], None]], ClientConnection]
"""Makes a connection. It is given what is called when that is ready for another request."""


class _Connections(Factory):
    noisy = False

    def __init__(self, build: Build, quiescent: Callable[[Any], None]) -> None:
        self._build = build
        self._quiescent = quiescent

    def buildProtocol(self, addr: IAddress | None) -> ClientConnection:
        return self._build(self._quiescent)


def make_pool(clock: IReactorTime, build: Build) -> HTTPConnectionPool:
    """A pool that keeps connections open for the next request."""
    pool: Any = HTTPConnectionPool(clock, persistent=True)
    pool._factory = lambda quiescent, _endpoint: _Connections(build, quiescent)
    made: HTTPConnectionPool = pool
    return made


def drop_idle(pool: HTTPConnectionPool, key: Hashable) -> int:
    """Close at once what waits for another request to a host; how many connections those were.

    :param key: as it was given to ``getConnection``.
    """
    inside: Any = pool
    connections = inside._connections.pop(key, [])
    for connection in connections:
        inside._timeouts.pop(connection).cancel()
        connection.abort()
    return len(connections)
