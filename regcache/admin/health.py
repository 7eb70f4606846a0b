"""``/healthz`` and ``/readyz``: fixed bodies, no login, on every listener."""

from collections.abc import Callable
from typing import Any

from regcache.web.request import Dispatch, Request
from regcache.web.respond import send_text

METHODS = (b"GET", b"HEAD")


class HealthPages:
    """Says whether the process lives, and whether it can do its work.

    :param is_ready: cheap, and free of I/O: the storage can be written and the listeners are
        open. An upstream that is ill makes nothing unready.
    """

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready

    def answer(self, request: Request) -> bool:
        """Answer a request for one of the two pages; whether it was one."""
        if request.path == b"/healthz" and request.method in METHODS:
            send_text(request, "ok\n")
        elif request.path == b"/readyz" and request.method in METHODS:
            ready = self._is_ready()
            send_text(request, "ready\n" if ready else "not ready\n", status=200 if ready else 503)
        else:
            return False
        return True

    def before(self, dispatch: Dispatch) -> Dispatch:
        """A dispatcher that answers the two pages, and leaves all else to another."""

        def answer_or_pass_on(request: Request) -> Any:
            return None if self.answer(request) else dispatch(request)

        return answer_or_pass_on
