"""Our own certificate authority: a folder with a certificate and its key.

A client whose certificate it has issued is known by the fingerprint of that certificate, never by
its name: so a name in it claims no account.
"""

import datetime
import os
import secrets
import shutil
import tempfile

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from regcache.light_dataclass import dataclass

#: Name of the folder in the storage directory.
_FOLDER_NAME = "ca"
#: Names of the files in the folder.
CERTIFICATE_NAME, KEY_NAME = "ca.crt", "ca.key"
#: How long the authority is good.
_LIFE = datetime.timedelta(days=20 * 366)
#: Clocks of clients may be behind ours by so much.
_EARLIER = datetime.timedelta(days=1)
_MOST_BYTES = 64 * 1024
#: Characters of a common name (RFC 5280, ub-common-name).
_LONGEST_NAME = 64


class AuthorityError(Exception):
    """The authority cannot be read or made; the text is one line that names the file."""


@dataclass(frozen=True, slots=True)
class OwnAuthority:
    """An authority, checked: the key is that of the certificate, and that may sign others."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def authority_folder(directory: str) -> str:
    """Where it is in a storage directory."""
    return os.path.join(directory, _FOLDER_NAME)


def load_or_make_authority(folder: str) -> OwnAuthority:
    """The authority in a folder; it is made, for us alone, where the folder is missing. Blocks.

    :raises AuthorityError: if it can be neither read nor made.
    """
    try:
        if not os.path.isdir(folder):
            _make(folder)
        return _load(folder)
    except OSError as error:
        raise AuthorityError(f"{error.filename or folder}: {error.strerror}") from None


def _load(folder: str) -> OwnAuthority:
    certificate_path = os.path.join(folder, CERTIFICATE_NAME)
    key_path = os.path.join(folder, KEY_NAME)
    try:
        certificate = x509.load_pem_x509_certificate(_read(certificate_path))
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, x509.ExtensionNotFound):
        raise AuthorityError(f"{certificate_path}: is no certificate of an authority") from None
    try:
        key = load_pem_private_key(_read(key_path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise AuthorityError(f"{key_path}: is no PEM key without a passphrase") from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and limits.ca:
        if key.public_key() == certificate.public_key():
            return OwnAuthority(certificate, key)
    raise AuthorityError(f"{key_path}: is not the key of {certificate_path}")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_MOST_BYTES)


def _make(folder: str) -> None:
    """Whole or not at all: two that begin together keep the same one."""
    made = tempfile.mkdtemp(prefix="ca.", dir=os.path.dirname(folder))
    try:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(os.path.join(made, KEY_NAME), pem)
        certificate = _certificate(key).public_bytes(Encoding.PEM)
        _write(os.path.join(made, CERTIFICATE_NAME), certificate)
        os.rename(made, folder)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        if not os.path.isdir(folder):
            raise


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Self-signed, for client certificates alone. Its name is that of no other cache's."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "regcache clients"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, secrets.token_hex(8)),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate for a client, with its key, both as PEM.

    :ivar fingerprint: SHA-256 of the DER form, hexadecimal.
    :ivar until: its end (Unix seconds).
    """

    certificate: str
    key: str
    fingerprint: str
    until: float

    def __repr__(self) -> str:
        return f"IssuedCertificate({self.fingerprint!r})"


def issue_certificate(authority: OwnAuthority, name: str, days: int) -> IssuedCertificate:
    """Issue a certificate to a client.

    :param name: for people: it claims no account.
    :param days: how long it is good, at most as long as the authority.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    end = min(now + datetime.timedelta(days=days), authority.certificate.not_valid_after_utc)
    issued = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_NAME])]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return IssuedCertificate(
        issued.public_bytes(Encoding.PEM).decode("ascii"),
        pem.decode("ascii"),
        issued.fingerprint(hashes.SHA256()).hex(),
        end.timestamp(),
    )
