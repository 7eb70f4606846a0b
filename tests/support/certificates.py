"""A throwaway certificate authority and the certificates it signs."""

import datetime
import ipaddress
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """A chain and its key, in PEM files."""

    chain: Path
    key: Path


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Signs certificates for names and addresses; its own is ``<directory>/ca/ca.crt``.

    The folder ``ca`` holds nothing else, as ``--cert-dir`` of skopeo and podman demands.
    """

    def __init__(self, directory: Path, name: str = "throwaway test authority") -> None:
        self._name = _name(name)
        self._directory = directory
        self._numbers = itertools.count(1)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.folder = directory / "ca"
        self.folder.mkdir(parents=True)
        self.file = self.folder / "ca.crt"
        self._own = self._sign(
            self._name,
            self._key.public_key(),
            x509.BasicConstraints(ca=True, path_length=None),
            [],
        )
        self.file.write_bytes(self._own.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, *names: str, life: datetime.timedelta = datetime.timedelta(days=2)
    ) -> Certificate:
        """A certificate for host names (wildcards too) and addresses, or the name of a client.

        :param life: how long it is good from now on; it may be over.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._sign(
            _name(names[0]),
            key.public_key(),
            x509.BasicConstraints(ca=False, path_length=None),
            names,
            life,
        )
        # Two certificates for one name have files of their own.
        stem = f"{names[0].replace('*', 'wildcard')}-{next(self._numbers)}"
        issued = Certificate(self._directory / f"{stem}.crt", self._directory / f"{stem}.key")
        pem = serialization.Encoding.PEM
        issued.chain.write_bytes(leaf.public_bytes(pem) + self._own.public_bytes(pem))
        issued.key.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        issued.key.chmod(0o600)
        return issued

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        constraints: x509.BasicConstraints,
        names: Iterable[str],
        life: datetime.timedelta = datetime.timedelta(days=2),
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + min(life, datetime.timedelta()) - datetime.timedelta(minutes=5))
            .not_valid_after(now + life)
            .add_extension(constraints, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
        alternatives = [_alternative(name) for name in names]
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())
