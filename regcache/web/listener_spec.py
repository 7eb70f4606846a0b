"""What a listener is, and why one cannot be opened."""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's errors have no annotations)

import errno
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.python.failure import Failure

from regcache.light_dataclass import dataclass
from regcache.remedies import for_address

_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class ListenError(Exception):
    """A listener cannot be opened; the text is one line that names it and its address.

    :ivar port: the port that could not be had; 0 where that is not the reason.
    """

    def __init__(self, message: str, port: int | str = 0) -> None:
        super().__init__(message)
        self.port = port


@dataclass(frozen=True, slots=True)
class ListenerSpec:
    """One listener.

    :ivar endpoint: a Twisted server endpoint description, or a port number, which means that
        port on IPv4 and IPv6.
    :ivar factory: usually a :class:`~regcache.web.site.Site`.
    :ivar tls: makes the TLS side of connections; None for a plain listener.
    :ivar left_over: the path of a unix socket: what an earlier process left there is removed,
        unless somebody answers there; "" where nothing is.
    """

    endpoint: str | int
    factory: IProtocolFactory
    tls: IOpenSSLServerConnectionCreator | None = None
    left_over: str = ""

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"admin.socket {self.left_over}" if self.left_over else f"listener {self.endpoint}"


def socket_spec(path: str, factory: IProtocolFactory) -> ListenerSpec:
    """A unix socket for its owner and group, whose file may be left over from before.

    :param path: absolute.
    """
    quoted = quoteStringArgument(path)
    return ListenerSpec(f"unix:{quoted}:mode=660:lockfile=0", factory, left_over=path)


def at_once(spec: ListenerSpec, listening: "Deferred[Any]") -> Any:
    """The result of listening. :raises ListenError: if it failed, or is not there at once."""
    result: list[Any] = []
    listening.addBoth(result.append)
    if not result:
        raise ListenError(f"{spec.title}: this endpoint does not open at once")
    if isinstance(result[0], Failure):
        raise _explain(spec, result[0])
    return result[0]


class NoIPv6Error(ListenError):
    """This system has no IPv6."""


def _explain(spec: ListenerSpec, failure: Failure) -> ListenError:
    error = failure.value
    where = remedy = ""
    port: int | str = 0
    if isinstance(error, CannotListenError):
        number = getattr(error.socketError, "errno", None)
        port = error.port
        if isinstance(port, bytes):
            port = os.fsdecode(port)
        where = f" ({_address(error, port)})"
        remedy = for_address(number, port)
    elif isinstance(error, OSError):
        number = error.errno
    else:
        return ListenError(f"{spec.title}: {error}")
    why = os.strerror(number).lower() if number is not None else str(error)
    kind = NoIPv6Error if number in _NO_IPV6 else ListenError
    return kind(f"{spec.title}: {why}{where}{remedy and f': {remedy}'}", port)


def _address(error: CannotListenError, port: int | str) -> str:
    if error.interface is None:
        return str(port)
    host = f"[{error.interface}]" if ":" in error.interface else error.interface or "*"
    return f"{host}:{port}"
