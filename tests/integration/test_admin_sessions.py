"""Sessions over TLS, under an admin host and on loopback: what a cookie is, and where it counts."""

import json
import ssl
from typing import Any

from tests.access.accounts import hashed
from tests.integration.base import PullThroughCase, certificates, upstream_config
from tests.support.all_calls import CHANGE
from tests.support.registry_client import Answer, RegistryClient
from tests.support.servers import Regcache

HOST = "ui.proxy.example"
ACCOUNT = {"account": "admin", "password": "secret"}
#: What no page but the own one sends.
FOREIGN = ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"})


class AdminSessionTests(PullThroughCase):
    """A daemon whose admin host is on a TLS listener and on a plain one."""

    def setUp(self) -> None:
        line = f"admin:{hashed(ACCOUNT['password']).decode()}\n"
        access = {"htpasswd": str(self.workspace().file("htpasswd", line)), "admins": ["admin"]}
        config = {**upstream_config("http://127.0.0.1:1"), "access": access}
        self.daemon = Regcache(config, certificates().certificate)
        self.addCleanup(self.daemon.close)
        self.daemon.config["admin"] |= {"hosts": [HOST]}
        self.daemon.start()
        context = ssl.create_default_context(cafile=str(certificates().trust.file))
        tls = f"https://{self.daemon.tls_address}"
        self.clients = {
            "tls": RegistryClient(tls, context=context, headers={"Host": HOST}),
            "plain": self.daemon.client(headers={"Host": HOST}),
            "loopback": RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}"),
        }

    def post(self, where: str, call: str, body: Any, **more: str) -> Answer:
        """Ask for a change, as the own page does."""
        headers = {**CHANGE, **{name.replace("_", "-"): text for name, text in more.items()}}
        content = json.dumps(body).encode()
        return self.clients[where].ask("POST", f"/api/v1/{call}", content, headers)

    def test_cookies(self) -> None:
        """A cookie is bound to its host and way, kept from scripts, and good there alone."""
        names = {
            "tls": "__Host-regcache",
            "plain": "regcache-80",
            "loopback": f"regcache-{self.daemon.admin_port}",
        }
        for where, name in names.items():
            made = self.post(where, "session", ACCOUNT)
            self.assertEqual(made.status, 200, made.body)
            pair, *words = made.headers["set-cookie"].split("; ")
            self.assertEqual(pair.partition("=")[0], name)
            expected = {"Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=43200"}
            self.assertEqual(set(words), expected | ({"Secure"} if where == "tls" else set()))
            for other in names:
                is_own = other == where
                told = self.clients[other].get("/api/v1/session", Cookie=pair).json()
                self.assertEqual(told["role"] == "admin", is_own, (where, other))
                changed = self.post(other, "pin", {"targets": []}, Cookie=pair)
                self.assertEqual(changed.status, 200 if is_own else 401, (where, other))
            for foreign in FOREIGN:
                sent = {name.replace("-", "_"): value for name, value in foreign.items()}
                refused = self.post(where, "pin", {"targets": []}, Cookie=pair, **sent)
                self.assertEqual((refused.status, refused.json()["code"]), (403, "FOREIGN_PAGE"))

    def test_registry_view(self) -> None:
        """The cookie opens nothing under /v2/, and no 401 of the API makes a browser ask."""
        for where in ("tls", "plain"):
            made = self.post(where, "session", ACCOUNT)
            pair = made.headers["set-cookie"].partition(";")[0]
            view = self.clients[where].get("/v2/_catalog", Cookie=pair)
            self.assertEqual(view.status, 401)
            self.assertIn("www-authenticate", view.headers)
            refused = self.clients[where].get("/api/v1/status")
            self.assertEqual((refused.status, refused.json()["code"]), (401, "UNAUTHENTICATED"))
            self.assertNotIn("www-authenticate", refused.headers)

    def test_wrong_passwords(self) -> None:
        """Trying passwords ends in 429, which says when to go on; a session goes on meanwhile."""
        pair = self.post("tls", "session", ACCOUNT).headers["set-cookie"].partition(";")[0]
        statuses = []
        for number in range(14):
            answer = self.post("tls", "session", {**ACCOUNT, "password": f"wrong {number}"})
            statuses.append(answer.status)
        self.assertEqual((statuses[0], statuses[-1]), (401, 429))
        self.assertEqual(answer.json()["code"], "TOO_MANY_LOGINS")
        self.assertGreater(int(answer.headers["retry-after"]), 0)
        told = self.clients["tls"].get("/api/v1/status", Cookie=pair)
        self.assertEqual(told.status, 200)
