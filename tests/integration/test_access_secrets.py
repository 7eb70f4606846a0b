"""Nothing secret in any log: one daemon that is asked in every way, and the look at its log."""

import json
import time
from typing import Any

from tests.integration.access_base import (
    ALICE,
    BOB,
    CLOSED,
    LEAVER,
    MIXED_RULES,
    OPEN,
    ROOT,
    WRONG,
    AccessCase,
    ask_session,
)
from tests.integration.test_private import ACCOUNT
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.images import mixed_image
from tests.support.processes import free_port
from tests.support.registry_client import RegistryClient, basic

MANIFEST = f"/v2/{CLOSED}/manifests/1"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class _Log:
    """What looks like a daemon whose log is this text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def log(self) -> str:
        """The text."""
        return f"listening\n{self._text}\n"


class LookTests(AccessCase):
    """The look itself: what it finds."""

    def assert_found(self, text: str) -> None:
        """A log with this is not clean."""
        log: Any = _Log(text)
        self.assertRaises(AssertionError, self.assert_no_secrets, log)

    def test_found(self) -> None:
        """Each password, each login as Basic has it, tokens and their signatures."""
        self.secrets.append("head.claims.signature-of-a-token")
        for account in (ALICE, BOB, ROOT, LEAVER, WRONG, ACCOUNT):
            self.assert_found(f"password={account[1]}")
            self.assert_found(f"login {basic(*account)}")
        self.assert_found("signature-of-a-token")
        self.assert_found("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.x")
        self.assert_found("Authorization: Basic c29tZWJvZHk6c2VjcmV0")

    def test_clean(self) -> None:
        """Names of accounts and challenges are no secrets."""
        log: Any = _Log('account=alice "Basic realm=x" Bearer realm="https://a/token"')
        self.assert_no_secrets(log)

    def test_errors(self) -> None:
        """What was answered as an error is looked at, too."""
        self._refusals.append(ALICE[1].encode())
        log: Any = _Log("")
        self.assertRaises(AssertionError, self.assert_no_secrets, log)


class WholeRunTests(AccessCase):
    """Everything that takes a secret, right and wrong, with an upstream that does wrong, too."""

    def setUp(self) -> None:
        """An upstream that takes tokens, and a daemon whose log has all it can have."""
        super().setUp()
        self.upstream: FaultyUpstream = self.faulty_upstream()
        self.upstream.add_image(CLOSED, mixed_image("secrets", 2000), "1")
        self.upstream.require_token(ACCOUNT)
        self.operators = free_port()
        self.restricted_one = self.restricted(
            {"rules": MIXED_RULES},
            url=self.upstream.url,
            admin={"endpoint": f"tcp:{self.operators}"},
        )
        self.daemon = self.restricted_one.daemon

    def test_run(self) -> None:
        """Of all that neither the log nor an error has a secret."""
        self.log_in()
        self.get_tokens()
        self.operate()
        self.fail_upstream()
        self.restricted_one.admit(LEAVER)
        self.restricted_one.dismiss(LEAVER)
        self.daemon.stop()
        for sent in (*self.upstream.requests, *self.upstream.token_requests):
            for account in (ALICE, BOB, ROOT, LEAVER, WRONG):
                self.assertNotIn(basic(*account), str(sent.headers))

    def log_in(self) -> None:
        """By password: right, wrong, unreadable, in the target, twice."""
        for shown in (basic(*ALICE), basic(*WRONG), "Basic " + ALICE[1], f"Digest {ALICE[1]}"):
            client = self.daemon.client(headers={"Authorization": shown})
            for target in (MANIFEST, "/v2/", f"/v2/{OPEN}/manifests/1", "/nowhere", "/v2/A/b"):
                self.ask(client, target)
        client = self.daemon.client()
        for target in (f"/v2/?password={ALICE[1]}", f"{MANIFEST}?token={ALICE[1]}"):
            # The access line has what was asked for, and nothing of the query.
            client.get(target)

    def get_tokens(self) -> None:
        """By query and form, right and wrong, and what is done with them."""
        scope = f"repository:{CLOSED}:pull"
        for account in (None, ALICE, BOB):
            token = self.token(self.daemon, account, f"repository:{OPEN}:pull", scope)
            client = self.daemon.client(headers={"Authorization": f"Bearer {token}"})
            for target in (MANIFEST, "/v2/", "/v2/_catalog", "/token"):
                self.ask(client, target)
            broken = self.daemon.client(headers={"Authorization": f"Bearer {token[:-2]}"})
            self.ask(broken, MANIFEST)
        given: dict[str, Any] = {}
        for account in (WRONG, ALICE):
            form = f"grant_type=password&username={account[0]}&password={account[1]}"
            data = f"{form}&access_type=offline&scope={scope}".encode()
            answer = self.daemon.client().ask("POST", "/token", data, FORM)
            given = answer.json()
        self.secrets.extend([given["refresh_token"], given["access_token"]])
        for refresh in (given["refresh_token"], given["refresh_token"][:-2]):
            data = f"grant_type=refresh_token&refresh_token={refresh}".encode()
            self.daemon.client().ask("POST", "/token", data, FORM)

    def operate(self) -> None:
        """The operators' endpoint and API, and sessions."""
        for account in (ROOT, ALICE, WRONG):
            client = RegistryClient(f"http://127.0.0.1:{self.operators}", account)
            for target in ("/metrics", "/api/v1/session", "/api/v1/status", "/api/v1/nothing"):
                self.ask(client, target)
            status, cookie = ask_session(self.operators, account)
            self.assertEqual(status, 401 if account == WRONG else 200)
            self.secrets.extend([cookie] if cookie else [])

    def fail_upstream(self) -> None:
        """Its realm refuses us, and then it is gone."""
        client = self.daemon.client(credentials=ALICE)
        self.upstream.revoke_tokens()
        self.upstream.realm_knows_nobody = True
        self.ask(client, f"/v2/{CLOSED}/manifests/{int(time.time())}")
        self.upstream.close()
        self.ask(client, f"/v2/{CLOSED}/manifests/later")
        self.ask(client, f"/v2/{CLOSED}/blobs/sha256:{'1' * 64}")


class JsonTests(WholeRunTests):
    """The same where the log is JSON."""

    def setUp(self) -> None:
        """Start anew with the other form of lines."""
        super().setUp()
        self.daemon.stop()
        self.daemon.config["log"] = {"format": "json"}
        self.daemon.start()

    def test_run(self) -> None:
        """And is, line by line."""
        super().test_run()
        lines = [line for line in self.daemon.log().splitlines() if line.startswith("{")]
        self.assertGreater(len(lines), 20)
        for line in lines:
            json.loads(line)
