"""Keeps pages of other sites from changing anything through the browser of an operator.

Such a page can make a browser send requests with the operator's cookie, from the operator's
machine. It cannot give them a header of its own, or a body of type JSON, without asking first
(CORS), which is never answered here; and it cannot hide where it comes from.
"""

from regcache.admin.api.call_problems import ForeignPageProblem
from regcache.web.own_pages import says_foreign_origin, says_foreign_site
from regcache.web.request import Request

#: Methods that change nothing.
SAFE = frozenset({b"GET", b"HEAD"})
_JSON = "application/json"


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
    if says_foreign_origin(request):
        raise ForeignPageProblem("the header Origin names another site")
    if says_foreign_site(request):
        raise ForeignPageProblem("the header Sec-Fetch-Site says that a foreign page sent this")
