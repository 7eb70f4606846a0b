"""A token server that speaks docker_auth's protocol: GET, and the OAuth2 form of POST.

Who may do what is an access list of its own. It counts what it is asked, by service and scope.
"""

import base64
import binascii
import secrets
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.json_handler import JsonHandler
from tests.support.signers import Signer

ISSUER = "Acme auth server"
Fields = Mapping[str, Sequence[str]]
#: By account ("" for who has none, ``*`` for all): repositories and the actions on them.
AccessList = Mapping[str, Mapping[str, str]]


class AuthServer:
    """Gives tokens to accounts.

    :param accounts: names and passwords.
    :param allowed: what each may do, by repository or ``*``: actions with commas between.
    :ivar requests: how often each service and scope was asked for, and by which way.
    """

    def __init__(self, accounts: Mapping[str, str], allowed: AccessList, signer: Signer) -> None:
        self.accounts, self.allowed, self.signer = dict(accounts), allowed, signer
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.given: list[str] = []
        self._refresh: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.realm = f"http://127.0.0.1:{self._server.server_address[1]}/auth"

    def claims(self, account: str, service: str, scopes: Sequence[str]) -> dict[str, Any]:
        """What a token says."""
        now = int(time.time())
        entries = [self._entry(account, scope) for scope in scopes]
        return {
            "iss": ISSUER,
            "sub": account,
            "aud": service,
            "exp": now + 300,
            "nbf": now - 10,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": [entry for entry in entries if entry["actions"]],
        }

    def _entry(self, account: str, scope: str) -> dict[str, Any]:
        kind, _, rest = scope.partition(":")
        name, _, asked = rest.rpartition(":")
        lists = [self.allowed.get(account, {}), self.allowed.get("", {})]
        granted = {
            one for each in lists for one in (each.get(name) or each.get("*", "")).split(",")
        }
        actions = [one for one in asked.split(",") if one in granted]
        return {"type": kind, "name": name, "actions": actions}

    def token(self, account: str, service: str, *scopes: str) -> str:
        """A token as it is given to who asks."""
        made = self.signer.sign(self.claims(account, service, scopes), x5c=self.signer.x5c())
        self.given.append(made)
        return made

    def answer(self, way: str, fields: Fields, account: str) -> dict[str, Any]:
        """What somebody whose proof is right is given."""
        service = "".join(fields.get("service", ()))
        scopes = [one for text in fields.get("scope", ()) for one in text.split()]
        self.requests.update((way, service, scope) for scope in scopes or [""])
        made = self.token(account, service, *scopes)
        found = {"token": made, "access_token": made, "expires_in": 300}
        offline = fields.get("offline_token") == ["true"] or fields.get("access_type") == [
            "offline"
        ]
        if account and offline:
            refresh = secrets.token_hex(16)
            self._refresh[refresh] = account
            self.given.append(refresh)
            found["refresh_token"] = refresh
        return found

    def by_password(self, name: str, password: str) -> str | None:
        """The account; None for wrong credentials."""
        return name if self.accounts.get(name) == password else None

    def by_form(self, fields: Fields) -> str | None:
        """The account of an OAuth2 form (RFC 6749, 4.3 and 6); None for wrong credentials."""
        if fields.get("grant_type") == ["refresh_token"]:
            return self._refresh.get("".join(fields.get("refresh_token", ())))
        return self.by_password(
            "".join(fields.get("username", ())), "".join(fields.get("password", ()))
        )

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(JsonHandler):
            def do_GET(self) -> None:
                fields = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                given = self.headers["Authorization"]
                account = "" if given is None else owner.by_password(*_login(given))
                self._send("get", fields, account)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fields = urllib.parse.parse_qs(body)
                way = "refresh" if "refresh_token" in fields else "form"
                self._send(way, fields, owner.by_form(fields))

            def _send(self, way: str, fields: Fields, account: str | None) -> None:
                if account is None:
                    self.send_json(401, {"details": "wrong account"})
                else:
                    self.send_json(200, owner.answer(way, fields, account))

        return Handler


def _login(authorization: str) -> tuple[str, str]:
    """Name and password of Basic; nobody's where there are none."""
    try:
        decoded = base64.b64decode(authorization.removeprefix("Basic ")).decode()
    except (binascii.Error, UnicodeError):
        return "", ""
    name, _, password = decoded.partition(":")
    return name, password
