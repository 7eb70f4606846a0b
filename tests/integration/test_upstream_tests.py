"""An operator has a real daemon test its upstreams, over TLS and without."""

from typing import Any

from tests.access.accounts import hashed
from tests.integration.base import PullThroughCase, certificates, public_upstream
from tests.support.processes import wait_until
from tests.support.registry_client import RegistryClient

CHANGE = {"X-Regcache": "1", "Content-Type": "application/json"}


class UpstreamTestTests(PullThroughCase):
    """A daemon in front of another one, and of a registry."""

    def setUp(self) -> None:
        accounts = self.workspace().file("htpasswd", f"admin:{hashed('secret').decode()}\n")
        registry = public_upstream().url
        other = self.regcache({"upstreams": {"up.test": {"urls": [registry]}}}, tls=True)
        secure = f"https://{other.tls_address}"
        authority = str(certificates().authority.file)
        upstreams: dict[str, Any] = {
            "open.test": {"urls": [registry]},
            "tls.test": {"urls": [secure], "ca_file": authority},
            "distrusted.test": {"urls": [secure]},
            "closed.test": {"urls": ["http://127.0.0.1:1"]},
            "plain.test": {"urls": [f"https://{other.address}"], "ca_file": authority},
        }
        access = {"htpasswd": str(accounts), "admins": ["admin"]}
        self.daemon = self.regcache({"upstreams": upstreams, "access": access})
        self.admin = RegistryClient(
            f"http://127.0.0.1:{self.daemon.admin_port}", ("admin", "secret")
        )

    def probe(self, name: str) -> tuple[dict[str, Any], list[str]]:
        """Test one; the job, and its steps in one word each."""
        body = b'{"name": "%s"}' % name.encode()
        begun = self.admin.ask("POST", "/api/v1/upstreams/test", body, CHANGE)
        self.assertEqual(begun.status, 202, begun.body)
        job = begun.json()["job"]

        def ended() -> bool:
            self.told = self.admin.get(f"/api/v1/job?id={job}").json()
            return bool(self.told["ended"])

        wait_until(ended, f"the test of {name} has ended")
        (url,) = self.told["result"]["urls"]
        steps = [f"{each['step']} {'ok' if each['ok'] else 'bad'}" for each in url["steps"]]
        return self.told, steps

    def test_all(self) -> None:
        """What fails says what to look at; nothing of Twisted's own is logged."""
        well = ["DNS ok", "connect ok", "TLS ok", "token ok", "/v2/ ok"]
        for name in ("open.test", "tls.test"):
            job, steps = self.probe(name)
            self.assertEqual((job["state"], steps), ("done", well), job)
        job, steps = self.probe("distrusted.test")
        self.assertEqual((job["state"], steps), ("failed", [*well[:2], "TLS bad"]), job)
        self.assertIn("upstreams.distrusted.test.ca_file", job["error"])
        job, steps = self.probe("plain.test")
        self.assertEqual((job["state"], steps), ("failed", [*well[:2], "TLS bad"]), job)
        job, steps = self.probe("closed.test")
        self.assertEqual((job["state"], steps), ("failed", ["DNS ok", "connect bad"]), job)
        self.assertIn("connection refused; see upstreams.closed.test.urls", job["error"])
        self.assertNotIn("factory", self.daemon.log())
