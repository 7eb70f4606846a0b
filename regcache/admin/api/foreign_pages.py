"""Keeps pages of other sites from changing anything through the browser of an operator.

Such a page can make a browser send requests with the operator's cookie, from the operator's
machine. It cannot give them a header of its own, or a body of type JSON, without asking first
(CORS), which is never answered here; and it cannot hide where it comes from.
"""

import re

from regcache.admin.api.call_problems import ForeignPageProblem
from regcache.web.request import Request

#: Methods that change nothing.
SAFE = frozenset({b"GET", b"HEAD"})
_JSON = "application/json"
_OWN_SITES = frozenset({"same-origin", "none"})
_USUAL_PORT = {"http": ":80", "https": ":443"}
_ORIGIN = re.compile(r"(https?)://([^/?#\s]+)\Z")


def refuse_foreign_pages(request: Request) -> None:
    """Let a request pass that no foreign page can have sent, or that changes nothing.

    :raises ForeignPageProblem: for any other, saying what is missing.
    """
    if request.method in SAFE:
        return
    if request.field_lines(b"x-regcache") != ["1"]:
        raise ForeignPageProblem("the header X-Regcache: 1 is needed")
    kinds = request.field_lines(b"content-type")
    if [kind.partition(";")[0].strip().lower() for kind in kinds] != [_JSON]:
        raise ForeignPageProblem(f"the header Content-Type: {_JSON} is needed")
    origins = request.field_lines(b"origin")
    if origins and [_plain_origin(each) for each in origins] != [_own_origin(request)]:
        raise ForeignPageProblem("the header Origin names another site")
    sites = request.field_lines(b"sec-fetch-site")
    if sites and (len(sites) > 1 or sites[0].lower() not in _OWN_SITES):
        raise ForeignPageProblem("the header Sec-Fetch-Site says that a foreign page sent this")


def _own_origin(request: Request) -> str:
    """The origin of the pages that are served where the request came in (RFC 6454, 4)."""
    lines = request.field_lines(b"host")
    return _plain_origin(f"{request.scheme}://{lines[0]}" if lines else "")


def _plain_origin(text: str) -> str:
    """An origin in lower case without the usual port; "-" for what is none."""
    match = _ORIGIN.match(text.strip().lower())
    if match is None:
        return "-"
    scheme, authority = match.groups()
    return f"{scheme}://{authority.removesuffix(_USUAL_PORT[scheme])}"
