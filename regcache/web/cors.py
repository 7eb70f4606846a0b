"""Pages of other origins that may use the distribution API (Fetch standard, "HTTP extensions").

===============================  ============================================================
``Origin`` of the request        what it gets
===============================  ============================================================
none                             the usual answer
a configured origin              that origin, credentials allowed, and DELETE
any other, with ``"*"``          ``*``: GET, HEAD and OPTIONS, never credentials
any other, without it            the usual answer, which the browser does not show to the page;
                                 OPTIONS is refused as any other method
several lines of it              as any other
===============================  ============================================================

Origins are compared character by character, as browsers send them: scheme, host and port. If
answers differ by origin they have ``Vary``. Errors and challenges have the same fields, so a page
can find out that it has to log in.
"""

from collections.abc import Collection
from typing import Any

from regcache.web.request import Dispatch, Request
from regcache.web.respond import add_vary, set_header
from regcache.web.token_handler import PATH as TOKEN_PATH

#: Fields of answers that a page may read, besides those that any page may read.
EXPOSED = ", ".join(
    (
        *("Accept-Ranges", "Age", "Cache-Status", "Content-Length", "Content-Range"),
        *("Docker-Content-Digest", "Docker-Distribution-Api-Version", "ETag", "Link"),
        *("OCI-Filters-Applied", "OCI-Namespace", "Retry-After", "WWW-Authenticate"),
    )
)
#: Fields that a page may send.
_SENT = ("Accept", "Cache-Control", "If-None-Match", "Range")
#: For how long a browser may remember what is allowed (seconds).
REMEMBERED = 600


class CrossOrigin:
    """What pages of other origins may do.

    :param origins: exact ones, and ``*`` for any.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._exact = frozenset(origins) - {"*"}
        self._any = "*" in origins

    def before(self, dispatch: Dispatch) -> Dispatch:
        """A dispatcher that answers preflight requests, and adds the fields to other answers."""
        if not (self._exact or self._any):
            return dispatch

        def answer(request: Request) -> Any:
            if not (request.is_distribution or request.path == TOKEN_PATH):
                return dispatch(request)
            allowed = self._allow(request)
            if allowed and request.method == b"OPTIONS":
                return self._answer_preflight(request, allowed)
            return dispatch(request)

        return answer

    def _allow(self, request: Request) -> str:
        """Let a page read the answer, if it may. Returns the allowed origin, or ""."""
        if self._exact:
            add_vary(request, "Origin")
        lines = request.field_lines(b"origin")
        if not lines:
            return ""
        allowed = lines[0] if len(lines) == 1 and lines[0] in self._exact else "*" * self._any
        if allowed:
            set_header(request, "Access-Control-Allow-Origin", allowed)
            set_header(request, "Access-Control-Expose-Headers", EXPOSED)
        if allowed and allowed != "*":
            set_header(request, "Access-Control-Allow-Credentials", "true")
        return allowed

    def _answer_preflight(self, request: Request, allowed: str) -> None:
        credentials = allowed != "*"
        methods = ("GET", "HEAD", *["DELETE"] * credentials, "OPTIONS")
        sent = (*_SENT, *["Authorization"] * credentials)
        set_header(request, "Access-Control-Allow-Methods", ", ".join(methods))
        set_header(request, "Access-Control-Allow-Headers", ", ".join(sent))
        set_header(request, "Access-Control-Max-Age", str(REMEMBERED))
        request.responseHeaders.removeHeader("Access-Control-Expose-Headers")
        request.setResponseCode(204)
        request.send_whole((), b"")
