"""Whole small answers: OCI errors, JSON, bodies with an ETag.

Every function ends the request. It does nothing if the client has left.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Protocol

from twisted.web.http_headers import Headers

from regcache.errors import QuotaReachedError, RegistryError
from regcache.web.header_block import HeaderBlock, safe_header_value
from regcache.web.records import RequestFacts

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"

_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,\s*|\Z)')


class AnswerableRequest(Protocol):
    """The part of a request that these functions use.

    :ivar facts: for the access log and the metrics.
    """

    method: bytes
    path: bytes
    facts: RequestFacts
    responseHeaders: Headers

    @property
    def over(self) -> bool:
        """Whether the answer is complete, or the client has left."""

    def field_lines(self, name: bytes) -> list[str]:
        """All lines of a field of the request."""

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        """Set the status of the answer."""

    def send_whole(self, blocks: Sequence[HeaderBlock], body: bytes) -> None:
        """Answer with a body from memory, and end the request."""

    def finish(self) -> None:
        """End the request."""


def set_header(request: AnswerableRequest, name: str, value: str) -> None:
    """Set a header of the answer. Only the printable ASCII of its value is kept."""
    request.responseHeaders.setRawHeaders(name, [safe_header_value(value)])


def add_vary(request: AnswerableRequest, name: str) -> None:
    """Say that the answer depends on a field of the request too (RFC 9110, 12.5.5)."""
    request.responseHeaders.addRawHeader("Vary", name)


def error_body(error: RegistryError) -> bytes:
    """The JSON of an error (OCI distribution specification, "Error Codes")."""
    entry: dict[str, object] = {"code": error.code, "message": error.message}
    if error.detail is not None:
        entry["detail"] = error.detail
    return json.dumps({"errors": [entry]}, default=str).encode("ascii") + b"\n"


def note_error(request: AnswerableRequest, error: RegistryError) -> None:
    """Note an error as the outcome, unless a handler noted another."""
    if not request.facts.outcome:
        denied = error.status in (401, 403) or isinstance(error, QuotaReachedError)
        request.facts.outcome = "denied" if denied else "error"
    request.facts.error = error.message
    request.facts.cause = error.cause


def send_error(request: AnswerableRequest, error: RegistryError) -> None:
    """Answer with an error, and note it as the outcome."""
    note_error(request, error)
    send_body(request, error_body(error), JSON_TYPE, status=error.status, headers=error.headers)


def send_json(request: AnswerableRequest, value: object, *, status: int = 200) -> None:
    """Answer with a JSON document."""
    send_body(request, json.dumps(value).encode("ascii"), JSON_TYPE, status=status)


def send_text(
    request: AnswerableRequest,
    text: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer with a line of plain text."""
    send_body(request, text.encode("utf-8"), TEXT_TYPE, status=status, headers=headers)


def send_body(
    request: AnswerableRequest,
    body: bytes,
    content_type: str,
    *,
    status: int = 200,
    etag: str = "",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer with a body from memory; to HEAD with the headers alone.

    :param etag: the quoted entity tag; with it a 200 becomes 304 if If-None-Match has it
        (RFC 9110, 13.1.2).
    """
    if request.over:
        return
    for name, value in (headers or {}).items():
        set_header(request, name, value)
    if etag:
        set_header(request, "ETag", etag)
        if status == 200 and is_not_modified(request, etag):
            request.setResponseCode(304)
            request.finish()
            return
    # Twisted has no words for newer statuses such as 429.
    request.setResponseCode(status, HTTPStatus(status).phrase.encode("ascii"))
    set_header(request, "Content-Type", content_type)
    request.responseHeaders.setRawHeaders("Content-Length", [str(len(body))])
    request.send_whole((), body)


def is_not_modified(request: AnswerableRequest, etag: str) -> bool:
    """Whether a GET or HEAD carries an If-None-Match that the entity tag satisfies."""
    if request.method not in (b"GET", b"HEAD"):
        return False
    lines = request.field_lines(b"If-None-Match")
    return bool(lines) and etag_matches(lines, etag)


def etag_matches(lines: Sequence[str], etag: str) -> bool:
    """Whether If-None-Match lines hold ``*`` or the entity tag, compared weakly.

    :param etag: the quoted entity tag of the answer, weak or strong.
    """
    joined = ", ".join(lines).strip(" \t")
    return joined == "*" or etag.removeprefix("W/") in _entity_tags(joined)


def _entity_tags(text: str) -> Iterable[str]:
    """The opaque tags of a list, up to the first fault in it."""
    position = 0
    while match := _ENTITY_TAG.match(text, position):
        yield match[1]
        position = match.end()
