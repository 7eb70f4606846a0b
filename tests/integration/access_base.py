"""Gives tests of access accounts, daemons that ask for them, and a check of their logs.

After each test of this base, nothing secret may be in the log of its daemons, nor in an error that
they answered.
"""

import json
import re
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from tests.access.accounts import hashed
from tests.integration.base import UPSTREAM, UPSTREAM_HOST, PullThroughCase, certificates, shared
from tests.integration.test_private import ACCOUNT, basic_upstream
from tests.support.certificates import Authority, Certificate
from tests.support.processes import Workspace, wait_until
from tests.support.registry_client import Answer, RegistryClient, basic
from tests.support.servers import Regcache

ALICE = ("alice", "Xenon-of-alice-4711")
BOB = ("bob", "Argon-of-bob-4712")
ROOT = ("root", "Radon-of-root-4713")
LEAVER = ("leaver", "Neon-of-leaver-4714")
#: No account's.
WRONG = ("alice", "Krypton-of-nobody-4715")
ACCOUNTS = (ALICE, BOB, ROOT)
#: What everybody may pull, what accounts may, and what only some may.
OPEN, CLOSED = "library/mixed", "team/multi"
#: Anybody may pull ``library/*``, alice everything, bob what is his.
MIXED_RULES: list[dict[str, Any]] = [
    {"accounts": ["anonymous"], "repositories": ["library/*"]},
    {"accounts": ["alice", "leaver"]},
    {"accounts": ["bob"], "repositories": ["bob/*"]},
]
#: Looks like a token, or like a password for Basic.
_CREDENTIALS = re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}|\bBasic (?!realm)[\w+/=]{8,}|\bBearer ey")


class AccountsFile:
    """A htpasswd file that changes while a daemon watches it."""

    def __init__(self, *accounts: tuple[str, str]) -> None:
        self._workspace = Workspace()
        self._lines = {name: _line(name, password) for name, password in accounts}
        self.path = self._workspace.path / "htpasswd"
        self._write()

    def add(self, account: tuple[str, str]) -> None:
        """Add an account, or give it another password."""
        self._lines[account[0]] = _line(*account)
        self._write()

    def add_line(self, name: str, line: str) -> None:
        """Add an account with a line of its own."""
        self._lines[name] = line
        self._write()

    def remove(self, name: str) -> None:
        """Remove an account."""
        del self._lines[name]
        self._write()

    def _write(self) -> None:
        following = self._workspace.file("following", "".join(self._lines.values()))
        following.rename(self.path)

    def close(self) -> None:
        """Remove the file."""
        self._workspace.remove()


def _line(name: str, password: str) -> str:
    return f"{name}:{hashed(password).decode()}\n"


class ClientAuthority:
    """Issues certificates to accounts."""

    def __init__(self) -> None:
        self._workspace = Workspace()
        self.authority = Authority(self._workspace.path, "clients")
        self._issued: dict[str, Certificate] = {}
        self.close = self._workspace.remove

    def issued(self, name: str) -> Certificate:
        """The certificate with a common name."""
        if name not in self._issued:
            self._issued[name] = self.authority.issue(name)
        return self._issued[name]

    def context(self, name: str) -> ssl.SSLContext:
        """Of a client with the certificate of an account."""
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        context.load_cert_chain(self.issued(name).chain, self.issued(name).key)
        return context


client_authority = shared(ClientAuthority)


class Restricted:
    """A daemon with accounts, over plain HTTP and TLS, in front of an upstream with one of its own.

    :param name: of the upstream, which answers where nothing is named.
    :param url: of the upstream; "" for the one that asks for an account.
    :param port: of the plain listener.
    :param listeners: further ones; HTTP/2 is offered over TLS, and certificates are asked for.
    :ivar accounts: its file.
    """

    def __init__(
        self,
        access: Mapping[str, Any] | None = None,
        *,
        name: str = UPSTREAM,
        url: str = "",
        port: int | None = None,
        listeners: Iterable[Mapping[str, Any]] = (),
        **more: Any,
    ) -> None:
        self.accounts = AccountsFile(*ACCOUNTS)
        username, password = ACCOUNT
        entry = {"url": url or basic_upstream().url, "username": username, "password": password}
        config = {
            "upstreams": {name: {"urls": [entry], "serve_private": True, "hosts": [UPSTREAM_HOST]}},
            "default_upstream": name,
            "access": {"htpasswd": str(self.accounts.path), "admins": ["root"], **(access or {})},
            **more,
        }
        self.daemon = Regcache(config, certificates().certificate, port)
        tls = self.daemon.config["listeners"][-1]
        tls["http2"] = True
        tls["tls"]["client_ca"] = str(client_authority().authority.file)
        self.daemon.config["listeners"].extend(listeners)
        self.daemon.start()

    def status(self, account: tuple[str, str]) -> int:
        """What a login is answered."""
        return self.daemon.client(credentials=account).get("/v2/").status

    def admit(self, account: tuple[str, str]) -> None:
        """Add an account, and wait until the daemon knows it."""
        self.accounts.add(account)
        wait_until(lambda: self.status(account) == 200, "the account is known")

    def dismiss(self, account: tuple[str, str]) -> None:
        """Remove an account, and wait until the daemon knows it no more."""
        self.accounts.remove(account[0])
        wait_until(lambda: self.status(account) == 401, "the account is gone")

    def close(self) -> None:
        """Stop it."""
        self.daemon.close()
        self.accounts.close()


@shared
def closed_daemon() -> Restricted:
    """The plain htpasswd set-up: accounts may pull everything, and nobody else anything."""
    return Restricted()


@shared
def mixed_daemon() -> Restricted:
    """Anybody may pull ``library/*``; accounts more."""
    return Restricted({"rules": MIXED_RULES})


def ask_session(port: int, account: tuple[str, str]) -> tuple[int, str]:
    """Begin a session of the API; the status, and the cookie's value."""
    body = json.dumps({"account": account[0], "password": account[1]}).encode()
    headers = {"X-Regcache": "1", "Content-Type": "application/json"}
    client = RegistryClient(f"http://127.0.0.1:{port}")
    answer = client.ask("POST", "/api/v1/session", body, headers)
    cookie = answer.headers.get("set-cookie", "").partition(";")[0]
    return answer.status, cookie.partition("=")[2]


class AccessCase(PullThroughCase):
    """Looks for secrets in all that a daemon wrote and answered, after each test.

    :ivar secrets: further ones that a test knows.
    """

    def setUp(self) -> None:
        """Nothing was answered yet, and no further secret is known."""
        self._refusals: list[bytes] = []
        self.secrets: list[str] = []

    def restricted(self, access: Mapping[str, Any] | None = None, **more: Any) -> Restricted:
        """A daemon with accounts for this test alone; the other values are those of its class."""
        made = Restricted(access, **more)
        self.addCleanup(made.close)
        return self.watched(made)

    def watched(self, restricted: Restricted) -> Restricted:
        """Look at its log when the test is over."""
        self.addCleanup(self.assert_no_secrets, restricted.daemon)
        return restricted

    def ask(
        self,
        client: RegistryClient,
        target: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, whose answer is looked at in the end."""
        answer = client.ask(method, target, headers=headers)
        if answer.status >= 400:
            self._refusals.append(str(dict(answer.headers)).encode() + answer.body)
        return answer

    def token(self, daemon: Regcache, account: tuple[str, str] | None = None, *scopes: str) -> str:
        """A token of the daemon's own realm."""
        query = "&".join(f"scope={scope}" for scope in scopes)
        answer = daemon.client(credentials=account).get(f"/token?{query}")
        self.assertEqual(answer.status, 200, answer)
        found = str(answer.json()["token"])
        self.secrets.append(found)
        return found

    def assert_no_secrets(self, daemon: Regcache) -> None:
        """No secret of any test is in the log, nor in an error that was answered."""
        written = daemon.log().splitlines()
        self.assertIn("listening", "".join(written))
        for line in (*written, *(each.decode("latin-1") for each in self._refusals)):
            for secret in _all_secrets(self.secrets):
                self.assertNotIn(secret, line)
            self.assertIsNone(_CREDENTIALS.search(line), line)


def _all_secrets(more: Iterable[str]) -> Iterable[str]:
    """All that must not be seen; of a token its signature, too."""
    for account in (*ACCOUNTS, LEAVER, WRONG, ACCOUNT):
        yield account[1]
        yield basic(*account).removeprefix("Basic ").rstrip("=")
    for secret in more:
        yield secret
        if secret.count(".") == 2 and (signature := secret.rpartition(".")[2]):
            yield signature
