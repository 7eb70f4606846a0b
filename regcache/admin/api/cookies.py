"""The cookie of a session (RFC 6265).

Cookies do not know ports: two daemons on one machine would take each other's. So on a plain
endpoint the cookie is named after the port. Over TLS its name has the prefix that lets a browser
take it from this very host alone (RFC 6265bis, 4.1.3.2).
"""

import re

from regcache.access.sessions import SESSION_LIFE
from regcache.web.request import Request

_TLS_NAME = "__Host-regcache"
_PORT = re.compile(r":([0-9]{1,5})\Z")


def cookie_name(request: Request) -> str:
    """What the cookie is called where this request came in."""
    if request.scheme == "https":
        return _TLS_NAME
    lines = request.field_lines(b"host")
    port = _PORT.search(lines[0]) if lines else None
    return f"regcache-{port[1] if port else '80'}"


def session_token(request: Request) -> str:
    """The token of the cookie that a request has; "" without one, and for several."""
    name = cookie_name(request)
    pairs = [
        pair.strip().partition("=")
        for line in request.field_lines(b"cookie")
        for pair in line.split(";")
    ]
    values = [value for key, _, value in pairs if key == name]
    return values[0] if len(values) == 1 else ""


def set_cookie(request: Request, token: str) -> str:
    """The value of Set-Cookie that gives a browser its session."""
    return f"{cookie_name(request)}={token}; Max-Age={SESSION_LIFE}{_attributes(request)}"


def end_cookie(request: Request) -> str:
    """The value of Set-Cookie that takes it away."""
    return f"{cookie_name(request)}=; Max-Age=0{_attributes(request)}"


def _attributes(request: Request) -> str:
    secure = "; Secure" if request.scheme == "https" else ""
    return f"; Path=/; HttpOnly; SameSite=Strict{secure}"
