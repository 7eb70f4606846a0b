"""Calls of the API, declared: how one is asked, by whom, and what it answers.

A call is declared once, as a value; a :class:`CallRoute` gives it its handler. From the declaration
come the reading of parameters, openapi.json and the table in docs/api.md.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, field
from typing import Any

from regcache.admin.api.callers import Caller, Reach, Role
from regcache.admin.api.cursors import Position
from regcache.admin.api.kinds import Fields, Integer, Parameter, Text
from regcache.admin.api.schemas import Schema
from regcache.light_dataclass import dataclass
from regcache.web.request import Request
from regcache.web.respond import JSON_TYPE

PREFIX = "/api/v1/"
#: Rows of a page, where nothing else is asked for, and at most.
USUAL_LIMIT, MOST_LIMIT = 50, 200
_LONGEST_CURSOR = 2048

#: Parameters of every call that gives a list in pages.
PAGING = (
    Parameter("limit", Integer(1, MOST_LIMIT), "How many rows at most.", default=USUAL_LIMIT),
    Parameter("cursor", Text(_LONGEST_CURSOR), "`next` of the page before."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One call.

    :ivar method: GET (which HEAD may take the place of), POST or DELETE.
    :ivar path: below :data:`PREFIX`.
    :ivar role: the least role that may ask it.
    :ivar text: what it gives or does, in one sentence.
    :ivar parameters: of the query of a GET, else the fields of the body.
    :ivar answer: the schema of what is answered; None for no body.
    :ivar status: of the answer.
    :ivar paged: it gives pages: it takes :data:`PAGING`, and its answer has next and total.
    :ivar socket_only: only the unix socket takes it.
    :ivar other_types: media types in which it may be answered besides JSON.
    """

    method: str
    path: str
    role: Role
    text: str
    parameters: Sequence[Parameter] = ()
    answer: Schema | None = None
    status: int = 200
    paged: bool = False
    socket_only: bool = False
    other_types: Sequence[str] = ()

    @property
    def fields(self) -> Fields:
        """All parameters."""
        return Fields((*self.parameters, *(PAGING if self.paged else ())))

    def __hash__(self) -> int:
        return hash((self.method, self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCall:
    """A call as it was asked.

    :ivar values: of all parameters; a missing one has its default.
    :ivar position: where the page begins; only in a call with pages.
    :ivar request: for what is not in the declaration: cookies, an answer that goes on.
    """

    caller: Caller
    reach: Reach
    values: Mapping[str, Any]
    request: Request
    position: Position | None = None

    def page(
        self, items: Sequence[Any], after: Sequence[Any] | None, total: int | None = None
    ) -> dict[str, Any]:
        """An answer with a page.

        :param after: sort key and id of the last item, plain JSON; None where it is the last page.
        """
        assert self.position is not None, "this call has no pages"
        following = None if after is None else self.position.cursor(after)
        return {"items": list(items), "next": following, "total": total}


def encode_json(value: Any) -> bytes:
    """Plain JSON as bytes."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """An answer with more than a value.

    :ivar value: plain JSON, or what ``encode`` takes: lists and tuples, that it may be seen whether
        there is much of it. Nothing where the call has no body.
    :ivar encode: makes it into bytes, in a thread if it is large.
    :ivar media_type: of these.
    :ivar version: of what is shown, for If-Match; the entity tag begins with it. "" for none.
    """

    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    _: KW_ONLY
    encode: Callable[[Any], bytes] = encode_json
    media_type: str = JSON_TYPE
    version: str = ""


Handler = Callable[[AskedCall], Any | Awaitable[Any]]
"""Answers a call with plain JSON or an :class:`CallAnswer`, now or later.

It may raise any RegistryError; see :mod:`regcache.admin.api.call_problems`.
"""


@dataclass(frozen=True, slots=True)
class CallRoute:
    """A call, and what answers it."""

    call: ApiCall
    handle: Handler
