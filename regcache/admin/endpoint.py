"""What operators get where: on the admin endpoint, the unix socket and the admin hosts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from regcache.admin.health import METHODS, HealthPages
from regcache.errors import DeniedError, UnsupportedError
from regcache.web.gatekeeper import Gatekeeper
from regcache.web.hosts import HostRules
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
    :param api: answers what is below ``/api/``.
    :param view: answers what is below ``/v2/``: what is cached.
    :param admin_hosts: further names under which the endpoint answers; None: under any, since no
        browser comes there.
    :param gatekeeper: gives what decides about operators where the endpoint is not on loopback,
        which is trusted to read; None on loopback. It gives None where nobody can be an operator.
    """

    def __init__(
        self,
        health: HealthPages,
        render_metrics: Callable[[], bytes],
        metrics_type: str,
        *,
        api: Dispatch,
        view: Dispatch,
        admin_hosts: Sequence[str] | None = (),
        gatekeeper: Callable[[], Gatekeeper | None] | None = None,
    ) -> None:
        self._health = health
        self._render_metrics = render_metrics
        self._metrics_type = metrics_type
        self._api, self._view = api, view
        self._any_host = admin_hosts is None
        self._hosts = HostRules.build([(host, "admin") for host in admin_hosts or ()])
        self._gatekeeper = gatekeeper

    def __call__(self, request: Request) -> Any:
        """Answer one request, now or when it is known who asks.

        :raises UnsupportedError: for a method that changes something, but for API and view.
        """
        if not self._is_ours(request.hostname):
            request.facts.outcome = "denied"
            send_text(request, "This endpoint does not answer under this name.\n", status=403)
        elif request.path.startswith(API_PATH):
            return self._api(request)
        elif request.is_distribution:
            return self._view(request)
        elif request.method not in METHODS:
            raise UnsupportedError("only GET and HEAD are supported here")
        elif not self._health.answer(request):
            if self._gatekeeper is not None:
                return self._answer_operator(request, self._gatekeeper())
            self._answer(request)
        return None

    async def _answer_operator(self, request: Request, gatekeeper: Gatekeeper | None) -> None:
        """Off loopback everything but health and the API is for accounts with ``admin``."""
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
        if self._any_host:
            return True
        return host is not None and (host in LOCAL_HOSTS or self._hosts.find(host) is not None)


@dataclass(frozen=True, slots=True)
class AdminHostDispatch:
    """The dispatcher of a listener for clients, with ``admin.hosts`` among its names.

    :ivar is_admin_host: whether a normalised host is one of them.
    :ivar api: answers what is below ``/api/`` there.
    :ivar view: answers what is below ``/v2/`` there: what is cached.
    :ivar others: answers everything else, and under every other host.
    """

    is_admin_host: Callable[[str | None], bool]
    api: Dispatch
    view: Dispatch
    others: Dispatch

    def __call__(self, request: Request) -> Any:
        """Answer one request."""
        if self.is_admin_host(request.hostname):
            if request.path.startswith(API_PATH):
                return self.api(request)
            if request.is_distribution:
                return self.view(request)
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
