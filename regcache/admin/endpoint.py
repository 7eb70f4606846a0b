"""What operators get where: on the admin endpoint, the unix socket and the admin hosts."""

from collections.abc import Callable
from typing import Any

from regcache.admin.api.callers import Reach
from regcache.admin.health import METHODS, HealthPages
from regcache.admin.ui_pages import UiPages
from regcache.errors import DeniedError, UnsupportedError
from regcache.light_dataclass import dataclass
from regcache.web.gatekeeper import Gatekeeper
from regcache.web.problem_details import API_PATH
from regcache.web.request import Dispatch, Request
from regcache.web.respond import send_body, send_text

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class AdminDispatch:
    """The dispatcher of the admin endpoint, and of the unix socket.

    A page of another site may make a browser resolve its own name to 127.0.0.1 and read
    what it finds there (DNS rebinding); such a request names that site as its Host, and is
    refused.

    :param health: answers ``/healthz`` and ``/readyz``.
    :param render_metrics: the metrics as text.
    :param metrics_type: their media type.
    :param ui: answers with the web UI, to everybody: the login is one of its pages.
    :param reach: who can connect. A request that a trusted proxy brings to loopback is not local.
    :param api: gives what answers below ``/api/``, for this way of connecting.
    :param view: answers what is below ``/v2/`` to operators: what is cached.
    :param local_view: the same where everybody is trusted to read.
    :param is_admin_host: whether a normalised host is one of the further names under which the
        endpoint answers; over the unix socket, where no browser comes, it answers under any.
    :param gatekeeper: gives what decides who is an operator, where a login is needed; it gives
        None if there are no accounts.
    """

    def __init__(
        self,
        health: HealthPages,
        render_metrics: Callable[[], bytes],
        metrics_type: str,
        *,
        ui: UiPages,
        reach: Reach,
        api: Callable[[Reach], Dispatch],
        view: Dispatch,
        local_view: Dispatch,
        is_admin_host: Callable[[str | None], bool],
        gatekeeper: Callable[[], Gatekeeper | None],
    ) -> None:
        self._health = health
        self._render_metrics = render_metrics
        self._metrics_type = metrics_type
        self._ui = ui
        self._reach = reach
        self._api = {each: api(each) for each in Reach}
        self._view, self._local_view = view, local_view
        self._is_admin_host = is_admin_host
        self._gatekeeper = gatekeeper

    def __call__(self, request: Request) -> Any:
        """Answer one request, now or when it is known who asks.

        :raises UnsupportedError: for a method that changes something, but for API and view.
        """
        if not self._is_ours(request.hostname):
            request.facts.outcome = "denied"
            send_text(request, "This endpoint does not answer under this name.\n", status=403)
            return None
        reach = self._reach_of(request)
        if request.path.startswith(API_PATH):
            return self._api[reach](request)
        if request.is_distribution:
            view = self._view if reach is Reach.REMOTE else self._local_view
            return view(request)
        if request.method not in METHODS:
            raise UnsupportedError("only GET and HEAD are supported here")
        if self._health.answer(request) or self._ui.answer(request):
            return None
        if reach is Reach.REMOTE:
            return self._answer_operator(request, self._gatekeeper())
        return self._answer(request)

    def _reach_of(self, request: Request) -> Reach:
        if self._reach is Reach.LOOPBACK and request.forwarded is not None:
            return Reach.REMOTE
        return self._reach

    async def _answer_operator(self, request: Request, gatekeeper: Gatekeeper | None) -> None:
        """From elsewhere everything but health and the API is for accounts with ``admin``."""
        if gatekeeper is None:
            raise DeniedError("nobody may see this: access.admins names no account")
        gatekeeper.admit_admin(request, await gatekeeper.decide(request))
        self._answer(request)

    def _answer(self, request: Request) -> None:
        if request.path == b"/metrics":
            send_body(request, self._render_metrics(), self._metrics_type)
        else:
            send_text(request, "Not found.\n", status=404)

    def _is_ours(self, host: str | None) -> bool:
        if self._reach is Reach.SOCKET:
            return True
        return host in LOCAL_HOSTS or self._is_admin_host(host)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminHostDispatch:
    """The dispatcher of a listener for clients, with ``admin.hosts`` among its names.

    :ivar is_admin_host: whether a normalised host is one of them.
    :ivar api: answers what is below ``/api/`` there.
    :ivar view: answers what is below ``/v2/`` there: what is cached.
    :ivar ui: answers with the web UI there.
    :ivar others: answers everything else, and under every other host.
    """

    is_admin_host: Callable[[str | None], bool]
    api: Dispatch
    view: Dispatch
    ui: UiPages
    others: Dispatch

    def __call__(self, request: Request) -> Any:
        """Answer one request."""
        if self.is_admin_host(request.hostname):
            if request.path.startswith(API_PATH):
                return self.api(request)
            if request.is_distribution:
                return self.view(request)
            if self.ui.answer(request):
                return None
        return self.others(request)


class MetricsDispatch:
    """The dispatcher of ``metrics_endpoint``: ``/metrics`` alone, under any name."""

    def __init__(self, render_metrics: Callable[[], bytes], metrics_type: str) -> None:
        self._render_metrics = render_metrics
        self._metrics_type = metrics_type

    def __call__(self, request: Request) -> None:
        """Answer one request."""
        if request.path == b"/metrics" and request.method in METHODS:
            send_body(request, self._render_metrics(), self._metrics_type)
        else:
            send_text(request, "Not found.\n", status=404)
