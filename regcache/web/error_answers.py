"""From exceptions of handlers to the errors that clients get."""

import secrets

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.errors import (
    BlobUnknownError,
    GatewayTimeoutError,
    ManifestUnknownError,
    NameUnknownError,
    RegistryError,
    UpstreamFailure,
)
from regcache.open_files import EXHAUSTED
from regcache.sparingly import Sparingly

SHORTAGE_TOLD = 10.0
"""Seconds between two lines of the log that say that no more files may be opened."""

ASK_AGAIN = 5
"""Seconds after which a client that waited too long should ask again."""

_UNKNOWN = {"manifest": ManifestUnknownError, "blob": BlobUnknownError}
_log = Logger()


class BadRequestError(RegistryError):
    """A request that breaks HTTP itself."""

    status, code = 400, "UNSUPPORTED"


class BodyTooLargeError(RegistryError):
    """A request body where none belongs, or one that is too large."""

    status, code = 413, "SIZE_INVALID"


class InternalError(RegistryError):
    """An internal fault. The message has the id under which it is logged."""


class ExhaustedError(RegistryError):
    """The process may not open another file. The client may ask again soon."""

    status, code = 503, "UNAVAILABLE"


class LateAnswerError(GatewayTimeoutError):
    """The answer takes longer than ``first_answer``. The work goes on: a client may ask again.

    :param upstream: the one that is waited for; "" if that is not known.
    """

    def __init__(self, upstream: str) -> None:
        who = f"upstream {upstream} is too slow: " if upstream else ""
        headers = {"Retry-After": str(ASK_AGAIN)}
        super().__init__(f"{who}the answer is still waited for; ask again", headers=headers)


class ErrorAnswers:
    """Finds the answer for a failure, and logs unexpected ones.

    :param clock: by which a shortage that concerns every request is not logged too often.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._shortages = Sparingly(clock, SHORTAGE_TOLD)

    def error_for(self, failure: Failure, kind: str) -> RegistryError:
        """The error for a failure.

        :param kind: of the request; it decides which code "not found" has.
        """
        error = failure.value
        if isinstance(error, RegistryError):
            return error
        if isinstance(error, UpstreamFailure):
            answer = error.answer(_UNKNOWN.get(kind, NameUnknownError))
            answer.cause = error.cause
            return answer
        if isinstance(error, OSError) and error.errno in EXHAUSTED:
            return self._exhausted(error)
        return _internal(failure)

    def _exhausted(self, error: OSError) -> RegistryError:
        more = self._shortages.turn()
        if more is not None:
            _log.error("a request was refused: {why}{more}", why=error.strerror, more=more)
        return ExhaustedError("too many files are open here", headers={"Retry-After": "1"})


def _internal(failure: Failure) -> RegistryError:
    """An internal fault, logged with an id. A fault of the disk is one line, without traceback."""
    fault = secrets.token_hex(6)
    if isinstance(failure.value, OSError):
        _log.error("request {fault} failed: {why}", fault=fault, why=str(failure.value))
    else:
        _log.failure("request {fault} failed unexpectedly", failure=failure, fault=fault)
    answer = InternalError(f"an internal fault, in the log under {fault}")
    answer.fault = fault
    return answer
