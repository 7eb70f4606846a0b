"""Answers with the web UI: the page at ``/``, and its files.

They hold nothing secret, and the login is one of the pages, so they need no account; what the UI
shows comes from the API, which does.
"""

from collections.abc import Callable

from regcache.admin.health import METHODS
from regcache.admin.ui_files import UiFile, UiFiles
from regcache.web.request import Request
from regcache.web.respond import send_body

#: What a browser is to hold the pages to: scripts and styles of ours alone, no frames, no forms,
#: no strings that become HTML.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types lit-html"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: The page is asked for anew each time; a file whose path has the version never changes.
_PAGE_CACHING = "no-cache"
_FILE_CACHING = "public, max-age=31536000, immutable"


class UiPages:
    """The web UI.

    :param title: gives the title of the pages.
    """

    def __init__(self, files: UiFiles, title: Callable[[], str]) -> None:
        self._files = files
        self._title = title

    def answer(self, request: Request) -> bool:
        """Answer a GET or HEAD for the page or one of its files; whether it was one."""
        if request.method not in METHODS:
            return False
        if request.path == b"/":
            _send(request, self._files.page(self._title()), _PAGE_CACHING)
            return True
        found = self._files.find(request.path.decode("latin-1"))
        if found is not None:
            _send(request, found, _FILE_CACHING)
        return found is not None


def _send(request: Request, file: UiFile, caching: str) -> None:
    headers = {**_HEADERS, "Cache-Control": caching}
    send_body(request, file.body, file.media_type, etag=file.etag, headers=headers)
