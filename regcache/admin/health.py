"""``/healthz`` and ``/readyz``: fixed bodies, no login, on every listener."""

from collections.abc import Callable, Sequence
from typing import Any

from regcache.web.request import Dispatch, Request
from regcache.web.respond import send_text

METHODS = (b"GET", b"HEAD")


class HealthPages:
    """Says whether the process is alive, and whether it can do its work.

    :param problems: cheap, and free of I/O: why what is new is not kept, one line for each
        reason. An upstream that fails makes nothing unready.
    """

    def __init__(self, problems: Callable[[], Sequence[str]]) -> None:
        self._problems = problems

    def answer(self, request: Request) -> bool:
        """Answer a request for one of the two pages; whether it was one."""
        if request.path == b"/healthz" and request.method in METHODS:
            send_text(request, "ok\n")
        elif request.path == b"/readyz" and request.method in METHODS:
            problems = self._problems()
            lines = "\n".join(problems or ["ready"])
            send_text(request, f"{lines}\n", status=503 if problems else 200)
        else:
            return False
        return True

    def before(self, dispatch: Dispatch) -> Dispatch:
        """A dispatcher that answers the two pages, and leaves all else to another."""

        def answer_or_pass_on(request: Request) -> Any:
            return None if self.answer(request) else dispatch(request)

        return answer_or_pass_on
