"""What a client gets for what a handler raised."""

import secrets

from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.errors import (
    BlobUnknownError,
    ManifestUnknownError,
    NameUnknownError,
    RegistryError,
    UpstreamFailure,
)

_UNKNOWN = {"manifest": ManifestUnknownError, "blob": BlobUnknownError}
_log = Logger()


class BadRequestError(RegistryError):
    """A request that breaks HTTP itself."""

    status, code = 400, "UNSUPPORTED"


class BodyTooLargeError(RegistryError):
    """A request body where none belongs, or one that is too large."""

    status, code = 413, "SIZE_INVALID"


class InternalError(RegistryError):
    """Our own fault; the message carries the id under which the log has it."""


def error_for(failure: Failure, kind: str) -> RegistryError:
    """The error for a failure; one that nobody expected is logged under an id.

    :param kind: of the request, which decides what "not found" is called.
    """
    if isinstance(failure.value, RegistryError):
        return failure.value
    if isinstance(failure.value, UpstreamFailure):
        return failure.value.answer(_UNKNOWN.get(kind, NameUnknownError))
    fault = secrets.token_hex(6)
    _log.failure("request {fault} failed unexpectedly", failure=failure, fault=fault)
    return InternalError(f"an internal fault, in the log under {fault}")
