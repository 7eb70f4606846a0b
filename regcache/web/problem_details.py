"""Errors of the admin API: ``application/problem+json`` (RFC 9457)."""

import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from regcache.errors import RegistryError
from regcache.web.respond import AnswerableRequest, note_error, send_body, send_error

#: All that the API answers is under it.
API_PATH = b"/api/"
PROBLEM_TYPE = "application/problem+json"

#: What an error is called that no call of the API raises by itself.
_CODES = {
    400: "INVALID",
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "UNKNOWN_CALL",
    405: "METHOD",
    413: "INVALID",
    429: "TOO_MANY_LOGINS",
    500: "INTERNAL",
}
_OTHER = "UNAVAILABLE"


class Problem(RegistryError):  # noqa: N818 - as RFC 9457 calls it
    """An error of the API.

    :param params: what a page needs beside the code to put it into words.
    """

    def __init__(
        self,
        message: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, headers=headers)
        self.params = dict(params or {})


def problem_of(error: RegistryError) -> dict[str, Any]:
    """The document of an error."""
    told = isinstance(error, Problem)
    return {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "code": error.code if told else _CODES.get(error.status, _OTHER),
        "params": error.params if isinstance(error, Problem) else {},
        "request_id": error.fault or secrets.token_hex(6),
    }


def send_problem(request: AnswerableRequest, error: RegistryError) -> None:
    """Answer with an error. It has no challenge: a browser would ask its user for a password."""
    note_error(request, error)
    headers = {name: value for name, value in error.headers.items() if name != "WWW-Authenticate"}
    body = json.dumps(problem_of(error), default=str).encode("ascii") + b"\n"
    headers["Cache-Control"] = "no-store"
    send_body(request, body, PROBLEM_TYPE, status=error.status, headers=headers)


def send_refusal(request: AnswerableRequest, error: RegistryError) -> None:
    """Answer with an error, in the form of the API or of the registry, by the path."""
    send = send_problem if request.path.startswith(API_PATH) else send_error
    send(request, error)
