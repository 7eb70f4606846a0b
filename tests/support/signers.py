"""Keys that sign tokens as a server does: RS256, ES256 and EdDSA (RFC 7518, RFC 8037)."""

import base64
import datetime
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test token server")])


def _make_key(algorithm: str) -> Any:
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


class Signer:
    """One key.

    :param algorithm: ``RS256``, ``ES256`` or ``EdDSA``.
    :param identifier: ``kid`` of its tokens and its JWK; "" for none.
    """

    def __init__(self, algorithm: str, identifier: str = "") -> None:
        self.algorithm, self.identifier = algorithm, identifier
        self._key = _make_key(algorithm)

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """The token that makes these claims; ``header`` adds to its header."""
        named = {"kid": self.identifier} if self.identifier else {}
        return jwt.encode(
            dict(claims), self._key, algorithm=self.algorithm, headers={**named, **header}
        )

    def public_pem(self) -> str:
        """The public key."""
        public = self._key.public_key()
        encoded: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return encoded.decode()

    def jwk(self) -> dict[str, Any]:
        """The public key as a JWK (RFC 7517)."""
        kind = jwt.get_algorithm_by_name(self.algorithm)
        found: dict[str, Any] = kind.to_jwk(self._key.public_key(), as_dict=True)
        return {**found, "use": "sig", "kid": self.identifier}

    @cached_property
    def _certificate(self) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_NAME)
            .issuer_name(_NAME)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, None if self.algorithm == "EdDSA" else hashes.SHA256())
        )

    def certificate_pem(self) -> str:
        """A certificate of the key, as docker-registry's ``rootcertbundle`` and we take it."""
        return self._certificate.public_bytes(Encoding.PEM).decode()

    def x5c(self) -> list[str]:
        """The certificate as the header of a token carries it (RFC 7515, 4.1.6)."""
        return [base64.b64encode(self._certificate.public_bytes(Encoding.DER)).decode()]
