"""Answers ``/api/v1/<call>``: who asks, whether that one may, what was asked, and the answer.

The order is always the same: a foreign page is refused first; then there is such a call, it takes
this method, who asks may ask it, the parameters are right. What an answer shows is the handler's.
"""

import errno
import hashlib
import inspect
import json
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from regcache.admin.api.call_problems import (
    EncodedProblem,
    ForbiddenProblem,
    IndexBusyProblem,
    InvalidProblem,
    MethodProblem,
    UnauthenticatedProblem,
    UnknownCallProblem,
)
from regcache.admin.api.callers import Caller, Callers, Reach, Role
from regcache.admin.api.calls import PREFIX, AskedCall, CallAnswer, CallRoute
from regcache.admin.api.cursors import Cursors
from regcache.admin.api.foreign_pages import SAFE, refuse_foreign_pages
from regcache.parsing import Parser
from regcache.web.request import Dispatch, Request
from regcache.web.respond import JSON_TYPE, send_body, set_header

#: Parameters of a query; no call has as many.
_MOST_FIELDS = 32
#: Values of an answer that are looked at to tell a large one, and bytes that each may stand for.
_COUNTED, _BYTES_EACH = 400, 32
#: Seconds after which who met a busy index may ask again.
_ASK_AGAIN = "2"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Api:
    """The calls, and which callers may ask them.

    :param parser: makes large answers into bytes, beside the reactor.
    :param busy: what a handler raises while the index cannot answer.
    :ivar routes: all calls, in the order of the documentation.
    """

    def __init__(
        self,
        routes: Iterable[CallRoute],
        callers: Callers,
        parser: Parser,
        *,
        busy: tuple[type[Exception], ...] = (),
    ) -> None:
        self.routes = tuple(routes)
        self._callers = callers
        self._parser = parser
        self._busy = busy
        self._cursors = Cursors()
        self._by_path: dict[str, dict[str, CallRoute]] = {}
        for route in self.routes:
            self._by_path.setdefault(route.call.path, {})[route.call.method] = route

    def at(self, reach: Reach) -> Dispatch:
        """A dispatcher for what came in at one place."""

        def answer(request: Request) -> Coroutine[Any, Any, None]:
            return self._answer(request, reach)

        return answer

    async def _answer(self, request: Request, reach: Reach) -> None:
        refuse_foreign_pages(request)
        route = self._route(request)
        caller = await self._callers.find(request, reach)
        request.facts.account = caller.account
        _check_role(route, caller)
        values = _values(request, route)
        position = self._cursors.position(route.call.path, values) if route.call.paged else None
        asked = AskedCall(
            caller=caller, reach=reach, values=values, request=request, position=position
        )
        try:
            answer = route.handle(asked)
            if inspect.isawaitable(answer):
                answer = await answer
        except self._busy as error:
            raise _index_problem(error) from None
        await self._send(
            request, route, answer if isinstance(answer, CallAnswer) else CallAnswer(answer)
        )

    def _route(self, request: Request) -> CallRoute:
        path = request.path.decode("latin-1")
        routes = self._by_path.get(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
        if routes is None:
            raise UnknownCallProblem(f"there is no such call; all are in {PREFIX}openapi.json")
        method = "GET" if request.method == b"HEAD" else request.method.decode("latin-1")
        if method not in routes:
            allowed = ", ".join(sorted(routes | ({"HEAD": ""} if "GET" in routes else {})))
            raise MethodProblem(f"this call takes {allowed}", headers={"Allow": allowed})
        return routes[method]

    async def _send(self, request: Request, route: CallRoute, answer: CallAnswer) -> None:
        set_header(request, "Cache-Control", "no-store")
        if request.over or request.is_answering:
            return
        if route.call.answer is None:
            send_body(request, b"", JSON_TYPE, status=route.call.status, headers=answer.headers)
            return
        size = _BYTES_EACH * _count(answer.value)
        body, digest = await self._parser.run(size, _encode, answer)
        etag = f'"{answer.version}.{digest}"' if answer.version else f'"{digest}"'
        send_body(
            request,
            body,
            answer.media_type,
            status=route.call.status,
            etag=etag if request.method in SAFE else "",
            headers=answer.headers,
        )


def _index_problem(error: Exception) -> IndexBusyProblem:
    """Why the index does not answer, or does not take a change, and what to do."""
    headers = {"Retry-After": _ASK_AGAIN}
    reason = getattr(error, "errno", None)
    if reason == errno.EROFS:
        return IndexBusyProblem(
            "the disk of storage.directory cannot be written, so that nothing can be noted in the"
            " index: /readyz says why",
            params={"reason": "read_only"},
            headers=headers,
        )
    if reason in _FULL:
        return IndexBusyProblem(
            "the disk of storage.directory is full, so that nothing more can be noted in the index:"
            " make room on it, by regcachectl rm or sweep, or of other files, and ask again",
            params={"reason": "disk_full"},
            headers=headers,
        )
    return IndexBusyProblem("the index cannot answer now", headers=headers)


def _check_role(route: CallRoute, caller: Caller) -> None:
    if route.call.socket_only and caller.reach is not Reach.SOCKET:
        raise ForbiddenProblem("this can be asked over the unix socket only (admin.socket)")
    if caller.role >= route.call.role:
        return
    if caller.account:
        raise ForbiddenProblem("this account may not do that: it is no administrator")
    if route.call.role is Role.READ:
        raise UnauthenticatedProblem("an account is needed")
    raise UnauthenticatedProblem(
        "an administrator is needed: an account with admin, the link that regcachectl ui prints, "
        "or the unix socket as root or as the daemon's user"
    )


def _values(request: Request, route: CallRoute) -> dict[str, Any]:
    fields = route.call.fields
    query = _query(request)
    if request.method in SAFE:
        return fields.from_query(query)
    for name in query:
        raise InvalidProblem(name[:200], "parameters of this call belong in the body")
    _refuse_encoded(request)
    return fields.from_json(_body(request), "")


def _refuse_encoded(request: Request) -> None:
    encodings = ",".join(request.field_lines(b"content-encoding")).split(",")
    for name in (each.strip().lower() for each in encodings):
        if name not in ("", "identity"):
            raise EncodedProblem(
                f"Content-Encoding: {name[:64]} is not taken: send the body as it is",
                headers={"Accept-Encoding": "identity"},
            )


def _query(request: Request) -> Mapping[str, Sequence[str]]:
    encoded = request.uri.partition(b"?")[2]
    try:
        return parse_qs(
            encoded.decode("ascii"),
            max_num_fields=_MOST_FIELDS,
            errors="strict",
            keep_blank_values=True,
        )
    except ValueError:
        raise InvalidProblem("", "the query cannot be read") from None


def _body(request: Request) -> Any:
    """The JSON that was sent; none is an empty object. The connection has bounded it."""
    if request.content is None:
        return {}
    request.content.seek(0)
    content: bytes = request.content.read()
    if not content:
        return {}
    try:
        return json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number
        )
    except UnicodeDecodeError:
        raise InvalidProblem("", "the body is not UTF-8") from None
    except RecursionError:
        raise InvalidProblem("", "the body is nested too deeply") from None
    except ValueError as error:
        raise InvalidProblem("", f"the body is no JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _count(value: Any) -> int:
    """How many values an answer has, counted up to a bound."""
    count, waiting = 0, [value]
    while waiting and count < _COUNTED:
        each = waiting.pop()
        count += 1
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list | tuple):
            waiting.extend(each)
    return count


def _encode(answer: CallAnswer) -> tuple[bytes, str]:
    """The bytes of an answer, and what tells it from others."""
    body = answer.encode(answer.value)
    return body, hashlib.sha256(body).hexdigest()[:32]
