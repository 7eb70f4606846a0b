"""A connection to a registry, as a client of it has one. It blocks, for a bounded time.

Redirects are told, not followed; so nothing is shown to a host that was not named.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, field
from typing import Protocol
from urllib.parse import SplitResult

from regcache.ctl.proof import BypassError
from regcache.digests import Hasher
from regcache.light_dataclass import dataclass

#: Seconds for the next bytes.
STALL_SECONDS = 30.0
#: Of what is kept: manifests, tokens, errors.
MOST_KEPT_BYTES = 4 * 1024 * 1024
_PIECE = 256 * 1024
#: Answers to TLS at a port without it say this.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_EOF", "RECORD_LAYER_FAILURE")


@dataclass(frozen=True, slots=True)
class RegistryAnswer:
    """An answer.

    :ivar headers: by their names in lower case.
    :ivar body: empty where it was hashed instead.
    :ivar size: bytes of the body.
    :ivar seconds: from the request to the end of the body.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    size: int = 0
    _: KW_ONLY
    seconds: float = 0.0


class IAsksRegistry(Protocol):
    """Sends requests to one place."""

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], hasher: Hasher | None = None
    ) -> RegistryAnswer:
        """The answer, with its whole body.

        :param hasher: takes the body, which is not kept then.
        :raises BypassError: if there is none.
        """


Connect = Callable[[SplitResult], IAsksRegistry]
"""Connects to a URL."""


class NoTLSError(BypassError):
    """What answers does not speak TLS."""


class RegistryConnection:
    """A connection to one scheme, host and port.

    :param context: of TLS.
    :param deadline: when all has to be over, by :func:`time.monotonic`.
    """

    def __init__(self, url: SplitResult, context: ssl.SSLContext, deadline: float) -> None:
        self._place = url.netloc
        self._deadline = deadline
        self._connection: http.client.HTTPConnection
        host = url.hostname or ""
        if url.scheme == "https":
            self._connection = http.client.HTTPSConnection(host, url.port, context=context)
        else:
            self._connection = http.client.HTTPConnection(host, url.port)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], hasher: Hasher | None = None
    ) -> RegistryAnswer:
        """The answer."""
        began = time.monotonic()
        # However slowly a body or a head drips, it ends in time.
        ending = threading.Timer(max(0.0, self._deadline - began), self._abort)
        ending.daemon = True
        ending.start()
        try:
            self._limit()
            self._connection.request(method, target, headers=dict(headers))
            response = self._connection.getresponse()
            body, size = self._read(response, hasher if response.status == 200 else None)
        except (OSError, http.client.HTTPException) as error:
            self._abort()
            self._connection.close()
            raise self._failure(error) from None
        except ValueError:
            # The target, a token or a host that another answer named; it is not told, being one.
            self._connection.close()
            raise BypassError(f"{self._place} cannot be asked for what was named") from None
        finally:
            ending.cancel()
        named = {name.lower(): value for name, value in response.getheaders()}
        return RegistryAnswer(response.status, named, body, size, seconds=time.monotonic() - began)

    def _failure(self, error: Exception) -> BypassError:
        """What a client would make of an error."""
        if isinstance(error, ssl.SSLCertVerificationError):
            why = f"{self._place}: its certificate is not trusted: {error.verify_message}"
            return BypassError(f"{why}; the client has to know who issued it (--ca FILE)")
        if isinstance(error, TimeoutError) or time.monotonic() >= self._deadline:
            return BypassError(f"{self._place} does not answer in time")
        if isinstance(error, ssl.SSLError):
            if error.reason in _NO_TLS:
                return NoTLSError(f"{self._place} does not speak TLS")
            return BypassError(f"{self._place}: TLS fails: {error.reason}")
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return BypassError(f"{self._place} does not answer: {reason}")

    def _abort(self) -> None:
        """Have a step that goes on fail: in another thread than that."""
        line = self._connection.sock
        if line is not None:
            with contextlib.suppress(OSError):  # it is closed already
                line.shutdown(socket.SHUT_RDWR)

    def _limit(self) -> None:
        """Have the next step end in time."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.timeout = min(STALL_SECONDS, left)
        if self._connection.sock is not None:
            self._connection.sock.settimeout(min(STALL_SECONDS, left))

    def _read(self, response: http.client.HTTPResponse, hasher: Hasher | None) -> tuple[bytes, int]:
        kept, size = [], 0
        while piece := response.read1(_PIECE):
            size += len(piece)
            if hasher is not None:
                hasher.update(piece)
            elif size > MOST_KEPT_BYTES:
                raise http.client.HTTPException(f"it sends more than {MOST_KEPT_BYTES} bytes")
            else:
                kept.append(piece)
            self._limit()
        if response.length:
            raise http.client.IncompleteRead(b"".join(kept), response.length)
        response.close()  # the connection is for the next request
        return b"".join(kept), size
