"""A token server as docker-registry expects one: signed JWTs, one realm, every request counted."""

import base64
import datetime
import json
import secrets
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from tests.support.json_handler import JsonHandler
from tests.support.processes import Workspace
from tests.support.registry_client import basic

ISSUER = "test token server"
SERVICE = "test registry"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value: object) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


class Signer:
    """Signs tokens with RS256 (RFC 7515); the certificate travels in ``x5c``."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        now = datetime.datetime.now(datetime.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def certificate_pem(self) -> str:
        """The certificate for ``rootcertbundle``."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The token that makes these claims."""
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        signed = f"{_json(header)}.{_json(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"


class TokenServer:
    """Gives ``account`` what it asks for, and others nothing but ``public`` repositories.

    ``requests`` counts by scope ("" where none was asked for).
    """

    def __init__(self, account: tuple[str, str], public: frozenset[str] = frozenset()) -> None:
        self.account, self.public, self.lifetime = account, public, 300
        self.requests: Counter[str] = Counter()
        self.refused = 0
        self._signer = Signer()
        self._workspace = Workspace()
        self._bundle = self._workspace.file("bundle.pem", self._signer.certificate_pem())
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def registry_config(self) -> dict[str, str]:
        """The section ``auth.token`` of a docker-registry that trusts this server."""
        return {
            "realm": self.url,
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(self._bundle),
        }

    def token(self, scopes: list[str], trusted: bool) -> str:
        """A token for ``scopes``, less what an untrusted asker may not have."""
        now = int(time.time())
        access = [_access(scope) for scope in scopes]
        if not trusted:
            access = [
                {**one, "actions": ["pull"] if one["name"] in self.public else []} for one in access
            ]
        return self._signer.sign(
            {
                "iss": ISSUER,
                "sub": self.account[0] if trusted else "",
                "aud": SERVICE,
                "exp": now + self.lifetime,
                "nbf": now - 10,
                "iat": now,
                "jti": secrets.token_hex(8),
                "access": access,
            }
        )

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._workspace.remove()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(JsonHandler):
            def do_GET(self) -> None:
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                scopes = [one for text in query.get("scope", []) for one in text.split()]
                given = self.headers["Authorization"]
                trusted = given == basic(*owner.account)
                owner.requests.update(scopes or [""])
                if given is not None and not trusted:
                    owner.refused += 1
                    self.send_json(401, {"details": "wrong account"})
                    return
                token = owner.token(scopes, trusted)
                self.send_json(200, {"token": token, "expires_in": owner.lifetime})

        return Handler


def _access(scope: str) -> dict[str, Any]:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}
