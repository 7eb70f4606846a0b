"""Accounts in the daemon as it is put together: how soon a changed file counts."""

import os
import time
from pathlib import Path
from unittest.mock import patch

from regcache.access.credentials import ClientCertificate
from regcache.watched_file import INTERVAL
from tests.access.accounts import basic, hashed
from tests.support.web_client import MemoryClient
from tests.test_in_force import InForceCase

#: Within so many seconds a removed account is out, by contract.
CONTRACT = 2.0
SCOPE = "repository:org/app:pull"


class RemovedAccountTests(InForceCase):
    """Connections that stay open while an account is removed from the file."""

    def setUp(self) -> None:
        """The clock tells the time of day, by which tokens end."""
        super().setUp()
        self.network.advance(time.time() - self.network.seconds())
        self.file = Path(self.mktemp())
        self.write(alice="secret", bob="other")
        access = f"access: {{htpasswd: '{os.path.abspath(self.file)}'}}\n"
        self.start(self.build(more=access)).startService()
        self.addCleanup(self.current.stopService)

    def write(self, **accounts: str) -> None:
        """Another file takes its place."""
        following = self.file.with_name(self.file.name + ".new")
        lines = (f"{name}:{hashed(word).decode()}\n" for name, word in accounts.items())
        following.write_text("".join(lines))
        os.replace(following, self.file)

    def status(self, client: MemoryClient, *lines: str) -> int:
        """What the next request on a connection gets, while no time passes."""
        client.request("GET", "/v2/", *lines)
        return client.answers()[-1].status

    def token(self) -> str:
        """A token of alice."""
        login = f"Authorization: {basic('alice', 'secret')}"
        client = MemoryClient(self.site).request("GET", f"/token?scope={SCOPE}", login)
        return str(client.answer().json["token"])

    def test_within_the_contract(self) -> None:
        """It is out with the next look at the file, by password, token and certificate."""
        self.assertLess(INTERVAL, CONTRACT)
        shown = ClientCertificate("ab" * 32, "alice")
        password = f"Authorization: {basic('alice', 'secret')}"
        bob = MemoryClient(self.site)
        ways = {
            "password": (MemoryClient(self.site), [password], None),
            "token": (MemoryClient(self.site), [f"Authorization: Bearer {self.token()}"], None),
            "certificate": (MemoryClient(self.site), [], shown),
        }

        def statuses() -> set[int]:
            found = set()
            for client, lines, certificate in ways.values():
                with patch.object(type(client.channel), "client_certificate", certificate):
                    found.add(self.status(client, *lines))
            return found

        self.assertEqual(statuses(), {200})
        self.write(bob="other")
        self.assertEqual(statuses(), {200})
        self.network.advance(INTERVAL)
        self.assertEqual(statuses(), {401})
        self.assertEqual(self.status(bob, f"Authorization: {basic('bob', 'other')}"), 200)
        for client, _, _ in ways.values():
            self.assertFalse(client.transport.disconnecting)
