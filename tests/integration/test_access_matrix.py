"""The table of docs/access.md: who asks for what, over every way of addressing, and what comes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.integration.access_base import (
    ALICE,
    BOB,
    CLOSED,
    LEAVER,
    OPEN,
    ROOT,
    WRONG,
    AccessCase,
    Restricted,
    client_authority,
    mixed_daemon,
)
from tests.integration.base import UPSTREAM, UPSTREAM_HOST, catalog
from tests.integration.seat_base import (
    KEY,
    KNOCKED,
    PAST,
    SEATED,
    SECRETS,
    SPENT,
    WHOEVER,
    seat_host,
    seated_daemon,
)
from tests.integration.test_access_tokens import OTHER_SERVICE, SERVICE, TokenSetting, certified
from tests.support.processes import CHECKOUT, free_port
from tests.support.registry_client import RegistryClient, basic
from tests.support.servers import Regcache

#: The columns, and what each asks for: the method, and the path behind the repository.
_SUM = "{digest}"
_COLUMNS: Mapping[str, tuple[str, str]] = {
    "manifest by tag": ("GET", "manifests/1"),
    "by digest": ("GET", f"manifests/{_SUM}"),
    "HEAD": ("HEAD", "manifests/1"),
    "blob": ("GET", "blobs/{blob}"),
    "tags": ("GET", "tags/list"),
    "referrers": ("GET", f"referrers/{_SUM}"),
    "DELETE": ("DELETE", f"manifests/{_SUM}"),
}
#: Those that concern no repository.
_ELSEWHERE: Mapping[str, str] = {"`/v2/`": "/v2/", "`_catalog`": "/v2/_catalog"}
#: Those of the operators' endpoint.
_OPERATORS: Mapping[str, str] = {"`/metrics`": "/metrics", "API": "/api/v1/status"}
REPOSITORIES = (OPEN, CLOSED)


@dataclass(frozen=True)
class Way:
    """A way to address a repository: how it is called, and the Host and query beside it."""

    prefix: str = ""
    query: str = ""
    host: str | None = None

    def name(self, repository: str) -> str:
        """What a client calls it, which is what scopes speak of."""
        return self.prefix + repository


WAYS: Mapping[str, Way] = {
    "default": Way(),
    "host": Way(host=UPSTREAM_HOST),
    "ns": Way(query=f"?ns={UPSTREAM}"),
    "prefix": Way(prefix=f"{UPSTREAM}/"),
}


@dataclass(frozen=True)
class Asked:
    """One cell: a daemon is asked in one way.

    :ivar scopes: that a client would ask its realm for.
    :ivar certificate: the account whose certificate is shown, over TLS; "" for plain connections.
    """

    daemon: Regcache
    way: Way
    scopes: tuple[str, ...] = ()
    certificate: str = ""

    def client(self, headers: Mapping[str, str]) -> RegistryClient:
        """A client that sends the Host of the way, and further headers."""
        host = {"Host": self.way.host} if self.way.host else {}
        if self.certificate:
            return RegistryClient(
                f"https://{self.daemon.tls_address}",
                context=client_authority().context(self.certificate),
                headers={**host, **headers},
            )
        return self.daemon.client(headers={**host, **headers})


#: What somebody shows, for one cell.
Shows = Callable[[Asked], Mapping[str, str]]


def _login(account: tuple[str, str]) -> Shows:
    return lambda asked: {"Authorization": basic(*account)}


def _token(account: tuple[str, str] | None, scoped: bool = True) -> Shows:
    """A token of our own realm, for the host that is asked."""

    def shows(asked: Asked) -> Mapping[str, str]:
        query = "&".join(f"scope={scope}" for scope in asked.scopes if scoped)
        login = {"Authorization": basic(*account)} if account else {}
        answer = asked.client(login).get(f"/token?{query}")
        assert answer.status == 200, answer
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    return shows


def _given(account: str, service: str = SERVICE) -> Shows:
    """A token of the external server."""
    return lambda asked: {
        "Authorization": f"Bearer {certified().auth.token(account, service, *asked.scopes)}"
    }


#: Who can be a row of the table. A further row needs a line here and one there.
OURS: Mapping[str, Shows] = {
    "nobody": lambda asked: {},
    "a wrong password": _login(WRONG),
    "a wrong token": lambda asked: {"Authorization": "Bearer of.no.account"},
    "a removed account": _login(LEAVER),
    "alice, who may pull everything": _login(ALICE),
    "bob, who may pull less": _login(BOB),
    "an administrator": _login(ROOT),
    "nobody's token": _token(None),
    "alice's token": _token(ALICE),
    "alice's token without a scope": _token(ALICE, scoped=False),
    "an administrator's token": _token(ROOT),
    "alice's certificate": lambda asked: {},
    "bob's login beside alice's certificate": _login(BOB),
    "a certificate of nobody": lambda asked: {},
}
#: The common names of those that show a certificate.
CERTIFICATES: Mapping[str, str] = {
    "alice's certificate": ALICE[0],
    "bob's login beside alice's certificate": ALICE[0],
    "a certificate of nobody": LEAVER[0],
    "a seat's certificate": WHOEVER,
}
SEATS: Mapping[str, Shows] = {
    "a seat's robot key": _login((SEATED[0], KEY)),
    "an ended seat": _login(PAST),
    "a seat over its quota": _login(SPENT),
    "a seat's certificate": lambda asked: {},
    "a seat's host": lambda asked: {"Host": seat_host(asked.way.host or "localhost")},
    "an address that opened a seat's link": lambda asked: {"X-Forwarded-For": KNOCKED},
}
EXTERNAL: Mapping[str, Shows] = {
    "nobody, with `access.token`": lambda asked: {},
    "alice's external token": _given(ALICE[0]),
    "bob's external token": _given(BOB[0]),
    "alice's token for another upstream": _given(ALICE[0], OTHER_SERVICE),
}


_CODES = {401: "UNAUTHORIZED", 403: "DENIED", 405: "UNSUPPORTED", 429: "TOOMANYREQUESTS"}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


@cache
def table() -> Mapping[str, Mapping[str, list[int]]]:
    """The statuses of docs/access.md by row and column; two where the repository matters."""
    text = (CHECKOUT / "docs" / "access.md").read_text(encoding="utf-8")
    (section,) = [part for part in text.split("\n## ") if part.startswith("Who gets what")]
    head, _, *rows = [line for line in section.splitlines() if line.startswith("|")]
    columns = _cells(head)[1:]
    found = {}
    for name, *cells in map(_cells, rows):
        found[name] = dict(zip(columns, (_statuses(cell) for cell in cells), strict=True))
    return found


def _statuses(cell: str) -> list[int]:
    return [int(word) for word in cell.split("·")]


class MatrixTests(AccessCase):
    """Every row, in every column, by every way."""

    mixed: Restricted
    seated: Restricted
    external: TokenSetting

    def setUp(self) -> None:
        """One daemon with accounts, one with seats, and one whose tokens come from elsewhere."""
        super().setUp()
        self.secrets.extend(SECRETS)
        self.seated = self.watched(seated_daemon())
        self.mixed = self.watched(mixed_daemon())
        self.external = certified()
        self.addCleanup(self.assert_no_secrets, self.external.daemon)

    def daemon(self, who: str) -> Regcache:
        """The daemon that a row is about."""
        if who in SEATS:
            return self.seated.daemon
        return self.mixed.daemon if who in OURS else self.external.daemon

    def test_complete(self) -> None:
        """The table has all rows that the test knows, and columns that it can ask for."""
        self.assertEqual(set(table()), {*OURS, *SEATS, *EXTERNAL})
        for columns in table().values():
            self.assertEqual(set(columns), {*_COLUMNS, *_ELSEWHERE, *_OPERATORS})

    def status(self, asked: Asked, shown: Mapping[str, str], method: str, target: str) -> int:
        """What comes for what was shown."""
        answer = self.ask(asked.client(shown), target, method)
        if answer.status == 401:
            self.assertIn("www-authenticate", answer.headers)
        if answer.status >= 400 and method != "HEAD":
            self.assertEqual(answer.errors, [_CODES[answer.status]])
        return answer.status

    def statuses(self, who: str, way: Way, repository: str) -> Mapping[str, int]:
        """What somebody gets of one repository, by column."""
        image, name = catalog().images[repository], way.name(repository)
        scopes = (f"repository:{name}:pull,delete",)
        asked = Asked(self.daemon(who), way, scopes, CERTIFICATES.get(who, ""))
        shown = {**OURS, **SEATS, **EXTERNAL}[who](asked)
        blob = next(iter(image.all_blobs()))
        found = {}
        for column, (method, tail) in _COLUMNS.items():
            path = tail.format(digest=image.digest, blob=blob)
            found[column] = self.status(asked, shown, method, f"/v2/{name}/{path}{way.query}")
        return found

    def test_repositories(self) -> None:
        """Manifests, blobs, lists and deletion of a repository."""
        for who, expected in table().items():
            for way_name, way in WAYS.items():
                found = [self.statuses(who, way, repository) for repository in REPOSITORIES]
                for column in _COLUMNS:
                    pair = [each[column] for each in found]
                    self.assertEqual(pair, expected[column], (who, column, way_name))

    def test_elsewhere(self) -> None:
        """The ping and the catalog."""
        for who, expected in table().items():
            asked = Asked(self.daemon(who), WAYS["host"], (), CERTIFICATES.get(who, ""))
            shown = {**OURS, **SEATS, **EXTERNAL}[who](asked)
            for column, target in _ELSEWHERE.items():
                found = self.status(asked, shown, "GET", target)
                self.assertEqual([found], expected[column], (who, column))

    def test_catalog(self) -> None:
        """What is listed is what may be pulled."""
        for repository in REPOSITORIES:
            client = self.mixed.daemon.client(credentials=ALICE)
            self.ask(client, f"/v2/{repository}/manifests/1")
        for account, shown in ((None, [OPEN]), (BOB, [OPEN]), (ALICE, [OPEN, CLOSED])):
            client = self.mixed.daemon.client(credentials=account)
            listed = client.get("/v2/_catalog", Host=UPSTREAM_HOST).json()["repositories"]
            self.assertEqual(sorted(set(listed) & set(REPOSITORIES)), sorted(shown))


class OperatorTests(AccessCase):
    """What operators see, where it is not on loopback alone."""

    def test_operators(self) -> None:
        """Metrics for who may administer, the API for every account, and neither by a token."""
        port = free_port()
        rules: list[Any] = mixed_daemon().daemon.config["access"]["rules"]
        restricted = self.restricted({"rules": rules}, admin={"endpoint": f"tcp:{port}"})
        self.assert_statuses(OURS, restricted.daemon, port)
        self.assert_statuses(EXTERNAL, certified().daemon, certified().operators)
        seated = seated_daemon()
        self.assert_statuses(SEATS, seated.daemon, seated.operators)

    def assert_statuses(self, rows: Mapping[str, Shows], daemon: Regcache, port: int) -> None:
        """Of some rows, by what is shown to a daemon's other listeners."""
        client = RegistryClient(f"http://127.0.0.1:{port}")
        for who, shows in rows.items():
            headers = shows(Asked(daemon, Way()))
            for column, target in _OPERATORS.items():
                answer = self.ask(client, target, headers=headers)
                self.assertEqual([answer.status], table()[who][column], (who, column))
