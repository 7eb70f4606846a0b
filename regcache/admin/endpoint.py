"""What the admin endpoint answers: metrics and health, under the names of this machine only."""

from collections.abc import Callable, Sequence

from regcache.admin.health import METHODS, HealthPages
from regcache.errors import UnsupportedError
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
    """

    def __init__(
        self,
        health: HealthPages,
        render_metrics: Callable[[], bytes],
        metrics_type: str,
        admin_hosts: Sequence[str] = (),
    ) -> None:
        self._health = health
        self._render_metrics = render_metrics
        self._metrics_type = metrics_type
        self._hosts = HostRules.build([(host, "admin") for host in admin_hosts])

    def __call__(self, request: Request) -> None:
        """Answer one request.

        :raises UnsupportedError: for a method that changes something.
        """
        if not self._is_ours(request.hostname):
            request.facts.outcome = "denied"
            send_text(request, "This endpoint does not answer under this name.\n", status=403)
        elif request.method not in METHODS:
            raise UnsupportedError("only GET and HEAD are supported here")
        elif request.path == b"/metrics":
            send_body(request, self._render_metrics(), self._metrics_type)
        elif not self._health.answer(request):
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
