"""Tokens that we sign, and forged ones."""

import base64
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.own_tokens import (
    LONGEST_TOKEN,
    SHORTEST_LIFE,
    BadTokenError,
    OwnTokens,
    TokenClaims,
    is_own,
    issued_at,
)
from regcache.access.scopes import repository_scope
from tests.access.accounts import HOST

KEY = b"k" * 32
CLAIMS = TokenClaims("alice", "mark", HOST, (repository_scope("org/app", "pull"),))


class OwnTokenTests(SynchronousTestCase):
    """Signing and reading."""

    def setUp(self) -> None:
        self.now = time.time()  # PyJWT compares with the real clock
        self.tokens = OwnTokens(KEY, 300)

    def forged(self, key: Any = KEY, algorithm: str = "HS256", **changed: Any) -> str:
        """A token like ours but for some claims."""
        payload = jwt.decode(
            self.tokens.issue(CLAIMS, self.now), options={"verify_signature": False}
        )
        payload.update(changed)
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, key, algorithm=algorithm)

    def test_back(self) -> None:
        """What was signed is read again, with its end."""
        claims = self.tokens.read(self.tokens.issue(CLAIMS, self.now), HOST)
        self.assertEqual(
            (claims.account, claims.mark, claims.scopes), ("alice", "mark", CLAIMS.scopes)
        )
        self.assertEqual(claims.until, int(self.now) + 300)

    def test_shortest(self) -> None:
        """No token is shorter than clients take it to be."""
        self.assertEqual(OwnTokens(KEY, 5).life, SHORTEST_LIFE)

    def test_same_key(self) -> None:
        """A daemon with the same key accepts it, one with another key does not."""
        token = self.tokens.issue(CLAIMS, self.now)
        self.assertEqual(OwnTokens(KEY, 60).read(token, HOST).account, "alice")
        self.assertRaises(BadTokenError, OwnTokens(b"x" * 32, 60).read, token, HOST)

    def test_other_host(self) -> None:
        """A token is good for the host that asked, with its port."""
        token = self.tokens.issue(CLAIMS, self.now)
        for host in ("quay.example.com", f"{HOST}:5000", ""):
            self.assertRaises(BadTokenError, self.tokens.read, token, host)

    def test_uses(self) -> None:
        """A refresh token is no access token, nor the other way round."""
        access, refresh = (
            self.tokens.issue(CLAIMS, self.now),
            self.tokens.issue_refresh(CLAIMS, self.now),
        )
        self.assertEqual(self.tokens.read_refresh(refresh, HOST).account, "alice")
        self.assertRaises(BadTokenError, self.tokens.read, refresh, HOST)
        self.assertRaises(BadTokenError, self.tokens.read_refresh, access, HOST)

    def test_forged(self) -> None:
        """No other algorithm, key, issuer or time will do, and no claim may be missing."""
        pair = rsa.generate_private_key(65537, 2048)
        public = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for token in (
            self.forged(key=b"other" * 8),
            self.forged(key="", algorithm="none"),
            self.forged(algorithm="HS512"),
            self.forged(key=pair, algorithm="RS256"),
            self.forged(iss="somebody"),
            self.forged(exp=int(self.now) - 60),
            self.forged(nbf=int(self.now) + 600),
            *(
                self.forged(**{name: None})
                for name in ("exp", "aud", "iss", "sub", "use", "mark", "access")
            ),
            self.forged(access="everything"),
            self.forged(access=[{"type": "repository"}]),
            self.forged(aud=["other"]),
            f"{self.forged()}x",
            self.forged()[:-4],
            "a.b.c",
            "",
            "x" * (LONGEST_TOKEN + 1),
            f"{self.forged().rpartition('.')[0]}.",
        ):
            self.assertRaises(BadTokenError, self.tokens.read, token, HOST)
        self.assertNotIn(b"PRIVATE", public)

    def test_header_key(self) -> None:
        """A key that the token itself brings is never used."""
        header = {"alg": "HS256", "typ": "JWT", "jwk": {"kty": "oct", "k": "b3RoZXJvdGhlcg"}}
        payload = jwt.decode(self.forged(), options={"verify_signature": False})
        token = jwt.encode(payload, b"otherother", algorithm="HS256", headers=header)
        self.assertRaises(BadTokenError, self.tokens.read, token, HOST)

    def test_told_apart(self) -> None:
        """Which tokens claim to be ours shows in their header."""
        self.assertTrue(is_own(self.forged()))
        header = (
            base64.urlsafe_b64encode(json.dumps({"alg": "RS256"}).encode()).rstrip(b"=").decode()
        )
        for token in (f"{header}.e30.x", "nonsense", "", "é.é.é"):
            self.assertFalse(is_own(token), token)

    def test_time(self) -> None:
        """Times are RFC 3339, in UTC."""
        self.assertEqual(issued_at(0), "1970-01-01T00:00:00Z")
