"""What the admin endpoint answers, and to whom."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.api.callers import Reach
from regcache.admin.endpoint import AdminDispatch, AdminHostDispatch, MetricsDispatch
from regcache.admin.health import HealthPages
from regcache.admin.ui_files import UiFiles
from regcache.admin.ui_pages import UiPages
from regcache.metrics import CONTENT_TYPE, Metrics
from regcache.web.forwarded import TrustedProxies
from regcache.web.request import Dispatch
from regcache.web.respond import send_text
from tests.support.web_client import Answer, MemoryClient, make_site


class AdminCase(SynchronousTestCase):
    """An admin endpoint, ready or not."""

    def setUp(self) -> None:
        self.problems: list[str] = []
        self.health = HealthPages(lambda: self.problems)
        self.metrics = Metrics(["docker.io"])
        self.ui = UiPages(UiFiles({"index.html": b"the page"}), lambda: "")
        self.reach(Reach.LOOPBACK)

    def reach(self, reach: Reach) -> None:
        """Make an endpoint that is reached so."""

        def says(text: str) -> Dispatch:
            return lambda request: send_text(request, text)

        pages = AdminDispatch(
            self.health,
            self.metrics.render,
            CONTENT_TYPE,
            ui=self.ui,
            reach=reach,
            api=lambda found: says(f"the API by {found.name}"),
            view=says("the view of operators"),
            local_view=says("the view"),
            is_admin_host=lambda host: host == "registry.example.com",
            gatekeeper=lambda: None,
        )
        proxies = TrustedProxies(["192.0.2.0/24"])
        self.site = make_site(pages, proxies=lambda: proxies)

    def get(self, target: str, host: str = "localhost:5001", method: str = "GET") -> Answer:
        """The answer to a request."""
        client = MemoryClient(self.site).request(method, target, host=host)
        return client.answer(heads_only=method == "HEAD")


class HealthTests(AdminCase):
    """Alive and ready."""

    def test_health(self) -> None:
        """The process lives, whether or not it is ready."""
        self.problems.append("the disk is gone")
        answer = self.get("/healthz")
        self.assertEqual((answer.status, answer.body), (200, b"ok\n"))

    def test_readiness(self) -> None:
        """Readiness is asked for at every request."""
        self.assertEqual((self.get("/readyz").status, self.get("/readyz").body), (200, b"ready\n"))
        self.problems += ["the disk is full", "the index is ill"]
        answer = self.get("/readyz")
        self.assertEqual(
            (answer.status, answer.body), (503, b"the disk is full\nthe index is ill\n")
        )
        self.assertEqual(self.get("/readyz", method="HEAD").status, 503)

    def test_before_a_dispatcher(self) -> None:
        """On another listener the two pages come first, under any Host, and nothing else does."""
        self.site.dispatch = self.health.before(lambda request: send_text(request, "other"))
        self.assertEqual(self.get("/healthz?x=1", host="any.test").body, b"ok\n")
        self.assertEqual(self.get("/readyz", host="any.test").body, b"ready\n")
        for target, method in (("/healthz/", "GET"), ("/v2/", "GET"), ("/healthz", "POST")):
            self.assertEqual(self.get(target, method=method).body, b"other")


class EndpointTests(AdminCase):
    """The dispatcher of the endpoint."""

    def test_metrics(self) -> None:
        """The metrics are there in the format of Prometheus."""
        answer = self.get("/metrics")
        self.assertEqual(answer.headers["content-type"], CONTENT_TYPE)
        self.assertIn(b"regcache_upstream_up", answer.body)

    def test_hosts(self) -> None:
        """Only names of this machine and the configured ones are answered (DNS rebinding)."""
        for host in ("127.0.0.1:5001", "localhost", "LocalHost.", "[::1]:5001",
                     "Registry.example.com"):  # fmt: skip
            self.assertEqual(self.get("/metrics", host=host).status, 200, host)
        for host in ("evil.test", "127.0.0.1.evil.test", "127.0.0.2", "10.0.0.1", "",
                     "localhost.evil.test", "x.registry.example.com"):  # fmt: skip
            for target in ("/metrics", "/healthz", "/"):
                answer = self.get(target, host=host)
                self.assertEqual(answer.status, 403, host)
                self.assertNotIn(b"evil", answer.body)

    def test_nothing_else(self) -> None:
        """Any other page is missing, and nothing can be changed."""
        self.assertEqual(self.get("/index.html").status, 404)
        self.assertEqual(self.get("/metrics/").status, 404)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            self.assertEqual(self.get("/metrics", method=method).status, 405)

    def test_api(self) -> None:
        """The API answers all methods below /api/, under names of ours alone."""
        for method in ("GET", "POST", "DELETE"):
            self.assertEqual(self.get("/api/v1/x", method=method).body, b"the API by LOOPBACK")
        self.assertEqual(self.get("/api/v1/x", host="evil.test").status, 403)
        self.assertEqual(self.get("/apix").status, 404)
        for target, method in (("/v2", "GET"), ("/v2/a/manifests/b", "DELETE")):
            self.assertEqual(self.get(target, method=method).body, b"the view")

    def test_proxy(self) -> None:
        """What a trusted proxy brings to loopback is not trusted to read."""
        for target, status, body in (
            ("/api/v1/x", 200, b"the API by REMOTE"),
            ("/v2/", 200, b"the view of operators"),
            ("/metrics", 403, None),
            ("/healthz", 200, b"ok\n"),
        ):
            client = MemoryClient(self.site)
            client.request("GET", target, "X-Forwarded-For: 198.51.100.9")
            answer = client.answer()
            self.assertEqual(answer.status, status, target)
            if body is not None:
                self.assertEqual(answer.body, body)

    def test_elsewhere(self) -> None:
        """Where others reach it only health and the UI, which has the login, are for everybody."""
        self.reach(Reach.REMOTE)
        self.assertEqual(self.get("/").body, b"the page")
        self.assertEqual(self.get("/api/v1/x").body, b"the API by REMOTE")
        self.assertEqual(self.get("/v2/").body, b"the view of operators")
        self.assertEqual([self.get("/metrics").status, self.get("/healthz").status], [403, 200])

    def test_socket(self) -> None:
        """Over the unix socket any name will do: no browser comes there."""
        self.reach(Reach.SOCKET)
        for host in ("localhost", "anything.test", "d"):
            self.assertEqual(self.get("/api/v1/x", host=host).body, b"the API by SOCKET")
            self.assertEqual(self.get("/metrics", host=host).status, 200)

    def test_metrics_alone(self) -> None:
        """The endpoint for metrics alone has nothing else."""
        self.site.dispatch = MetricsDispatch(self.metrics.render, CONTENT_TYPE)
        self.assertEqual(self.get("/metrics", host="regcache.test").status, 200)
        self.assertEqual(self.get("/metrics", method="POST").status, 404)
        self.assertEqual(self.get("/healthz").status, 404)


class AdminHostTests(AdminCase):
    """A listener for clients that has a name for operators."""

    def test_hosts(self) -> None:
        """Under that name the API answers, the UI, and a registry of its own; elsewhere none."""

        def says(text: str) -> Dispatch:
            return lambda request: send_text(request, text)

        self.site.dispatch = AdminHostDispatch(
            is_admin_host=lambda host: host == "registry.example.com",
            api=says("api"),
            view=says("cached"),
            ui=self.ui,
            others=says("clients"),
        )
        for target, host, answer in (
            ("/api/v1/status", "registry.example.com", b"api"),
            ("/api/v1/status", "Registry.Example.com:443", b"api"),
            ("/v2/", "registry.example.com", b"cached"),
            ("/v2/a/tags/list", "registry.example.com", b"cached"),
            ("/", "registry.example.com", b"the page"),
            ("/", "docker.example.com", b"clients"),
            ("/token", "registry.example.com", b"clients"),
            ("/api/v1/status", "docker.example.com", b"clients"),
            ("/v2/", "docker.example.com", b"clients"),
        ):
            self.assertEqual(self.get(target, host).body, answer, (target, host))
