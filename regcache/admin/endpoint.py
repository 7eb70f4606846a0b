"""What the admin endpoint answers: metrics and health, under the names of this machine only."""

from collections.abc import Callable, Sequence
from typing import Any

from regcache.admin.health import METHODS, HealthPages
from regcache.errors import DeniedError, UnsupportedError
from regcache.web.gatekeeper import Gatekeeper
from regcache.web.hosts import HostRules
from regcache.web.request import Request
from regcache.web.respond import send_body, send_text

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class AdminDispatch:
    """The dispatcher of the admin endpoint.

    A page of another site may make a browser resolve its own name to 127.0.0.1 and read
    what it finds there (DNS rebinding); such a request names that site as its Host, and is
    refused.

    :param health: answers ``/healthz`` and ``/readyz``.
    :param render_metrics: the metrics as text.
    :param metrics_type: their media type.
    :param admin_hosts: further names under which the endpoint answers.
    :param gatekeeper: gives what decides about operators where the endpoint is not on loopback,
        which is trusted to read; None on loopback. It gives None where nobody can be an operator.
    """

    def __init__(
        self,
        health: HealthPages,
        render_metrics: Callable[[], bytes],
        metrics_type: str,
        *,
        admin_hosts: Sequence[str] = (),
        gatekeeper: Callable[[], Gatekeeper | None] | None = None,
    ) -> None:
        self._health = health
        self._render_metrics = render_metrics
        self._metrics_type = metrics_type
        self._hosts = HostRules.build([(host, "admin") for host in admin_hosts])
        self._gatekeeper = gatekeeper

    def __call__(self, request: Request) -> Any:
        """Answer one request, now or when it is known who asks.

        :raises UnsupportedError: for a method that changes something.
        """
        if not self._is_ours(request.hostname):
            request.facts.outcome = "denied"
            send_text(request, "This endpoint does not answer under this name.\n", status=403)
        elif request.method not in METHODS:
            raise UnsupportedError("only GET and HEAD are supported here")
        elif not self._health.answer(request):
            if self._gatekeeper is not None:
                return self._answer_operator(request, self._gatekeeper())
            self._answer(request)
        return None

    async def _answer_operator(self, request: Request, gatekeeper: Gatekeeper | None) -> None:
        """Off loopback everything but health is for accounts with ``admin``."""
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
        return host is not None and (host in LOCAL_HOSTS or self._hosts.find(host) is not None)


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
