"""Tokens of an external server, good and forged, and the keys that they are checked with."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.challenges import ExternalRealm
from regcache.access.external_tokens import LEEWAY, LONGEST_NAME, MOST_ENTRIES, ExternalTokens
from regcache.access.own_tokens import LONGEST_TOKEN, BadTokenError
from regcache.access.scopes import repository_scope
from regcache.token_keys import MOST_KEYS, KeysFileError, parse_keys

RSA = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
PRIVATE: dict[str, Any] = {"RS256": RSA, "ES256": CURVE, "EdDSA": EDWARDS}
REALM = ExternalRealm("https://auth.example.com/auth", "regcache/{upstream}")
UPSTREAMS = ("docker.io", "quay.io")


def pem(private: Any) -> str:
    """The public key."""
    encoded: bytes = private.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    return encoded.decode()


def jwk(private: Any, kind: Any, **more: str) -> dict[str, Any]:
    """The public key as a JWK."""
    found: dict[str, Any] = kind.to_jwk(private.public_key(), as_dict=True)
    return {**found, **more}


ALL_KEYS = parse_keys("".join(map(pem, PRIVATE.values())))


class KeysTests(SynchronousTestCase):
    """The file of keys."""

    def test_pem(self) -> None:
        """Public keys are read from PEM, each with its one algorithm."""
        self.assertEqual([each.algorithm for each in ALL_KEYS], ["RS256", "ES256", "EdDSA"])

    def test_identifier(self) -> None:
        """A key is known by the name that distribution and docker_auth call it by."""
        der = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
        name = ":".join(text[start : start + 4] for start in range(0, 48, 4))
        self.assertIn(name, ALL_KEYS[0].identifiers)

    def test_set(self) -> None:
        """Public keys are read from a JWK set, with their names."""
        entries = [
            jwk(RSA, jwt.algorithms.RSAAlgorithm, kid="first"),
            jwk(CURVE, jwt.algorithms.ECAlgorithm, use="sig"),
            jwk(EDWARDS, jwt.algorithms.OKPAlgorithm),
            jwk(RSA, jwt.algorithms.RSAAlgorithm, use="enc"),
        ]
        keys = parse_keys(json.dumps({"keys": entries}))
        self.assertEqual([each.algorithm for each in keys], ["RS256", "ES256", "EdDSA"])
        self.assertIn("first", keys[0].identifiers)
        self.assertEqual(len(parse_keys(json.dumps(entries[0]))), 1)

    def test_unusable(self) -> None:
        """What is no usable public key is refused, and so is a secret one."""
        secret = jwt.algorithms.RSAAlgorithm.to_jwk(RSA, as_dict=True)
        for text in (
            "",
            "nonsense",
            "{}",
            '{"keys": 5}',
            '{"keys": []}',
            '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
            json.dumps({"keys": [secret]}),
            pem(rsa.generate_private_key(65537, 1024)),
            pem(ec.generate_private_key(ec.SECP384R1())),
            pem(RSA).replace("M", "%", 3),
            pem(EDWARDS) * (MOST_KEYS + 1),
        ):
            self.assertRaises(KeysFileError, parse_keys, text)


class TokenTests(SynchronousTestCase):
    """Tokens."""

    def setUp(self) -> None:
        self.tokens = ExternalTokens(REALM, "auth.example.com", UPSTREAMS, ALL_KEYS)

    def sign(
        self, algorithm: str = "RS256", key: Any = None, headers: Any = None, **changed: Any
    ) -> str:
        """A token of the server but for some claims."""
        now = int(time.time())
        payload = {
            "iss": "auth.example.com",
            "sub": "carol",
            "aud": "regcache/docker.io",
            "exp": now + 300,
            "nbf": now,
            "iat": now,
            "access": [{"type": "repository", "name": "org/app", "actions": ["pull", "push"]}],
        }
        payload.update(changed)
        payload = {name: value for name, value in payload.items() if value is not None}
        used = PRIVATE[algorithm] if key is None else key
        return jwt.encode(payload, used, algorithm=algorithm, headers=headers)

    def refused(self, token: str) -> None:
        """A token is not taken."""
        self.assertRaises(BadTokenError, self.tokens.read, token)

    def test_good(self) -> None:
        """A token signed by any of the keys is good, for its upstream and its scopes."""
        for algorithm in PRIVATE:
            claims = self.tokens.read(self.sign(algorithm))
            self.assertEqual((claims.account, claims.upstreams), ("carol", {"docker.io"}))
            self.assertEqual(claims.scopes, (repository_scope("org/app", "pull", "push"),))

    def test_subject(self) -> None:
        """A subject is what an account may be called, or is left out for nobody in particular."""
        for good in ("carol", "c" * LONGEST_NAME, "Käte"):
            self.assertEqual(self.tokens.read(self.sign(sub=good)).account, good)
        for nobody in ("", None):
            self.assertEqual(self.tokens.read(self.sign(sub=nobody)).account, "")
        for bad in ("anonymous", "*", "\ud800", "a\nb", "a\0", "c" * (LONGEST_NAME + 1), "a:b"):
            self.refused(self.sign(sub=bad))
        body = json.dumps({"iss": "auth.example.com", "aud": "regcache/docker.io", "sub": 5,
                           "exp": int(time.time()) + 300, "access": []})  # fmt: skip
        self.refused(jwt.api_jws.encode(body.encode(), RSA, algorithm="RS256"))

    def test_named_key(self) -> None:
        """A name of a key is only a hint; a key that is named is the only one that counts."""
        name = next(iter(ALL_KEYS[0].identifiers))
        self.assertEqual(self.tokens.read(self.sign(headers={"kid": name})).account, "carol")
        self.assertEqual(self.tokens.read(self.sign(headers={"kid": "other"})).account, "carol")
        self.refused(self.sign("ES256", headers={"kid": name}))

    def test_several_audiences(self) -> None:
        """A token for several upstreams is good for those of them that are ours."""
        claims = self.tokens.read(self.sign(aud=["regcache/quay.io", "regcache/docker.io", "x"]))
        self.assertEqual(claims.upstreams, set(UPSTREAMS))

    def test_one_service(self) -> None:
        """Where all upstreams have one service, a token is good for all."""
        realm = ExternalRealm(REALM.realm, "registry")
        tokens = ExternalTokens(realm, "auth.example.com", UPSTREAMS, ALL_KEYS)
        self.assertIsNone(tokens.read(self.sign(aud="registry")).upstreams)
        self.assertRaises(BadTokenError, tokens.read, self.sign())

    def test_claims(self) -> None:
        """Issuer, audience and times are checked, and must be there."""
        now = int(time.time())
        for changed in (
            {"iss": "mallory"},
            {"iss": None},
            {"aud": "regcache/other.io"},
            {"aud": []},
            {"aud": None},
            {"exp": now - LEEWAY - 5},
            {"exp": None},
            {"nbf": now + LEEWAY + 60},
            {"access": "everything"},
            {"access": [{"type": "repository"}]},
            {"access": [{"type": "repository", "name": "a", "actions": 5}]},
        ):
            self.refused(self.sign(**changed))

    def test_no_list(self) -> None:
        """A token without an access list is a login, and allows nothing."""
        self.assertEqual(self.tokens.read(self.sign(access=None)).scopes, ())

    def test_long_list(self) -> None:
        """No more entries are looked at than a bound."""
        entry = {"type": "repository", "name": "a", "actions": ["pull"]}
        claims = self.tokens.read(self.sign(access=[entry] * (MOST_ENTRIES + 20)))
        self.assertEqual(len(claims.scopes), MOST_ENTRIES)

    def test_forged(self) -> None:
        """No signature, another key, and the public key as a secret are refused."""
        stranger = rsa.generate_private_key(65537, 2048)
        self.refused(self.sign(key=stranger))
        self.refused(self.sign()[:-6] + "AAAAAA")
        self.refused(self.sign("ES256")[:-6] + "AAAAAA")
        header, payload, _ = self.sign().split(".")
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
        self.refused(f"{none}.{payload}.")
        self.refused(f"{header}.{payload}.")
        self.refused(self._with_public_key_as_secret(payload))
        for nonsense in ("", "a.b.c", "x" * (LONGEST_TOKEN + 1), "é", "..", "a.b"):
            self.refused(nonsense)

    def _with_public_key_as_secret(self, payload: str) -> str:
        header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
        signed = f"{header}.{payload}".encode()
        signature = base64.urlsafe_b64encode(hmac.digest(pem(RSA).encode(), signed, "sha256"))
        return f"{header}.{payload}.{signature.rstrip(b'=').decode()}"

    def test_key_in_header(self) -> None:
        """A key in the token itself is never used, under any name."""
        stranger = rsa.generate_private_key(65537, 2048)
        name = next(iter(ALL_KEYS[0].identifiers))
        for headers in (
            {"jwk": jwk(stranger, jwt.algorithms.RSAAlgorithm, kid=name), "kid": name},
            {"jku": "https://mallory.example.com/keys", "kid": name},
            {"x5c": ["MIIB"], "kid": name},
        ):
            self.refused(self.sign(key=stranger, headers=headers))

    def test_other_algorithm(self) -> None:
        """A key is used with its own algorithm only."""
        for algorithm in ("RS512", "PS256"):
            self.refused(self.sign(algorithm, key=RSA))
