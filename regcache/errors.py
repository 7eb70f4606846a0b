"""Errors with the status and code that a client gets for them.

Two families. A :class:`RegistryError` is an answer: HTTP status, OCI error code (OCI
distribution specification, "Error Codes"), message. An :class:`UpstreamFailure` says how
an upstream failed us; the cache decides what the client gets instead, and
:meth:`UpstreamFailure.answer` is what it gets when nothing is cached.
"""

from collections.abc import Mapping
from typing import ClassVar

from regcache import causes
from regcache.causes import Cause

#: The reason in :class:`UpstreamWrongBytes` of a blob, and of answers that were cut for it.
WRONG_BYTES = "the content fails its digest"


class RegistryError(Exception):
    """An error answer, by default in the OCI form.

    :ivar fault: under which the log has more; "" where it has not.
    :ivar cause: why it is, for the list of requests; None where the status says it all.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        detail: object = None,
        headers: Mapping[str, str] | None = None,
        cause: Cause | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.headers = dict(headers or {})
        self.fault = ""
        self.cause = cause


class NameInvalidError(RegistryError):
    """The repository name breaks the grammar."""

    status, code = 400, "NAME_INVALID"


class TagInvalidError(RegistryError):
    """The tag breaks the grammar."""

    status, code = 400, "TAG_INVALID"


class DigestInvalidError(RegistryError):
    """The digest breaks the grammar, or its algorithm is not supported."""

    status, code = 400, "DIGEST_INVALID"


class PaginationInvalidError(RegistryError):
    """The page size ``n`` is no number."""

    status, code = 400, "PAGINATION_NUMBER_INVALID"


class UnauthorizedError(RegistryError):
    """Credentials are needed; ``headers`` carry the challenge."""

    status, code = 401, "UNAUTHORIZED"


class DeniedError(RegistryError):
    """The principal, the upstream or the configuration refuses."""

    status, code = 403, "DENIED"


class NameUnknownError(RegistryError):
    """No upstream, or no repository, of that name."""

    status, code = 404, "NAME_UNKNOWN"


class ManifestUnknownError(RegistryError):
    """The upstream has no such manifest."""

    status, code = 404, "MANIFEST_UNKNOWN"


class BlobUnknownError(RegistryError):
    """The upstream has no such blob."""

    status, code = 404, "BLOB_UNKNOWN"


class UnsupportedError(RegistryError):
    """A push, or another method that a proxy does not offer."""

    status, code = 405, "UNSUPPORTED"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Allow": "GET, HEAD"})


class RangeNotSatisfiableError(RegistryError):
    """The range begins behind the end (RFC 9110, 15.5.17)."""

    status, code = 416, "RANGE_INVALID"

    def __init__(self, size: int) -> None:
        super().__init__(
            "the requested range is not satisfiable",
            headers={"Content-Range": f"bytes */{size}"},
        )


class TooManyRequestsError(RegistryError):
    """The upstream limits the rate, and nothing is cached."""

    status, code = 429, "TOOMANYREQUESTS"


class QuotaReachedError(TooManyRequestsError):
    """The account has used up a quota."""


class BadGatewayError(RegistryError):
    """The upstream cannot be reached, or answered nonsense."""

    status, code = 502, "UNAVAILABLE"


class ServiceUnavailableError(RegistryError):
    """The upstream is not asked for the moment; ``headers`` say until when."""

    status, code = 503, "UNAVAILABLE"


class GatewayTimeoutError(RegistryError):
    """The upstream is too slow."""

    status, code = 504, "UNAVAILABLE"


class UpstreamFailure(Exception):  # noqa: N818 - a fact about the upstream, not an answer
    """How an upstream failed to give what it was asked for.

    :ivar upstream: the configured name, for messages and metrics.
    :ivar reason: one plain sentence part, free of URLs, tokens and other secrets.
    :ivar status: the upstream's HTTP status, or None where there was none.
    :ivar asked: whether the upstream was asked just now; False where the answer was known.
    :ivar reached: False if there was no connection for any request.
    :ivar redirected: whether a redirect target failed, and not the registry itself.
    :ivar url_index: which of the upstream's URLs it was; None where that is not known.
    :ivar cause: what the list of requests says of it.
    :ivar hint: what an operator should look at first; told to clients, too. "" for nothing.
    :cvar ill: whether this counts against the upstream's breaker.
    """

    ill: ClassVar[bool] = False
    cause: Cause = causes.DOWN
    asked = True
    reached = True
    redirected = False
    url_index: int | None = None
    hint = ""

    def __init__(self, upstream: str, reason: str, *, status: int | None = None) -> None:
        super().__init__(f"{upstream}: {reason}")
        self.upstream = upstream
        self.reason = reason
        self.status = status

    def answer(self, unknown: type[RegistryError]) -> RegistryError:
        """What a client gets when nothing is cached.

        :param unknown: the class for "no such thing", which depends on what was asked for.
        """
        raise NotImplementedError

    def _hinted(self, message: str) -> str:
        return f"{message}; {self.hint}" if self.hint else message


class UpstreamUnreachable(UpstreamFailure):
    """Name resolution, connecting or the connection itself failed."""

    ill = True

    def answer(self, unknown: type[RegistryError]) -> RegistryError:
        return BadGatewayError(f"upstream {self.upstream} cannot be reached: {self.reason}")


class UpstreamTimedOut(UpstreamFailure):
    """No connection, no first byte or no further byte within its time."""

    ill = True

    def answer(self, unknown: type[RegistryError]) -> RegistryError:
        return GatewayTimeoutError(f"upstream {self.upstream} is too slow: {self.reason}")


class UpstreamBadAnswer(UpstreamFailure):
    """An answer that breaks the protocol, is too large, or fails its digest."""

    def answer(self, unknown: type[RegistryError]) -> RegistryError:
        return BadGatewayError(f"upstream {self.upstream} gave a bad answer: {self.reason}")


class UpstreamWrongBytes(UpstreamBadAnswer):
    """Content that fails its digest."""

    cause = causes.DIGEST


class UpstreamServerError(UpstreamFailure):
    """A 5xx answer."""

    ill = True

    def answer(self, unknown: type[RegistryError]) -> RegistryError:
        return BadGatewayError(f"upstream {self.upstream} answered {self.status}")


class UpstreamNotFound(UpstreamFailure):
    """404: the upstream has no such thing, or does not say whether it has."""

    cause = causes.NOT_FOUND

    def answer(self, unknown: type[RegistryError]) -> RegistryError:
        return unknown(self._hinted(f"upstream {self.upstream} does not have it"))


class UpstreamDenied(UpstreamFailure):
    """401 or 403 for the requested content, with or without credentials.

    :ivar credentials_used: whether credentials that the realm accepts were refused here.
    :ivar closes: whether these are refused all of the repository, as far as could be found out.
    :ivar detail: the upstream's own message, bounded and cleaned.
    """

    cause = causes.REFUSED

    def __init__(
        self,
        upstream: str,
        reason: str,
        *,
        status: int | None = None,
        credentials_used: bool = False,
        detail: str = "",
    ) -> None:
        super().__init__(upstream, reason, status=status)
        self.credentials_used = credentials_used
        self.closes = False
        self.detail = detail

    def answer(self, unknown: type[RegistryError]) -> RegistryError:
        message = self._hinted(f"upstream {self.upstream} refuses: {self.reason}")
        return DeniedError(message, detail=self.detail or None)


class UpstreamRateLimited(UpstreamFailure):
    """429, or a Retry-After that still runs, which is known without asking.

    :ivar retry_after: seconds until the upstream may be asked again.
    """

    def __init__(self, upstream: str, reason: str, *, retry_after: int, asked: bool = True) -> None:
        super().__init__(upstream, reason, status=429)
        self.retry_after = retry_after
        self.asked = asked
        self.cause = causes.limited(max(1, retry_after))

    def answer(self, unknown: type[RegistryError]) -> RegistryError:
        return TooManyRequestsError(
            self._hinted(f"upstream {self.upstream} limits the rate of requests"),
            headers={"Retry-After": str(max(1, self.retry_after))},
        )


class UpstreamResting(UpstreamFailure):
    """The breaker is open: the upstream is not asked before its next probe.

    :ivar retry_after: seconds until the next probe.
    """

    asked = False

    def __init__(self, upstream: str, reason: str, *, retry_after: int) -> None:
        super().__init__(upstream, reason)
        self.retry_after = retry_after

    def answer(self, unknown: type[RegistryError]) -> RegistryError:
        return ServiceUnavailableError(
            f"upstream {self.upstream} is failing and will be tried again soon: {self.reason}",
            headers={"Retry-After": str(max(1, self.retry_after))},
        )


class UpstreamNotTried(UpstreamResting):
    """No connection could be begun, by a shortage here, which tells nothing of the upstream."""

    def answer(self, unknown: type[RegistryError]) -> RegistryError:
        return ServiceUnavailableError(
            f"upstream {self.upstream} was not asked: {self.reason}",
            headers={"Retry-After": str(max(1, self.retry_after))},
        )
