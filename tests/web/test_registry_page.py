"""GET / on a host of the registry."""

import base64
import hashlib
import re

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.config.client_facts import served_here
from regcache.config.loading import loads
from regcache.web.registry_page import LINE, RegistryPage
from regcache.web.respond import send_text
from tests.client_setup.cases import NAMED, PLAIN
from tests.support.raw_client import Answer
from tests.support.web_client import MemoryClient, make_site

BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"


class PageCase(SynchronousTestCase):
    """Pages of configurations."""

    def ask(
        self, text: str, host: str, *lines: str, restricted: bool = False, method: str = "GET"
    ) -> Answer:
        """The answer of a host."""
        served = served_here(loads(text, "regcache.yml", {}).config, "box.lan")
        page = RegistryPage(served, restricted)
        site = make_site(page.before(lambda request: send_text(request, "else\n")), Clock())
        client = MemoryClient(site).request(method, "/", *lines, host=host)
        return client.answer(heads_only=method == "HEAD")

    def page(self, text: str, host: str, restricted: bool = False) -> str:
        """The page that a browser gets."""
        answer = self.ask(text, host, BROWSER, restricted=restricted)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        return answer.body.decode()


class PageTests(PageCase):
    """Where everybody may pull."""

    def test_set_up(self) -> None:
        """It has what clients need for the very host and port that were asked for."""
        page = self.page(PLAIN, "Cache.LAN:5000")
        for text in (
            "&quot;http://cache.lan:5000&quot;",
            "cache.lan:5000/ghcr.io",
            "/etc/containerd/certs.d/docker.io/hosts.toml",
            "50-regcache.conf",
        ):
            self.assertIn(text, page)

    def test_host_of_one_registry(self) -> None:
        """The host of one registry tells of that one."""
        page = self.page(NAMED, "ghcr.example.com:5000")
        self.assertIn("certs.d/ghcr.io/hosts.toml", page)
        self.assertNotIn("docker.io/hosts.toml", page)

    def test_line(self) -> None:
        """Who does not ask for HTML by its name gets a line, as does a host that serves nothing."""
        for lines in ((), ("Accept: */*",), ("Accept: text/html;q=0, text/plain",)):
            answer = self.ask(PLAIN, "cache.lan", *lines)
            self.assertEqual((answer.status, answer.body.decode()), (200, LINE))
            self.assertEqual(answer.headers["vary"], "Accept")
        for host in ("other.test", "registry.example.com"):
            answer = self.ask(NAMED, host, BROWSER)
            self.assertEqual((answer.status, answer.body.decode()), (200, LINE))

    def test_other_requests(self) -> None:
        """HEAD has the same head; other methods are not answered here."""
        self.assertEqual(self.ask(PLAIN, "cache.lan", BROWSER, method="HEAD").status, 200)
        self.assertEqual(self.ask(PLAIN, "cache.lan", method="DELETE").body, b"else\n")

    def test_safe(self) -> None:
        """No script, nothing that is loaded, and a policy that lets no more than its style."""
        answer = self.ask(PLAIN, "cache.lan", BROWSER)
        page, policy = answer.body.decode(), answer.headers["content-security-policy"]
        style = re.findall("<style>(.*?)</style>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
        self.assertIn(f"style-src 'sha256-{digest}'", policy)
        self.assertTrue(policy.startswith("default-src 'none'"))
        for word in ("<script", "src=", "href=", "onload", "url("):
            self.assertNotIn(word, page)
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")

    def test_hostile_host(self) -> None:
        """A Host is never more than text, and no host is kept for ever."""
        for host in ("a_b.test", "[::1]:5000", "a..b", "x" * 200):
            answer = self.ask(PLAIN, host, BROWSER)
            self.assertIn(answer.status, (200, 400), host)
        served = served_here(loads(PLAIN, "regcache.yml", {}).config, "box.lan")
        page = RegistryPage(served, False)
        site = make_site(page.before(lambda request: None), Clock())
        for number in range(300):
            MemoryClient(site).request("GET", "/", BROWSER, host=f"h{number}.test").answer()
        self.assertLessEqual(len(page._pages), 64)


class RestrictedTests(PageCase):
    """Where not everybody may pull."""

    def test_nothing_is_told(self) -> None:
        """Neither an upstream nor another host; only that there may be a login."""
        for host in ("docker.example.com", "10.0.0.1:5000"):
            page = self.page(NAMED, host, restricted=True)
            self.assertIn(f"docker login {host}", page)
            for word in ("docker.io", "ghcr", "registry.corp", "box.lan", "registry.example"):
                self.assertNotIn(word, page)
