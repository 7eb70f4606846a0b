"""From errors of Twisted to failures of an upstream, in words without a URL or a secret."""

from OpenSSL.SSL import Error as TlsError
from service_identity import VerificationError
from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamFailure,
    UpstreamNotTried,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.open_files import EXHAUSTED
from regcache.seam.data_loss import DataLoss
from regcache.upstream.fields import clean_text


class ForbiddenAddressError(Exception):
    """A name has an address that this upstream must not make us connect to."""


class ProxyError(Exception):
    """The outgoing proxy refuses the connection. The text is free of secrets.

    :ivar unauthorised: whether it wants other credentials.
    """

    def __init__(self, reason: str, unauthorised: bool = False) -> None:
        super().__init__(reason)
        self.unauthorised = unauthorised


class HeadersTooLongError(Exception):
    """The headers of an answer exceed their bound."""


_TIMED_OUT = (error.TimeoutError, DeferredTimeoutError, error.ConnectingCancelledError)
_CONNECTION_LOST = (error.ConnectionDone, error.ConnectionLost, DataLoss)
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (error.DNSLookupError, "its name cannot be resolved"),
    (VerificationError, "its TLS certificate is for another name"),
    (error.ConnectionRefusedError, "connection refused"),
    (error.NoRouteError, "no route to it"),
    (error.ConnectError, "no connection"),
    (error.ConnectionDone, "the connection broke off"),
    (error.ConnectionLost, "the connection broke off"),
)


#: There was no connection, so that it does not matter what was asked for.
_NOT_REACHED = (
    *_TIMED_OUT,
    error.DNSLookupError,
    error.ConnectError,
    VerificationError,
    TlsError,
    ProxyError,
)


def failure_from(upstream: str, raised: BaseException) -> UpstreamFailure:
    """Translate an error of Twisted about a request, or about a body that broke off."""
    if isinstance(raised, UpstreamFailure):
        return raised
    cause = _cause(raised)
    failure = _failure(upstream, raised, cause)
    failure.reached = not isinstance(cause, _NOT_REACHED)
    return failure


def _failure(upstream: str, raised: BaseException, cause: BaseException) -> UpstreamFailure:
    if isinstance(cause, ForbiddenAddressError):
        return UpstreamBadAnswer(upstream, "it leads to an address that is not allowed")
    if isinstance(cause, ProxyError):
        hint = f"; see upstreams.{upstream}.proxy" if cause.unauthorised else ""
        return UpstreamUnreachable(upstream, f"{cause}{hint}")
    if isinstance(cause, error.ConnectBindError) and cause.osError in EXHAUSTED:
        return UpstreamNotTried(upstream, "too many files are open here", retry_after=1)
    if isinstance(cause, HeadersTooLongError):
        return UpstreamBadAnswer(upstream, "the headers of its answer are too long")
    if isinstance(cause, CancelledError):
        return UpstreamTimedOut(upstream, "no answer within its time")
    if isinstance(cause, _TIMED_OUT):
        return UpstreamTimedOut(upstream, "no connection within its time")
    words = _words(cause)
    if not words and isinstance(raised, ResponseFailed):
        return UpstreamBadAnswer(upstream, "its answer is not HTTP")
    return UpstreamUnreachable(upstream, words or f"no answer ({type(cause).__name__})")


def _cause(raised: BaseException) -> BaseException:
    """The innermost reason in Twisted's wrappers."""
    for _ in range(8):
        reasons = getattr(raised, "reasons", None)
        if not isinstance(reasons, list) or not reasons:
            break
        raised = _first_value(reasons)
    return raised


def _first_value(reasons: list[object]) -> BaseException:
    values = [r.value if isinstance(r, Failure) else r for r in reasons]
    found = [value for value in values if isinstance(value, BaseException)]
    for value in found:
        if not isinstance(value, _CONNECTION_LOST):
            return value
    return found[0] if found else ResponseFailed([])


def _words(cause: BaseException) -> str:
    if isinstance(cause, TlsError):
        return f"TLS failed ({_tls_reason(cause)})"
    return next((words for kind, words in _WORDS if isinstance(cause, kind)), "")


def _tls_reason(cause: TlsError) -> str:
    try:
        reason = str(cause.args[0][0][2])
    except (IndexError, TypeError):
        return "no reason given"
    return clean_text(reason) or "no reason given"
