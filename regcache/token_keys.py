"""The keys that an external server signs its tokens with: a file that we trust."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from cryptography.x509 import load_pem_x509_certificate

from regcache.light_dataclass import dataclass

#: Keys of one file.
MOST_KEYS = 32
_SHORTEST_RSA = 2048
_PEM = re.compile(
    r"-----BEGIN (CERTIFICATE|PUBLIC KEY)-----.*?-----END \1-----", re.DOTALL | re.ASCII
)


class KeysFileError(ValueError):
    """The file cannot be used; the text says what to change."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, and the one algorithm that it is used with.

    :ivar identifiers: what a token's ``kid`` may call it.
    """

    algorithm: str
    public: Any = field(repr=False)
    identifiers: frozenset[str]


def parse_keys(text: str) -> Sequence[VerificationKey]:
    """Certificates or public keys as PEM, or a JWK set (RFC 7517).

    :raises KeysFileError: if none is usable, or one is not.
    """
    try:
        found = list(_from_set(json.loads(text)) if text.lstrip()[:1] == "{" else _from_pem(text))
    except (ValueError, TypeError, AttributeError, UnsupportedAlgorithm, jwt.PyJWTError) as error:
        if isinstance(error, KeysFileError):
            raise
        raise KeysFileError("holds something that is neither a certificate nor a key") from None
    if not found:
        raise KeysFileError("holds no certificate, no public key and no JWK set")
    if len(found) > MOST_KEYS:
        raise KeysFileError(f"holds more than {MOST_KEYS} keys")
    return found


def _from_pem(text: str) -> Iterator[VerificationKey]:
    for block in _PEM.finditer(text):
        encoded = block[0].encode("ascii")
        if block[1] == "CERTIFICATE":
            yield _key(load_pem_x509_certificate(encoded).public_key())
        else:
            yield _key(load_pem_public_key(encoded))


def _from_set(document: dict[str, Any]) -> Iterator[VerificationKey]:
    for entry in document.get("keys", [document]):
        if entry.get("kty") == "oct" or "d" in entry:
            raise KeysFileError("holds a secret key; only public ones belong there")
        if entry.get("use", "sig") == "sig":
            yield _key(jwt.PyJWK(entry).key, str(entry.get("kid", "")))


def _key(public: Any, identifier: str = "") -> VerificationKey:
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    names = {_libtrust_identifier(der), hashlib.sha256(der).hexdigest(), identifier}
    return VerificationKey(_algorithm(public), public, frozenset(names - {""}))


def _algorithm(public: Any) -> str:
    if isinstance(public, RSAPublicKey):
        if public.key_size < _SHORTEST_RSA:
            raise KeysFileError(f"holds an RSA key of less than {_SHORTEST_RSA} bits")
        return "RS256"
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return "ES256"
    if isinstance(public, Ed25519PublicKey):
        return "EdDSA"
    raise KeysFileError("holds a key that is neither RSA, nor EC on P-256, nor Ed25519")


def _libtrust_identifier(der: bytes) -> str:
    """How distribution and docker_auth call a key: 240 bits in base32, in groups of four."""
    encoded = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode("ascii")
    return ":".join(encoded[start : start + 4] for start in range(0, len(encoded), 4))
