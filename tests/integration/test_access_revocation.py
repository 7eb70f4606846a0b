"""An account that is removed, or has another password, is out on open connections, too.

How soon that is by contract, tests.test_access_control asserts by the watcher's interval.
"""

import http.client
from collections.abc import Mapping

from tests.integration.access_base import (
    ALICE,
    CLOSED,
    LEAVER,
    OPEN,
    WRONG,
    AccessCase,
    Restricted,
    mixed_daemon,
)
from tests.support.processes import wait_until
from tests.support.registry_client import Answer, basic

MANIFEST = f"/v2/{CLOSED}/manifests/1"


class RevocationTests(AccessCase):
    """Connections that stay open while the htpasswd file changes."""

    def setUp(self) -> None:
        """One daemon for all."""
        super().setUp()
        self.mixed: Restricted = self.watched(mixed_daemon())
        self.mixed.admit(LEAVER)

    def connect(self) -> http.client.HTTPConnection:
        """An open connection."""
        made = self.mixed.daemon.client().connect()
        self.addCleanup(made.close)
        return made

    def status(self, connection: http.client.HTTPConnection, authorization: str) -> int:
        """Ask over a connection that stays open."""
        connection.request("GET", MANIFEST, headers={"Authorization": authorization})
        answer = connection.getresponse()
        answer.read()
        self.assertFalse(answer.will_close)
        return answer.status

    def ways(self) -> Mapping[str, str]:
        """The ways in which the account can show itself."""
        token = self.token(self.mixed.daemon, LEAVER, f"repository:{CLOSED}:pull")
        return {"password": basic(*LEAVER), "token": f"Bearer {token}"}

    def wait_until_out(self, ways: Mapping[str, str]) -> None:
        """Wait until each way leads nowhere on a new connection."""
        for name, authorization in ways.items():
            connection = self.connect()
            wait_until(
                lambda: self.status(connection, authorization) == 401,  # noqa: B023
                f"{name} leads nowhere",
            )

    def test_removed(self) -> None:
        """A removed account is out, by password and by token, on its open connections."""
        ways = self.ways()
        connections = {name: self.connect() for name in ways}
        for name, connection in connections.items():
            self.assertEqual(self.status(connection, ways[name]), 200, name)
        self.mixed.accounts.remove(LEAVER[0])
        self.wait_until_out(ways)
        for name, connection in connections.items():
            self.assertEqual(self.status(connection, ways[name]), 401, name)

    def test_other_password(self) -> None:
        """A former password, and tokens that were given for it, are nobody's."""
        ways = self.ways()
        self.mixed.admit((LEAVER[0], WRONG[1]))
        for name, authorization in ways.items():
            self.assertEqual(self.status(self.connect(), authorization), 401, name)
        self.mixed.dismiss((LEAVER[0], WRONG[1]))

    def test_comes_back(self) -> None:
        """A token does not outlive its account, though one of this name comes back."""
        ways = self.ways()
        self.mixed.dismiss(LEAVER)
        self.mixed.admit(LEAVER)
        connection = self.connect()
        self.assertEqual(self.status(connection, ways["password"]), 200)
        self.assertEqual(self.status(connection, ways["token"]), 401)
        self.mixed.dismiss(LEAVER)

    def test_others(self) -> None:
        """Others lose nothing by a changed file."""
        client = self.mixed.daemon.client(credentials=ALICE)
        before: Answer = self.ask(client, f"/v2/{OPEN}/manifests/1")
        self.mixed.dismiss(LEAVER)
        self.assertEqual(self.ask(client, f"/v2/{OPEN}/manifests/1").body, before.body)
