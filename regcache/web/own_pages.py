"""Whether a browser sent a request for a page of ours, or for one of another site.

A page can make a browser send requests to any host. They come from the machine and the address of
the person who looks at the page. But the page cannot choose what the browser says of where they
come from (Fetch standard, "Origin header"; Fetch Metadata, "Sec-Fetch-Site").
"""

import re

from regcache.web.request import Request

_OWN_SITES = frozenset({"same-origin", "none"})
_USUAL_PORT = {"http": ":80", "https": ":443"}
_ORIGIN = re.compile(r"(https?)://([^/?#\s]+)\Z")
#: What a browser says where it keeps the origin to itself: any page can have it say so.
_HIDDEN = "null"


def says_foreign_site(request: Request) -> bool:
    """Whether ``Sec-Fetch-Site`` says that a page of another site sent a request."""
    sites = request.field_lines(b"sec-fetch-site")
    return bool(sites) and (len(sites) > 1 or sites[0].lower() not in _OWN_SITES)


def says_foreign_origin(request: Request) -> bool:
    """Whether ``Origin`` names another origin than that of the request, or hides it."""
    origins = request.field_lines(b"origin")
    return bool(origins) and [plain_origin(each) for each in origins] != [_own_origin(request)]


def is_from_foreign_page(request: Request) -> bool:
    """Whether a page of another site may have sent a request of ours without our own headers.

    What has neither field comes from no browser. A hidden origin is one of ours where the browser
    says so in the other field. The scheme does not matter: what ends TLS before us may not tell.
    """
    if says_foreign_site(request):
        return True
    origins = request.field_lines(b"origin")
    if not origins or (origins == [_HIDDEN] and request.field_lines(b"sec-fetch-site")):
        return False
    hosts = request.field_lines(b"host")
    own = [plain_origin(f"{scheme}://{host}") for scheme in _USUAL_PORT for host in hosts]
    return len(origins) > 1 or plain_origin(origins[0]) not in own


def _own_origin(request: Request) -> str:
    """The origin of the pages that are served where the request came in (RFC 6454, 4)."""
    lines = request.field_lines(b"host")
    return plain_origin(f"{request.scheme}://{lines[0]}" if lines else "")


def plain_origin(text: str) -> str:
    """An origin in lower case without the usual port; "-" for what is none."""
    match = _ORIGIN.match(text.strip().lower())
    if match is None:
        return "-"
    scheme, authority = match.groups()
    return f"{scheme}://{authority.removesuffix(_USUAL_PORT[scheme])}"
